//! A stand-in for the table of applications: `GetItem` of DynamoDB, which can be taken away.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use serde_json::{Value, json};

use super::server::{answer, serve};

/// How it behaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Mode {
    #[default]
    Up,
    /// Answers with status 500.
    Error,
    /// Closes connections.
    Closed,
    /// There is no such table.
    NoTable,
}

#[derive(Default)]
struct State {
    mode: Mode,
    names: HashMap<String, Value>,
    reads: Vec<String>,
}

/// The table, `applications`.
#[derive(Clone)]
pub(crate) struct Table {
    state: Arc<Mutex<State>>,
    address: SocketAddr,
}

impl Table {
    pub(crate) async fn start() -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let served = Arc::clone(&state);
        let address = serve(move |request| respond(Arc::clone(&served), request)).await;
        Self { state, address }
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Adds an application's row.
    pub(crate) fn put(&self, id: &str, name: Option<&str>) {
        let mut row = json!({"application_id": {"S": id}});
        if let Some(name) = name {
            row["application_name"] = json!({"S": name});
        }
        self.state.lock().expect("nothing panics with it").names.insert(id.to_owned(), row);
    }

    pub(crate) fn set(&self, mode: Mode) {
        self.state.lock().expect("nothing panics with it").mode = mode;
    }

    /// The ids that were asked for since the last time.
    pub(crate) fn reads(&self) -> Vec<String> {
        std::mem::take(&mut self.state.lock().expect("nothing panics with it").reads)
    }
}

async fn respond(state: Arc<Mutex<State>>, request: Request<Incoming>) -> Option<Response<Full<Bytes>>> {
    assert_eq!(request.headers()["x-amz-target"], "DynamoDB_20120810.GetItem");
    let body = request.into_body().collect().await.ok()?.to_bytes();
    let body: Value = serde_json::from_slice(&body).expect("JSON");
    assert_eq!((&body["TableName"], &body["ConsistentRead"]), (&json!("applications"), &json!(true)));
    let id = body["Key"]["application_id"]["S"].as_str().expect("an id").to_owned();
    let mut state = state.lock().expect("nothing panics with it");
    match state.mode {
        Mode::Closed => None,
        Mode::Error => Some(answer(500, r#"{"__type":"InternalServerError","message":"the test asked for it"}"#)),
        Mode::NoTable => {
            let kind = "com.amazonaws.dynamodb.v20120810#ResourceNotFoundException";
            Some(answer(400, json!({"__type": kind, "message": "Requested resource not found"}).to_string()))
        }
        Mode::Up => {
            let row = state.names.get(&id).map_or_else(|| json!({}), |row| json!({"Item": row}));
            state.reads.push(id);
            Some(answer(200, row.to_string()))
        }
    }
}
