//! Pages of a list. A page's token says after which item the next page begins, so that what is made or deleted between two
//! pages neither shifts an item out of sight nor shows it twice.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

use super::wire::invalid;
use crate::registry::RegistryError;

const DEFAULT_SIZE: usize = 100;
const MAX_SIZE: i32 = 1_000;

/// The lists, which do not understand each other's tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum List {
    Applications,
    Authorizations,
    AuditEntries,
    SuppressedPlayers,
    PlayerDeletions,
}

/// An item's place in its list: by time, and by id where times are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) at_ms: i64,
    pub(super) id: Uuid,
}

/// Which part of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Page {
    list: List,
    pub(super) size: usize,
    /// The last item of the page before.
    pub(super) after: Option<Place>,
}

impl Page {
    /// What a request asks for.
    ///
    /// # Errors
    /// [`RegistryError::Invalid`].
    pub(super) fn asked(list: List, size: i32, token: &str) -> Result<Self, RegistryError> {
        let size = match size {
            0 => DEFAULT_SIZE,
            1..=MAX_SIZE => usize::try_from(size).unwrap_or(DEFAULT_SIZE),
            _ => return Err(invalid("page_size", "must be 1 to 1000, or 0 for 100")),
        };
        let after = if token.is_empty() { None } else { Some(Place::parse(list, token)?) };
        Ok(Self { list, size, after })
    }

    /// Its items, of all there are, and the token of the page after it; an empty one after the last page.
    pub(super) fn of<T>(self, mut all: Vec<T>, place: impl Fn(&T) -> Place) -> (Vec<T>, String) {
        all.sort_by_key(&place);
        let first = self.after.map_or(0, |after| all.partition_point(|item| place(item) <= after));
        let mut items = all.split_off(first);
        let is_last = items.len() <= self.size;
        items.truncate(self.size);
        let next = if is_last { String::new() } else { self.next(items.last().map(place)) };
        (items, next)
    }

    /// The token of the page after the one that ends with this item.
    pub(super) fn next(self, last: Option<Place>) -> String {
        last.map(|last| last.token(self.list)).unwrap_or_default()
    }
}

impl Place {
    fn token(self, list: List) -> String {
        let mut bytes = vec![list.number()];
        bytes.extend_from_slice(&self.at_ms.to_be_bytes());
        bytes.extend_from_slice(self.id.as_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    fn parse(list: List, token: &str) -> Result<Self, RegistryError> {
        let place = || {
            let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
            let (number, bytes) = bytes.split_first()?;
            let (at_ms, id) = bytes.split_first_chunk()?;
            let place = Self { at_ms: i64::from_be_bytes(*at_ms), id: Uuid::from_slice(id).ok()? };
            (*number == list.number()).then_some(place)
        };
        place().ok_or_else(|| invalid("page_token", "must be the next_page_token of an answer to the same call"))
    }
}

impl List {
    const fn number(self) -> u8 {
        match self {
            Self::Applications => 1,
            Self::Authorizations => 2,
            Self::AuditEntries => 3,
            Self::SuppressedPlayers => 4,
            Self::PlayerDeletions => 5,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(item: &u128) -> Place {
        // Two items at each moment.
        Place { at_ms: i64::try_from(*item / 2).expect("small"), id: Uuid::from_u128(*item) }
    }

    fn page(size: i32, token: &str) -> Page {
        Page::asked(List::Applications, size, token).expect("a page")
    }

    #[test]
    fn pages_put_together_are_the_list() {
        for size in [1, 3, 9, 10, 11, 0] {
            let mut token = String::new();
            let mut seen = Vec::new();
            loop {
                let (items, next) = page(size, &token).of((0..10_u128).rev().collect(), place);
                seen.extend(items);
                if next.is_empty() {
                    break;
                }
                token = next;
            }
            assert_eq!(seen, (0..10).collect::<Vec<_>>(), "pages of {size}");
        }
        assert_eq!(page(5, "").of(Vec::new(), place), (Vec::new(), String::new()));
    }

    #[test]
    fn what_comes_and_goes_between_pages_moves_nothing() {
        let (first, token) = page(3, "").of(vec![2, 4, 6, 8], place);
        assert_eq!(first, [2, 4, 6]);
        let (second, end) = page(3, &token).of(vec![1, 4, 8, 9], place);
        assert_eq!((second, end.as_str()), (vec![8, 9], ""));
    }

    #[test]
    fn a_page_that_can_not_be_is_refused() {
        let refused =
            |size, token: &str| Page::asked(List::Applications, size, token).map(|_| ()).expect_err("refused");
        for size in [-1, 1_001, i32::MIN] {
            assert!(refused(size, "").to_string().starts_with("page_size"));
        }
        let (_, foreign) = Page::asked(List::Authorizations, 1, "").expect("a page").of(vec![1, 2], place);
        for token in ["x", "not base64!", "AAAA", foreign.as_str()] {
            assert!(refused(1, token).to_string().starts_with("page_token"), "{token}");
        }
    }
}
