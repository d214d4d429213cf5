//! The pieces of events that are the same many times, prepared once from the model.

use super::catalog::{COUNTRIES, DEVICES, OFFERS};
use super::json::Phrase;
use super::law::Law;
use super::model::{LogNormal, Weighted};
use super::picker::Picker;
use super::{Kind, Model};

/// What can be chosen, prepared as text, and how often.
pub(super) struct Choice {
    pub(super) phrases: Vec<Phrase>,
    picker: Picker,
}

impl Choice {
    fn new(key: &str, weights: &Weighted) -> Self {
        let phrases = weights.keys().map(|name| Phrase::text(key, name)).collect();
        Self { phrases, picker: Picker::new(weights) }
    }

    fn fixed(key: &str, weights: &[(&str, u32)]) -> Self {
        Self::new(key, &weights.iter().map(|&(name, weight)| (name.to_owned(), weight)).collect())
    }

    /// One of them, from 10 random bits.
    #[inline]
    pub(super) fn pick(&self, bits: u32) -> &Phrase {
        &self.phrases[self.place(bits)]
    }

    #[inline]
    pub(super) fn place(&self, bits: u32) -> usize {
        self.picker.pick(bits)
    }
}

/// A device's pieces.
pub(super) struct DevicePhrases {
    /// All that a session start says of it.
    pub(super) context: String,
    pub(super) platform: Phrase,
    pub(super) store: Phrase,
    pub(super) fps: u32,
    pub(super) memory_mb: u32,
}

/// A country's pieces.
pub(super) struct CountryPhrases {
    /// All that a session start says of it.
    pub(super) context: String,
    pub(super) id: Phrase,
    pub(super) region: Phrase,
    pub(super) currency: Phrase,
    /// The price in hundredths of its currency of what costs one hundredth of a dollar.
    pub(super) per_cent: u32,
}

/// What surrounds a kind's payload.
pub(crate) struct KindPhrases {
    /// The fields `event_type` and `event_name`.
    pub(crate) names: Phrase,
    /// The field `event_version`.
    pub(crate) version: Phrase,
}

/// An offer's pieces: what is bought, and its price in hundredths of a dollar.
pub(super) struct OfferPhrases {
    pub(super) item: Phrase,
    pub(super) bundle: Phrase,
    pub(super) price: u32,
}

/// How long payloads are, where that is asked for.
pub(super) struct Sizes {
    pub(super) least: u32,
    pub(super) most: u32,
    law: Law,
}

impl Sizes {
    /// A size from 32 random bits, log-normal between the bounds; 95 % of the law lies within them, the rest at them.
    pub(super) fn draw(&self, bits: u32) -> u32 {
        self.law.draw_ms(bits).clamp(self.least, self.most)
    }
}

/// All pieces.
pub(crate) struct Phrases {
    pub(crate) kinds: [KindPhrases; Kind::ALL.len()],
    /// The field `app_version`, by its place in the model's list.
    pub(crate) app_versions: Vec<Phrase>,
    pub(super) devices: Vec<DevicePhrases>,
    pub(super) countries: Vec<CountryPhrases>,
    pub(super) offers: Vec<OfferPhrases>,
    pub(super) offer_picker: Picker,
    pub(super) networks: Vec<Phrase>,
    pub(super) logins: Vec<Phrase>,
    pub(super) heroes: Vec<Phrase>,
    pub(super) maps: Choice,
    pub(super) modes: Choice,
    pub(super) spells: Choice,
    pub(super) unlocked: Choice,
    pub(super) results: Choice,
    pub(super) screens: Choice,
    pub(super) graphics: Choice,
    pub(super) reasons: Choice,
    pub(super) sizes: Option<Sizes>,
    /// An exponential law with the mean 256, at 256 equally likely places.
    pub(super) exponential: [u16; 256],
}

impl Phrases {
    pub(super) fn new(model: &Model, payload_bytes: Option<[u32; 2]>) -> Self {
        let weights = &model.weights;
        let list = |key, weights: &Weighted| weights.keys().map(|name| Phrase::text(key, name)).collect();
        Self {
            kinds: Kind::ALL.map(|kind| {
                let mut names = field(2, kind.event_type());
                names.extend(field(3, kind.event_name()));
                KindPhrases { names: Phrase::new(names), version: Phrase::new(field(5, kind.event_version())) }
            }),
            app_versions: weights.app_versions.keys().map(|version| Phrase::new(field(6, version))).collect(),
            devices: devices(),
            countries: countries(),
            offers: offers(),
            offer_picker: Picker::of_known(&weights.offers, OFFERS.iter().map(|offer| offer.item)),
            networks: list("network", &weights.networks),
            logins: list("auth_method", &weights.logins),
            heroes: list("hero", &weights.heroes),
            maps: Choice::new("map_id", &weights.maps),
            modes: Choice::new("mode", &weights.modes),
            spells: Choice::new("spell_id", &weights.spells),
            unlocked: Choice::new("unlocked", &weights.spells),
            results: Choice::new("match_result_type", &weights.results),
            screens: Choice::new("last_screen_seen", &weights.screens),
            graphics: Choice::fixed("graphics", &[("low", 20), ("medium", 45), ("high", 35)]),
            reasons: Choice::fixed("reason", &[("player", 78), ("idle", 15), ("switched_device", 7)]),
            sizes: payload_bytes.map(|[least, most]| {
                let (low, high) = (f64::from(least.max(1)), f64::from(most.max(1)));
                // The law's table counts thousandths.
                let law = LogNormal { median_s: (low * high).sqrt() / 1e3, sigma: (high / low).ln().max(0.0) / 4.0 };
                Sizes { least, most: most.max(least), law: Law::log_normal(law) }
            }),
            exponential: std::array::from_fn(|place| {
                (-256.0 * (1.0 - (place as f64 + 0.5) / 256.0).ln()).round() as u16
            }),
        }
    }
}

/// A protobuf field of a short text.
fn field(number: u8, text: &str) -> Vec<u8> {
    let mut bytes = vec![number << 3 | 2, text.len() as u8];
    bytes.extend_from_slice(text.as_bytes());
    bytes
}

fn devices() -> Vec<DevicePhrases> {
    let of = |device: &super::catalog::Device| DevicePhrases {
        context: format!(
            r#","platform":"{}","device_model":"{}","os_version":"{}","gpu":"{}","memory_mb":{},"screen":"{}","store":"{}""#,
            device.platform, device.model, device.os_version, device.gpu, device.memory_mb, device.screen, device.store
        ),
        platform: Phrase::text("platform", device.platform),
        store: Phrase::text("store", device.store),
        fps: device.fps,
        memory_mb: device.memory_mb,
    };
    DEVICES.iter().map(of).collect()
}

fn countries() -> Vec<CountryPhrases> {
    let of = |country: &super::catalog::Country| CountryPhrases {
        context: format!(
            r#","country_id":"{}","language":"{}","time_zone":"{}""#,
            country.code, country.language, country.time_zone
        ),
        id: Phrase::text("country_id", country.code),
        region: Phrase::text("region", country.region),
        currency: Phrase::text("currency_type", country.currency.code),
        per_cent: country.currency.per_cent,
    };
    COUNTRIES.iter().map(of).collect()
}

fn offers() -> Vec<OfferPhrases> {
    let of = |offer: &super::catalog::Offer| OfferPhrases {
        item: Phrase::text("item_id", offer.item),
        bundle: Phrase::new(format!(",\"bundle_id\":\"{}\",\"item_amount\":{}", offer.bundle, offer.amount)),
        price: offer.price,
    };
    OFFERS.iter().map(of).collect()
}
