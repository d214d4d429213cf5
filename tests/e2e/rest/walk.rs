//! Walks the contract's rows against a gateway.

use std::collections::{BTreeSet, HashMap};

use headgate_tests::events::login;
use headgate_tests::poll;
use headgate_tests::rest::{RestAnswer, RestClient, body};
use http::Method;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::TOKEN;
use super::table::{BATCH, Row, Who, rows};
use crate::PATIENCE;

const METHODS: &str = "DELETE,GET,HEAD,OPTIONS,PATCH,POST,PUT";
const HEADERS: &str = "Content-Type,Authorization,X-Amz-Date,X-Api-Key,X-Amz-Security-Token,X-Sent-At";

/// One walk over the table. What the rows name is kept here.
pub(super) struct Walk {
    client: RestClient,
    prefix: &'static str,
    names: HashMap<String, String>,
}

/// Walks all rows under a prefix, from no applications to none; returns how many there are.
pub(super) async fn walk(client: RestClient, prefix: &'static str) -> usize {
    let mut walk = Walk { client, prefix, names: HashMap::new() };
    walk.names.insert("id:nobodys".to_owned(), Uuid::new_v4().to_string());
    let mut walked = 0;
    for row in rows() {
        walked += 1;
        if row.soon {
            // Whatever comes first has to be as every answer is.
            let what = format!("row {walked}, {row:?}");
            poll::until(&what, PATIENCE, async || (walk.ask(row).await.status == row.status).then_some(())).await;
        }
        let answer = walk.ask(row).await;
        if let Err(problem) = walk.check(row, &answer) {
            panic!("row {walked} under {prefix:?}: {problem}\n{row:?}\n{answer:?}");
        }
    }
    walked
}

impl Walk {
    async fn ask(&self, row: Row) -> RestAnswer {
        let authorization = match row.who {
            Who::Admin => Some(format!("Bearer {TOKEN}")),
            Who::Key(name) => Some(self.names[&format!("key:{name}")].clone()),
            Who::Stranger(text) => Some(text.to_owned()),
            Who::OwnHeader(_) | Who::Browser | Who::Nobody => None,
        };
        let mut headers = vec![("content-type", "application/json")];
        headers.extend(authorization.as_deref().map(|text| ("authorization", text)));
        match row.who {
            Who::OwnHeader(name) => headers.push(("x-api-key", &self.names[&format!("key:{name}")])),
            Who::Browser => {
                headers.push(("origin", "https://game.example"));
                headers.push(("access-control-request-method", "POST"));
                headers.push(("access-control-request-headers", "authorization,content-type"));
            }
            _ => {}
        }
        let sent = match row.body {
            BATCH => body(&[login(), login()]),
            text => text.replace("<257>", &"x".repeat(257)),
        };
        let method = Method::from_bytes(row.method.as_bytes()).expect("a method");
        self.client.send(method, &format!("{}{}", self.prefix, self.path(row.path)), &headers, sent).await
    }

    fn path(&self, pattern: &str) -> String {
        let mut path = pattern.to_owned();
        for (name, value) in &self.names {
            if let Some(name) = name.strip_prefix("id:") {
                path = path.replace(&format!("<{name}>"), value);
            }
        }
        assert!(!path.contains('<'), "nobody is called so: {path}");
        path
    }

    fn check(&mut self, row: Row, answer: &RestAnswer) -> Result<(), String> {
        if answer.status.as_u16() != row.status {
            return Err(format!("expected {}", row.status));
        }
        let mut headers = vec![
            ("access-control-allow-origin", "*"),
            ("content-type", "application/json"),
            ("cache-control", "no-store"),
            ("x-content-type-options", "nosniff"),
        ];
        if row.method == "OPTIONS" && row.status == 200 {
            headers.extend([("access-control-allow-methods", METHODS), ("access-control-allow-headers", HEADERS)]);
        }
        for (name, expected) in headers {
            if answer.header(name) != expected {
                return Err(format!("the header {name} is {:?}", answer.header(name)));
            }
        }
        if row.status == 405 && !answer.header("allow").contains("OPTIONS") {
            return Err("the header allow says nothing".to_owned());
        }
        if row.answer.is_empty() {
            return if answer.text.is_empty() { Ok(()) } else { Err("there is a body".to_owned()) };
        }
        let expected: Value = serde_json::from_str(row.answer).expect("the table is JSON");
        let found: Value = serde_json::from_str(&answer.text).map_err(|error| error.to_string())?;
        self.compare(&expected, &found)
    }

