//! The console as people use it: a real gateway, a real Chromium. Pictures of every page are left in the target folder.

mod game;
mod person;

use std::time::Duration;

use headgate_tests::aws::kinesis::StreamSettings;
use headgate_tests::aws::{Settings, StandIn};
use headgate_tests::gateway::GatewayProcess;
use headgate_tests::ministack;

use person::Person;

const LAPTOP: (u32, u32) = (1_280, 900);
const PHONE: (u32, u32) = (390, 844);

/// Keys are looked up often, so that a test does not wait.
const QUICK: [&str; 1] = ["admission.key_refresh=200ms"];

/// A person who has read nothing registers a game, sends its first event, finds it, and finds out why another one is
/// refused. What the console does, the audit log knows.
#[tokio::test]
async fn a_person_registers_a_game_and_sees_its_first_event_and_why_one_is_refused() {
    let data = tempfile::tempdir().expect("a folder");
    let gateway = GatewayProcess::start(data.path(), &QUICK).await;
    let mut person = Person::at(&gateway, LAPTOP, "light");

    person.open("/");
    person.reads("Sign in");
    person.picture("sign-in");
    person.fills("token", "not the token at all");
    person.presses("Sign in");
    person.reads("This is not the admin token.");
    person.picture("sign-in-wrong");
    person.signs_in();
    person.reads("From here to your first event");
    person.picture("overview-first");

    person.fills("name", "Skyfall <b>Arena</b>");
    person.presses("Register");
    person.reads("Skyfall <b>Arena</b> is registered.");
    person.reads("Your new key");
    let key = person.text_of("#key");
    assert!(key.starts_with("hg_"), "{key}");
    person.picture("keys-made");
    let keys = person.path();
    person.open(&keys);
    assert!(!person.page().contains(&key), "the key is shown once");
    let application = person.text_of("#application-id");

    person.open(&format!("/console/test?application={application}"));
    person.presses("Send");
    person.reads("Stored");
    person.picture("test-stored");
    person.clicks("See it among the last events");
    person.waits_for("an accepted event", "document.querySelector('#tail').innerText.includes('first_login')");
    person.waits_for("its mark in the chart", "document.querySelector('#seconds path.line')?.getTotalLength() > 0");
    person.picture("application-first-event");

    person.open(&format!("/console/test?application={application}"));
    person.fills("event_data", "{\"player_id\": ");
    person.presses("Send");
    person.reads("Rejected");
    person.reads("not_a_json_object");
    person.picture("test-rejected");

    person.open(&keys);
    person.presses("Disable first key");
    person.reads("first key is disabled");
    person.clicks_summary("Rotate… first key");
    person.picture("keys-disabled");
    // A gateway heeds a disabled key a moment later.
    sends_until(&mut person, &format!("/console/test?application={application}"), None, "key_disabled");
    person.reads("Refused");
    person.reads("The API key is disabled.");
    person.reads("Enable it on the application's page Keys, or use another one.");
    person.picture("test-refused");

    person.open(&format!("/console/applications/{application}"));
    person.waits_for("a rejected event", "document.querySelector('#tail').innerText.includes('not_a_json_object')");
    person.waits_for("the field at fault", "document.querySelector('#fields').innerText.includes('event_data')");
    person.waits_for("the refusal", "document.querySelector('#tail').innerText.includes('key_disabled')");
    person.picture("application");
    person.clicks("Rejected");
    assert!(!person.text_of("#tail").contains("accepted"));
    person.clicks("Refused");
    assert!(person.text_of("#tail").contains("the API key is disabled"), "{}", person.text_of("#tail"));
    assert!(!person.text_of("#tail").contains("rejected"));
    person.picture("application-refused");

    person.open("/console/audit");
    for act in ["application.create", "key.create", "key.disable"] {
        person.reads(act);
    }
    person.picture("audit");
    assert_eq!(person.complaints(), Vec::<String>::new());
}

