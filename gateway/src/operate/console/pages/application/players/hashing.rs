//! Which ids are hashed before anything of an event is kept.

use maud::{Markup, html};

use crate::operate::console::components::tick;
use crate::operate::console::fields::Fields;
use crate::operate::console::layout::form_token;
use crate::operate::console::pages::overview::act;
use crate::operate::console::session::Session;
use crate::operate::console::words;
use crate::registry::{IdentityField, IdentityOverview};

pub(super) fn section(session: &Session, players: &str, identity: &IdentityOverview) -> Markup {
    html! {
        section .card aria-labelledby="hashing" {
            h2 #hashing { "Hashed ids" }
            p { "The ids that are ticked are hashed, with a secret of this application, before anything of an event is kept. What \
                 is stored already stays as it is." }
            @if let (Some(newest), Some(at)) = (identity.generations.last(), identity.changed_at_ms) {
                p { "Secret number " (newest) ", since " (words::moment(at)) ". Players are suppressed and deleted by the id that \
                     the game knows." }
            }
            form .form method="post" action={ (players) "/hash" } {
                (form_token(session))
                @for field in IdentityField::ALL {
                    (tick(box_of(field), &format!("event_data.{field}"), identity.fields.contains(&field)))
                }
                button { "Change" span .unseen { " which ids are hashed" } }
            }
            @if !identity.generations.is_empty() {
                p { "With a new secret everybody has another hash: who plays on counts as a new player. " code { "headgate \
                     identity rotate --forget-earlier" } " destroys the earlier ones as well." }
                (act(session, &format!("{players}/rotate"), "Hash with a new secret", "", &[]))
            }
        }
    }
}

/// The fields that are ticked.
pub(super) fn ticked(fields: &Fields) -> Vec<IdentityField> {
    IdentityField::ALL.into_iter().filter(|field| fields.ticked(box_of(*field))).collect()
}

/// The name of a field's box, which is not that of a player's id elsewhere on the page.
const fn box_of(field: IdentityField) -> &'static str {
    match field {
        IdentityField::PlayerId => "hash_player_id",
        IdentityField::SessionId => "hash_session_id",
        IdentityField::Device => "hash_device",
    }
}
