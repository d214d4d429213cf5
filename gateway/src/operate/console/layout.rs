//! The frame around every page: head, navigation, what was just done, and the end.

use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::assets::{ICON, SCRIPT, STYLE};
use super::session::Session;

/// The places in the navigation.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Overview,
    Applications,
    Test,
    Audit,
    System,
}

impl Place {
    const ALL: [(Self, &'static str, &'static str); 5] = [
        (Self::Overview, "/console", "Overview"),
        (Self::Applications, "/console/applications", "Applications"),
        (Self::Test, "/console/test", "Test event"),
        (Self::Audit, "/console/audit", "Audit log"),
        (Self::System, "/console/system", "System"),
    ];
}

/// A page of somebody who is signed in.
pub(super) struct Page<'a> {
    pub(super) session: &'a Session,
    pub(super) place: Place,
    /// Its name, for the browser's tab; also the heading unless `heading` says more.
    pub(super) title: &'a str,
    /// What stands at its top in the place of the plain title.
    pub(super) heading: Option<Markup>,
    /// Where its live parts come from.
    pub(super) live: Option<String>,
    pub(super) content: Markup,
}

impl Page<'_> {
    /// The page as an answer.
    pub(super) fn response(self) -> Response {
        self.with_status(StatusCode::OK)
    }

    /// The page, with another status.
    pub(super) fn with_status(self, status: StatusCode) -> Response {
        let notice = self.session.take_notice();
        let body = html! {
            a .skip href="#main" { "Skip to the content" }
            header .top {
                div .bar {
                    a .brand href="/console" { (mark()) "Headgate" }
                    nav aria-label="Console" {
                        ul {
                            @for (place, address, name) in Place::ALL {
                                // On a phone the first word says it.
                                @let (short, rest) = name.split_at(name.find(' ').unwrap_or(name.len()));
                                li {
                                    a href=(address) aria-current=[(place == self.place).then_some("page")] {
                                        (short) @if !rest.is_empty() { span .roomy { (rest) } }
                                    }
                                }
                            }
                        }
                    }
                    form .out method="post" action="/console/sign-out" {
                        (form_token(self.session))
                        button .plain { "Sign out" }
                    }
                }
            }
            main #main tabindex="-1" data-live=[self.live.as_deref()] {
                @match self.heading { Some(heading) => (heading), None => h1 { (self.title) } }
                @if let Some(notice) = notice { p .notice role="status" { (notice) } }
                @if self.live.is_some() { p .problem #stale role="alert" hidden {} }
                (self.content)
            }
            (foot())
        };
        (status, document(self.title, &body)).into_response()
    }
}

/// What proves that a form is one of ours.
pub(super) fn form_token(session: &Session) -> Markup {
    html! { input type="hidden" name="form_token" value=(session.form_token()); }
}

/// A page of nobody, such as for signing in.
pub(super) fn bare(title: &str, content: &Markup) -> Html<String> {
    let body = html! {
        header .top { div .bar { span .brand { (mark()) "Headgate" } } }
        main #main .narrow { h1 { (title) } (content) }
        (foot())
    };
    document(title, &body)
}

/// A page that says what went wrong.
pub(super) fn problem(status: StatusCode, words: &str) -> (StatusCode, Html<String>) {
    let title = match status {
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => "Not found",
        StatusCode::FORBIDDEN => "Nothing was done",
        StatusCode::SERVICE_UNAVAILABLE => "Not now",
        _ => "Something went wrong",
    };
    let content = html! {
        p .problem role="alert" { (words) }
        p { a href="/console" { "To the overview" } }
    };
    (status, bare(title, &content))
}

fn foot() -> Markup {
    html! { footer { "Headgate " (env!("CARGO_PKG_VERSION")) " · " a href="/metrics" { "metrics" } " · " a href="/readyz" { "readiness" } } }
}

fn mark() -> Markup {
    html! {
        svg .mark-icon viewBox="0 0 32 32" width="26" height="26" aria-hidden="true" {
            rect width="32" height="32" rx="7" {}
            path d="M8 25V11a8 8 0 0 1 16 0v14M8 16h16M13 16v9M19 16v9" {}
        }
    }
}

fn document(title: &str, body: &Markup) -> Html<String> {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · Headgate" }
                link rel="icon" href=(ICON.address);
                link rel="stylesheet" href=(STYLE.address);
                script src=(SCRIPT.address) defer {}
            }
            body { (PreEscaped(body.0.as_str())) }
        }
    };
    Html(page.into_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_wrote_is_text_and_never_markup() {
        let (_, Html(page)) = problem(StatusCode::NOT_FOUND, "no <script>alert(1)</script> \"here\" & there");
        assert!(page.contains("no &lt;script&gt;alert(1)&lt;/script&gt; &quot;here&quot; &amp; there"), "{page}");
        assert_eq!(page.matches("<script").count(), 1, "only our own");
    }

    #[test]
    fn a_page_holds_nothing_that_its_policy_forbids() {
        let Html(page) = bare("Sign in", &html! { p { "hello" } });
        for inline in [" style=", " onclick=", "<style", "javascript:"] {
            assert!(!page.contains(inline), "{inline}");
        }
    }
}
