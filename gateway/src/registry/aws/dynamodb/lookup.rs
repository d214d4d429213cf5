//! From a key's hash to whom it lets in.
//!
//! A key that nobody presented before is found through an index, by its hash or, where the AWS solution keeps it
//! readable, by itself; its row is then read consistently. From then on the row's place is known and keys in use are
//! read again by their primary keys, whoever may have changed them. A key is only ever unknown because DynamoDB said so.

use std::collections::{HashMap, HashSet};

use aws_sdk_dynamodb::types::AttributeValue;
use futures_util::future::try_join_all;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use uuid::Uuid;

use super::attributes::{Item, Reader, text};
use super::errors::explain;
use super::places::Place;
use super::rows::{self, KeyRow};
use super::{API_KEY_HASHES, API_KEY_VALUES, DynamoDbRegistry};
use crate::registry::{Application, KeyAnswer, KeyHash, KeyRecord, RegistryError};

/// Our own keys are never kept readable.
const OUR_PREFIX: &str = "hg_";
/// Hashes without a known place that are looked for at once.
const SEARCHES_AT_ONCE: usize = 16;

impl DynamoDbRegistry {
    /// Many keys by their hashes, in the order asked.
    pub(super) async fn look_up(&self, hashes: &[KeyHash]) -> Result<Vec<KeyAnswer>, RegistryError> {
        let places: Vec<Option<Place>> = hashes.iter().map(|hash| self.places.get(hash)).collect();
        let refreshed = self.read_places(places.iter().flatten().copied().collect()).await?;
        let search = |(hash, place): (KeyHash, Option<Place>)| {
            let known = place.map(|place| refreshed.answer(&hash, place));
            async move {
                match known {
                    Some(answer) => Ok(self.settle(&hash, answer)),
                    None => {
                        let found = match self.search(API_KEY_HASHES, "api_key_hash", &hash.to_string()).await {
                            Ok(places) => self.read_found(&hash, places).await,
                            Err(error) => Err(error),
                        };
                        match found {
                            // A bad row is that key's alone; anything else is the table's.
                            Err(error @ RegistryError::BadRow { .. }) => Ok(Err(error)),
                            found => found.map(Ok),
                        }
                    }
                }
            }
        };
        let asked: Vec<_> = hashes.iter().copied().zip(places).collect();
        stream::iter(asked).map(search).buffered(SEARCHES_AT_ONCE).try_collect().await
    }

    /// One key that was presented for the first time, or again after a while.
    pub(super) async fn look_up_presented(&self, hash: &KeyHash, presented: &str) -> KeyAnswer {
        if let Some(place) = self.places.get(hash)
            && let Some(record) = self.read_found(hash, vec![place]).await?
        {
            return Ok(Some(record));
        }
        let by_hash = self.search(API_KEY_HASHES, "api_key_hash", &hash.to_string()).await?;
        let found = self.read_found(hash, by_hash).await?;
        if found.is_some() || presented.starts_with(OUR_PREFIX) {
            return Ok(found);
        }
        let by_value = self.search(API_KEY_VALUES, "api_key_value", presented).await?;
        self.read_found(hash, by_value).await
    }

    /// Where an index says that rows of this value are. It may be behind by a moment.
    pub(super) async fn search(
        &self,
        index: &str,
        attribute: &'static str,
        value: &str,
    ) -> Result<Vec<Place>, RegistryError> {
        let place = |item: &Item| -> Result<Place, RegistryError> {
            let row = Reader::new(item, &self.authorizations, "api_key_id");
            Ok(Place { api_key: row.id("api_key_id")?, application: row.id("application_id")? })
        };
        let items = self.search_rows(index, attribute, value).await?;
        items.iter().map(place).collect::<Result<_, _>>().inspect_err(|error| self.bad_rows.note(error))
    }

    /// As [`Self::search`]: the rows as the index has them.
    pub(super) async fn search_rows(
        &self,
        index: &str,
        attribute: &'static str,
        value: &str,
    ) -> Result<Vec<Item>, RegistryError> {
        let answer = self
            .client
            .query()
            .table_name(&*self.authorizations)
            .index_name(index)
            .key_condition_expression("#wanted = :wanted")
            .expression_attribute_names("#wanted", attribute)
            .expression_attribute_values(":wanted", text(value))
            .send()
            .await
            .map_err(|error| explain(&self.authorizations, &error))?;
        Ok(answer.items.unwrap_or_default())
    }

