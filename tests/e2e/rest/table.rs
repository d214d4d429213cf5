//! The contract, row by row: who asks for what, and what is answered. The rows are walked in order ([`super::walk`]), from a
//! registry without applications to one without applications.
//!
//! In a path `<app>` is what a row before called so. In an answer every member is named and no other is there, and
//! `"<id:app>"` is a version 4 UUID that is called `app` from then on, `"<time>"` a time, `"<key:server>"` a key,
//! `"<masked:server>"` that key as it is shown later, `"<text>"` any text but an empty one.

/// Who sends a row's request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Who {
    /// Whoever has the admin token.
    Admin,
    /// A browser that asks first, and so without a credential.
    Browser,
    /// Whoever has this key, in `Authorization`.
    Key(&'static str),
    /// Whoever has this key, in `x-api-key`.
    OwnHeader(&'static str),
    /// Whoever sends this as `Authorization`.
    Stranger(&'static str),
    /// Whoever sends no credential.
    Nobody,
}

/// A row of the contract.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    pub(super) who: Who,
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    pub(super) body: &'static str,
    pub(super) status: u16,
    /// JSON; empty: no body, as for HEAD.
    pub(super) answer: &'static str,
    /// Keys are looked up again every few seconds: until then the answer may be another.
    pub(super) soon: bool,
}

const fn row(who: Who, method: &'static str, path: &'static str, body: &'static str) -> Row {
    Row { who, method, path, body, status: 200, answer: "", soon: false }
}

const fn admin(method: &'static str, path: &'static str, body: &'static str) -> Row {
    row(Who::Admin, method, path, body)
}

const fn batch(who: Who, path: &'static str) -> Row {
    row(who, "POST", path, BATCH)
}

impl Row {
    const fn is(self, answer: &'static str) -> Self {
        Self { answer, ..self }
    }

    const fn fails(self, status: u16, answer: &'static str) -> Self {
        Self { status, answer, ..self }
    }

    const fn soon(self) -> Self {
        Self { soon: true, ..self }
    }
}

/// In the place of a body: two events that break no rule, never seen before.
pub(super) const BATCH: &str = "<batch>";

const DENIED: &str = r#"{"error":"AccessDenied"}"#;
const BAD_REQUEST: &str = r#"{"error":"BadRequest","error_detail":"<text>"}"#;
const INVALID: &str = r#"{"error":"InvalidParameterException","error_detail":"<text>"}"#;
const NOT_FOUND: &str = r#"{"error":"NotFoundException","error_detail":"<text>"}"#;
const NOT_ALLOWED: &str = r#"{"error":"MethodNotAllowed","error_detail":"<text>"}"#;
const INTERNAL: &str = r#"{"error":"InternalFailure","error_detail":"<text>"}"#;

const ALL: &str = "/applications";
const APP: &str = "/applications/<app>";
const KEYS: &str = "/applications/<app>/authorizations";
const SERVER: &str = "/applications/<app>/authorizations/<server>";
const EVENTS: &str = "/applications/<app>/events";

const SKYFALL: &str = r#"{"ApplicationId":"<id:app>","ApplicationName":"Skyfall","UpdatedAt":"<time:app>",
    "CreatedAt":"<time:app>"}"#;
const OTHER: &str = r#"{"ApplicationId":"<id:other>","ApplicationName":"M\u00e1nd\"a","Description":"a game, über",
    "UpdatedAt":"<time:other>","CreatedAt":"<time:other>"}"#;
const EMPTY: &str = r#"{"ApplicationId":"<id:empty>","ApplicationName":"e","Description":"","UpdatedAt":"<time:empty>",
    "CreatedAt":"<time:empty>"}"#;
const THREE: &str = r#"{"Applications":[
    {"ApplicationId":"<id:app>","ApplicationName":"Skyfall","UpdatedAt":"<time:app>","CreatedAt":"<time:app>"},
    {"ApplicationId":"<id:other>","ApplicationName":"M\u00e1nd\"a","Description":"a game, über",
     "UpdatedAt":"<time:other>","CreatedAt":"<time:other>"},
    {"ApplicationId":"<id:empty>","ApplicationName":"e","Description":"","UpdatedAt":"<time:empty>",
     "CreatedAt":"<time:empty>"}],"Count":3}"#;

