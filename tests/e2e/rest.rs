//! The REST API, as clients of the AWS solution use it.

mod events;
mod hostile;
mod limits;
mod live;
mod routes;
pub(crate) mod signed;
mod table;
mod walk;
mod wire;

use std::path::Path;

use headgate_tests::gateway::GatewayProcess;
use headgate_tests::rest::{RestAnswer, RestClient};
use http::Method;

/// The token of administrators, in gateways that are given one.
const TOKEN: &str = "a-token-of-sixteen-or-more";

/// A gateway with an admin token, on the embedded registry.
async fn gateway(data_dir: &Path, settings: &[&str]) -> GatewayProcess {
    let environment = [("HEADGATE_ADMIN__TOKEN".to_owned(), TOKEN.to_owned())];
    GatewayProcess::start_in(data_dir, settings, &environment).await
}

/// Someone who sends the admin token.
struct Administrator {
    client: RestClient,
}

impl Administrator {
    fn of(gateway: &GatewayProcess) -> Self {
        Self { client: RestClient::new(gateway.rest()) }
    }

    async fn ask(&self, method: Method, path: &str, body: &str) -> RestAnswer {
        let authorization = format!("Bearer {TOKEN}");
        let headers = [("authorization", authorization.as_str()), ("content-type", "application/json")];
        self.client.send(method, path, &headers, body.to_owned()).await
    }
}
