//! A real Chromium without a window, spoken to in its DevTools protocol over a pair of pipes: no port and no driver is
//! needed.

use std::env;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;

/// Names a Chromium to use instead of the one that is found.
const VARIABLE: &str = "HEADGATE_CHROMIUM";
const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
/// Long enough for the first start on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// The browser, with one page.
pub(crate) struct Browser {
    child: Child,
    to: Option<ChildStdin>,
    from: Receiver<Value>,
    calls: u64,
    session: Option<String>,
    events: Vec<Value>,
    folder: TempDir,
    /// The window's, as emulated.
    width: u32,
}

impl Browser {
    /// Starts it with an empty page.
    ///
    /// # Panics
    /// If there is no Chromium or it does not start: says what to install.
    pub(crate) fn start() -> Self {
        let chromium = find();
        let folder = tempfile::tempdir().expect("a folder for the profile");
        let said = fs::File::create(folder.path().join("stderr")).expect("a file for its messages");
        // Descriptors 3 and 4 are where Chromium reads and writes the protocol.
        let mut child = Command::new("sh")
            .args(["-c", r#"exec "$0" "$@" 3<&0 4>&1 </dev/null >/dev/null"#])
            .arg(&chromium)
            .args(["--headless=new", "--remote-debugging-pipe", "--no-first-run", "--disable-gpu", "--hide-scrollbars"])
            // In a container there are no namespaces for a sandbox; the only page is our own.
            .args(["--no-sandbox", "--disable-dev-shm-usage", "--disable-background-networking"])
            .arg(format!("--user-data-dir={}", folder.path().join("profile").display()))
            .arg("about:blank")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(said)
            .spawn()
            .expect("sh can be run");
        let to = child.stdin.take();
        let mut reader = BufReader::new(child.stdout.take().expect("a pipe"));
        let (sender, from) = channel();
        std::thread::spawn(move || {
            let mut message = Vec::new();
            while reader.read_until(0, &mut message).is_ok_and(|read| read > 0) {
                let value = serde_json::from_slice(message.strip_suffix(&[0]).unwrap_or(&message));
                if value.is_ok_and(|value| sender.send(value).is_err()) {
                    return;
                }
                message.clear();
            }
        });
        let mut browser = Self { child, to, from, calls: 0, session: None, events: Vec::new(), folder, width: 0 };
        let target = browser.call("Target.createTarget", &json!({"url": "about:blank"}));
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let session = browser.call("Target.attachToTarget", &attach);
        browser.session = session["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.call(&format!("{domain}.enable"), &json!({}));
        }
        browser
    }

    /// Calls a method of the protocol and gives back its result.
    pub(crate) fn call(&mut self, method: &str, parameters: &Value) -> Value {
        self.calls += 1;
        let id = self.calls;
        let mut message = json!({"id": id, "method": method, "params": parameters});
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        let mut bytes = message.to_string().into_bytes();
        bytes.push(0);
        let sent = self.to.as_mut().expect("it is open").write_all(&bytes);
        if let Err(error) = sent {
            self.fail(&format!("{method}: {error}"));
        }
        loop {
            let answer = self.next(method);
            if answer["id"] != json!(id) {
                self.events.push(answer);
                continue;
            }
            assert!(answer["error"].is_null(), "{method}: {}", answer["error"]);
            return answer["result"].clone();
        }
    }

    /// Opens a file and waits until it is loaded; forgets what earlier pages did.
    pub(crate) fn open(&mut self, file: &Path) {
        self.visit(&format!("file://{}", file.display()));
    }

    /// Opens an address and waits until it is loaded; forgets what earlier pages did.
    pub(crate) fn visit(&mut self, url: &str) {
        self.events.clear();
        let answer = self.call("Page.navigate", &json!({"url": url}));
        assert!(answer["errorText"].is_null(), "{url}: {answer}");
        self.wait_until_loaded();
    }

    /// Does what leads to another page, such as a click, and waits until that is loaded; forgets what earlier pages did.
    #[allow(dead_code, reason = "the report is one page")]
    pub(crate) fn follow(&mut self, expression: &str) {
        self.events.clear();
        self.evaluate(expression);
        self.wait_until_loaded();
    }

    fn wait_until_loaded(&mut self) {
        while !self.events.iter().any(|event| event["method"] == "Page.loadEventFired") {
            let event = self.next("waiting for the page");
            self.events.push(event);
        }
    }

    /// The value of an expression in the page.
    pub(crate) fn evaluate(&mut self, expression: &str) -> Value {
        let answer = self.call("Runtime.evaluate", &json!({"expression": expression, "returnByValue": true}));
        assert!(answer["exceptionDetails"].is_null(), "{expression}: {}", answer["exceptionDetails"]);
        answer["result"]["value"].clone()
    }

    /// A window of this size with this colour scheme.
    pub(crate) fn emulate(&mut self, width: u32, height: u32, scheme: &str) {
        self.width = width;
        let size = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600});
        self.call("Emulation.setDeviceMetricsOverride", &size);
        let media = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.call("Emulation.setEmulatedMedia", &media);
    }

