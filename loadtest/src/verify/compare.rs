//! Holds the ids of a destination against what a run expects.

use std::io;
use std::ops::RangeInclusive;

use uuid::Uuid;

use super::pile::Pile;
use super::{End, Expectation};
use crate::result::Verification;

/// Missing ids that are named.
const EXAMPLES: usize = 10;

/// Compares sorted ids with the expectation. [`Verification::destination`] is left empty.
#[must_use]
pub fn compare(sorted: &[u128], expectation: &dyn Expectation) -> Verification {
    let mut found = Verification::default();
    compare_range(&mut found, 0..=u128::MAX, sorted, expectation);
    found
}

/// The same for ids that need not fit into memory; the expectation is visited once for each range of the pile.
pub(super) fn compare_pile(pile: &mut Pile, expectation: &dyn Expectation) -> io::Result<Verification> {
    let mut found = Verification::default();
    pile.ranges(|range, sorted| compare_range(&mut found, range, sorted, expectation))?;
    Ok(found)
}

/// Adds what the ids of one range say.
fn compare_range(
    found: &mut Verification,
    range: RangeInclusive<u128>,
    sorted: &[u128],
    expectation: &dyn Expectation,
) {
    let different = sorted.chunk_by(|one, other| one == other).count() as u64;
    let index = Index::of(sorted);
    // Each expected id comes once, so whatever no expected id has matched is of somebody else.
    let mut matched = 0;
    expectation.visit(&mut |id, end| {
        if !range.contains(&id) {
            return;
        }
        let copies = index.copies(id);
        if copies == 0 {
            if end == End::Acknowledged {
                found.missing += 1;
                if found.examples.len() < EXAMPLES {
                    found.examples.push(Uuid::from_u128(id).to_string());
                }
            }
            return;
        }
        matched += 1;
        found.doubled += copies - 1;
        *match end {
            End::Acknowledged => &mut found.stored,
            End::Rejected => &mut found.rejected_stored,
            End::Undecided => &mut found.undecided_stored,
        } += 1;
    });
    found.foreign += different - matched;
}

/// Sorted ids in parts of equal width: a plain binary search over millions of ids misses the cache at nearly every step.
struct Index<'a> {
    sorted: &'a [u128],
    shift: u32,
    /// Where each part begins; one more than there are parts.
    starts: Vec<usize>,
}

impl<'a> Index<'a> {
    /// More would not fit into the cache.
    const MOST_BITS: u32 = 20;

    fn of(sorted: &'a [u128]) -> Self {
        let (Some(low), Some(high)) = (sorted.first(), sorted.last()) else {
            return Self { sorted, shift: 0, starts: Vec::new() };
        };
        let width = u128::BITS - (high - low).leading_zeros();
        let shift = width.saturating_sub(sorted.len().ilog2().min(Self::MOST_BITS));
        let mut starts = Vec::new();
        for (place, id) in sorted.iter().enumerate() {
            let part = ((id - low) >> shift) as usize;
            if starts.len() <= part {
                starts.resize(part + 1, place);
            }
        }
        starts.push(sorted.len());
        Self { sorted, shift, starts }
    }

    /// How often an id is there.
    fn copies(&self, id: u128) -> u64 {
        let Some(above) = self.sorted.first().and_then(|low| id.checked_sub(*low)) else { return 0 };
        let part = usize::try_from(above >> self.shift).unwrap_or(usize::MAX);
        let Some(&[from, to]) = part.checked_add(2).and_then(|end| self.starts.get(part..end)) else { return 0 };
        let part = &self.sorted[from..to];
        let first = part.partition_point(|other| *other < id);
        part[first..].iter().take_while(|other| **other == id).count() as u64
    }
}

/// How many events have to be there.
pub(super) fn acknowledged(expectation: &dyn Expectation) -> u64 {
    let mut acknowledged = 0;
    expectation.visit(&mut |_, end| acknowledged += u64::from(end == End::Acknowledged));
    acknowledged
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::event_id;
    use crate::record::Ids;

    #[test]
    fn every_way_in_which_destination_and_answers_can_differ_is_told() {
        let ids = Ids { acknowledged: vec![4, 2, 3, 1], rejected: vec![11, 10], undecided: vec![21, 20] };
        let expected = Verification {
            stored: 3,
            missing: 1,
            doubled: 1,
            rejected_stored: 1,
            undecided_stored: 1,
            foreign: 1,
            examples: vec![Uuid::from_u128(3).to_string()],
            ..Verification::default()
        };
        assert_eq!(compare(&[1, 2, 2, 4, 11, 20, 30, 30], &ids), expected, "30 is not ours, however often it is there");
        assert_eq!(compare(&[], &ids).missing, 4);
    }

    #[test]
    fn an_id_is_found_however_ids_are_spread() {
        let spreads: [Vec<u128>; 7] = [
            vec![],
            vec![0],
            vec![u128::MAX; 3],
            vec![0, u128::MAX],
            (0..300).map(|n| n / 3).collect(),
            (0..300).map(|n| 1 << (n % 127)).chain([u128::MAX]).collect(),
            (0..300).map(|sequence| event_id(7, 1, sequence)).chain((0..300).map(|n| 0x0190 << 112 | n)).collect(),
        ];
        for mut ids in spreads {
            ids.sort_unstable();
            let index = Index::of(&ids);
            let near = ids.iter().flat_map(|id| [id.wrapping_sub(1), *id, id.wrapping_add(1)]);
            for id in near.chain([0, 1 << 127, u128::MAX]) {
                let copies = ids.iter().filter(|other| **other == id).count() as u64;
                assert_eq!(index.copies(id), copies, "{id:#x} in {ids:x?}");
            }
        }
    }

    // 5,000 events of which some are lost, doubled, stored though rejected, or of another run; in memory for 64 at a time.
    #[test]
    fn many_passes_say_the_same_as_one() {
        let own = |sequence| event_id(7, 1, sequence);
        let ids = Ids {
            acknowledged: (0..5_000).map(own).collect(),
            rejected: (5_000..5_100).map(own).collect(),
            undecided: (5_100..5_200).map(own).collect(),
        };
        let mut there: Vec<u128> = (0..5_000).filter(|n| n % 50 != 0).map(own).collect();
        there.extend((0..5_000).filter(|n| n % 100 == 1).map(own));
        there.extend((5_000..5_003).map(own));
        there.extend((5_100..5_120).map(own));
        there.extend((0..77).map(|sequence| event_id(8, 1, sequence)));
        let mut passes = Pile::new(64);
        let mut once = Pile::new(1 << 20);
        for id in &there {
            passes.push(*id).expect("a temporary file");
            once.push(*id).expect("fits");
        }
        let mut many = compare_pile(&mut passes, &ids).expect("readable");
        let mut one = compare_pile(&mut once, &ids).expect("readable");
        assert_eq!((many.examples.len(), one.examples.len()), (10, 10));
        let lost: Vec<String> =
            ids.acknowledged.iter().step_by(50).map(|id| Uuid::from_u128(*id).to_string()).collect();
        assert!(many.examples.iter().chain(&one.examples).all(|id| lost.contains(id)), "{many:?}");
        (many.examples, one.examples) = (Vec::new(), Vec::new());
        assert_eq!(many, one);
        let expected = Verification {
            stored: 4_900,
            missing: 100,
            doubled: 50,
            rejected_stored: 3,
            undecided_stored: 20,
            foreign: 77,
            ..Verification::default()
        };
        assert_eq!(one, expected);
        assert_eq!(acknowledged(&ids), 5_000);
    }
}
