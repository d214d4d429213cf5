//! A person at a browser: reads, fills in, presses, and is annoyed by what annoys people.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use headgate_tests::gateway::GatewayProcess;
use serde_json::{Value, json};

use crate::browser::Browser;

const PATIENCE: Duration = Duration::from_secs(20);

/// Bytes of a page with all that belongs to it, as transferred without a cache.
const MAX_WEIGHT: u64 = 160 << 10;

/// What is wrong with a page for somebody who can't see it or has no mouse.
const UNNAMED: &str = "(() => { const wrong = []; const named = (one) => one.labels?.length || one.getAttribute('aria-label') \
    || one.getAttribute('aria-labelledby') || one.textContent.trim(); \
    for (const one of document.querySelectorAll('input:not([type=hidden]), select, textarea, button, a, summary')) \
      if (!named(one)) wrong.push(one.outerHTML.slice(0, 120)); \
    for (const one of document.querySelectorAll('table')) \
      if (!one.caption || one.querySelectorAll('thead th:not([scope])').length) wrong.push('table ' + one.innerText.slice(0, 60)); \
    const ids = [...document.querySelectorAll('[id]')].map((one) => one.id); \
    for (const id of new Set(ids)) if (ids.filter((one) => one === id).length > 1) wrong.push('twice: ' + id); \
    for (const one of document.querySelectorAll('[aria-labelledby], [aria-describedby]')) \
      for (const id of ((one.getAttribute('aria-labelledby') ?? '') + ' ' + (one.getAttribute('aria-describedby') ?? '')).split(' ')) \
        if (id && !document.getElementById(id)) wrong.push('nowhere: ' + id); \
    if (document.querySelectorAll('h1').length !== 1) wrong.push('headings'); \
    if (!document.documentElement.lang || !document.querySelector('main')) wrong.push('landmarks'); \
    return wrong; })()";

pub(super) struct Person {
    browser: Browser,
    address: String,
    token: String,
}

impl Person {
    /// Sits down at a screen of this size and colour scheme.
    pub(super) fn at(gateway: &GatewayProcess, size: (u32, u32), scheme: &str) -> Self {
        let token = fs::read_to_string(gateway.data_dir().join("admin-token")).expect("the first start makes a token");
        let address = format!("http://{}", gateway.operate_address());
        let mut person = Self { browser: Browser::start(), address, token: token.trim().to_owned() };
        person.sits_at(size, scheme);
        person.browser.call("Network.setCacheDisabled", &json!({"cacheDisabled": true}));
        person
    }

    pub(super) fn sits_at(&mut self, (width, height): (u32, u32), scheme: &str) {
        self.browser.emulate(width, height, scheme);
    }

    pub(super) fn runs_no_scripts(&mut self) {
        self.browser.call("Emulation.setScriptExecutionDisabled", &json!({"value": true}));
    }

    pub(super) fn open(&mut self, path: &str) {
        self.browser.visit(&format!("{}{path}", self.address));
    }

    pub(super) fn signs_in(&mut self) {
        self.open("/console");
        let token = self.token.clone();
        self.fills("token", &token);
        self.presses("Sign in");
        self.reads("Overview");
    }

    /// The path of the page.
    pub(super) fn path(&mut self) -> String {
        self.text("location.pathname")
    }

    /// All that the page says.
    pub(super) fn page(&mut self) -> String {
        self.text("document.body.innerText")
    }

    pub(super) fn text_of(&mut self, selector: &str) -> String {
        self.text(&format!("document.querySelector({}).innerText", json!(selector)))
    }

    fn text(&mut self, expression: &str) -> String {
        self.browser.evaluate(expression).as_str().unwrap_or_default().to_owned()
    }

    pub(super) fn reads(&mut self, words: &str) {
        let page = self.page();
        assert!(page.contains(words), "no {words:?} in:\n{page}");
    }

