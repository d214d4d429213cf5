//! A stand-in for the Lambda service: the Runtime API (Lambda developer guide, "Using the Lambda runtime API"), which a
//! function asks for its next invocation and tells what became of it.

use std::collections::HashMap;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use serde_json::Value;
use tokio::io::AsyncReadExt;
use tokio::process::{Child, Command};
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::task::JoinHandle;

use super::server::{answer, serve};

const PREFIX: &str = "/2018-06-01/runtime/";
/// What Lambda takes as a synchronous invocation's answer.
const MAX_ANSWER: usize = 6_291_556;
const PATIENCE: Duration = Duration::from_secs(60);

/// What a function made of an invocation.
#[derive(Debug)]
pub(crate) enum Outcome {
    Answered(Value),
    /// With `errorType` and `errorMessage`.
    Failed(Value),
}

impl Outcome {
    pub(crate) fn answered(self) -> Value {
        match self {
            Self::Answered(answer) => answer,
            Self::Failed(error) => panic!("the invocation failed: {error}"),
        }
    }

    pub(crate) fn failed(self) -> Value {
        match self {
            Self::Failed(error) => error,
            Self::Answered(answer) => panic!("the invocation was answered: {answer}"),
        }
    }
}

struct Invocation {
    id: String,
    payload: Bytes,
    deadline_ms: u128,
    outcome: oneshot::Sender<Outcome>,
}

struct Service {
    waiting: Mutex<mpsc::UnboundedReceiver<Invocation>>,
    running: Mutex<HashMap<String, oneshot::Sender<Outcome>>>,
}

/// A function that runs.
pub(crate) struct Function {
    process: Child,
    stdout: JoinHandle<String>,
    stderr: JoinHandle<String>,
    invocations: mpsc::UnboundedSender<Invocation>,
    count: u32,
}

/// What it wrote, line by line.
pub(crate) struct Written {
    pub(crate) stdout: Vec<String>,
    pub(crate) stderr: Vec<String>,
}

impl Function {
    /// Starts a binary with these variables and nothing else of the test's environment.
    pub(crate) async fn start(binary: &str, variables: &[(&str, &str)]) -> Self {
        let (invocations, waiting) = mpsc::unbounded_channel();
        let service = Arc::new(Service { waiting: Mutex::new(waiting), running: Mutex::default() });
        let address = serve(move |request| respond(Arc::clone(&service), request)).await;
        let mut process = Command::new(binary)
            .env_clear()
            .env("AWS_LAMBDA_RUNTIME_API", address.to_string())
            .env("AWS_LAMBDA_FUNCTION_NAME", "function")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .env("AWS_REGION", "us-east-1")
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "a-secret-of-the-role")
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the binary can be run");
        let stdout = collect(process.stdout.take().expect("is piped"));
        let stderr = collect(process.stderr.take().expect("is piped"));
        Self { process, stdout, stderr, invocations, count: 0 }
    }

    /// Invokes it, with a minute of time.
    pub(crate) async fn invoke(&mut self, payload: &Value) -> Outcome {
        self.invoke_within(payload, PATIENCE).await
    }

    /// Invokes it with so much time until its deadline.
    pub(crate) async fn invoke_within(&mut self, payload: &Value, time: Duration) -> Outcome {
        self.count += 1;
        let deadline = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970") + time;
        let (outcome, became) = oneshot::channel();
        let invocation = Invocation {
            id: format!("invocation-{}", self.count),
            payload: payload.to_string().into(),
            deadline_ms: deadline.as_millis(),
            outcome,
        };
        self.invocations.send(invocation).expect("the stand-in serves");
        tokio::select! {
            became = tokio::time::timeout(PATIENCE, became) => {
                became.expect("an outcome in time").expect("the stand-in serves")
            }
            status = self.process.wait() => panic!("the function ended: {status:?}"),
        }
    }

    /// Ends it, and gives what it wrote.
    pub(crate) async fn end(mut self) -> Written {
        // It may have ended by itself.
        let _ = self.process.start_kill();
        self.written().await
    }

    /// Waits for it to end by itself.
    pub(crate) async fn ended(mut self) -> (bool, Written) {
        let status = tokio::time::timeout(PATIENCE, self.process.wait()).await.expect("it ends").expect("it ran");
        (status.success(), self.written().await)
    }

    async fn written(self) -> Written {
        let lines = |text: String| text.lines().map(str::to_owned).collect();
        let (stdout, stderr) = (self.stdout.await.expect("is read"), self.stderr.await.expect("is read"));
        assert!(!stdout.contains("a-secret-of-the-role") && !stderr.contains("a-secret-of-the-role"));
        Written { stdout: lines(stdout), stderr: lines(stderr) }
    }
}

fn collect(mut pipe: impl tokio::io::AsyncRead + Unpin + Send + 'static) -> JoinHandle<String> {
    tokio::spawn(async move {
        let mut text = String::new();
        pipe.read_to_string(&mut text).await.expect("UTF-8");
        text
    })
}

async fn respond(service: Arc<Service>, request: Request<Incoming>) -> Option<Response<Full<Bytes>>> {
    let path = request.uri().path().strip_prefix(PREFIX).unwrap_or_default().to_owned();
    let parts: Vec<&str> = path.split('/').collect();
    match (request.method(), &parts[..]) {
        (&Method::GET, ["invocation", "next"]) => next(&service).await,
        (&Method::POST, ["invocation", id, what @ ("response" | "error")]) => {
            let body = request.into_body().collect().await.ok()?.to_bytes();
            if body.len() > MAX_ANSWER {
                return Some(answer(413, r#"{"errorType":"RequestEntityTooLarge"}"#));
            }
            let value = serde_json::from_slice(&body).expect("an outcome is JSON");
            let outcome = if *what == "response" { Outcome::Answered(value) } else { Outcome::Failed(value) };
            let waiting = service.running.lock().await.remove(*id).expect("each invocation is answered once");
            let _ = waiting.send(outcome);
            Some(answer(202, ""))
        }
        other => panic!("the function asks for {other:?}"),
    }
}

async fn next(service: &Service) -> Option<Response<Full<Bytes>>> {
    let invocation = service.waiting.lock().await.recv().await?;
    service.running.lock().await.insert(invocation.id.clone(), invocation.outcome);
    let response = Response::builder()
        .header("Lambda-Runtime-Aws-Request-Id", invocation.id)
        .header("Lambda-Runtime-Deadline-Ms", invocation.deadline_ms.to_string())
        .header("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:us-east-1:000000000000:function:function")
        .header("Content-Type", "application/json")
        .body(Full::new(invocation.payload));
    Some(response.expect("a response"))
}
