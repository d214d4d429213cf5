//! `headgate serve`: runs the gateway until it is told to stop.

use std::io::{self, IsTerminal};

use headgate_proto::build;
use tokio::signal::unix::{SignalKind, signal};

use super::CliError;
use crate::config::{DestinationKind, Loaded};
use crate::operate::log;
use crate::serve::{Gateway, Ground, Stopped};

/// Serves until SIGTERM or Ctrl-C, then drains; a second one ends it at once.
///
/// # Errors
/// If the gateway can't start, or calls had to be cut off at the end of the drain.
pub async fn run(loaded: Loaded) -> Result<(), CliError> {
    let settings = loaded.settings.clone();
    log::start(&settings.operate).map_err(|error| CliError::configuration(format!("operate.log: {error}")))?;
    let mut terminate = signal(SignalKind::terminate()).map_err(CliError::failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(CliError::failed)?;

    let gateway = tokio::select! {
        started = Gateway::start_loaded(loaded, Ground::default()) => started.map_err(CliError::failed)?,
        _ = terminate.recv() => return Ok(()),
        _ = interrupt.recv() => return Ok(()),
    };
    tracing::info!(
        version = build::VERSION,
        commit = build::COMMIT,
        grpc = %gateway.grpc_address(),
        rest = ?gateway.rest_address(),
        operate = %gateway.operate_address(),
        destination = ?settings.delivery.destination,
        "ready"
    );
    print!("{}", first_screen(&gateway, &settings));

    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    if io::stderr().is_terminal() {
        eprintln!("\nstopping: what was taken is being delivered (again to stop at once)");
    }
    tokio::select! {
        stopped = gateway.stop() => match stopped {
            Stopped::Clean => Ok(()),
            Stopped::CutOff => Err(CliError::failed("calls were cut off at the end of the drain")),
        },
        _ = terminate.recv() => Err(CliError::failed("stopped before the drain was over")),
        _ = interrupt.recv() => Err(CliError::failed("stopped before the drain was over")),
    }
}

/// What runs, and what to do next. The demo key is shown once, when it was made, and to people only: where the output is no
/// terminal it is somebody's log.
fn first_screen(gateway: &Gateway, settings: &crate::config::Settings) -> String {
    let scheme = if settings.grpc.tls.is_some() { "https" } else { "http" };
    let destination = match settings.delivery.destination {
        DestinationKind::Lake => format!("local lake in {}", settings.data_dir.join("lake").display()),
        DestinationKind::Kinesis => format!("Kinesis stream {}", settings.kinesis.stream),
        DestinationKind::Firehose => format!("Firehose delivery stream {}", settings.firehose.delivery_stream),
        DestinationKind::KinesisWithFirehoseFallback => format!(
            "Kinesis stream {}; Firehose delivery stream {} while Kinesis takes nothing",
            settings.kinesis.stream, settings.firehose.delivery_stream
        ),
        DestinationKind::KinesisAndFirehose => format!(
            "Kinesis stream {} and Firehose delivery stream {}",
            settings.kinesis.stream, settings.firehose.delivery_stream
        ),
        DestinationKind::Discard => "discard: events are acknowledged and DROPPED".to_owned(),
    };
    let mut screen = format!(
        "\nHeadgate {} takes events\n\n  \
         game servers   {scheme}://{}   (gRPC, headgate.v1.IngestService)\n  \
         operators      http://{}   ({}/metrics /healthz /readyz)\n  \
         events         {destination}\n",
        build::VERSION,
        gateway.grpc_address(),
        gateway.operate_address(),
        if settings.console.enabled { "console, " } else { "" },
    );
    if let Some(rest) = gateway.rest_address() {
        let scheme = if settings.rest.tls.is_some() { "https" } else { "http" };
        screen.push_str(&format!("  REST clients   {scheme}://{rest}   (the API of AWS's Game Analytics Pipeline)\n"));
    }
    if let Some(demo) = gateway.demo() {
        screen.push_str(&format!("  demo key       {}\n", demo.path().display()));
        if let Some(key) = demo.new_key().filter(|_| io::stdout().is_terminal()) {
            screen.push_str(&format!("                 {key}   (shown once)\n"));
        }
    }
    if let Some(token) = gateway.made_admin_token() {
        let made = if token.is_new() { "   (made now)" } else { "" };
        screen.push_str(&format!("  admin token    {}{made}\n", token.path().display()));
    }
    screen.push_str("\nNext\n");
    if settings.console.enabled {
        let token = match gateway.made_admin_token() {
            Some(token) => format!("cat {}", token.path().display()),
            None => "your admin token".to_owned(),
        };
        let operate = gateway.operate_address();
        screen.push_str(&format!("  in a browser   http://{operate}   leads to a first event; to sign in: {token}\n"));
    }
    screen.push_str(
        "  in a shell     headgate apps create my-game                 register a game\n                 \
         headgate keys create my-game --name server   hand out a key\n                 \
         headgate check-config                        every setting and its source\n\n",
    );
    screen
}
