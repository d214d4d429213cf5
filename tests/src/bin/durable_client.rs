//! A game server with a log, to be killed: gives durable events as fast as the disk takes them, and prints the id of each
//! once it is confirmed. With `--drain` it gives none, sends what its log has, and says whether anything is left.

use std::error::Error;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use headgate_client::{Client, Event, Key, Log};

const PATIENCE: Duration = Duration::from_secs(60);

/// A client with a log.
#[derive(Parser)]
struct Arguments {
    /// The gateway, such as http://127.0.0.1:50051.
    #[arg(long)]
    endpoint: String,
    /// The file with the API key.
    #[arg(long)]
    key_file: PathBuf,
    /// The log's folder.
    #[arg(long)]
    log: PathBuf,
    /// How many threads give events.
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// Gives no events; ends once everything on the log is stored, with an error if that takes more than a minute.
    #[arg(long)]
    drain: bool,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    // Small segments, so that kills hit their beginnings and ends.
    let log = Log::new(&arguments.log).max_bytes(64 << 20);
    let builder = Client::builder(&arguments.endpoint, Key::file(&arguments.key_file)).log(log);
    let client = builder.longest_backoff(Duration::from_secs(1)).build()?;
    if arguments.drain {
        let left = client.close(PATIENCE);
        if !left.is_empty() {
            return Err(format!("{left:?}: {:?}", client.counters()).into());
        }
        println!("nothing is left");
        return Ok(());
    }
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..arguments.threads).map(|_| scope.spawn(|| give(&client))).collect();
        threads.into_iter().try_for_each(|thread| thread.join().map_err(|_| "a thread panicked")?)
    })
    .map_err(Into::into)
}

/// Until it is killed.
fn give(client: &Client) -> Result<(), String> {
    loop {
        let event = Event::new("progress", "level_up").data(br#"{"player_id":"p-1","level":7}"#);
        let receipt = client.send_durable(event).map_err(|error| error.to_string())?;
        // One write: lines of several threads are not mixed.
        let line = format!("{}\n", receipt.id);
        std::io::stdout().lock().write_all(line.as_bytes()).map_err(|error| error.to_string())?;
    }
}