    /// How wide the page is beyond the window. A phone's browser zooms out and so hides it: its own width is no measure.
    pub(crate) fn overhang(&mut self) -> i64 {
        let page = self.evaluate("document.documentElement.scrollWidth");
        page.as_i64().expect("a width") - i64::from(self.width)
    }

    /// A picture of the whole page.
    pub(crate) fn picture(&mut self, file: &Path) {
        let shot = json!({"format": "png", "captureBeyondViewport": true});
        let answer = self.call("Page.captureScreenshot", &shot);
        let bytes = STANDARD.decode(answer["data"].as_str().expect("a picture")).expect("base64");
        fs::write(file, bytes).expect("the picture can be written");
    }

    /// Every address that the page asked for.
    pub(crate) fn requests(&self) -> Vec<String> {
        let requests = self.events.iter().filter(|event| event["method"] == "Network.requestWillBeSent");
        requests.filter_map(|event| event["params"]["request"]["url"].as_str().map(str::to_owned)).collect()
    }

    /// Bytes that came for the page.
    #[allow(dead_code, reason = "the report comes from a file")]
    pub(crate) fn weight(&self) -> u64 {
        let ends = self.events.iter().filter(|event| event["method"] == "Network.loadingFinished");
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a whole number of bytes")]
        ends.filter_map(|event| event["params"]["encodedDataLength"].as_f64()).map(|bytes| bytes as u64).sum()
    }

    /// Presses a key.
    #[allow(dead_code, reason = "the report has no forms")]
    pub(crate) fn press(&mut self, key: &str, code: u32) {
        for (kind, text) in [("keyDown", if key == "Enter" { "\r" } else { "" }), ("keyUp", "")] {
            let event = json!({"type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code, "text": text});
            self.call("Input.dispatchKeyEvent", &event);
        }
    }

    /// What the page complained of: exceptions, console messages, violations of its policy.
    pub(crate) fn complaints(&self) -> Vec<String> {
        const METHODS: [&str; 3] = ["Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded"];
        let complaint = |event: &&Value| METHODS.iter().any(|method| event["method"] == *method);
        self.events.iter().filter(complaint).map(Value::to_string).collect()
    }

    fn next(&mut self, doing: &str) -> Value {
        match self.from.recv_timeout(PATIENCE) {
            Ok(message) => message,
            Err(error) => self.fail(&format!("{doing}: {error}")),
        }
    }

    fn fail(&self, problem: &str) -> ! {
        let said = fs::read_to_string(self.folder.path().join("stderr")).unwrap_or_default();
        panic!("Chromium does not answer: {problem}\n{said}")
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Closing the pipe ends it; it is not left behind if that should fail.
        self.to = None;
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn find() -> PathBuf {
    if let Some(path) = env::var_os(VARIABLE) {
        return path.into();
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = env::split_paths(&path).collect();
    let found =
        NAMES.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name))).find(|file| file.is_file());
    found.unwrap_or_else(|| {
        panic!(
            "no Chromium to open the report in: install one (Debian: `apt-get install chromium`) so that one of {} is \
             found, or name it in {VARIABLE}",
            NAMES.join(", ")
        )
    })
}
