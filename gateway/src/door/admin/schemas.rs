//! The calls that are about schemas of event types.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use headgate_proto::admin::v1 as message;
use headgate_proto::admin::v1::*;

use super::wire::{self, invalid};
use crate::admin::{Actor, Admin, AdminError};
use crate::registry::{RegistryError, Schema, SchemaMode};

type Answer<T> = Result<T, AdminError>;

/// Schemas in one answer, of at most 64 KiB each: clients take messages of 4 MiB.
const MAX_PAGE: i32 = 50;

pub(super) async fn put(admin: Arc<Admin>, actor: Actor, asked: PutSchemaRequest) -> Answer<PutSchemaResponse> {
    let id = wire::id("application_id", &asked.application_id)?;
    let put = admin.put_schema(&actor, id, &asked.event_type, mode(asked.mode)?, &asked.schema).await?;
    Ok(PutSchemaResponse { schema: Some(schema_message(put)) })
}

pub(super) async fn list(admin: Arc<Admin>, _: Actor, asked: ListSchemasRequest) -> Answer<ListSchemasResponse> {
    let id = wire::id("application_id", &asked.application_id)?;
    let page = Page::asked(asked.page_size, &asked.page_token)?;
    let (schemas, next_page_token) = page.of(admin.schemas(Some(id)).await?, |schema| schema.event_type.clone());
    Ok(ListSchemasResponse { schemas, next_page_token })
}

pub(super) async fn list_versions(
    admin: Arc<Admin>,
    _: Actor,
    asked: ListSchemaVersionsRequest,
) -> Answer<ListSchemaVersionsResponse> {
    let id = wire::id("application_id", &asked.application_id)?;
    let page = Page::asked(asked.page_size, &asked.page_token)?;
    let versions = admin.schema_versions(id, &asked.event_type).await?;
    let (schemas, next_page_token) = page.of(versions, |schema| format!("{:010}", u32::MAX - schema.version));
    Ok(ListSchemaVersionsResponse { schemas, next_page_token })
}

pub(super) async fn update(
    admin: Arc<Admin>,
    actor: Actor,
    asked: UpdateSchemaRequest,
) -> Answer<UpdateSchemaResponse> {
    let id = wire::id("application_id", &asked.application_id)?;
    let mode = mode(asked.mode)?.ok_or_else(|| invalid("mode", MODES))?;
    let updated = admin.set_schema_mode(&actor, id, &asked.event_type, mode).await?;
    Ok(UpdateSchemaResponse { schema: Some(schema_message(updated)) })
}

pub(super) async fn delete(
    admin: Arc<Admin>,
    actor: Actor,
    asked: DeleteSchemaRequest,
) -> Answer<DeleteSchemaResponse> {
    let id = wire::id("application_id", &asked.application_id)?;
    Ok(DeleteSchemaResponse { deleted: admin.delete_schema(&actor, id, &asked.event_type).await? })
}

const MODES: &str = "must be one of SCHEMA_MODE_OFF, SCHEMA_MODE_WARN and SCHEMA_MODE_ENFORCE";

/// `None`: nothing is said of it.
fn mode(number: i32) -> Result<Option<SchemaMode>, RegistryError> {
    match message::SchemaMode::try_from(number) {
        Ok(message::SchemaMode::Unspecified) => Ok(None),
        Ok(message::SchemaMode::Off) => Ok(Some(SchemaMode::Off)),
        Ok(message::SchemaMode::Warn) => Ok(Some(SchemaMode::Warn)),
        Ok(message::SchemaMode::Enforce) => Ok(Some(SchemaMode::Enforce)),
        Err(_) => Err(invalid("mode", MODES)),
    }
}

pub(crate) fn mode_number(mode: Option<SchemaMode>) -> i32 {
    let known = match mode {
        None => message::SchemaMode::Unspecified,
        Some(SchemaMode::Off) => message::SchemaMode::Off,
        Some(SchemaMode::Warn) => message::SchemaMode::Warn,
        Some(SchemaMode::Enforce) => message::SchemaMode::Enforce,
    };
    known as i32
}

