//! Weighted choices by one load: a table of 1,024 places, so proportions are kept to a thousandth.

use super::model::Weighted;

const PLACES: usize = 1_024;

/// Places in a list, each as often as its weight says.
pub(super) struct Picker {
    table: Box<[u8; PLACES]>,
}

impl Picker {
    /// Chooses among the names in their order.
    pub(super) fn new(weights: &Weighted) -> Self {
        Self::by(weights.values().copied())
    }

    /// Chooses among all of a catalog; what has no weight does not occur.
    pub(super) fn of_known(weights: &Weighted, known: impl Iterator<Item = &'static str>) -> Self {
        Self::by(known.map(|name| weights.get(name).copied().unwrap_or(0)))
    }

    fn by(weights: impl Iterator<Item = u32>) -> Self {
        let weights: Vec<u64> = weights.map(u64::from).collect();
        let total: u64 = weights.iter().sum();
        let mut table = Box::new([0; PLACES]);
        let (mut choice, mut upto) = (0, weights.first().copied().unwrap_or(0));
        for (place, entry) in table.iter_mut().enumerate() {
            // The middle of the place, in units of the weights.
            while (2 * place as u64 + 1) * total >= upto * 2 * PLACES as u64 && choice + 1 < weights.len() {
                choice += 1;
                upto += weights[choice];
            }
            *entry = choice as u8;
        }
        Self { table }
    }

    /// A place in the list, from 10 random bits.
    #[inline]
    pub(super) fn pick(&self, bits: u32) -> usize {
        usize::from(self.table[bits as usize % PLACES])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_come_in_proportion_and_without_weight_never() {
        let picker = Picker::by([3, 0, 1, 12, 0].into_iter());
        let count = |choice| (0..PLACES as u32).filter(|bits| picker.pick(*bits) == choice).count();
        assert_eq!([0, 1, 2, 3, 4].map(count), [192, 0, 64, 768, 0]);
        let weights = Weighted::from([("b".to_owned(), 1), ("a".to_owned(), 3)]);
        assert_eq!(Picker::new(&weights).pick(1_023), 1);
        assert_eq!(Picker::of_known(&weights, ["x", "b", "a"].into_iter()).pick(0), 1);
    }
}
