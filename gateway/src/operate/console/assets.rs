//! The one style sheet, the one script and the icon, built into the program. Each is served under a name that changes
//! with its content, so a browser may keep it and never has an old one.

use std::fmt::Write as _;
use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

/// One of them.
pub(super) struct Asset {
    /// Where it is served.
    pub(super) address: String,
    name: String,
    kind: &'static str,
    content: &'static str,
}

impl Asset {
    fn new(stem: &str, extension: &str, kind: &'static str, content: &'static str) -> Self {
        let hash = Sha256::digest(content.as_bytes()).iter().take(6).fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        });
        let name = format!("{stem}.{hash}.{extension}");
        Self { address: format!("/console/assets/{name}"), name, kind, content }
    }
}

/// The style sheet.
pub(super) static STYLE: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("console", "css", "text/css; charset=utf-8", include_str!("console.css")));

/// The script. Every page works without it; it keeps live parts live.
pub(super) static SCRIPT: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("console", "js", "text/javascript; charset=utf-8", include_str!("console.js")));

/// The icon.
pub(super) static ICON: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("icon", "svg", "image/svg+xml", include_str!("icon.svg")));

/// Serves one by its name.
pub(super) async fn serve(Path(name): Path<String>) -> Response {
    let Some(asset) = [&*STYLE, &*SCRIPT, &*ICON].into_iter().find(|asset| asset.name == name) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let headers = [(header::CONTENT_TYPE, asset.kind), (header::CACHE_CONTROL, "public, max-age=31536000, immutable")];
    (headers, asset.content).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_is_small_and_nothing_comes_from_elsewhere() {
        assert!(SCRIPT.content.len() <= 10 << 10, "{} bytes of script", SCRIPT.content.len());
        for asset in [&*STYLE, &*SCRIPT] {
            for elsewhere in ["http://", "https://", "@import", "url("] {
                assert!(!asset.content.contains(elsewhere), "{} has {elsewhere}", asset.name);
            }
        }
    }
}
