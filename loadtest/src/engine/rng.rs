//! Randomness without state: every draw is a hash of (seed, player, sequence, purpose).
//!
//! A run is therefore reproducible from its seed, whatever the number of servers or the speed of the machine, and a
//! player carries no generator. The hash is the finalizer of SplitMix64 (Steele, Lea and Flood, 2014), which is a
//! bijection that passes the usual statistical batteries.

/// The golden ratio in 64 bits: SplitMix64's increment.
const GAMMA: u64 = 0x9E37_79B9_7F4A_7C15;
/// The increment within a run of draws: odd, and no small multiple of [`GAMMA`], so that the draws of one step are not
/// the first draws of the next.
const STRIDE: u64 = 0x243F_6A88_85A3_08D3;

/// What a draw is for: draws for different purposes are independent of one another.
#[derive(Clone, Copy)]
#[repr(u64)]
pub(crate) enum Purpose {
    /// Who the player is: device, country, language.
    Traits = 1,
    /// Where the player stands when the run begins.
    Start,
    /// Which step the player takes next, and when.
    Step,
    /// What an event says.
    Payload,
    /// The two halves of an event id.
    IdHigh,
    IdLow,
    /// Which events are deliberately bad.
    Fault,
    /// Which events are sent twice.
    Duplicate,
    /// When sessions begin, and whose.
    Arrival,
    /// How long to wait before trying again.
    Backoff,
    /// Sessions, matches and other things with an id of their own.
    Thing,
    /// Which blocks of a run a bootstrap draws.
    Resample,
    /// Whose connection is cut.
    Cut,
}

/// The number of purposes, and one more since they begin at 1.
const PURPOSES: usize = Purpose::Cut as usize + 1;

/// The dice of one seed, which spare each draw the hashing of seed and purpose.
#[derive(Clone)]
pub(crate) struct Dice {
    keys: [u64; PURPOSES],
}

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self { keys: std::array::from_fn(|purpose| mix(seed.wrapping_add(GAMMA.wrapping_mul(purpose as u64)))) }
    }

    /// The same dice with other event ids: players do the same in each run of a seed, but a destination that holds the
    /// events of one run must not take those of the next for theirs. Run 0 has the ids that [`event_id`] says.
    pub(crate) fn for_run(mut self, run: u64) -> Self {
        for purpose in [Purpose::IdHigh, Purpose::IdLow] {
            self.keys[purpose as usize] ^= if run == 0 { 0 } else { mix(run) };
        }
        self
    }

    /// The draws that belong to this player, this sequence and this purpose.
    #[inline]
    pub(crate) fn draw(&self, player: u32, sequence: u32, purpose: Purpose) -> Draw {
        Draw { state: self.state(u64::from(player) << 32 | u64::from(sequence), purpose) }
    }

    /// A hash of a key.
    #[inline]
    pub(crate) fn hash(&self, key: u64, purpose: Purpose) -> u64 {
        mix(self.state(key, purpose))
    }

    /// The id of a player's event, as [`event_id`] says.
    #[inline]
    pub(crate) fn event_id(&self, player: u32, sequence: u32) -> u128 {
        let key = u64::from(player) << 32 | u64::from(sequence);
        uuid(self.hash(key, Purpose::IdHigh), self.hash(key, Purpose::IdLow))
    }

    #[inline]
    fn state(&self, key: u64, purpose: Purpose) -> u64 {
        self.keys[purpose as usize].wrapping_add(key.wrapping_mul(GAMMA))
    }
}

/// A short run of random numbers.
pub(crate) struct Draw {
    state: u64,
}

impl Draw {
    /// The draws that belong to this player, this sequence and this purpose.
    pub(crate) fn new(seed: u64, player: u32, sequence: u32, purpose: Purpose) -> Self {
        Dice::new(seed).draw(player, sequence, purpose)
    }

    #[inline]
    pub(crate) fn next(&mut self) -> u64 {
        let drawn = mix(self.state);
        self.state = self.state.wrapping_add(STRIDE);
        drawn
    }

    /// Uniform in (0, 1]: never 0, so that its logarithm is finite.
    #[inline]
    pub(crate) fn unit(&mut self) -> f64 {
        ((self.next() >> 11) + 1) as f64 / (1_u64 << 53) as f64
    }

    /// Uniform in 0..bound; the bias of the multiplication is below 2⁻³² for the small bounds used here.
    #[inline]
    pub(crate) fn below(&mut self, bound: u32) -> u32 {
        ((u64::from(bound) * (self.next() >> 32)) >> 32) as u32
    }

    #[inline]
    pub(crate) fn chance(&mut self, probability: f64) -> bool {
        self.unit() <= probability
    }

    pub(crate) fn exponential(&mut self, mean: f64) -> f64 {
        -self.unit().ln() * mean
    }

