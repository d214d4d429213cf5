//! Deletions of players' data, which only a gateway has.

use headgate_proto::admin::v1 as wire;
use uuid::Uuid;

use super::{BackendError, PAGE, Remote, answer, understood};
use crate::admin::erasures::Erasure;
use crate::door::admin::wire as codec;

impl Remote {
    /// Suppresses a player and has the gateway delete what it has stored of them.
    pub(in crate::cli) async fn delete_player(
        &self,
        application: Uuid,
        player_id: &str,
    ) -> Result<Erasure, BackendError> {
        let application_id = application.to_string();
        let asked = wire::DeletePlayerDataRequest { application_id, player_id: player_id.to_owned() };
        erasure(answer(self.client().delete_player_data(self.request(asked)).await)?.deletion)
    }

    /// One deletion.
    pub(in crate::cli) async fn deletion(&self, id: Uuid) -> Result<Erasure, BackendError> {
        let asked = wire::GetPlayerDeletionRequest { deletion_id: id.to_string() };
        erasure(answer(self.client().get_player_deletion(self.request(asked)).await)?.deletion)
    }

    /// Every deletion, oldest first.
    pub(in crate::cli) async fn deletions(&self, application: Option<Uuid>) -> Result<Vec<Erasure>, BackendError> {
        let mut found = Vec::new();
        let mut page_token = String::new();
        loop {
            let application_id = application.map(|id| id.to_string()).unwrap_or_default();
            let asked = wire::ListPlayerDeletionsRequest { application_id, page_size: PAGE, page_token };
            let page = answer(self.client().list_player_deletions(self.request(asked)).await)?;
            for message in page.deletions {
                found.push(understood(codec::erasure(message))?);
            }
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return Ok(found);
            }
        }
    }
}

fn erasure(message: Option<wire::PlayerDeletion>) -> Result<Erasure, BackendError> {
    understood(codec::erasure(message.ok_or_else(|| BackendError::lacks("deletion"))?))
}
