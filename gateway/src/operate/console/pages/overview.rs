//! The overview: what arrives now, over the last hour, for which application; and what to do first.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};
use uuid::Uuid;

use super::application::live::why;
use super::{Refresh, applications};
use crate::delivery::Health;
use crate::live::view::{AppNow, Series, TailEntry, TailVerdict, Verdicts};
use crate::operate::console::chart::pair_of_verdicts;
use crate::operate::console::components::{self, badge, live};
use crate::operate::console::failure::{Answer, Failure};
use crate::operate::console::guard::Signed;
use crate::operate::console::layout::{Page, Place, form_token};
use crate::operate::console::session::Session;
use crate::operate::console::{Console, words};
use crate::operate::lifecycle::Phase;
use crate::registry::Application;

struct View {
    now_ms: i64,
    applications: Arc<[Application]>,
    now: Vec<AppNow>,
    seconds: Series,
    minutes: Series,
    refused: Vec<TailEntry>,
    taking: Taking,
}

/// Whether events are taken, as a person is told.
enum Taking {
    Up,
    /// What was tried last failed; the next event tries again.
    Trouble(String),
    /// Some of it is refused until less is on its way.
    Overloaded(String),
    Down(String),
}

/// Refused calls that are shown.
const REFUSED: usize = 5;

impl View {
    fn of(console: &Console, applications: Arc<[Application]>) -> Self {
        Self {
            now_ms: console.now_ms(),
            applications,
            now: console.live.apps_now(),
            seconds: console.live.seconds(None),
            minutes: console.live.minutes(None),
            refused: console.live.tail(None, Some(TailVerdict::Refused), 0, REFUSED),
            taking: Taking::of(console),
        }
    }

    fn tiles(&self) -> Markup {
        let rate = self.now.iter().map(|app| app.events_per_second).sum();
        components::verdict_tiles(rate, total(self.now.iter().map(|app| app.last_hour)))
    }

    fn health(&self) -> Markup {
        html! {
            @match &self.taking {
                Taking::Up => p .state { (badge("good", "up")) " Events are taken." },
                Taking::Trouble(reason) => p .state {
                    (badge("warn", "in trouble")) " " (reason) ". The next event tries again."
                },
                Taking::Overloaded(reason) => p .state {
                    (badge("warn", "overloaded")) " " (reason) ". Clients are told to keep events for a moment."
                },
                Taking::Down(reason) => p .state {
                    (badge("bad", "down")) " " (reason) ". Clients are told to keep their events and to try again."
                },
            }
        }
    }

    fn charts(&self) -> [Markup; 2] {
        pair_of_verdicts(&self.seconds, &self.minutes)
    }

    fn table(&self) -> Markup {
        applications::table(self.now_ms, &self.applications, &self.now)
    }

    /// Calls that were refused as a whole, those with a key that nobody has among them: no application's page shows them.
    fn refused(&self) -> Markup {
        let name =
            |id: Uuid| self.applications.iter().find(|one| one.application_id == id).map(|one| one.name.as_str());
        let rows = html! {
            @for entry in self.refused.iter().rev() {
                tr {
                    td .nowrap { (words::time_of_day(entry.at_ms)) }
                    th scope="row" {
                        @match entry.application_id.and_then(name) {
                            Some(name) => (name),
                            None => span .quiet { "unknown" },
                        }
                    }
                    td .words { (why(entry)) }
                }
            }
        };
        html! {
            @if !self.refused.is_empty() {
                h2 { "Calls refused lately" }
                (components::table("Calls refused lately", &["Time, UTC", "Application", "Why"], &rows))
            }
        }
    }

    /// What a person who has just installed this does first; gone with the first event.
    fn first_steps(&self, session: &Session) -> Markup {
        let any = self.now.iter().any(|app| app.last_event_at_ms.is_some());
        let own = self.applications.iter().rev().find(|application| application.name != "demo");
        html! {
            @if !any {
                section .card .steps aria-labelledby="steps" {
                    h2 #steps { "From here to your first event" }
                    ol {
                        li .done[own.is_some()] {
                            h3 { "Register your game" }
                            @match own {
                                Some(own) => p { (own.name) " is registered. " a href="/console/applications" { "Register another" } },
                                None => (applications::register_form(session, true, None, None)),
                            }
                        }
                        li {
                            h3 { "Hand out a key" }
                            @match own {
                                Some(own) => p {
                                    a href={ (components::application_address(own.application_id)) "/keys" } {
                                        "Make a key for " (own.name)
                                    }
                                    ", and copy it into your game server or its secret store."
                                },
                                None => p { "It comes with the game: leave the box ticked. The key is shown once." },
                            }
                        }
                        li {
                            h3 { "Send an event" }
                            p {
                                "From your game, with one of the commands beside the key, or "
                                a href="/console/test" { "from here" } ". It shows up on this page within a second."
                            }
                        }
                    }
                }
            }
        }
    }
}