    pub(super) fn fills(&mut self, name: &str, text: &str) {
        let done = self.browser.evaluate(&format!(
            "(() => {{ const field = document.querySelector('main [name=' + {} + ']'); if (!field) return false; \
             field.value = {}; return true; }})()",
            json!(name),
            json!(text)
        ));
        assert_eq!(done, true, "there is no field {name} on {}", self.path());
    }

    /// Presses the button of these words and waits for the page that it leads to.
    pub(super) fn presses(&mut self, words: &str) {
        self.follow("button", words);
    }

    /// Follows the link of these words.
    pub(super) fn clicks(&mut self, words: &str) {
        self.follow("a", words);
    }

    /// Opens what is folded under these words.
    pub(super) fn clicks_summary(&mut self, words: &str) {
        let found = format!(
            "[...document.querySelectorAll('summary')].find((one) => one.textContent.trim() === {})?.click() ?? true",
            json!(words)
        );
        self.browser.evaluate(&found);
        self.waits_for("it to open", "!!document.querySelector('details[open]')");
    }

    fn follow(&mut self, kind: &str, words: &str) {
        let found = format!(
            "[...document.querySelectorAll({})].find((one) => one.textContent.replace(/\\s+/g, ' ').trim() === {})",
            json!(kind),
            json!(words)
        );
        let there = self.browser.evaluate(&format!("!!{found}"));
        let page = self.page();
        assert_eq!(there, true, "there is no {kind} {words:?} on:\n{page}");
        self.browser.follow(&format!("{found}.click()"));
    }

    /// Looks at the page, which is live, until it shows something.
    pub(super) fn waits_for(&mut self, what: &str, expression: &str) {
        let began = Instant::now();
        while self.browser.evaluate(expression) != true {
            assert!(began.elapsed() < PATIENCE, "waited in vain for {what}:\n{}", self.page());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Presses the tabulator so often; what has the focus after each time. It has to be told from the rest.
    pub(super) fn tabs(&mut self, times: usize) -> Vec<String> {
        let mut focused = Vec::new();
        for _ in 0..times {
            self.browser.press("Tab", 9);
            assert_ne!(self.text("getComputedStyle(document.activeElement).outlineStyle"), "none", "{focused:?}");
            focused.push(self.text(
                "(document.activeElement.labels?.[0] ?? document.activeElement).textContent.replace(/\\s+/g, ' ').trim()",
            ));
        }
        focused
    }

    /// Presses Enter on what has the focus.
    pub(super) fn presses_enter(&mut self) {
        self.browser.press("Enter", 13);
    }

    /// What the browser complained of since the page was opened.
    pub(super) fn complaints(&self) -> Vec<String> {
        self.browser.complaints()
    }

    /// Nothing about the page is broken, too heavy, too wide, too faint or without a name.
    pub(super) fn page_is_sound(&mut self) {
        let path = self.path();
        assert_eq!(self.browser.complaints(), Vec::<String>::new(), "{path}");
        let weight = self.browser.weight();
        assert!((1..=MAX_WEIGHT).contains(&weight), "{path} weighs {weight} bytes");
        self.page_is_readable();
    }

    /// Nothing about it is too wide, too faint or without a name. A page that says what went wrong is this, too; the
    /// browser complains of its status.
    pub(super) fn page_is_readable(&mut self) {
        let path = self.path();
        assert_eq!(self.browser.overhang(), 0, "{path} scrolls sideways");
        let faint: Value = self.browser.evaluate(include_str!("../../../loadtest/tests/browser/contrast.js"));
        assert_eq!(faint, json!([]), "{path}: texts that are hard to read");
        assert_eq!(self.browser.evaluate(UNNAMED), json!([]), "{path}: what has no name");
        let elsewhere: Vec<String> =
            self.browser.requests().into_iter().filter(|url| !url.starts_with(&self.address)).collect();
        assert_eq!(elsewhere, Vec::<String>::new(), "{path} asks others");
    }

    /// Leaves a picture of the whole page for people to look at.
    pub(super) fn picture(&mut self, name: &str) {
        let folder = folder();
        fs::create_dir_all(&folder).expect("the folder can be made");
        self.browser.picture(&folder.join(format!("{name}.png")));
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("console")
}
