//! API keys, and the headers they come in.

use std::sync::OnceLock;

use super::key::{ApiKey, KeyFormatError};
use crate::fuzz::Input;

/// What may be shown of a key does not give it away, and one of ours with a wrong character is no key.
pub fn api_key(data: &[u8]) {
    crate::door::grpc::fuzz::metadata(data);
    if let Ok(text) = std::str::from_utf8(data)
        && let Ok(key) = ApiKey::parse(text)
    {
        assert_eq!(key.expose(), text);
        assert_eq!(format!("{key:?}"), "ApiKey(hidden)");
        let shown = key.masked().replace("****", "").replace("hg_", "");
        assert!(shown.len() <= 4 && (shown.is_empty() || text.len() >= 16), "{shown}");
        assert_eq!(key.hash().to_string().parse(), Ok(key.hash()));
        assert!(key.hash().matches(&ApiKey::parse(text).expect("as before").hash()));
    }
    mistyped(data);
}

fn mistyped(data: &[u8]) {
    static OWN: OnceLock<ApiKey> = OnceLock::new();
    let own = OWN.get_or_init(|| ApiKey::generate().expect("the system has randomness")).expose();
    let mut input = Input::new(data);
    // Behind the prefix: with another one it is no key of ours.
    let at = 3 + input.below(own.len() - 3);
    let mut bytes = own.as_bytes().to_vec();
    bytes[at] = input.byte();
    let Ok(text) = String::from_utf8(bytes) else { return };
    match ApiKey::parse(&text) {
        Ok(_) => assert_eq!(text, own),
        Err(error) => assert!(matches!(error, KeyFormatError::Checksum | KeyFormatError::NotVisibleAscii), "{error}"),
    }
}