    /// One of the weighted choices.
    pub(crate) fn pick<T: Copy>(&mut self, choices: &[(u32, T)]) -> T {
        let total: u32 = choices.iter().map(|(weight, _)| weight).sum();
        let mut rest = self.below(total);
        for &(weight, choice) in choices {
            if rest < weight {
                return choice;
            }
            rest -= weight;
        }
        unreachable!("a draw below the sum of the weights falls on one of them")
    }

    /// One of the choices, in proportion to its share.
    pub(crate) fn pick_by<T: Copy>(&mut self, choices: &[(T, f64)]) -> T {
        let total: f64 = choices.iter().map(|(_, share)| share).sum();
        let mut rest = total * self.unit();
        let chosen = choices.iter().find(|(_, share)| {
            rest -= share;
            rest <= 0.0
        });
        // Rounding may leave a rest after the last.
        chosen.unwrap_or(&choices[choices.len() - 1]).0
    }
}

/// The id of a player's event: a version 8 UUID (RFC 9562, 5.8), unique but for a collision of 122 hashed bits.
#[cfg(test)]
pub(crate) fn event_id(seed: u64, player: u32, sequence: u32) -> u128 {
    Dice::new(seed).event_id(player, sequence)
}

/// Shapes two hashes as a version 8 UUID.
pub(crate) fn uuid(high: u64, low: u64) -> u128 {
    let bits = u128::from(high) << 64 | u128::from(low);
    bits & !(0xF << 76) & !(0b11 << 62) | 0x8 << 76 | 0b10 << 62
}

/// Writes a UUID in its hyphenated form.
#[inline]
pub(crate) fn hyphenated(id: u128) -> [u8; 36] {
    let [one, two, three, four] = [96, 64, 32, 0].map(|shift| hex_digits((id >> shift) as u32));
    let mut text = [b'-'; 36];
    text[..8].copy_from_slice(&one);
    text[9..13].copy_from_slice(&two[..4]);
    text[14..18].copy_from_slice(&two[4..]);
    text[19..23].copy_from_slice(&three[..4]);
    text[24..28].copy_from_slice(&three[4..]);
    text[28..].copy_from_slice(&four);
    text
}

/// The eight hexadecimal digits of a number, all at once: its nibbles are spread over the bytes of a word, and those
/// above 9 moved on to the letters.
#[inline]
fn hex_digits(number: u32) -> [u8; 8] {
    let mut word = u64::from(number);
    word = (word << 16 | word) & 0x0000_FFFF_0000_FFFF;
    word = (word << 8 | word) & 0x00FF_00FF_00FF_00FF;
    word = (word << 4 | word) & 0x0F0F_0F0F_0F0F_0F0F;
    let above_9 = (word + 0x0606_0606_0606_0606) >> 4 & 0x0101_0101_0101_0101;
    (word + 0x3030_3030_3030_3030 + above_9 * u64::from(b'a' - b'9' - 1)).to_be_bytes()
}

#[inline]
fn mix(value: u64) -> u64 {
    let value = (value ^ value >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let value = (value ^ value >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ value >> 31
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_are_version_8_uuids_and_differ() {
        let mut seen = HashSet::new();
        for player in 0..100 {
            for sequence in 0..1_000 {
                let id = event_id(7, player, sequence);
                let parsed = uuid::Uuid::from_u128(id);
                assert_eq!(parsed.get_version_num(), 8);
                assert_eq!(parsed.get_variant(), uuid::Variant::RFC4122);
                assert_eq!(parsed.hyphenated().to_string().as_bytes(), hyphenated(id));
                assert!(seen.insert(id), "player {player}, sequence {sequence}: an id came twice");
            }
        }
        assert_ne!(event_id(7, 1, 1), event_id(8, 1, 1));
    }

    #[test]
    fn draws_have_the_moments_they_claim() {
        let mut draw = Draw::new(1, 2, 3, Purpose::Step);
        let n = 200_000;
        let mean = |of: &mut dyn FnMut() -> f64| (0..n).map(|_| of()).sum::<f64>() / f64::from(n);
        assert!((mean(&mut || draw.unit()) - 0.5).abs() < 0.005);
        assert!((mean(&mut || draw.exponential(30.0)) / 30.0 - 1.0).abs() < 0.02);
    }

    #[test]
    fn weighted_choices_come_in_proportion() {
        let mut draw = Draw::new(1, 2, 3, Purpose::Traits);
        let heads = (0..100_000).filter(|_| draw.pick(&[(3, true), (1, false)])).count();
        assert!((74_000..76_000).contains(&heads), "{heads} of 100,000 for a weight of 3 in 4");
        let heads = (0..100_000).filter(|_| draw.pick_by(&[(false, 0.5), (true, 1.5)])).count();
        assert!((74_000..76_000).contains(&heads), "{heads} of 100,000 for a share of 1.5 in 2");
    }
}
