//! One application: its live page, keys, schemas, players and settings.

pub(in super::super) mod keys;
pub(in super::super) mod live;
pub(in super::super) mod players;
pub(in super::super) mod schemas;
pub(in super::super) mod settings;

use axum::http::StatusCode;
use axum::response::Response;
use maud::{Markup, html};

use crate::operate::console::components::{self, application_address};
use crate::operate::console::layout::{Page, Place};
use crate::operate::console::session::Session;
use crate::registry::Application;

/// An application's pages.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tab {
    Live,
    Keys,
    Schemas,
    Players,
    Settings,
}

impl Tab {
    const ALL: [(Self, &'static str, &'static str); 5] = [
        (Self::Live, "", "Live"),
        (Self::Keys, "/keys", "Keys"),
        (Self::Schemas, "/schemas", "Schemas"),
        (Self::Players, "/players", "Players"),
        (Self::Settings, "/settings", "Settings"),
    ];

    fn name(self) -> &'static str {
        Self::ALL.into_iter().find(|(tab, ..)| *tab == self).map_or("", |(.., name)| name)
    }
}

/// What a page of an application shows.
struct Shown<'a> {
    session: &'a Session,
    application: &'a Application,
    tab: Tab,
    live: Option<String>,
    status: StatusCode,
    content: Markup,
}

impl Shown<'_> {
    fn response(self) -> Response {
        let Self { session, application, tab, live, status, content } = self;
        let address = application_address(application.application_id);
        let heading = html! {
            div .title {
                h1 { (application.name) }
                (components::environment(application.environment))
            }
            p .says { "Application " code #application-id { (application.application_id) } }
            nav .tabs aria-label={ "Pages of " (application.name) } {
                ul {
                    @for (one, path, name) in Tab::ALL {
                        li { a href={ (address) (path) } aria-current=[(one == tab).then_some("page")] { (name) } }
                    }
                }
            }
        };
        let title = format!("{}: {}", application.name, tab.name());
        let page = Page { session, place: Place::Applications, title: &title, heading: Some(heading), live, content };
        page.with_status(status)
    }
}

/// The status of a page that shows a form once more.
fn status_of(problem: Option<&str>) -> StatusCode {
    if problem.is_some() { StatusCode::BAD_REQUEST } else { StatusCode::OK }
}
