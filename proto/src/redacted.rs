//! What is shown of messages that hold an API key: everything but the key.

use std::fmt;

use crate::admin::v1::{CreateAuthorizationResponse, RotateAuthorizationResponse};

const HIDDEN: &str = "(hidden)";

impl fmt::Debug for CreateAuthorizationResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("CreateAuthorizationResponse");
        shown.field("authorization", &self.authorization).field("api_key", &HIDDEN).finish()
    }
}

impl fmt::Debug for RotateAuthorizationResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("RotateAuthorizationResponse");
        shown.field("authorization", &self.authorization).field("api_key", &HIDDEN).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::v1::Authorization;

    #[test]
    fn the_key_is_not_shown_and_the_rest_is() {
        let authorization = Some(Authorization { name: "server".to_owned(), ..Authorization::default() });
        let api_key = "hg_secret".to_owned();
        let created = CreateAuthorizationResponse { authorization: authorization.clone(), api_key: api_key.clone() };
        let rotated = RotateAuthorizationResponse { authorization, api_key };
        for shown in [format!("{created:?} {created:#?}"), format!("{rotated:?} {rotated:#?}")] {
            assert!(shown.contains("server") && shown.contains(HIDDEN) && !shown.contains("hg_secret"), "{shown}");
        }
    }
}