impl Taking {
    fn of(console: &Console) -> Self {
        let phase = console.lifecycle.phase();
        if phase != Phase::Ready {
            return Self::Down(format!("The gateway is {phase}"));
        }
        let down = console.routes.outlets().filter_map(|outlet| match outlet.destination.health() {
            Health::Up | Health::Overloaded { .. } => None,
            Health::Down { reason, .. } if reason.starts_with(outlet.destination.name()) => Some(reason),
            Health::Down { reason, .. } => Some(format!("{}: {reason}", outlet.destination.name())),
        });
        let down: Vec<String> = down.collect();
        let trouble = || console.routes.outlets().find_map(|outlet| outlet.destination.trouble());
        let overloaded = console.routes.outlets().find_map(|outlet| match outlet.destination.health() {
            Health::Overloaded { reason, .. } => Some(reason),
            Health::Up | Health::Down { .. } => None,
        });
        if !down.is_empty() {
            return Self::Down(down.join("; "));
        }
        overloaded.map(Self::Overloaded).or_else(|| trouble().map(Self::Trouble)).unwrap_or(Self::Up)
    }
}

fn total(verdicts: impl Iterator<Item = Verdicts>) -> Verdicts {
    verdicts.fold(Verdicts::default(), |sum, one| Verdicts {
        accepted: sum.accepted + one.accepted,
        rejected: sum.rejected + one.rejected,
        retry: sum.retry + one.retry,
        unknown: sum.unknown + one.unknown,
        duplicates: sum.duplicates + one.duplicates,
        warned: sum.warned + one.warned,
        suppressed: sum.suppressed + one.suppressed,
    })
}

pub(in super::super) async fn page(State(console): State<Arc<Console>>, session: Signed) -> Answer {
    let view = View::of(&console, console.applications().await?);
    let [seconds, minutes] = view.charts();
    let content = html! {
        (live("health", &view.health()))
        (view.first_steps(&session))
        (live("tiles", &view.tiles()))
        section aria-labelledby="rate-title" {
            h2 #rate-title { "Events a second" }
            div .plots { (live("seconds", &seconds)) (live("minutes", &minutes)) }
        }
        section aria-labelledby="apps" {
            h2 #apps { "Applications" }
            (live("table", &view.table()))
            p { a href="/console/applications" { "All applications, and registering one" } }
        }
        section aria-label="Calls refused lately" { (live("refused", &view.refused())) }
    };
    let live = Some("/console/api/overview".to_owned());
    Ok(Page { session: &session, place: Place::Overview, title: "Overview", heading: None, live, content }.response())
}

pub(in super::super) async fn refresh(State(console): State<Arc<Console>>) -> Result<Response, Failure> {
    let view = View::of(&console, console.applications_lately().await?);
    let [seconds, minutes] = view.charts();
    let parts = [
        ("health", view.health()),
        ("tiles", view.tiles()),
        ("seconds", seconds),
        ("minutes", minutes),
        ("table", view.table()),
        ("refused", view.refused()),
    ];
    Ok(Refresh::response(view.now_ms, parts))
}

/// The first link that a person needs, for pages that have nothing to show yet.
pub(super) fn nothing_yet(words: &str, address: &str, link: &str) -> Markup {
    html! { p .empty { (words) " " a href=(address) { (link) } } }
}

/// A form that does one thing, as a button.
pub(super) fn act(session: &Session, address: &str, word: &str, about: &str, hidden: &[(&str, &str)]) -> Markup {
    html! {
        form .inline method="post" action=(address) {
            (form_token(session))
            @for (name, value) in hidden { input type="hidden" name=(name) value=(value); }
            button { (word) span .unseen { " " (about) } }
        }
    }
}

/// When something was last, in words.
pub(super) fn last(now_ms: i64, at_ms: Option<i64>) -> Markup {
    html! {
        @match at_ms {
            Some(at) => time datetime=(words::utc(at)) title=(words::utc(at)) { (words::ago(now_ms, at)) },
            None => span .quiet { "never" },
        }
    }
}