    fn compare(&mut self, expected: &Value, found: &Value) -> Result<(), String> {
        match (expected, found) {
            (Value::Object(expected), Value::Object(found)) => self.compare_members(expected, found),
            (Value::Array(expected), Value::Array(found)) if expected.len() == found.len() => {
                // Those of one second may come in any order.
                let mut left: Vec<&Value> = expected.iter().collect();
                for element in found {
                    let place = left.iter().position(|expected| self.compare(expected, element).is_ok());
                    let _ = left.remove(place.ok_or_else(|| format!("{element} does not belong there"))?);
                }
                Ok(())
            }
            (Value::String(pattern), Value::String(text)) if pattern.starts_with('<') => {
                self.compare_text(pattern, text)
            }
            _ if expected == found => Ok(()),
            _ => Err(format!("{found} is not {expected}")),
        }
    }

    fn compare_members(&mut self, expected: &Map<String, Value>, found: &Map<String, Value>) -> Result<(), String> {
        let names = |members: &Map<String, Value>| members.keys().cloned().collect::<BTreeSet<_>>();
        if names(expected) != names(found) {
            return Err(format!("the members are {:?} and not {:?}", names(found), names(expected)));
        }
        expected.iter().try_for_each(|(name, expected)| {
            self.compare(expected, &found[name]).map_err(|problem| format!("{name}: {problem}"))
        })
    }

    /// What is named for the first time has the right shape, and is the same from then on.
    fn compare_text(&mut self, pattern: &str, text: &str) -> Result<(), String> {
        let pattern = pattern.trim_start_matches('<').trim_end_matches('>');
        let (kind, name) = pattern.split_once(':').unwrap_or((pattern, ""));
        if kind == "masked" {
            let key = &self.names[&format!("key:{name}")];
            let masked = format!("hg_****{}", &key[key.len() - 4..]);
            return if text == masked { Ok(()) } else { Err(format!("{text:?} is not {masked:?}")) };
        }
        let fits = match kind {
            "id" => is_id(text),
            "time" => is_time(text),
            "key" => text.starts_with("hg_") && text.len() > 40 && text.bytes().all(|byte| byte.is_ascii_graphic()),
            "text" => !text.is_empty(),
            _ => panic!("the table has no {kind}"),
        };
        if !fits {
            return Err(format!("{text:?} is no {kind}"));
        }
        if name.is_empty() {
            return Ok(());
        }
        let known = self.names.entry(pattern.to_owned()).or_insert_with(|| text.to_owned());
        if known == text { Ok(()) } else { Err(format!("{text:?} was {known:?} before")) }
    }
}

/// A version 4 UUID, in lower case.
fn is_id(text: &str) -> bool {
    text.parse::<Uuid>().is_ok_and(|id| id.get_version_num() == 4 && id.to_string() == text)
}

/// `YYYY-MM-DDTHH:MM:SSZ`, not long ago.
fn is_time(text: &str) -> bool {
    let shape: String = text.chars().map(|it| if it.is_ascii_digit() { '0' } else { it }).collect();
    shape == "0000-00-00T00:00:00Z" && text > "2025"
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};

    use serde_json::json;

    use super::*;

    /// A table proves nothing if its patterns let everything through.
    #[tokio::test]
    async fn a_pattern_lets_through_what_it_names_and_nothing_else() {
        let client = RestClient::new(SocketAddr::from((Ipv4Addr::LOCALHOST, 1)));
        let mut walk = Walk { client, prefix: "", names: HashMap::new() };
        let (one, two) = (Uuid::new_v4().to_string(), Uuid::new_v4().to_string());
        let pattern = json!({"Id": "<id:a>", "At": "<time>", "List": ["<id:a>", 1], "Text": "x"});
        let answer = |id: &str| json!({"Id": id, "At": "2026-01-02T03:04:05Z", "List": [1, id], "Text": "x"});
        assert_eq!(walk.compare(&pattern, &answer(&one)), Ok(()));
        assert!(walk.compare(&pattern, &answer(&two)).is_err(), "another than before");
        assert!(walk.compare(&pattern, &answer(&one.to_uppercase())).is_err());
        for (member, value) in [
            ("Text", json!("y")),
            ("Text", json!(null)),
            ("More", json!(1)),
            ("At", json!("2026-01-02T03:04:05.1Z")),
            ("At", json!("2026-01-02 03:04:05Z")),
            ("List", json!([one])),
            ("List", json!([one, 1, 1])),
            ("List", json!([1, 1])),
        ] {
            let mut answer = answer(&one);
            answer[member] = value;
            assert!(walk.compare(&pattern, &answer).is_err(), "{answer}");
        }
        let mut less = answer(&one);
        let _ = less.as_object_mut().expect("an object").remove("Text");
        assert!(walk.compare(&pattern, &less).is_err(), "{less}");
        let key = format!("hg_{}", "k".repeat(40));
        assert_eq!(walk.compare(&json!("<key:k>"), &json!(key)), Ok(()));
        assert_eq!(walk.compare(&json!("<masked:k>"), &json!("hg_****kkkk")), Ok(()));
        assert!(walk.compare(&json!("<masked:k>"), &json!(key)).is_err(), "a key that can be read");
        assert!(walk.compare(&json!("<text>"), &json!("")).is_err());
    }
}
