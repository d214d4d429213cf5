//! What lets clients in: applications and keys, the tables that hold them, and a certificate.

use std::fs;
use std::path::Path;

use headgate::admission::key::ApiKey;
use headgate::registry::{NewApplication, NewAuthorization, Registry, Scopes};
use uuid::Uuid;

use crate::ministack::{self, MiniStack};

pub(crate) const CERTIFICATE: &str = "certificate.pem";
pub(crate) const PRIVATE_KEY: &str = "key.pem";

/// The names of a house's tables: houses share an emulator.
pub(crate) struct Tables {
    pub(crate) applications: String,
    pub(crate) authorizations: String,
    pub(crate) books: String,
}

impl Tables {
    pub(crate) fn of(seed: u64) -> Self {
        // A seed may be run twice at the same time.
        let own = format!("{seed}-{}", Uuid::new_v4().simple());
        let name = |what: &str| format!("{what}-{own}");
        Self { applications: name("applications"), authorizations: name("authorizations"), books: name("books") }
    }

    pub(crate) async fn create(&self, emulator: &MiniStack) {
        let client = emulator.dynamodb().await;
        let tables = ministack::Tables { applications: &self.applications, authorizations: &self.authorizations };
        ministack::create_tables(&client, tables).await;
        ministack::create_books(&client, &self.books).await;
    }
}

/// Registers an application; its id and a key.
pub(crate) async fn application(registry: &dyn Registry, name: &str, route: Option<&str>) -> (Uuid, String) {
    let route = route.map(|route| route.parse().expect("a route's name"));
    let new = NewApplication { name: name.to_owned(), route, ..NewApplication::default() };
    let application = registry.create_application(new).await.expect("the registry takes it");
    let key = ApiKey::generate().expect("the system has randomness");
    let new = NewAuthorization {
        application_id: application.application_id,
        name: name.to_owned(),
        description: None,
        hash: key.hash(),
        masked_key: key.masked(),
        expires_at_ms: None,
        scopes: Scopes::INGEST,
    };
    registry.create_authorization(new).await.expect("the registry takes it");
    (application.application_id, key.expose().to_owned())
}

/// Writes a certificate of `localhost` and its key into the folder; gives the certificate.
pub(crate) fn certificate(folder: &Path) -> String {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a good name");
    fs::write(folder.join(CERTIFICATE), made.cert.pem()).expect("it can be written");
    fs::write(folder.join(PRIVATE_KEY), made.signing_key.serialize_pem()).expect("it can be written");
    made.cert.pem()
}