/// `/applications` and `/applications/{id}`: afterwards there are `app`, `other` and `empty`.
const APPLICATIONS: &[Row] = &[
    admin("GET", ALL, "").fails(404, NOT_FOUND),
    admin("HEAD", ALL, "").fails(404, ""),
    admin("POST", ALL, r#"{"Name":"Skyfall"}"#).is(SKYFALL),
    admin("POST", ALL, r#"{"Name":"Mánd\"a","Description":"a game, \u00fcber","Unknown":[]}"#).is(OTHER),
    admin("POST", ALL, r#" {"Name":"e","Description":""} "#).is(EMPTY),
    admin("POST", ALL, "").fails(400, INVALID),
    admin("POST", ALL, "{}").fails(400, INVALID),
    admin("POST", ALL, "[]").fails(400, INVALID),
    admin("POST", ALL, r#"[{"Name":"x"}]"#).fails(400, INVALID),
    admin("POST", ALL, r#"{"Name":""}"#).fails(400, INVALID),
    admin("POST", ALL, r#"{"Name":null}"#).fails(400, INVALID),
    admin("POST", ALL, r#"{"Name":7}"#).fails(400, INVALID),
    admin("POST", ALL, r#"{"Name":true}"#).fails(400, INVALID),
    admin("POST", ALL, r#"{"Name":["x"]}"#).fails(400, INVALID),
    admin("POST", ALL, r#"{"Name":{"x":1}}"#).fails(400, INVALID),
    admin("POST", ALL, r#"{"name":"x"}"#).fails(400, INVALID),
    admin("POST", ALL, r#"{"Description":"x"}"#).fails(400, INVALID),
    admin("POST", ALL, r#"{"Name":"x","Description":7}"#).fails(400, INVALID),
    admin("POST", ALL, r#"{"Name":"x","Description":true}"#).fails(400, INVALID),
    admin("POST", ALL, r#"{"Name":"x","Description":["d"]}"#).fails(400, INVALID),
    admin("POST", ALL, r#"{"Name":"x","Description":{}}"#).fails(400, INVALID),
    admin("POST", ALL, r#"{"Name":"<257>"}"#).fails(400, INVALID),
    admin("POST", ALL, "{").fails(400, BAD_REQUEST),
    admin("POST", ALL, "Name=x").fails(400, BAD_REQUEST),
    admin("POST", ALL, r#"{"Name":"x",}"#).fails(400, BAD_REQUEST),
    admin("POST", ALL, r#"{"Name":"x"} y"#).fails(400, BAD_REQUEST),
    admin("POST", ALL, r#"{"Name":"\ud800"}"#).fails(400, BAD_REQUEST),
    admin("POST", ALL, "\"text\"").fails(400, BAD_REQUEST),
    admin("POST", ALL, "null").fails(400, BAD_REQUEST),
    admin("GET", ALL, "").is(THREE),
    admin("HEAD", ALL, ""),
    admin("GET", "/applications?Limit=1", "").is(THREE),
    admin("GET", APP, "").is(SKYFALL),
    admin("GET", "/applications/<other>", "").is(OTHER),
    admin("GET", "/applications/<empty>", "").is(EMPTY),
    admin("HEAD", APP, ""),
    admin("GET", "/applications/<nobodys>", "").fails(404, NOT_FOUND),
    admin("HEAD", "/applications/<nobodys>", "").fails(404, ""),
    admin("GET", "/applications/no-id", "").fails(404, NOT_FOUND),
    admin("GET", "/applications/%20%22", "").fails(404, NOT_FOUND),
];

const NONE: &str = r#"{"Authorizations":[],"Count":0}"#;
const MADE: &str = r#"{"ApiKeyId":"<id:server>","ApiKeyValue":"<key:server>","ApiKeyName":"server","ApplicationId":"<id:app>",
    "ApiKeyDescription":"d \"q\"","CreatedAt":"<time>","UpdatedAt":"<time>","Enabled":true}"#;
const KEPT: &str = r#"{"ApiKeyId":"<id:server>","ApiKeyValue":"<masked:server>","ApiKeyName":"server",
    "ApplicationId":"<id:app>","ApiKeyDescription":"d \"q\"","CreatedAt":"<time>","UpdatedAt":"<time>","Enabled":true}"#;
const DISABLED: &str = r#"{"ApiKeyId":"<id:server>","ApiKeyValue":"<masked:server>","ApiKeyName":"server",
    "ApplicationId":"<id:app>","ApiKeyDescription":"d \"q\"","CreatedAt":"<time>","UpdatedAt":"<time>","Enabled":false}"#;
const PLAIN: &str = r#"{"ApiKeyId":"<id:plain>","ApiKeyValue":"<key:plain>","ApiKeyName":"plain","ApplicationId":"<id:app>",
    "CreatedAt":"<time>","UpdatedAt":"<time>","Enabled":true}"#;
const TWO: &str = r#"{"Authorizations":[
    {"ApiKeyId":"<id:server>","ApiKeyValue":"<masked:server>","ApiKeyName":"server","ApplicationId":"<id:app>",
     "ApiKeyDescription":"d \"q\"","CreatedAt":"<time>","UpdatedAt":"<time>","Enabled":true},
    {"ApiKeyId":"<id:plain>","ApiKeyValue":"<masked:plain>","ApiKeyName":"plain","ApplicationId":"<id:app>",
     "CreatedAt":"<time>","UpdatedAt":"<time>","Enabled":true}],"Count":2}"#;
const DELETED: &str = r#"{"Result":"Deleted"}"#;

/// `/applications/{id}/authorizations` and `…/{keyId}`: afterwards `app` has `server` and `plain`.
const AUTHORIZATIONS: &[Row] = &[
    admin("GET", KEYS, "").is(NONE),
    admin("GET", "/applications/<nobodys>/authorizations", "").is(NONE),
    admin("GET", "/applications/no-id/authorizations", "").is(NONE),
    admin("POST", KEYS, "").fails(400, INVALID),
    admin("POST", KEYS, "{}").fails(400, INVALID),
    admin("POST", KEYS, r#"{"Name":1}"#).fails(400, INVALID),
    admin("POST", KEYS, r#"{"Name":""}"#).fails(400, INVALID),
    admin("POST", KEYS, r#"{"Name":"x","Description":[]}"#).fails(400, INVALID),
    admin("POST", KEYS, r#"{"Name":"<257>"}"#).fails(400, INVALID),
    admin("POST", KEYS, "{\"Name\"").fails(400, BAD_REQUEST),
    admin("POST", "/applications/<nobodys>/authorizations", r#"{"Name":"x"}"#).fails(404, NOT_FOUND),
    admin("POST", "/applications/no-id/authorizations", r#"{"Name":"x"}"#).fails(404, NOT_FOUND),
    admin("POST", "/applications/<nobodys>/authorizations", r#"{"Name":1}"#).fails(400, INVALID),
    admin("POST", KEYS, r#"{"Name":"server","Description":"d \"q\""}"#).is(MADE),
    admin("POST", KEYS, r#"{"Name":"plain","Description":null}"#).is(PLAIN),
    admin("GET", KEYS, "").is(TWO),
    admin("HEAD", KEYS, ""),
    admin("GET", SERVER, "").is(KEPT),
    admin("HEAD", SERVER, ""),
    admin("GET", "/applications/<other>/authorizations", "").is(NONE),
    admin("GET", "/applications/<other>/authorizations/<server>", "").fails(404, NOT_FOUND),
    admin("GET", "/applications/<app>/authorizations/<nobodys>", "").fails(404, NOT_FOUND),
    admin("GET", "/applications/<nobodys>/authorizations/<server>", "").fails(404, NOT_FOUND),
    admin("GET", "/applications/<app>/authorizations/no-id", "").fails(404, NOT_FOUND),
    admin("PUT", SERVER, "").fails(400, INVALID),
    admin("PUT", SERVER, "{}").fails(400, INVALID),
    admin("PUT", SERVER, r#"{"Enabled":"true"}"#).fails(400, INVALID),
    admin("PUT", SERVER, r#"{"Enabled":1}"#).fails(400, INVALID),
    admin("PUT", SERVER, r#"{"Enabled":null}"#).fails(400, INVALID),
    admin("PUT", SERVER, r#"{"enabled":false}"#).fails(400, INVALID),
    admin("PUT", SERVER, "{]").fails(400, BAD_REQUEST),
    admin("PUT", "/applications/<app>/authorizations/<nobodys>", r#"{"Enabled":false}"#).fails(500, INTERNAL),
    admin("PUT", "/applications/<other>/authorizations/<server>", r#"{"Enabled":false}"#).fails(500, INTERNAL),
    admin("PUT", "/applications/<nobodys>/authorizations/<server>", r#"{"Enabled":false}"#).fails(500, INTERNAL),
    admin("PUT", "/applications/<app>/authorizations/no-id", r#"{"Enabled":false}"#).fails(500, INTERNAL),
    admin("PUT", "/applications/<app>/authorizations/<nobodys>", r#"{"Enabled":1}"#).fails(400, INVALID),
    admin("DELETE", "/applications/<app>/authorizations/<nobodys>", "").is(DELETED),
    admin("DELETE", "/applications/<other>/authorizations/<server>", "").is(DELETED),
    admin("DELETE", "/applications/<nobodys>/authorizations/<server>", "").is(DELETED),
    admin("DELETE", "/applications/<app>/authorizations/no-id", "").is(DELETED),
    // None of these was this key's.
    admin("GET", SERVER, "").is(KEPT),
    admin("PUT", SERVER, r#"{"Enabled":false}"#).is(DISABLED),
    admin("GET", SERVER, "").is(DISABLED),
    admin("PUT", SERVER, r#"{"Enabled":false}"#).is(DISABLED),
    admin("PUT", SERVER, r#"{"Enabled":true,"Name":"x"}"#).is(KEPT),
    admin("PUT", SERVER, r#"{"Enabled":true}"#).is(KEPT),
    admin("GET", SERVER, "").is(KEPT),
    admin("GET", KEYS, "").is(TWO),
    admin("GET", ALL, "").is(THREE),
];

const BOTH_OK: &str = r#"{"Total":2,"FailedRecordCount":0,"Events":[{"Result":"Ok"},{"Result":"Ok"}]}"#;

/// `/applications/{id}/events`: what a key opens, and for how long.
const KEYED: &[Row] = &[
    batch(Who::Key("server"), EVENTS).is(BOTH_OK),
    batch(Who::OwnHeader("server"), EVENTS).is(BOTH_OK),
    batch(Who::Key("plain"), "/applications/<app>/events?partial=true").is(BOTH_OK),
    batch(Who::Key("server"), "/applications/<other>/events").fails(403, DENIED),
    batch(Who::Key("server"), "/applications/<nobodys>/events").fails(403, DENIED),
    batch(Who::Key("server"), "/applications/no-id/events").fails(403, DENIED),
    batch(Who::Nobody, EVENTS).fails(403, DENIED),
    batch(Who::Stranger(""), EVENTS).fails(403, DENIED),
    batch(Who::Stranger("nobody-has-this-key"), EVENTS).fails(403, DENIED),
    batch(Who::Stranger("hg_typo"), EVENTS).fails(403, DENIED),
    batch(Who::Stranger("Basic dXNlcjpwYXNz"), EVENTS).fails(403, DENIED),
    // Administrators do not send events, and keys do not administer.
    batch(Who::Admin, EVENTS).fails(403, DENIED),
    row(Who::Key("server"), "GET", APP, "").fails(403, DENIED),
    row(Who::Key("server"), "POST", EVENTS, r#"{"events":[]}"#).fails(400, BAD_REQUEST),
    row(Who::Key("server"), "POST", EVENTS, "{").fails(400, BAD_REQUEST),
    row(Who::Key("server"), "POST", EVENTS, r#"{"events":[{}]}"#).fails(400, BAD_REQUEST),
    admin("PUT", SERVER, r#"{"Enabled":false}"#).is(DISABLED),
    batch(Who::Key("server"), EVENTS).fails(403, DENIED).soon(),
    admin("PUT", SERVER, r#"{"Enabled":true}"#).is(KEPT),
    batch(Who::Key("server"), EVENTS).is(BOTH_OK).soon(),
];

/// OPTIONS: what a browser asks before it asks.
const PREFLIGHTS: &[Row] = &[
    row(Who::Browser, "OPTIONS", ALL, "").is("{}"),
    row(Who::Browser, "OPTIONS", APP, "").is("{}"),
    row(Who::Browser, "OPTIONS", KEYS, "").is("{}"),
    row(Who::Browser, "OPTIONS", SERVER, "").is("{}"),
    row(Who::Browser, "OPTIONS", EVENTS, "").is("{}"),
    row(Who::Browser, "OPTIONS", "/applications/<nobodys>/events", "").is("{}"),
    row(Who::Nobody, "OPTIONS", EVENTS, "").is("{}"),
];

/// What the API does not have, and who is nobody to it.
const NOT_THERE: &[Row] = &[
    admin("PUT", ALL, "{}").fails(405, NOT_ALLOWED),
    admin("PATCH", ALL, "{}").fails(405, NOT_ALLOWED),
    admin("DELETE", ALL, "").fails(405, NOT_ALLOWED),
    admin("POST", APP, "{}").fails(405, NOT_ALLOWED),
    admin("PUT", APP, "{}").fails(405, NOT_ALLOWED),
    admin("PATCH", APP, "{}").fails(405, NOT_ALLOWED),
    admin("PUT", KEYS, "{}").fails(405, NOT_ALLOWED),
    admin("PATCH", KEYS, "{}").fails(405, NOT_ALLOWED),
    admin("DELETE", KEYS, "").fails(405, NOT_ALLOWED),
    admin("POST", SERVER, "{}").fails(405, NOT_ALLOWED),
    admin("PATCH", SERVER, "{}").fails(405, NOT_ALLOWED),
    admin("TRACE", APP, "").fails(405, NOT_ALLOWED),
    admin("PURGE", APP, "").fails(405, NOT_ALLOWED),
    row(Who::Key("server"), "GET", EVENTS, "").fails(405, NOT_ALLOWED),
    row(Who::Key("server"), "HEAD", EVENTS, "").fails(405, ""),
    row(Who::Key("server"), "PUT", EVENTS, BATCH).fails(405, NOT_ALLOWED),
    row(Who::Key("server"), "DELETE", EVENTS, "").fails(405, NOT_ALLOWED),
    admin("GET", "/nothing", "").fails(404, NOT_FOUND),
    admin("POST", "/nothing/at/all", "{}").fails(404, NOT_FOUND),
    admin("HEAD", "/nothing", "").fails(404, ""),
    admin("GET", "/applications/<app>/nothing", "").fails(404, NOT_FOUND),
    admin("POST", "/applications/<app>/events/x", BATCH).fails(404, NOT_FOUND),
    admin("GET", "/applications/<app>/authorizations/<server>/x", "").fails(404, NOT_FOUND),
    admin("GET", "/Applications", "").fails(404, NOT_FOUND),
    row(Who::Browser, "OPTIONS", "/nothing", "").fails(404, NOT_FOUND),
    admin("GET", "/applications/%ff", "").fails(400, BAD_REQUEST),
    row(Who::Nobody, "GET", ALL, "").fails(403, DENIED),
    row(Who::Nobody, "HEAD", ALL, "").fails(403, ""),
    row(Who::Nobody, "POST", ALL, "{").fails(403, DENIED),
    row(Who::Nobody, "GET", APP, "").fails(403, DENIED),
    row(Who::Nobody, "DELETE", APP, "").fails(403, DENIED),
    row(Who::Nobody, "GET", KEYS, "").fails(403, DENIED),
    row(Who::Nobody, "POST", KEYS, r#"{"Name":"x"}"#).fails(403, DENIED),
    row(Who::Nobody, "GET", SERVER, "").fails(403, DENIED),
    row(Who::Nobody, "PUT", SERVER, r#"{"Enabled":false}"#).fails(403, DENIED),
    row(Who::Nobody, "DELETE", SERVER, "").fails(403, DENIED),
    row(Who::Stranger("Bearer a-token-of-sixteen-or-mora"), "DELETE", APP, "").fails(403, DENIED),
    // Nothing of all this has changed anything.
    admin("GET", KEYS, "").is(TWO),
    admin("GET", ALL, "").is(THREE),
];

const GONE: &str = "\"Delete successful\"";

/// DELETE, each twice: an application goes with its keys.
const REMOVAL: &[Row] = &[
    admin("DELETE", "/applications/<app>/authorizations/<plain>", "").is(DELETED),
    admin("DELETE", "/applications/<app>/authorizations/<plain>", "").is(DELETED),
    admin("GET", "/applications/<app>/authorizations/<plain>", "").fails(404, NOT_FOUND),
    admin("PUT", "/applications/<app>/authorizations/<plain>", r#"{"Enabled":true}"#).fails(500, INTERNAL),
    batch(Who::Key("plain"), EVENTS).fails(403, DENIED).soon(),
    batch(Who::Key("server"), EVENTS).is(BOTH_OK),
    admin("DELETE", APP, "").is(GONE),
    admin("DELETE", APP, "").is(GONE),
    admin("GET", APP, "").fails(404, NOT_FOUND),
    admin("GET", KEYS, "").is(NONE),
    admin("GET", SERVER, "").fails(404, NOT_FOUND),
    admin("POST", KEYS, r#"{"Name":"x"}"#).fails(404, NOT_FOUND),
    batch(Who::Key("server"), EVENTS).fails(403, DENIED).soon(),
    admin("DELETE", "/applications/<other>", "").is(GONE),
    admin("DELETE", "/applications/<empty>", "").is(GONE),
    admin("DELETE", "/applications/<nobodys>", "").is(GONE),
    admin("DELETE", "/applications/no-id", "").is(GONE),
    admin("GET", ALL, "").fails(404, NOT_FOUND),
];

/// Every row, in order.
pub(super) fn rows() -> impl Iterator<Item = Row> {
    [APPLICATIONS, AUTHORIZATIONS, KEYED, PREFLIGHTS, NOT_THERE, REMOVAL].into_iter().flatten().copied()
}
