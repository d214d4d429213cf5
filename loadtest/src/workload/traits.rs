//! Who a player is: drawn once from the seed, kept in three bytes, the same in every event.

use super::picker::Picker;
use super::{Model, World, catalog};
use crate::engine::{Dice, Purpose};

/// Places in the lists of a model.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub(super) struct Traits {
    /// Device in the high 4 bits, country in the low ones.
    home: u8,
    /// App version in the high 3 bits, network in the next 3, then payer and wrong clock.
    client: u8,
    /// Login in the high 3 bits, hero in the low 4.
    habit: u8,
}

const PAYER: u8 = 0b10;
const WRONG_CLOCK: u8 = 0b01;

impl Traits {
    pub(super) fn device(self) -> usize {
        usize::from(self.home >> 4)
    }

    pub(super) fn country(self) -> usize {
        usize::from(self.home & 0xF)
    }

    pub(super) fn app_version(self) -> usize {
        usize::from(self.client >> 5)
    }

    pub(super) fn network(self) -> usize {
        usize::from(self.client >> 2 & 0b111)
    }

    pub(super) fn login(self) -> usize {
        usize::from(self.habit >> 5)
    }

    pub(super) fn hero(self) -> usize {
        usize::from(self.habit & 0xF)
    }

    pub(super) fn is_payer(self) -> bool {
        self.client & PAYER != 0
    }

    pub(super) fn has_wrong_clock(self) -> bool {
        self.client & WRONG_CLOCK != 0
    }

    /// The same player, as payer or not.
    pub(super) fn with_payer(self, payer: bool) -> Self {
        Self { client: self.client & !PAYER | if payer { PAYER } else { 0 }, ..self }
    }
}

/// How the model's players differ.
pub(super) struct Populace {
    devices: Picker,
    countries: Picker,
    app_versions: Picker,
    networks: Picker,
    logins: Picker,
    heroes: Picker,
    payers: f64,
    wrong_clocks: f64,
}

impl Populace {
    pub(super) fn new(model: &Model) -> Self {
        let weights = &model.weights;
        Self {
            devices: Picker::of_known(&weights.devices, catalog::DEVICES.iter().map(|device| device.model)),
            countries: Picker::of_known(&weights.countries, catalog::COUNTRIES.iter().map(|country| country.code)),
            app_versions: Picker::new(&weights.app_versions),
            networks: Picker::new(&weights.networks),
            logins: Picker::new(&weights.logins),
            heroes: Picker::new(&weights.heroes),
            payers: model.payers.share,
            wrong_clocks: model.clocks.skewed,
        }
    }

    pub(super) fn draw(&self, dice: &Dice, number: u32) -> Traits {
        let mut draw = dice.draw(number, 1, Purpose::Traits);
        let bits = draw.next();
        let pick = |picker: &Picker, place: u32| picker.pick((bits >> (10 * place)) as u32 & 0x3FF) as u8;
        let more = draw.next();
        let payer = ((more >> 32) as f64) < self.payers * 2_f64.powi(32);
        let wrong_clock = ((more & 0xFFFF_FFFF) as f64) < self.wrong_clocks * 2_f64.powi(32);
        Traits {
            home: pick(&self.devices, 0) << 4 | pick(&self.countries, 1),
            client: pick(&self.app_versions, 2) << 5
                | pick(&self.networks, 3) << 2
                | if payer { PAYER } else { 0 }
                | if wrong_clock { WRONG_CLOCK } else { 0 },
            habit: pick(&self.logins, 4) << 5 | pick(&self.heroes, 5),
        }
    }
}

impl World {
    /// By how many nanoseconds the clock of a player's client is wrong; 0 for most.
    #[inline]
    pub(crate) fn clock_skew_ns(&self, number: u32, player: &super::Player) -> i64 {
        if !player.traits.has_wrong_clock() {
            return 0;
        }
        let share = self.dice.draw(number, 2, Purpose::Traits).unit() * 2.0 - 1.0;
        (share * self.skew_up_to_s * 1e9) as i64
    }
}
