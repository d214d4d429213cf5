//! When keys were used last, as the registry has it.

use super::*;

async fn last_used(rig: &Rig, key: Uuid) -> Option<i64> {
    rig.command_line.get_authorization(key).await.expect("is there").last_used_at_ms
}

fn notes(rig: &Rig) -> usize {
    rig.faulty.notes.load(Ordering::Relaxed)
}

#[tokio::test]
async fn a_use_is_written_down_once_with_the_time_when_it_was() {
    let rig = Rig::new(&calm());
    let (used, used_id) = rig.key().await;
    let (unused, unused_id) = rig.key().await;
    let before = rig.cache.clock.wall_ms();
    drop(rig.ask(&used).await.expect("let in"));
    let after = rig.cache.clock.wall_ms();
    rig.command_line.set_enabled(unused_id, false).await.expect("disables");
    assert_eq!(rig.refused(&unused).await, Refusal::KeyDisabled);
    assert_eq!((notes(&rig), last_used(&rig, used_id).await), (0, None), "nobody waits for it");

    rig.wall_offset.store(50_000, Ordering::Relaxed);
    for _ in 0..3 {
        rig.cache.note_uses().await;
    }
    let noted = last_used(&rig, used_id).await.expect("is noted");
    assert!((before..=after).contains(&noted), "{noted}");
    assert_eq!((notes(&rig), last_used(&rig, unused_id).await), (1, None), "a key that let nobody in was not used");

    drop(rig.ask(&used).await.expect("let in"));
    rig.cache.note_uses().await;
    assert!(last_used(&rig, used_id).await.expect("is noted") >= before + 50_000);
    assert_eq!((notes(&rig), rig.counted(Counter::KeyUses, &["noted"])), (2, 2));
}

#[tokio::test]
async fn a_stream_that_is_open_uses_its_key_all_the_while() {
    let rig = Rig::new(&calm());
    let (key, id) = rig.key().await;
    let grant = rig.ask(&key).await.expect("let in");
    let opened = rig.cache.clock.wall_ms();
    for minute in 1..=3 {
        rig.wall_offset.store(minute * 60_000, Ordering::Relaxed);
        rig.cache.note_uses().await;
        assert!(last_used(&rig, id).await.expect("is noted") >= opened + minute * 60_000 - 10);
    }
    let closed = rig.cache.clock.wall_ms();
    drop(grant);
    rig.wall_offset.store(10 * 60_000, Ordering::Relaxed);
    rig.cache.note_uses().await;
    assert!(last_used(&rig, id).await.expect("is noted") <= closed);
    assert_eq!(notes(&rig), 3);
}

#[tokio::test]
async fn a_registry_that_takes_no_notes_disturbs_nobody_and_gets_them_later() {
    let rig = Rig::new(&calm());
    let (key, id) = rig.key().await;
    rig.ask(&key).await.expect("let in");
    rig.faulty.set(Fault::Fails);
    rig.cache.note_uses().await;
    assert_eq!(rig.counted(Counter::KeyUses, &["failed"]), 1);
    assert_eq!(rig.counted(Counter::KeyLookups, &["failed"]), 0, "whether keys can be looked up is another matter");
    assert!(!rig.cache.lookup.is_failing());
    rig.ask(&key).await.expect("let in");
    rig.faulty.set(Fault::None);
    rig.cache.note_uses().await;
    assert!(last_used(&rig, id).await.is_some());
}

#[tokio::test]
async fn many_keys_are_noted_in_calls_of_bounded_size() {
    let rig = Rig::new(&calm());
    let application = rig.application().await;
    let mut keys = Vec::new();
    for _ in 0..250 {
        let (key, id) = rig.key_in(application, None).await;
        drop(rig.ask(&key).await.expect("let in"));
        keys.push(id);
    }
    rig.cache.note_uses().await;
    assert_eq!(notes(&rig), keys.len());
    for id in keys {
        assert!(last_used(&rig, id).await.is_some());
    }
}
