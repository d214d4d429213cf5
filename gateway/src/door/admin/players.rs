//! The calls about players: whose events are not kept, and the deletion of what is stored of them.

use std::sync::Arc;

use headgate_proto::admin::v1::*;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::page::{List, Page, Place};
use super::wire;
use crate::admin::erasures::{Erasure, Erasures};
use crate::admin::{Actor, Admin, AdminError};
use crate::registry::Suppression;

type Answer<T> = Result<T, AdminError>;

pub(super) async fn suppress(
    admin: Arc<Admin>,
    actor: Actor,
    asked: SuppressPlayerRequest,
) -> Answer<SuppressPlayerResponse> {
    let application = wire::id("application_id", &asked.application_id)?;
    let suppression = admin.suppress(&actor, application, &asked.player_id).await?;
    Ok(SuppressPlayerResponse { player: Some(wire::suppression_message(suppression)) })
}

pub(super) async fn unsuppress(
    admin: Arc<Admin>,
    actor: Actor,
    asked: UnsuppressPlayerRequest,
) -> Answer<UnsuppressPlayerResponse> {
    let application = wire::id("application_id", &asked.application_id)?;
    let unsuppressed = admin.unsuppress(&actor, application, &asked.player_id).await?;
    Ok(UnsuppressPlayerResponse { unsuppressed })
}

pub(super) async fn list_suppressed(
    admin: Arc<Admin>,
    _: Actor,
    asked: ListSuppressedPlayersRequest,
) -> Answer<ListSuppressedPlayersResponse> {
    let application = wire::optional_id("application_id", &asked.application_id)?;
    let page = Page::asked(List::SuppressedPlayers, asked.page_size, &asked.page_token)?;
    let (players, next_page_token) = page.of(admin.suppressions(application).await?, place_of);
    let players = players.into_iter().map(wire::suppression_message).collect();
    Ok(ListSuppressedPlayersResponse { players, next_page_token })
}

/// A suppression has no id of its own: one is made of what it is, the same each time.
fn place_of(one: &Suppression) -> Place {
    let hash =
        Sha256::new().chain_update(one.application_id.as_bytes()).chain_update(one.player_id.as_bytes()).finalize();
    let mut id = [0; 16];
    id.copy_from_slice(&hash[..16]);
    Place { at_ms: one.since_ms, id: Uuid::new_v8(id) }
}

pub(super) async fn delete_data(
    erasures: Arc<Erasures>,
    actor: Actor,
    asked: DeletePlayerDataRequest,
) -> Answer<DeletePlayerDataResponse> {
    let application = wire::id("application_id", &asked.application_id)?;
    let erasure = erasures.ask(&actor, application, &asked.player_id).await?;
    Ok(DeletePlayerDataResponse { deletion: Some(wire::erasure_message(erasure)) })
}

pub(super) async fn get_deletion(
    erasures: Arc<Erasures>,
    asked: GetPlayerDeletionRequest,
) -> Answer<GetPlayerDeletionResponse> {
    let erasure = erasures.get(wire::id("deletion_id", &asked.deletion_id)?)?;
    Ok(GetPlayerDeletionResponse { deletion: Some(wire::erasure_message(erasure)) })
}

pub(super) async fn list_deletions(
    erasures: Arc<Erasures>,
    asked: ListPlayerDeletionsRequest,
) -> Answer<ListPlayerDeletionsResponse> {
    let application = wire::optional_id("application_id", &asked.application_id)?;
    let page = Page::asked(List::PlayerDeletions, asked.page_size, &asked.page_token)?;
    let place = |one: &Erasure| Place { at_ms: one.asked_at_ms, id: one.id };
    let (erasures, next_page_token) = page.of(erasures.list(application), place);
    let deletions = erasures.into_iter().map(wire::erasure_message).collect();
    Ok(ListPlayerDeletionsResponse { deletions, next_page_token })
}
