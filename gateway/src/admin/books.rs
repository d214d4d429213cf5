//! Schemas of event types, and players whose events are not kept.

use uuid::Uuid;

use super::{Actor, Admin, AdminError};
use crate::registry::{Schema, SchemaMode, Suppression};

// Below this many characters the last ones would give too much of an id away.
const MASKABLE_CHARS: usize = 12;
const SHOWN_CHARS: usize = 4;

impl Admin {
    /// Puts a new version of an event type's schema in the place of the one before; earlier versions are kept. Without a
    /// mode it has that of the version before, or `warn` if it is the first one.
    pub async fn put_schema(
        &self,
        actor: &Actor,
        application: Uuid,
        event_type: &str,
        mode: Option<SchemaMode>,
        schema: &str,
    ) -> Result<Schema, AdminError> {
        self.check_audit().await?;
        self.registry.get_application(application).await?;
        let mode = match mode {
            Some(mode) => mode,
            None => {
                let versions = self.books.schema_versions(application, event_type).await?;
                versions.first().map_or(SchemaMode::Warn, |latest| latest.mode)
            }
        };
        let schema = self.books.put_schema(application, event_type, mode, schema).await?;
        let detail = format!("version {}, mode {mode}", schema.version);
        self.note(actor, "schema.put", Some(application), Some(event_type.to_owned()), detail).await?;
        Ok(schema)
    }

    /// The latest version of every schema, of one application or of all.
    pub async fn schemas(&self, application: Option<Uuid>) -> Result<Vec<Schema>, AdminError> {
        Ok(self.books.schemas(application).await?)
    }

    /// Every version of one schema, newest first.
    pub async fn schema_versions(&self, application: Uuid, event_type: &str) -> Result<Vec<Schema>, AdminError> {
        Ok(self.books.schema_versions(application, event_type).await?)
    }

    /// Changes what happens to events that do not fit their schema.
    pub async fn set_schema_mode(
        &self,
        actor: &Actor,
        application: Uuid,
        event_type: &str,
        mode: SchemaMode,
    ) -> Result<Schema, AdminError> {
        self.check_audit().await?;
        let schema = self.books.set_schema_mode(application, event_type, mode).await?;
        let detail = format!("mode {mode}");
        self.note(actor, "schema.mode", Some(application), Some(event_type.to_owned()), detail).await?;
        Ok(schema)
    }

    /// Removes every version of a schema. Returns whether there was one.
    pub async fn delete_schema(&self, actor: &Actor, application: Uuid, event_type: &str) -> Result<bool, AdminError> {
        self.check_audit().await?;
        let was_there = self.books.delete_schema(application, event_type).await?;
        if was_there {
            self.note(actor, "schema.delete", Some(application), Some(event_type.to_owned()), String::new()).await?;
        }
        Ok(was_there)
    }

    /// From now on this player's events are not kept. Doing it twice is once.
    pub async fn suppress(&self, actor: &Actor, application: Uuid, player_id: &str) -> Result<Suppression, AdminError> {
        self.check_audit().await?;
        self.registry.get_application(application).await?;
        let suppression = self.books.suppress(application, player_id).await?;
        self.note(actor, "player.suppress", Some(application), Some(masked(player_id)), String::new()).await?;
        Ok(suppression)
    }

    /// They are kept again. Returns whether they were not.
    pub async fn unsuppress(&self, actor: &Actor, application: Uuid, player_id: &str) -> Result<bool, AdminError> {
        self.check_audit().await?;
        let was_there = self.books.unsuppress(application, player_id).await?;
        if was_there {
            self.note(actor, "player.unsuppress", Some(application), Some(masked(player_id)), String::new()).await?;
        }
        Ok(was_there)
    }

    /// Whose events are not kept, of one application or of all.
    pub async fn suppressions(&self, application: Option<Uuid>) -> Result<Vec<Suppression>, AdminError> {
        Ok(self.books.suppressions(application).await?)
    }
}