/// Sends a test event, with this key or the one that was just made, until the page says so.
fn sends_until(person: &mut Person, page: &str, key: Option<&str>, words: &str) {
    for _ in 0..100 {
        person.open(page);
        if let Some(key) = key {
            person.fills("key", key);
        }
        person.presses("Send");
        if person.page().contains(words) {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("it was never {words}: {}", person.page());
}

/// Every page, on a laptop and on a phone, in light and dark, empty and with something in it: nothing is wider than the
/// window, hard to read, heavy, without a name for those who can't see it, or against the page's own policy.
#[tokio::test]
async fn every_page_can_be_read_everywhere() {
    let data = tempfile::tempdir().expect("a folder");
    let gateway = GatewayProcess::start(data.path(), &QUICK).await;
    let mut person = Person::at(&gateway, LAPTOP, "light");
    looks_everywhere(&mut person, "", &[("sign-in", "/console/sign-in".to_owned())], Person::page_is_sound);
    person.sits_at(LAPTOP, "light");
    person.signs_in();
    let (id, target) = gateway.demo();
    let application = format!("/console/applications/{id}");
    let pages = [
        ("overview", "/console".to_owned()),
        ("applications", "/console/applications".to_owned()),
        ("live", application.clone()),
        ("keys", format!("{application}/keys")),
        ("schemas", format!("{application}/schemas")),
        ("players", format!("{application}/players")),
        ("settings", format!("{application}/settings")),
        ("test", "/console/test".to_owned()),
        ("audit", "/console/audit".to_owned()),
        ("system", "/console/system".to_owned()),
    ];
    looks_everywhere(&mut person, "-empty", &pages, Person::page_is_sound);
    let errors = [("not-found", "/console/applications/none".to_owned())];
    looks_everywhere(&mut person, "", &errors, Person::page_is_readable);
    person.sits_at(LAPTOP, "light");

    person.open(&application);
    // A few seconds of play, so that a curve has a shape.
    for batches in [1, 4, 9, 6, 2] {
        game::plays(&target, batches).await;
        tokio::time::sleep(Duration::from_millis(700)).await;
    }
    game::knocks(&target).await;
    person.waits_for("a curve", "document.querySelector('#seconds path.line')?.getTotalLength() > 0");
    person.waits_for("a metric", "document.querySelector('#metrics').innerText.includes('fireball')");
    person.open(&format!("{application}/schemas"));
    person.fills("event_type", "match_end");
    person.presses("Put it");
    person.reads("Version 1 holds for match_end");
    person.open(&format!("{application}/players"));
    person.fills("player_id", "player-of-some-length");
    person.presses("Suppress");
    person.fills("deleted_player_id", "player-of-another-length");
    person.fills("confirm", "player-of-another-length");
    person.presses("Delete for good");
    person.reads("is being deleted");
    person.waits_for("its end", "document.querySelector('#deletions').innerText.includes('done')");
    looks_everywhere(&mut person, "", &pages, Person::page_is_sound);
}

fn looks_everywhere(person: &mut Person, state: &str, pages: &[(&str, String)], judge: fn(&mut Person)) {
    for (size, device) in [(LAPTOP, "laptop"), (PHONE, "phone")] {
        for scheme in ["light", "dark"] {
            person.sits_at(size, scheme);
            for (name, path) in pages {
                person.open(path);
                judge(person);
                person.picture(&format!("{name}{state}-{device}-{scheme}"));
            }
        }
    }
}

/// The system page shows what a stream costs and how its shards do, and that a setting came from a flag. While the stream
/// can't be reached, a test event and the overview say so, and what the destination says.
#[tokio::test(flavor = "multi_thread")]
async fn the_console_shows_what_a_stream_costs_and_when_it_is_away() {
    let stand_in = StandIn::start(Settings { throttle: None, ..Settings::default() }).await;
    stand_in.create_stream(StreamSettings::new("events", 4));
    let data = tempfile::tempdir().expect("a folder");
    let settings = ["delivery.destination=kinesis", "kinesis.stream=events", "delivery.spill=0"];
    let environment = ministack::environment(stand_in.address());
    let gateway = GatewayProcess::start_in(data.path(), &settings, &environment).await;
    let (id, target) = gateway.demo();
    game::plays(&target, 8).await;
    let mut person = Person::at(&gateway, LAPTOP, "light");
    person.signs_in();
    let system = [("system-kinesis", "/console/system".to_owned())];
    looks_everywhere(&mut person, "", &system, Person::page_is_sound);
    person.reads("4 open shards");
    person.reads("full rate");
    let costs = person.text_of("#efficiency");
    for part in ["kinesis", "envelope", "rounding", "duplication", "$"] {
        assert!(costs.contains(part), "no {part} in {costs}");
    }
    assert!(person.text_of("#settings tr:has(th[data-label]) td:last-child").contains("flag"));

    stand_in.refuse_connections().await;
    let _ = stand_in.reset_connections();
    person.sits_at(LAPTOP, "light");
    let key = target.key.clone();
    let test = format!("/console/test?application={id}");
    person.open(&test);
    person.fills("key", &key);
    person.presses("Send");
    person.picture("test-away");
    assert!(!person.page().contains("Stored"), "{}", person.page());
    person.open("/console");
    let trouble = ["down", "in trouble"];
    person.waits_for("the state", "!document.querySelector('#health').innerText.startsWith('up')");
    let state = person.text_of("#health");
    assert!(trouble.iter().any(|word| state.starts_with(word)) && state.contains("kinesis"), "{state}");
    person.picture("overview-away");
    // Long after the last call, nobody knows that it is well again.
    tokio::time::sleep(Duration::from_secs(4)).await;
    person.open("/console/system");
    person.reads("in trouble");
    person.picture("system-away");

    stand_in.accept_connections().await;
    sends_until(&mut person, &test, Some(&key), "Stored");
    person.open("/console");
    assert!(person.text_of("#health").starts_with("up"), "{}", person.text_of("#health"));
}

/// Without a mouse: the first step is to skip the navigation, what has the focus is seen, and a game is registered with
/// the keyboard alone.
#[tokio::test]
async fn a_person_without_a_mouse_gets_as_far() {
    let data = tempfile::tempdir().expect("a folder");
    let gateway = GatewayProcess::start(data.path(), &QUICK).await;
    let mut person = Person::at(&gateway, LAPTOP, "light");
    person.signs_in();
    person.open("/console");
    let navigation = [
        "Skip to the content",
        "Headgate",
        "Overview",
        "Applications",
        "Test event",
        "Audit log",
        "System",
        "Sign out",
    ];
    assert_eq!(person.tabs(navigation.len()), navigation);
    person.open("/console");
    assert_eq!(person.tabs(1), ["Skip to the content"]);
    person.presses_enter();
    assert_eq!(person.tabs(1), ["Name of the game"], "the form is the first step");
    person.fills("name", "Typed");
    assert_eq!(person.tabs(3).last().map(String::as_str), Some("Register"));
    person.presses_enter();
    person.waits_for("the new key", "document.readyState === 'complete' && !!document.querySelector('#key')");
    person.reads("Typed is registered.");
}

/// Everything but what keeps live parts live works without a script.
#[tokio::test]
async fn a_person_without_scripts_gets_as_far() {
    let data = tempfile::tempdir().expect("a folder");
    let gateway = GatewayProcess::start(data.path(), &QUICK).await;
    let mut person = Person::at(&gateway, PHONE, "dark");
    person.runs_no_scripts();
    person.signs_in();
    person.open("/console/applications");
    person.fills("name", "Plain");
    person.presses("Register");
    let application = person.text_of("#application-id");
    person.open(&format!("/console/test?application={application}"));
    person.presses("Send");
    person.reads("Stored");
    person.clicks("See it among the last events");
    assert!(person.text_of("#tail").contains("first_login"));

    person.open(&format!("/console/applications/{application}/settings"));
    person.fills("events_per_second", "a few");
    person.presses("Save");
    person.reads("Events a second: \"a few\" can't be used");
    person.picture("settings-misfilled");
    person.fills("events_per_second", "5");
    person.presses("Save");
    person.reads("Saved.");
    person.presses("Sign out");
    person.reads("Sign in");
    person.open("/console/applications");
    person.reads("Sign in");
}
