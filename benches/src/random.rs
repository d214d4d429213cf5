//! Numbers that look random and follow from a seed, for samples and simulations: they need variety, not randomness.

/// xorshift64*.
#[derive(Clone, Debug)]
pub struct Random {
    state: u64,
}

impl Random {
    /// The same seed draws the same numbers.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1 }
    }

    /// The next number.
    pub fn draw(&mut self) -> u64 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        self.state.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// Below `bound`, which is 1 or more.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.draw() % bound
    }

    /// Above 0 and at most 1, evenly.
    #[allow(clippy::cast_precision_loss, reason = "53 bits")]
    pub fn fraction(&mut self) -> f64 {
        ((self.draw() >> 11) + 1) as f64 / (1_u64 << 53) as f64
    }

    /// Exponential with mean 1: the time between arrivals that know nothing of each other.
    pub fn exponential(&mut self) -> f64 {
        -self.fraction().ln()
    }

    /// Normal with mean 0 and deviation 1 (Box and Muller).
    pub fn normal(&mut self) -> f64 {
        (-2.0 * self.fraction().ln()).sqrt() * (std::f64::consts::TAU * self.fraction()).cos()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_have_the_moments_of_their_distributions() {
        let mut random = Random::new(3);
        let n = 200_000;
        let exponential = (0..n).map(|_| random.exponential()).sum::<f64>() / f64::from(n);
        assert!((exponential - 1.0).abs() < 0.02, "{exponential}");
        let normals: Vec<f64> = (0..n).map(|_| random.normal()).collect();
        let mean = normals.iter().sum::<f64>() / f64::from(n);
        let square = normals.iter().map(|x| x * x).sum::<f64>() / f64::from(n);
        assert!(mean.abs() < 0.02 && (square - 1.0).abs() < 0.02, "{mean} {square}");
    }
}
