//! How an application has ids hashed: turned on and off by field, and with which secret.

use uuid::Uuid;

use super::{Actor, Admin, AdminError, NoRandomness};
use crate::registry::{Identity, IdentityField, IdentityOverview, RegistryError, Secret, generation_of_hash};

/// Whoever changes the same in the same moment has to go one after the other.
const ATTEMPTS: usize = 6;

/// Secrets that an application may have: each is tried for every player who is looked for.
const MAX_SECRETS: usize = 32;

impl Admin {
    /// How an application has ids hashed.
    pub async fn identity(&self, application: Uuid) -> Result<IdentityOverview, AdminError> {
        Ok(IdentityOverview::of(application, self.kept(application).await?.as_ref()))
    }

    /// `None`: it never had any.
    async fn kept(&self, application: Uuid) -> Result<Option<Identity>, AdminError> {
        self.registry.get_application(application).await?;
        Ok(self.books.identity(application).await?)
    }

    /// From now on these ids are hashed, and no others. The first time, a secret is made.
    pub async fn hash_fields(
        &self,
        actor: &Actor,
        application: Uuid,
        fields: &[IdentityField],
    ) -> Result<IdentityOverview, AdminError> {
        let fields: Vec<IdentityField> = IdentityField::ALL.into_iter().filter(|one| fields.contains(one)).collect();
        let changed = self.change_identity(application, |identity| {
            identity.fields.clone_from(&fields);
            Ok(())
        });
        let identity = changed.await?;
        let named: Vec<&str> = identity.fields.iter().map(|field| field.as_str()).collect();
        let named = match named.as_slice() {
            [] => "nothing is hashed".to_owned(),
            named => format!("{} with generation {}", named.join(", "), generation(&identity)),
        };
        self.note(actor, "identity.fields", Some(application), None, named).await?;
        Ok(IdentityOverview::of(application, Some(&identity)))
    }

    /// From now on ids are hashed with a new secret: everybody has another hash than before. Earlier secrets are kept, so
    /// that what they have hashed can be found, unless they are to be forgotten.
    ///
    /// # Errors
    /// If there are too many, or a player is suppressed by a hash that nothing could be held against any more.
    pub async fn rotate_identity(
        &self,
        actor: &Actor,
        application: Uuid,
        forget_earlier: bool,
    ) -> Result<IdentityOverview, AdminError> {
        let held = if forget_earlier { self.suppressed_by_hash(application).await? } else { Vec::new() };
        let changed = self.change_identity(application, |identity| {
            if let Some(held) = held.iter().find(|held| identity.secrets.iter().any(|one| one.generation() == **held)) {
                let problem = format!(
                    "a player is suppressed by a hash of generation {held}, and events of theirs would be kept again: \
                     suppress them by their id, or take them off the list, first"
                );
                return Err(RegistryError::Invalid { field: "forget_earlier", problem }.into());
            }
            let secret = Secret::generate(generation(identity) + 1).map_err(NoRandomness::from)?;
            if forget_earlier {
                identity.secrets.clear();
            } else if identity.secrets.len() >= MAX_SECRETS {
                let problem = format!("there are {MAX_SECRETS} secrets already: have the earlier ones forgotten");
                return Err(RegistryError::Invalid { field: "forget_earlier", problem }.into());
            }
            identity.secrets.push(secret);
            Ok(())
        });
        let identity = changed.await?;
        let forgotten = if forget_earlier { ", earlier ones forgotten" } else { "" };
        let detail = format!("generation {}{forgotten}", generation(&identity));
        self.note(actor, "identity.rotate", Some(application), None, detail).await?;
        Ok(IdentityOverview::of(application, Some(&identity)))
    }

    /// Every id under which events of a player, a session or a device may be stored: itself, and its hashes, newest first.
    /// That it was asked is written down, since it tells whose a hash is.
    pub async fn stored_ids(&self, actor: &Actor, application: Uuid, id: &str) -> Result<Vec<String>, AdminError> {
        self.check_audit().await?;
        let identity = self.kept(application).await?;
        let ids = ids(identity.as_ref(), id);
        self.note(actor, "identity.ids", Some(application), Some(super::books::masked(id)), String::new()).await?;
        Ok(ids)
    }

