//! Which part of a rate one gateway gets.
//!
//! While there is enough for everyone, each gets what it is asked for and an equal part of what is left, so that growth
//! and newcomers find room. When there is not, each gets in proportion to what it is asked for, so that a client is
//! refused as often at one gateway as at another. Gateways that see the same demands allot parts that add up to 1.

/// What is left to a gateway with hardly any demand: this part of an equal share, enough to take a batch now and then.
const LEAST: f64 = 0.05;

/// The part of `rate` for the gateway with demand `mine`, beside those with the demands `others`; above 0, at most 1.
pub(super) fn part(mine: f64, others: &[f64], rate: f64) -> f64 {
    let rate = rate.max(1.0);
    let members = others.len() as f64 + 1.0;
    let total = mine + others.iter().sum::<f64>();
    let spare = (rate - total).max(0.0) / members;
    let least = LEAST / members;
    let claim = |demand: f64| ((demand + spare) / total.max(rate)).max(least);
    claim(mine) / (claim(mine) + others.iter().copied().map(claim).sum::<f64>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(demands: &[f64], rate: f64) -> Vec<f64> {
        let without = |place: usize| {
            let others = demands.iter().enumerate().filter(|(other, _)| *other != place);
            others.map(|(_, demand)| *demand).collect::<Vec<_>>()
        };
        (0..demands.len()).map(|place| part(demands[place], &without(place), rate)).collect()
    }

    fn assert_close(parts: &[f64], expected: &[f64]) {
        assert!(parts.iter().zip(expected).all(|(a, b)| (a - b).abs() < 0.001), "{parts:?}, not {expected:?}");
    }

    #[test]
    fn parts_add_up_to_the_whole() {
        let cases: [&[f64]; 7] = [
            &[0.0],
            &[0.0, 0.0],
            &[1_500.0, 1_500.0],
            &[2_850.0, 150.0],
            &[1e9, 0.0, 0.0, 0.0],
            &[999.0, 1.0],
            &[10.0; 100],
        ];
        for demands in cases {
            let parts = parts(demands, 1_000.0);
            assert!((parts.iter().sum::<f64>() - 1.0).abs() < 1e-9, "{demands:?}: {parts:?}");
            assert!(parts.iter().all(|part| *part > 0.0), "{demands:?}: {parts:?}");
        }
    }

    #[test]
    fn one_alone_has_everything() {
        assert_eq!(part(0.0, &[], 1_000.0), 1.0);
        assert_eq!(part(5_000.0, &[], 1_000.0), 1.0);
        assert_eq!(part(0.0, &[], 0.0), 1.0);
    }

    #[test]
    fn over_the_rate_parts_follow_demand() {
        assert_close(&parts(&[1_500.0, 1_500.0], 1_000.0), &[0.5, 0.5]);
        assert_close(&parts(&[2_850.0, 150.0], 1_000.0), &[0.95, 0.05]);
    }

    #[test]
    fn under_the_rate_each_has_its_demand_and_an_equal_part_of_what_is_left() {
        assert_close(&parts(&[100.0, 500.0], 1_000.0), &[0.3, 0.7]);
        assert_close(&parts(&[0.0, 990.0], 1_000.0), &[0.0249, 0.9751]);
    }

    #[test]
    fn nobody_under_the_rate_gets_less_than_its_demand() {
        for small in [0.0, 1.0, 20.0, 50.0, 100.0, 400.0] {
            let demands = [small, 995.0 - small];
            for (part, demand) in parts(&demands, 1_000.0).iter().zip(demands) {
                assert!(part * 1_000.0 >= demand * 0.98, "{demands:?}: {part}");
            }
        }
    }

    #[test]
    fn an_idle_one_beside_a_flood_keeps_room_for_a_batch() {
        assert_close(&parts(&[0.0, 1e9], 1_000.0), &[0.0244, 0.9756]);
    }
}
