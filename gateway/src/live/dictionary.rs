//! Names of an application that are told apart: so many, the rest is `(other)`. A name that was not seen for as long as
//! minutes are kept makes room for another one.

/// Stands for every name that is not told apart.
pub(super) const OTHER: u16 = 0;
/// Stands for an event without the name.
pub(super) const NONE: u16 = 1;
/// How [`OTHER`] is shown.
pub(super) const OTHER_NAME: &str = "(other)";
const NONE_NAME: &str = "(none)";
/// Longer names are not told apart.
const MAX_LEN: usize = 128;
const FIRST: usize = 2;

/// Numbers for names.
pub(super) struct Dictionary {
    limit: usize,
    names: Vec<Option<Name>>,
}

struct Name {
    text: Box<str>,
    // The minute of the gateway's clock in which it was seen last.
    seen: i64,
}

impl Dictionary {
    pub(super) fn new(limit: u32) -> Self {
        Self { limit: limit as usize, names: Vec::new() }
    }

    /// The name's number, a new one where there is room.
    pub(super) fn id(&mut self, name: &[u8], minute: i64) -> u16 {
        if name.len() > MAX_LEN {
            return OTHER;
        }
        let mut free = None;
        for (place, known) in self.names.iter_mut().enumerate() {
            match known {
                Some(known) if known.text.as_bytes() == name => {
                    known.seen = known.seen.max(minute);
                    return id_of(place);
                }
                Some(_) => {}
                None => free = free.or(Some(place)),
            }
        }
        let Ok(text) = std::str::from_utf8(name) else { return OTHER };
        let name = Some(Name { text: text.into(), seen: minute });
        match free {
            Some(place) => {
                self.names[place] = name;
                id_of(place)
            }
            None if self.names.len() < self.limit => {
                self.names.push(name);
                id_of(self.names.len() - 1)
            }
            None => OTHER,
        }
    }

    /// What a number stands for.
    pub(super) fn name(&self, id: u16) -> &str {
        match id {
            OTHER => OTHER_NAME,
            NONE => NONE_NAME,
            id => {
                let name = self.names.get(usize::from(id) - FIRST).and_then(Option::as_ref);
                name.map_or(OTHER_NAME, |name| &name.text)
            }
        }
    }

    /// The numbers of names that were not seen since before a minute.
    pub(super) fn unseen_since(&self, minute: i64) -> Vec<u16> {
        let unseen = |(place, name): (usize, &Option<Name>)| {
            name.as_ref().is_some_and(|name| name.seen < minute).then(|| id_of(place))
        };
        self.names.iter().enumerate().filter_map(unseen).collect()
    }

    /// A number may stand for another name.
    pub(super) fn free(&mut self, id: u16) {
        if let Some(name) = usize::from(id).checked_sub(FIRST).and_then(|place| self.names.get_mut(place)) {
            *name = None;
        }
    }
}

fn id_of(place: usize) -> u16 {
    // Settings allow 1,000 names.
    u16::try_from(place + FIRST).unwrap_or(OTHER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_names_are_told_apart_and_old_ones_make_room() {
        let mut names = Dictionary::new(2);
        let (one, two) = (names.id(b"1.0", 10), names.id(b"2.0", 20));
        assert_ne!(one, two);
        assert_eq!((names.id(b"3.0", 20), names.id(b"1.0", 15)), (OTHER, one));
        assert_eq!((names.name(one), names.name(OTHER), names.name(NONE)), ("1.0", "(other)", "(none)"));
        assert_eq!(names.unseen_since(15), [0_u16; 0]);
        assert_eq!(names.unseen_since(16), [one]);
        names.free(one);
        let three = names.id(b"3.0", 20);
        assert_eq!((three, names.name(three)), (one, "3.0"));
        assert_eq!(names.id(&[b'x'; 129], 20), OTHER);
    }
}