fn schema_message(schema: Schema) -> message::Schema {
    message::Schema {
        application_id: schema.application_id.to_string(),
        event_type: schema.event_type,
        version: schema.version,
        mode: mode_number(Some(schema.mode)),
        schema: schema.schema,
        created_at: Some(wire::timestamp(schema.created_at_ms)),
    }
}

/// What a gateway answered with.
///
/// # Errors
/// [`RegistryError::Invalid`] with the field that can't be understood.
pub(crate) fn schema(message: message::Schema) -> Result<Schema, RegistryError> {
    Ok(Schema {
        application_id: wire::id("application_id", &message.application_id)?,
        event_type: message.event_type,
        version: message.version,
        mode: mode(message.mode)?.ok_or_else(|| invalid("mode", MODES))?,
        schema: message.schema,
        created_at_ms: wire::optional_millis("created_at", message.created_at.as_ref())?.unwrap_or_default(),
    })
}

/// A part of a list whose items sort by a text.
struct Page {
    size: usize,
    after: Option<String>,
}

impl Page {
    fn asked(size: i32, token: &str) -> Result<Self, RegistryError> {
        let size = match size {
            0 => MAX_PAGE,
            1..=MAX_PAGE => size,
            _ => return Err(invalid("page_size", "must be 1 to 50, or 0 for 50")),
        };
        let after = URL_SAFE_NO_PAD.decode(token).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let after =
            after.ok_or_else(|| invalid("page_token", "must be the next_page_token of an answer to the same call"))?;
        Ok(Self { size: usize::try_from(size).unwrap_or(1), after: Some(after).filter(|after| !after.is_empty()) })
    }

    fn of(self, mut all: Vec<Schema>, place: impl Fn(&Schema) -> String) -> (Vec<message::Schema>, String) {
        all.sort_by_key(&place);
        let first = self.after.map_or(0, |after| all.partition_point(|schema| place(schema) <= after));
        let mut schemas = all.split_off(first);
        let is_last = schemas.len() <= self.size;
        schemas.truncate(self.size);
        let next = schemas.last().filter(|_| !is_last).map(|last| URL_SAFE_NO_PAD.encode(place(last)));
        (schemas.into_iter().map(schema_message).collect(), next.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn some_schema(event_type: &str, version: u32) -> Schema {
        Schema {
            application_id: Uuid::from_u128(7),
            event_type: event_type.to_owned(),
            version,
            mode: SchemaMode::Enforce,
            schema: "{}".to_owned(),
            created_at_ms: 1_700_000_000_123,
        }
    }

    #[test]
    fn a_schema_is_read_as_it_was_written() {
        for mode in SchemaMode::ALL {
            let one = Schema { mode, ..some_schema("login", 3) };
            assert_eq!(schema(schema_message(one.clone())).expect("is read"), one);
        }
        assert!(mode(9).is_err());
    }

    #[test]
    fn pages_put_together_are_the_list() {
        let all: Vec<Schema> = ["c", "a", "e", "b", "d"].map(|event_type| some_schema(event_type, 1)).into();
        for size in [1, 2, 5, 0] {
            let (mut token, mut seen) = (String::new(), Vec::new());
            loop {
                let page = Page::asked(size, &token).expect("a page");
                let (schemas, next) = page.of(all.clone(), |schema| schema.event_type.clone());
                seen.extend(schemas.into_iter().map(|schema| schema.event_type));
                if next.is_empty() {
                    break;
                }
                token = next;
            }
            assert_eq!(seen, ["a", "b", "c", "d", "e"], "pages of {size}");
        }
        for (size, token) in [(-1, ""), (51, ""), (1, "not base64!")] {
            assert!(Page::asked(size, token).is_err(), "{size} {token}");
        }
    }
}
