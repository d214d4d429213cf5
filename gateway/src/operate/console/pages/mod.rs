//! The pages, one file each.

pub(super) mod application;
pub(super) mod applications;
pub(super) mod audit;
pub(super) mod overview;
pub(super) mod sign_in;
pub(super) mod snippets;
pub(super) mod system;
pub(super) mod test_event;

use std::collections::BTreeMap;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use maud::Markup;
use serde::Serialize;

use super::layout;

/// Newer parts of a page, by the ids of the elements that hold them.
#[derive(Serialize)]
struct Refresh {
    at_ms: i64,
    parts: BTreeMap<&'static str, String>,
}

impl Refresh {
    fn response<const N: usize>(at_ms: i64, parts: [(&'static str, Markup); N]) -> Response {
        let parts = parts.into_iter().map(|(id, markup)| (id, markup.into_string())).collect();
        Json(Self { at_ms, parts }).into_response()
    }
}

/// Where nothing is.
pub(super) async fn not_found() -> Response {
    layout::problem(StatusCode::NOT_FOUND, "There is no such page. Its address may have been cut off or mistyped.")
        .into_response()
}
