//! Events that are stored, for whoever wants to know which.

use std::fmt;

use bytes::Bytes;
use headgate_proto::v1;
use prost::Message;
use uuid::Uuid;

use crate::wire;

/// Events that the gateway has stored, of one batch. Keeping it keeps the batch in memory, beyond what the client may take.
#[derive(Clone)]
pub struct Stored {
    pub(crate) batch: Bytes,
    /// Places of the batch's events that are not among them, ascending.
    pub(crate) except: Vec<u32>,
    pub(crate) events: u32,
}

impl Stored {
    /// How many they are; one at least.
    #[must_use]
    #[allow(clippy::len_without_is_empty, reason = "never empty")]
    pub fn len(&self) -> usize {
        self.events as usize
    }

    /// Their ids, in the order in which they were given.
    pub fn ids(&self) -> impl Iterator<Item = Uuid> + '_ {
        self.framed().filter_map(|event| wire::event_id(&event))
    }

    /// The events as they were sent. Their bytes are their batch's: keeping one keeps the batch in memory.
    pub fn iter(&self) -> impl Iterator<Item = v1::Event> + '_ {
        // What this client has written it can read.
        self.framed().map(|event| v1::Event::decode(event).unwrap_or_default())
    }

    fn framed(&self) -> impl Iterator<Item = Bytes> + '_ {
        let mut except = self.except.iter().copied().peekable();
        let places = wire::events(&self.batch).zip(0_u32..);
        places.filter(move |(_, place)| except.next_if_eq(place).is_none()).map(|(framed, _)| framed.event)
    }
}

impl fmt::Debug for Stored {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Stored").field("events", &self.events).finish_non_exhaustive()
    }
}