    /// The same, for the gateway's own use: nobody is told. `None`: the application is gone, and with it its secrets.
    pub(super) async fn ids_of(&self, application: Uuid, id: &str) -> Result<Option<Vec<String>>, RegistryError> {
        let identity = self.books.identity(application).await?;
        // Asked for last: its secrets go with it in one act, so while it is there they were not taken away.
        match self.registry.get_application(application).await {
            Ok(_) => Ok(Some(ids(identity.as_ref(), id))),
            Err(RegistryError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The generations of the hashes by which players are suppressed.
    async fn suppressed_by_hash(&self, application: Uuid) -> Result<Vec<u32>, RegistryError> {
        let suppressed = self.books.suppressions(Some(application)).await?;
        Ok(suppressed.iter().filter_map(|one| generation_of_hash(one.player_id.as_bytes())).collect())
    }

    async fn change_identity(
        &self,
        application: Uuid,
        change: impl Fn(&mut Identity) -> Result<(), AdminError>,
    ) -> Result<Identity, AdminError> {
        self.check_audit().await?;
        for _ in 0..ATTEMPTS {
            let mut identity = match self.kept(application).await? {
                Some(identity) => identity,
                None => Identity {
                    application_id: application,
                    version: 0,
                    fields: Vec::new(),
                    secrets: vec![Secret::generate(1).map_err(NoRandomness::from)?],
                    changed_at_ms: 0,
                },
            };
            change(&mut identity)?;
            identity.version += 1;
            identity.changed_at_ms = self.clock.wall_ms();
            if self.books.put_identity(&identity).await? {
                return Ok(identity);
            }
        }
        Err(RegistryError::Unavailable("somebody else is changing the same: try again".into()).into())
    }
}

/// Where nothing was ever hashed, an id is stored as itself.
fn ids(identity: Option<&Identity>, id: &str) -> Vec<String> {
    identity.map_or_else(|| vec![id.to_owned()], |identity| identity.ids_of(id))
}

/// Of the secret that hashes.
fn generation(identity: &Identity) -> u32 {
    identity.secrets.last().map_or(0, Secret::generation)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tempfile::TempDir;

    use super::*;
    use crate::admin::Via;
    use crate::clock::Clock;
    use crate::registry::{AuditQuery, NewApplication, SqliteRegistry};

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

    #[tokio::test]
    async fn hashing_is_turned_on_and_off_and_the_secret_stays() {
        let (_folder, admin, actor, id) = admin().await;
        assert_eq!(admin.identity(id).await.expect("is asked"), IdentityOverview::of(id, None));
        let before = admin.books.revisions().await.expect("is asked");
        let both = [IdentityField::Device, IdentityField::PlayerId, IdentityField::Device];
        let on = admin.hash_fields(&actor, id, &both).await.expect("turns on");
        assert_eq!(on.fields, [IdentityField::PlayerId, IdentityField::Device]);
        assert_ne!(admin.books.revisions().await.expect("is asked"), before, "gateways read it again");
        let off = admin.hash_fields(&actor, id, &[]).await.expect("turns off");
        assert!(off.fields.is_empty() && off.generations == [1]);
        let secrets = admin.kept(id).await.expect("is asked").expect("it is kept").secrets;
        let again = admin.hash_fields(&actor, id, &both).await.expect("turns on");
        assert_eq!(admin.identity(id).await.expect("is asked"), again);
        let kept = admin.kept(id).await.expect("is asked").expect("it is kept");
        assert_eq!((kept.version, kept.secrets), (3, secrets), "a player keeps the hash");
        let nobody = Uuid::from_u128(7);
        assert!(admin.hash_fields(&actor, nobody, &both).await.is_err());
    }

    #[tokio::test]
    async fn a_new_secret_keeps_the_earlier_ones_until_they_are_to_be_forgotten() {
        let (_folder, admin, actor, id) = admin().await;
        admin.hash_fields(&actor, id, &[IdentityField::PlayerId]).await.expect("turns on");
        let first = admin.stored_ids(&actor, id, "anna").await.expect("tells");
        assert!(first.len() == 2 && first[0] == "anna" && first[1].starts_with("h1-"), "{first:?}");
        admin.rotate_identity(&actor, id, false).await.expect("rotates");
        let both = admin.stored_ids(&actor, id, "anna").await.expect("tells");
        assert!(both.len() == 3 && both[1].starts_with("h2-") && both[2] == first[1], "{both:?}");
        admin.rotate_identity(&actor, id, true).await.expect("rotates");
        let last = admin.stored_ids(&actor, id, "anna").await.expect("tells");
        assert!(last.len() == 2 && last[1].starts_with("h3-"), "{last:?}");
        assert_eq!(admin.ids_of(id, "anna").await.expect("tells"), Some(last));

        let entries = admin.audit(&AuditQuery { limit: 100, ..AuditQuery::default() }).await.expect("lists");
        let acts: Vec<_> = entries.iter().map(|entry| entry.act.as_str()).take(6).collect();
        let expected =
            ["identity.ids", "identity.rotate", "identity.ids", "identity.rotate", "identity.ids", "identity.fields"];
        assert_eq!(acts, expected);
        assert!(entries.iter().all(|entry| !format!("{entry:?}").contains("anna")), "{entries:?}");
    }

    #[tokio::test]
    async fn a_secret_that_a_suppressed_players_hash_needs_is_not_forgotten() {
        let (_folder, admin, actor, id) = admin().await;
        admin.hash_fields(&actor, id, &[IdentityField::PlayerId]).await.expect("turns on");
        let hash = admin.stored_ids(&actor, id, "anna").await.expect("tells").remove(1);
        admin.suppress(&actor, id, &hash).await.expect("suppresses");
        admin.rotate_identity(&actor, id, false).await.expect("rotates");
        let error = admin.rotate_identity(&actor, id, true).await.expect_err("it is needed");
        assert!(error.to_string().contains("generation 1"), "{error}");
        assert_eq!(admin.identity(id).await.expect("is asked").generations, [1, 2]);
        admin.unsuppress(&actor, id, &hash).await.expect("takes off");
        admin.suppress(&actor, id, "anna").await.expect("suppresses");
        admin.rotate_identity(&actor, id, true).await.expect("nothing needs it any more");
    }

    #[tokio::test]
    async fn secrets_are_limited_and_go_with_the_application() {
        let (_folder, admin, actor, id) = admin().await;
        for _ in 1..MAX_SECRETS {
            admin.rotate_identity(&actor, id, false).await.expect("rotates");
        }
        let error = admin.rotate_identity(&actor, id, false).await.expect_err("there are enough");
        assert!(error.to_string().contains("forgotten"), "{error}");
        admin.rotate_identity(&actor, id, true).await.expect("rotates");
        admin.delete_application(&actor, id).await.expect("deletes");
        assert_eq!(admin.books.identities().await.expect("lists").readable, []);
        assert_eq!(admin.ids_of(id, "anna").await.expect("tells"), None);
    }
}