/// What the audit log keeps of a player's id: enough to tell two acts apart, not enough to tell who it is. Whoever asked
/// to be forgotten is not to be kept there for good.
pub(super) fn masked(player_id: &str) -> String {
    let characters = player_id.chars().count();
    if characters < MASKABLE_CHARS {
        return "****".to_owned();
    }
    format!("****{}", player_id.chars().skip(characters - SHOWN_CHARS).collect::<String>())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tempfile::TempDir;

    use super::*;
    use crate::admin::Via;
    use crate::clock::Clock;
    use crate::registry::{AuditQuery, NewApplication, SqliteRegistry};

    const SCHEMA: &str = r#"{"type":"object"}"#;

    async fn admin() -> (TempDir, Arc<Admin>, Actor, Uuid) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("registry.sqlite");
        let registry = Arc::new(SqliteRegistry::open(&path, Clock::system()).expect("opens"));
        let admin = Admin::new(registry.clone(), registry, Clock::system());
        let actor = Actor { name: "somebody".to_owned(), via: Via::Console };
        let new = NewApplication { name: "skyfall".to_owned(), ..NewApplication::default() };
        let id = admin.create_application(&actor, new).await.expect("creates").application_id;
        (folder, admin, actor, id)
    }

    /// The newest lines first: what was done, and to what.
    async fn log(admin: &Admin) -> Vec<(String, Option<String>, String)> {
        let query = AuditQuery { limit: 100, ..AuditQuery::default() };
        let entries = admin.audit(&query).await.expect("lists");
        entries.into_iter().map(|entry| (entry.act, entry.subject, entry.detail)).collect()
    }

    #[tokio::test]
    async fn what_becomes_of_a_schema_is_written_down() {
        let (_folder, admin, actor, id) = admin().await;
        for version in [1, 2] {
            let put = admin.put_schema(&actor, id, "login", None, SCHEMA).await.expect("puts");
            assert_eq!(put.version, version);
        }
        let enforced = admin.set_schema_mode(&actor, id, "login", SchemaMode::Enforce).await.expect("changes");
        assert_eq!((enforced.version, enforced.mode), (2, SchemaMode::Enforce));
        assert_eq!(admin.schemas(Some(id)).await.expect("lists"), [enforced]);
        assert_eq!(admin.schema_versions(id, "login").await.expect("lists").len(), 2);
        for was_there in [true, false] {
            assert_eq!(admin.delete_schema(&actor, id, "login").await.expect("deletes"), was_there);
        }
        let subject = Some("login".to_owned());
        let expected = [
            ("schema.delete".to_owned(), subject.clone(), String::new()),
            ("schema.mode".to_owned(), subject.clone(), "mode enforce".to_owned()),
            ("schema.put".to_owned(), subject.clone(), "version 2, mode warn".to_owned()),
            ("schema.put".to_owned(), subject, "version 1, mode warn".to_owned()),
        ];
        assert_eq!(log(&admin).await[..4], expected);
    }

    #[tokio::test]
    async fn a_suppressed_player_is_not_named_in_the_audit_log() {
        let (_folder, admin, actor, id) = admin().await;
        let player = "5f0c6c1e-player-of-some-length";
        assert_eq!(admin.suppress(&actor, id, player).await.expect("suppresses").player_id, player);
        assert_eq!(admin.suppressions(Some(id)).await.expect("lists").len(), 1);
        for was_there in [true, false] {
            assert_eq!(admin.unsuppress(&actor, id, player).await.expect("takes back"), was_there);
        }
        let subject = Some("****ngth".to_owned());
        let expected = [
            ("player.unsuppress".to_owned(), subject.clone(), String::new()),
            ("player.suppress".to_owned(), subject, String::new()),
        ];
        assert_eq!(log(&admin).await[..2], expected);
    }

    #[tokio::test]
    async fn what_is_refused_is_not_written_down() {
        let (_folder, admin, actor, id) = admin().await;
        let before = log(&admin).await;
        let nobody = Uuid::from_u128(7);
        assert!(admin.put_schema(&actor, id, "login", None, "no JSON").await.is_err());
        assert!(admin.put_schema(&actor, nobody, "login", None, SCHEMA).await.is_err());
        assert!(admin.set_schema_mode(&actor, id, "login", SchemaMode::Off).await.is_err());
        assert!(admin.suppress(&actor, nobody, "player").await.is_err());
        assert!(admin.suppress(&actor, id, "").await.is_err());
        assert_eq!(log(&admin).await, before);
    }

    #[test]
    fn a_short_id_is_masked_whole() {
        for (player, shown) in [("alice", "****"), ("elevenchars", "****"), ("twelve-chars", "****hars"), ("", "****")]
        {
            assert_eq!(masked(player), shown);
        }
        assert_eq!(masked("spielerin-grün-größe"), "****röße");
    }
}