    /// What these rows say now, read consistently. Where several are the key's, one that lets in comes first.
    async fn read_found(&self, hash: &KeyHash, places: Vec<Place>) -> KeyAnswer {
        let mut best: Option<KeyRecord> = None;
        for record in try_join_all(places.into_iter().map(|place| self.read_record(hash, place))).await? {
            let better = |record: &KeyRecord| {
                best.as_ref().is_none_or(|best| !best.authorization.enabled && record.authorization.enabled)
            };
            best = match record {
                Some(record) if better(&record) => Some(record),
                _ => best,
            };
        }
        self.settle(hash, Ok(best))
    }

    async fn read_record(&self, hash: &KeyHash, place: Place) -> KeyAnswer {
        let (table, key) = (&self.authorizations, rows::key_key(place.api_key, place.application));
        let Some(item) = self.read_row(table, key).await? else { return Ok(None) };
        let row = rows::key(&item, table).inspect_err(|error| self.bad_rows.note(error))?;
        if !row.hash.matches(hash) {
            return Ok(None);
        }
        let (table, key) = (&self.applications, rows::application_key(place.application));
        let Some(item) = self.read_row(table, key).await? else { return Ok(None) };
        let application = rows::application(&item, table).inspect_err(|error| self.bad_rows.note(error))?;
        Ok(Some(record(row, application)))
    }

    pub(super) async fn read_row(&self, table: &str, key: Item) -> Result<Option<Item>, RegistryError> {
        let answer = self.client.get_item().table_name(table).set_key(Some(key)).consistent_read(true).send().await;
        answer.map(|answer| answer.item).map_err(|error| explain(table, &error))
    }

    /// Remembers where a key's row is, or that it is nowhere. An error says nothing about that.
    fn settle(&self, hash: &KeyHash, answer: KeyAnswer) -> KeyAnswer {
        match &answer {
            Ok(Some(KeyRecord { authorization, .. })) => {
                let place = Place { api_key: authorization.api_key_id, application: authorization.application_id };
                self.places.put(*hash, place);
            }
            Ok(None) => self.places.forget(hash),
            Err(error) => self.bad_rows.note(error),
        }
        answer
    }

    async fn read_places(&self, places: Vec<Place>) -> Result<Refreshed, RegistryError> {
        let places: HashSet<Place> = places.into_iter().collect();
        let applications: HashSet<Uuid> = places.iter().map(|place| place.application).collect();
        let keys = places.iter().map(|place| (&self.authorizations, rows::key_key(place.api_key, place.application)));
        let applications = applications.into_iter().map(|id| (&self.applications, rows::application_key(id)));
        let found = self.get_rows(keys.chain(applications).collect()).await?;
        let mut refreshed = Refreshed::default();
        for item in found.keys {
            if let (Some(api_key), Some(application)) = (id_of(&item, "api_key_id"), id_of(&item, "application_id")) {
                refreshed.keys.insert(Place { api_key, application }, rows::key(&item, &self.authorizations));
            }
        }
        for item in found.applications {
            if let Some(id) = id_of(&item, "application_id") {
                refreshed.applications.insert(id, rows::application(&item, &self.applications));
            }
        }
        Ok(refreshed)
    }
}

/// Rows that were read again.
#[derive(Default)]
struct Refreshed {
    keys: HashMap<Place, Result<KeyRow, RegistryError>>,
    applications: HashMap<Uuid, Result<Application, RegistryError>>,
}

impl Refreshed {
    /// What they say of a key: gone, another's, or its record. Without its application, a key lets nobody in.
    fn answer(&self, hash: &KeyHash, place: Place) -> KeyAnswer {
        let Some(row) = self.keys.get(&place) else { return Ok(None) };
        let row = row.as_ref().map_err(Clone::clone)?;
        if !row.hash.matches(hash) {
            return Ok(None);
        }
        let Some(application) = self.applications.get(&place.application) else { return Ok(None) };
        let application = application.as_ref().map_err(Clone::clone)?;
        Ok(Some(record(row.clone(), application.clone())))
    }
}

fn record(row: KeyRow, application: Application) -> KeyRecord {
    KeyRecord { authorization: row.authorization, hash: row.hash, application }
}

/// An id by which a row was asked for: DynamoDB gives it back as it was sent.
fn id_of(item: &Item, attribute: &str) -> Option<Uuid> {
    item.get(attribute).and_then(|value| AttributeValue::as_s(value).ok()).and_then(|id| Uuid::try_parse(id).ok())
}
