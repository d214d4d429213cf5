//! Players over the wire: suppressed, listed in pages, and deleted.

use super::*;

impl Office {
    async fn suppress(&self, application_id: &str, player_id: &str) -> Result<SuppressedPlayer, Status> {
        let (application_id, player_id) = (application_id.to_owned(), player_id.to_owned());
        let asked = SuppressPlayerRequest { application_id, player_id };
        let answer = self.client.clone().suppress_player(self.request(asked)).await?;
        Ok(answer.into_inner().player.expect("a player"))
    }

    async fn delete(&self, application_id: &str, player_id: &str) -> Result<PlayerDeletion, Status> {
        let (application_id, player_id) = (application_id.to_owned(), player_id.to_owned());
        let asked = DeletePlayerDataRequest { application_id, player_id };
        let answer = self.client.clone().delete_player_data(self.request(asked)).await?;
        Ok(answer.into_inner().deletion.expect("a deletion"))
    }

    async fn suppressed(&self, application_id: &str) -> Vec<SuppressedPlayer> {
        let mut players = Vec::new();
        let mut page_token = String::new();
        loop {
            let application_id = application_id.to_owned();
            let asked = ListSuppressedPlayersRequest { application_id, page_size: 1, page_token };
            let answer = self.client.clone().list_suppressed_players(self.request(asked)).await.expect("lists");
            let answer = answer.into_inner();
            players.extend(answer.players);
            page_token = answer.next_page_token;
            if page_token.is_empty() {
                return players;
            }
        }
    }

    async fn deletions(&self, application_id: &str) -> Vec<PlayerDeletion> {
        let asked = ListPlayerDeletionsRequest { application_id: application_id.to_owned(), ..Default::default() };
        let answer = self.client.clone().list_player_deletions(self.request(asked)).await.expect("lists");
        answer.into_inner().deletions
    }
}

#[tokio::test]
async fn a_suppressed_player_is_listed_until_that_is_taken_back() {
    let office = Office::open().await;
    let id = office.create("Skyfall").await.application_id;
    let mut suppressed = Vec::new();
    for player in ["a", "b", "c"] {
        suppressed.push(office.suppress(&id, player).await.expect("suppresses"));
    }
    assert_eq!(office.suppress(&id, "a").await.expect("is once").suppressed_at, suppressed[0].suppressed_at);
    let mut listed = office.suppressed(&id).await;
    assert_eq!(listed.len(), 3);
    listed.sort_by(|one, other| one.player_id.cmp(&other.player_id));
    assert_eq!(listed, suppressed);
    for unsuppressed in [true, false] {
        let asked = UnsuppressPlayerRequest { application_id: id.clone(), player_id: "b".to_owned() };
        let answer = office.client.clone().unsuppress_player(office.request(asked)).await.expect("is done");
        assert_eq!(answer.into_inner().unsuppressed, unsuppressed);
    }
    assert_eq!(office.suppressed("").await.len(), 2);
    let refused = office.suppress(&Uuid::nil().to_string(), "a").await.expect_err("no such application");
    assert_eq!(refused.code(), Code::NotFound);
    assert_eq!(office.suppress(&id, "").await.expect_err("no player").code(), Code::InvalidArgument);
    office.gateway.stop().await;
}

#[tokio::test]
async fn a_deletion_is_answered_once_it_is_written_down_and_can_be_followed() {
    let office = Office::open().await;
    let id = office.create("Skyfall").await.application_id;
    let asked = office.delete(&id, "a-player").await.expect("is taken");
    assert_eq!((asked.application_id.as_str(), asked.player_id.as_str(), &asked.report), (&*id, "a-player", &None));
    assert_eq!((asked.actor.as_str(), asked.via.as_str()), ("admin-token", "grpc"));
    assert_eq!(office.suppressed(&id).await.len(), 1);
    let request = GetPlayerDeletionRequest { deletion_id: asked.deletion_id.clone() };
    let answer = office.client.clone().get_player_deletion(office.request(request)).await.expect("is there");
    let now = answer.into_inner().deletion.expect("a deletion");
    assert_eq!((&now.deletion_id, now.finished_at), (&asked.deletion_id, None), "it waits for other gateways");
    assert_eq!(office.deletions("").await.len(), 1);
    assert_eq!(office.deletions(&Uuid::nil().to_string()).await, []);
    assert_eq!(acts(&office.audit(&id).await), ["application.create", "player.suppress", "player.delete"]);

    let missing = GetPlayerDeletionRequest { deletion_id: Uuid::nil().to_string() };
    let refused = office.client.clone().get_player_deletion(office.request(missing)).await.expect_err("no such one");
    assert_eq!(refused.code(), Code::NotFound);
    let refused = office.client.clone().delete_player_data(DeletePlayerDataRequest::default()).await;
    assert_eq!(refused.expect_err("no token").code(), Code::Unauthenticated);
    let path = office._folder.path().join("erasures");
    office.gateway.stop().await;
    assert_eq!(std::fs::read_dir(path).expect("lists").count(), 1, "the next start does it");
}
