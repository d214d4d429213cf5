//! Asks a gateway that was just deployed, from outside and from one end to the other, whether it does what it is for: the
//! right build answers, a new key lets in, events are acknowledged, and what was acknowledged is in the lake and in the
//! metrics, once.
//!
//! It makes an application of its own and deletes it at the end, also after a failure and after a signal. A step that fails
//! says what to do; steps that need it are skipped. Nothing is tried again but what may pass by itself: a gateway that is not
//! reached yet, an event that is to be sent again, an event that is still on its way to the lake.

mod course;
mod doors;
mod error;
mod events;
mod junit;
mod key;
mod lake;
mod metrics;
mod report;
mod send;
mod version;

use std::fmt;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use uuid::Uuid;

use self::course::{Course, Notes};
use self::doors::{Doors, Key, Office, patiently};
pub use self::error::{Problem, Said};
pub use self::junit::write as write_junit;
pub use self::lake::Lake;
pub use self::metrics::Counter;
use self::metrics::{Counts, Tally};
pub use self::report::{Case, Outcome, Report, Step};
use self::send::Load;
use crate::config::LoadError;
use crate::load::epoch_now;

/// What is to be asked.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The gateway's gRPC address, `http://HOST:PORT` or `https://HOST:PORT`.
    pub endpoint: String,
    /// The authorities that are trusted for `https`, in PEM.
    pub tls_ca: Option<Vec<u8>>,
    /// The administrator's.
    pub token: Token,
    /// What has to answer.
    pub expected: Expected,
    /// Where events end; none: it is not asked.
    pub lake: Option<Lake>,
    /// The operators' listener that turns the log of a local lake into Parquet; none: the one in the lake's lock file.
    pub operate: Option<String>,
    /// Who counts; none: nobody is asked.
    pub counter: Option<Counter>,
    /// Events that break no rule, at least one.
    pub events: usize,
    /// In what time they are sent.
    pub over: Duration,
    /// How long they may take into the lake and the metrics, from when the last one is acknowledged.
    pub timeout: Duration,
}

/// What has to answer; what is not given may be any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expected {
    /// Such as 0.1.0.
    pub version: Option<String>,
    /// Its first digits will do, at least 7.
    pub commit: Option<String>,
}

/// The administrator's token. A secret.
#[derive(Clone)]
pub struct Token(String);

impl Token {
    /// A token, as a file or a secret's value holds it; none if that is empty.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        (!text.is_empty()).then(|| Self(text.to_owned()))
    }

    fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// What there is to tell meanwhile.
pub enum News<'a> {
    /// How far a step is.
    Progress(Step, &'a str),
    /// A step is over.
    Over(&'a Case),
}

/// An application that was made.
struct Made {
    application_id: String,
    name: String,
    /// The connection to the gateway that made it.
    office: Office,
}

/// Takes all steps, until `stop` says otherwise; the application is deleted in any case.
///
/// # Errors
/// The address can't be one, or the token can't be sent. Nothing was asked then.
pub async fn run(
    plan: &Plan,
    stop: watch::Receiver<bool>,
    tell: &mut (dyn FnMut(News<'_>) + Send),
) -> Result<Report, LoadError> {
    let doors = Doors::new(plan)?;
    let began = epoch_now();
    let mut course = Course::new(stop, tell);
    course.take(Step::Version, async |notes| version::check(&doors, &plan.expected, notes).await).await;
    // What was made has to be deleted, even if there is no key.
    let mut made = None;
    let key = course.take_whole(Step::Application, async |notes| make(&doors, &mut made, notes).await).await;
    ask(plan, &doors, &mut course, made.as_ref().zip(key.as_ref()), began).await;
    match made {
        Some(made) => {
            let clean = async |notes: &mut Notes<'_>| clean_up(&doors, made, key.as_ref(), notes).await;
            course.take_to_the_end(Step::CleanUp, clean).await;
        }
        None => course.skip(Step::CleanUp, "nothing was made"),
    }
    let Course { cases, interrupted, .. } = course;
    Ok(Report { target: plan.endpoint.clone(), began, cases, interrupted })
}

/// The steps that need a key.
async fn ask(plan: &Plan, doors: &Doors, course: &mut Course<'_>, with: Option<(&Made, &Key)>, began: f64) {
    let Some((made, key)) = with else {
        for step in [Step::Key, Step::Events, Step::Lake, Step::Metrics] {
            course.skip_without(step, Step::Application);
        }
        return;
    };
    let let_in = course.take(Step::Key, async |notes| key::check(doors, key, notes).await).await;
    let load = Load { events: plan.events, over: plan.over, now_ms: (epoch_now() * 1e3) as u64 };
    let sent = match let_in {
        Some(()) => course.take(Step::Events, async |notes| send::send(doors, key, load, notes).await).await,
        None => {
            course.skip_without(Step::Events, Step::Key);
            None
        }
    };
    let Some(sent) = sent else {
        course.skip_without(Step::Lake, Step::Events);
        course.skip_without(Step::Metrics, Step::Events);
        return;
    };
    let until = Instant::now() + plan.timeout;
    let application_id = made.application_id.as_str();
    let mut doubled = 0;
    match &plan.lake {
        Some(lake) => {
            let search = lake::Search { application_id, sent: &sent, began, sent_at_ms: load.now_ms, until };
            let found = course.take(Step::Lake, async |notes| lake::check(plan, lake, &search, notes).await).await;
            doubled = found.unwrap_or_default();
        }
        None => course.skip(Step::Lake, "no lake is given (--lake)"),
    }
    match &plan.counter {
        Some(counter) => {
            let counts = Counts { events: sent.acknowledged(), logins: sent.logins };
            let tally = Tally { application_id, sent: counts, twice: sent.unsure + doubled, began, until };
            course.take(Step::Metrics, async |notes| metrics::check(counter, &tally, notes).await).await;
        }
        None => course.skip(Step::Metrics, "no metrics are given (--metrics-namespace or --metrics)"),
    }
}

/// Makes an application and a key.
async fn make(doors: &Doors, made: &mut Option<Made>, notes: &mut Notes<'_>) -> Result<Key, Problem> {
    let name = format!("smoke-{}", Uuid::now_v7());
    let office = patiently(async || doors.office().await).await;
    let mut office = office.map_err(|status| Problem::call("connecting", &status))?;
    let application = office.create_application(&name).await?;
    notes.figure(format!("{name}, {}", application.application_id));
    let made = made.insert(Made { application_id: application.application_id, name, office });
    made.office.create_key(&made.application_id).await
}

/// Deletes the application, and waits until its key lets nobody in any more.
async fn clean_up(doors: &Doors, made: Made, key: Option<&Key>, notes: &mut Notes<'_>) -> Result<(), Problem> {
    let Made { application_id, name, mut office } = made;
    let mut deleted = office.delete_application(&application_id).await;
    if deleted.is_err() {
        // The connection may be gone, and the gateway with it.
        deleted = patiently(async || doors.office().await?.delete_application(&application_id).await).await;
    }
    let doing = || format!("deleting the application {name} ({application_id}), which you have to do yourself now");
    deleted.map_err(|status| Problem::call(doing(), &status))?;
    notes.figure(format!("{name} is deleted"));
    match key {
        Some(key) => key::gone(doors, key, Instant::now(), notes).await,
        None => Ok(()),
    }
}
