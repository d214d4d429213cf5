//! The counters of one application, for its keys with the scope `read`.

use headgate_tests::binary;
use headgate_tests::events::login;
use headgate_tests::rest::{RestAnswer, RestClient, body, verdict};
use http::Method;

/// Who may read reads its own application's counters and sends nothing; who may send reads nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_may_read_reads_the_counters_of_its_own_application_and_no_other() {
    let data = tempfile::tempdir().expect("a folder");
    let gateway = super::gateway(data.path(), &[]).await;
    let (application, sender) = gateway.demo();
    let (other, _) = gateway.new_application("other");
    let made = binary::run_json(
        data.path(),
        &["keys", "create", &application.to_string(), "--name", "dashboard", "--scopes", "read"],
    );
    let reader = made["api_key"].as_str().expect("a key").to_owned();
    let client = RestClient::new(gateway.rest());
    let get = |key: &str, path: String| {
        let (client, key) = (client.clone(), key.to_owned());
        async move { client.send(Method::GET, &path, &[("x-api-key", &key)], "").await }
    };
    let live = |path: &str| format!("/live/applications/{application}/live{path}");

    let before = get(&reader, live("")).await;
    assert_eq!((before.status.as_u16(), &before.json()["last_hour"]["accepted"]), (200, &0.into()), "{before:?}");
    let events = vec![login(), login(), headgate_proto::v1::Event { event_name: "a b".to_owned(), ..login() }];
    let path = format!("/applications/{application}/events?partial=true");
    assert_eq!(verdict(&client.post(&path, &sender.key, body(&events)).await).accepted, 2);

    let now = get(&reader, live("")).await.json();
    assert_eq!((&now["last_hour"]["accepted"], &now["last_hour"]["rejected"]), (&2.into(), &1.into()), "{now}");
    let minutes = get(&reader, live("/series?step=60")).await.json();
    assert_eq!(minutes["steps"].as_array().map(Vec::len), Some(60));
    assert_eq!(get(&reader, live("/series")).await.json()["step_s"], 1);
    let types = get(&reader, live("/types")).await.json();
    assert_eq!((&types[0]["event_type"], &types[0]["accepted"]), (&"login".into(), &2.into()), "{types}");
    let rejected = get(&reader, live("/rejected-fields")).await.json();
    assert_eq!((&rejected[0]["field"], &rejected[0]["reason"]), (&"event_name".into(), &"charset".into()));
    assert!(get(&reader, live("/windows?last=5")).await.json().is_array());
    for wrong in ["/series?step=2", "/series?step=x", "/windows?last=0", "/windows?last=1441"] {
        assert_eq!(get(&reader, live(wrong)).await.error(), (400, "BadRequest".to_owned()), "{wrong}");
    }

    let denied = |answer: RestAnswer| {
        assert_eq!((answer.status.as_u16(), answer.text.as_str()), (403, r#"{"error":"AccessDenied"}"#))
    };
    denied(get(&sender.key, live("")).await);
    denied(get(&reader, format!("/applications/{other}/live")).await);
    denied(get("nobody-has-this-key", live("/types")).await);
    denied(client.send(Method::GET, &live(""), &[], "").await);
    denied(client.post(&format!("/applications/{application}/events"), &reader, body(&[login()])).await);
}
