//! The console as people use it: a real gateway, a real Chromium. Pictures of every page are left in the target folder.

mod game;
mod person;

use std::time::Duration;

use headgate_tests::gateway::GatewayProcess;

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

    person.open(&format!("/console/test?application={application}"));
    person.fills("event_data", "{\"player_id\": ");
    person.presses("Send");
    person.reads("Rejected");
    person.reads("not_a_json_object");
    person.picture("test-rejected");

    person.open(&keys);
    person.presses("Disable first key");
    person.reads("first key is disabled");
    refused(&mut person, &application);
    person.picture("test-refused");

    person.open(&format!("/console/applications/{application}"));
    person.waits_for("a rejected event", "document.querySelector('#tail').innerText.includes('not_a_json_object')");
    person.waits_for("the field at fault", "document.querySelector('#fields').innerText.includes('event_data')");
    person.picture("application");
    person.clicks("Rejected");
    assert!(!person.text_of("#tail").contains("accepted"));

    person.open("/console/audit");
    for act in ["application.create", "key.create", "key.disable"] {
        person.reads(act);
    }
    person.picture("audit");
    assert_eq!(person.complaints(), Vec::<String>::new());
}

/// Sends until the key is refused: a gateway heeds a disabled key a moment later.
fn refused(person: &mut Person, application: &str) {
    for _ in 0..100 {
        person.open(&format!("/console/test?application={application}"));
        person.presses("Send");
        if person.page().contains("key_disabled") {
            person.reads("Refused");
            person.reads("The API key is disabled.");
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("the disabled key was let in again and again: {}", person.page());
}

/// Every page, on a laptop and on a phone, in light and dark: nothing is wider than the window, hard to read, without a
/// name for those who can't see it, or against the page's own policy.
#[tokio::test]
async fn every_page_can_be_read_everywhere() {
    let data = tempfile::tempdir().expect("a folder");
    let gateway = GatewayProcess::start(data.path(), &QUICK).await;
    let mut person = Person::at(&gateway, LAPTOP, "light");
    person.signs_in();
    let (id, target) = gateway.demo();
    let application = format!("/console/applications/{id}");
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
    for (size, device) in [(LAPTOP, "laptop"), (PHONE, "phone")] {
        for scheme in ["light", "dark"] {
            person.sits_at(size, scheme);
            for (name, path) in &pages {
                person.open(path);
                person.page_is_sound();
                person.picture(&format!("{name}-{device}-{scheme}"));
            }
        }
    }
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
    person.fills("events_per_second", "5");
    person.presses("Save");
    person.reads("Saved.");
    person.presses("Sign out");
    person.reads("Sign in");
    person.open("/console/applications");
    person.reads("Sign in");
}
