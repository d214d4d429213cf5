//! The function that makes rows, and the registry it asks.

use serde_json::{Value, json};

use crate::rig::dynamodb::{Mode, Table};
use crate::rig::events::{APP, Sent, firehose};
use crate::rig::lambda::Function;
use crate::transform::{answers, start, status};

const LATER: &str = "0198f2a0-3333-4000-8000-000000000003";

async fn row(function: &mut Function, application_id: &str) -> Value {
    let event = Sent { application_id: application_id.to_owned(), ..Sent::login(1) };
    let answers = answers(&function.invoke(&firehose(&[("r", event.line())])).await.answered());
    answers["r"].1[0].clone()
}

#[tokio::test]
async fn applications_are_asked_for_once_known_or_not() {
    let table = Table::start().await;
    table.put(APP, Some("Wizards"));
    let mut function = start(&table, &[("NEGATIVE_CACHE_SECONDS", "60")]).await;
    for _ in 0..3 {
        assert_eq!(row(&mut function, APP).await["application_name"], "Wizards");
        assert_eq!(status(&row(&mut function, LATER).await), "unregistered");
        // What is no id of the registry's is not looked for.
        assert_eq!(status(&row(&mut function, "nobody").await), "unregistered");
    }
    assert_eq!(table.reads(), [APP, LATER]);
    table.put(LATER, Some("Late"));
    assert_eq!(status(&row(&mut function, LATER).await), "unregistered", "not for as long as it is remembered");
}

#[tokio::test]
async fn an_application_that_comes_later_is_found_when_its_absence_is_forgotten() {
    let table = Table::start().await;
    let mut function = start(&table, &[("NEGATIVE_CACHE_SECONDS", "0")]).await;
    assert_eq!(status(&row(&mut function, LATER).await), "unregistered");
    table.put(LATER, None);
    let found = row(&mut function, LATER).await;
    assert_eq!((status(&found), found.get("application_name")), (json!("ok"), None));
}

#[tokio::test]
async fn a_registry_that_can_not_be_asked_makes_nobody_unregistered() {
    for mode in [Mode::Error, Mode::Closed, Mode::NoTable] {
        let table = Table::start().await;
        table.put(APP, Some("Wizards"));
        table.put(LATER, Some("Late"));
        let mut function = start(&table, &[("CACHE_TIMEOUT_SECONDS", "0")]).await;
        assert_eq!(row(&mut function, APP).await["application_name"], "Wizards");
        table.set(mode);
        // A name that was read once serves on.
        assert_eq!(row(&mut function, APP).await["application_name"], "Wizards", "{mode:?}");
        // One that was not fails the invocation as a whole: Firehose asks again.
        let event = Sent { application_id: LATER.to_owned(), ..Sent::login(1) };
        let records = [("known", Sent::login(2).line()), ("unknown", event.line())];
        let error = function.invoke(&firehose(&records)).await.failed();
        assert_eq!(error["errorType"], "Registry.Unavailable", "{mode:?}");
        let message = error["errorMessage"].as_str().expect("a message");
        assert!(message.contains("DynamoDB, table applications"), "{message}");
        table.set(Mode::Up);
        assert_eq!(row(&mut function, LATER).await["application_name"], "Late", "{mode:?}");
    }
}
