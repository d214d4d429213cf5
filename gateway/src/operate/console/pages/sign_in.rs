//! Signing in with the admin token, and out.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};
use serde::Deserialize;

use crate::admin::Via;
use crate::operate::console::guard::{self, Peer};
use crate::operate::console::{Console, components, layout};

/// Where to go once signed in.
#[derive(Deserialize)]
pub(in super::super) struct Next {
    #[serde(default)]
    next: String,
}

/// The address of the form that leads to `next`.
pub(in super::super) fn address(next: &str) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    format!("/console/sign-in?{}", query.append_pair("next", next).finish())
}

/// Where a form may lead: to a page of the console, and nowhere else.
fn safe(next: &str) -> &str {
    let below = next == "/console" || next.starts_with("/console/") || next.starts_with("/console?");
    let plain = next.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if below && plain && !next.starts_with("/console/sign-") && !next.starts_with("/console/api/") {
        next
    } else {
        "/console"
    }
}

pub(in super::super) async fn page(
    State(console): State<Arc<Console>>,
    Query(Next { next }): Query<Next>,
    headers: HeaderMap,
) -> Response {
    let session = guard::session_id(&headers).and_then(|id| console.sessions.find(id));
    if session.is_some() {
        return Redirect::to(safe(&next)).into_response();
    }
    layout::bare("Sign in", &form(&console, &next, None)).into_response()
}

fn form(console: &Console, next: &str, problem: Option<&str>) -> Markup {
    if !console.authority.is_open() {
        return html! {
            p .problem role="alert" {
                "Nobody can sign in: this gateway has no admin token. Set " code { "admin.token_file" } " or "
                code { "HEADGATE_ADMIN__TOKEN" } " and start it again."
            }
        };
    }
    let made = console.authority.made_token();
    html! {
        (components::form_problem(problem))
        form .card method="post" action="/console/sign-in" {
            input type="hidden" name="next" value=(safe(next));
            // For those who keep passwords: they keep them by name.
            input type="text" name="username" value="admin" autocomplete="username" aria-label="User name" hidden readonly;
            div .field {
                label for="token" { "Admin token" }
                input type="password" id="token" name="token" required autofocus autocomplete="current-password"
                    aria-describedby="token-hint";
                p .hint #token-hint {
                    @if let Some(made) = made {
                        "This gateway made one at its first start. Where it runs, show it with "
                        code { "cat " (made.path().display()) }
                    } @else {
                        "What the setting " code { "admin.token" } " or " code { "admin.token_file" } " says."
                    }
                }
            }
            button .primary { "Sign in" }
        }
    }
}

pub(in super::super) async fn sign_in(
    State(console): State<Arc<Console>>,
    Peer(peer): Peer,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let fields = match guard::open_form(&headers, body).await {
        Ok(fields) => fields,
        Err(response) => return *response,
    };
    let next = fields.text("next");
    let again = |status: StatusCode, problem: &str| {
        (status, layout::bare("Sign in", &form(&console, next, Some(problem)))).into_response()
    };
    // The token first: whoever has it gets in, whatever others try from the same address, such as a proxy's.
    let Some(actor) = console.authority.bearer(fields.text("token"), Via::Console) else {
        let wait = console.slow_down.wait(peer);
        if !wait.is_zero() {
            let seconds = wait.as_millis().div_ceil(1_000);
            let words = format!("Too many wrong tokens. Try again in {seconds} s.");
            let response = again(StatusCode::TOO_MANY_REQUESTS, &words);
            return ([(header::RETRY_AFTER, seconds.to_string())], response).into_response();
        }
        console.slow_down.failed(peer);
        tracing::warn!(%peer, "a sign-in to the console with a wrong token");
        return again(
            StatusCode::FORBIDDEN,
            "This is not the admin token. Copy it again, whole, from where it says below.",
        );
    };
    console.slow_down.succeeded(peer);
    let id = match console.sessions.open(actor) {
        Ok((id, _)) => id,
        Err(error) => {
            tracing::error!(%error, "no session could be made");
            return layout::problem(StatusCode::SERVICE_UNAVAILABLE, "No session could be made.").into_response();
        }
    };
    tracing::info!(%peer, "signed in to the console");
    let cookie = guard::cookie(&id, console.sessions.lifetime().as_secs(), &headers);
    ([(header::SET_COOKIE, cookie)], Redirect::to(safe(next))).into_response()
}

pub(in super::super) async fn sign_out(State(console): State<Arc<Console>>, headers: HeaderMap) -> Response {
    if let Some(id) = guard::session_id(&headers) {
        console.sessions.close(id);
    }
    let cookie = guard::cookie("", 0, &headers);
    ([(header::SET_COOKIE, cookie)], Redirect::to("/console/sign-in")).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sign_in_leads_to_the_console_and_nowhere_else() {
        for good in ["/console", "/console/audit?before=1", "/console?x=1"] {
            assert_eq!(safe(good), good);
        }
        for bad in [
            "",
            "//evil.example",
            "/console.evil.example",
            "https://evil.example/console",
            "/console/\\evil",
            "/console/sign-out",
            "/console/a\r\nb",
            "/metrics",
            "/console/api/overview",
        ] {
            assert_eq!(safe(bad), "/console", "{bad:?}");
        }
        assert_eq!(address("/console/audit?a=1"), "/console/sign-in?next=%2Fconsole%2Faudit%3Fa%3D1");
    }
}
