//! What a model chooses from by name: devices, countries, and what the shop sells.
//!
//! How often each occurs is the model's business; so are the names of maps, spells and the like.

/// A device that players play on.
#[derive(Clone, Copy)]
pub(super) struct Device {
    pub(super) platform: &'static str,
    pub(super) model: &'static str,
    pub(super) os_version: &'static str,
    pub(super) gpu: &'static str,
    pub(super) memory_mb: u32,
    pub(super) screen: &'static str,
    pub(super) store: &'static str,
    /// Frames a second on an ordinary day.
    pub(super) fps: u32,
}

const fn device(
    (platform, store): (&'static str, &'static str),
    model: &'static str,
    os_version: &'static str,
    gpu: &'static str,
    memory_mb: u32,
    screen: &'static str,
    fps: u32,
) -> Device {
    Device { platform, model, os_version, gpu, memory_mb, screen, store, fps }
}

pub(super) const DEVICES: &[Device] = &[
    device(("ios", "app_store"), "iPhone15,4", "18.5", "Apple A16", 6_144, "2556x1179", 60),
    device(("ios", "app_store"), "iPhone13,2", "17.7", "Apple A14", 4_096, "2532x1170", 60),
    device(("ios", "app_store"), "iPad14,8", "18.4", "Apple M2", 8_192, "2360x1640", 120),
    device(("android", "google_play"), "SM-S921B", "15", "Xclipse 940", 8_192, "2340x1080", 60),
    device(("android", "google_play"), "SM-A546E", "14", "Mali-G68 MP5", 6_144, "2340x1080", 45),
    device(("android", "google_play"), "Pixel 8", "15", "Mali-G715", 8_192, "2400x1080", 60),
    device(("android", "google_play"), "Redmi Note 12", "13", "Adreno 619", 4_096, "2400x1080", 30),
    device(("windows", "steam"), "desktop", "11-24H2", "GeForce RTX 4060", 16_384, "1920x1080", 144),
    device(("windows", "epic"), "laptop", "10-22H2", "Radeon 780M", 16_384, "1920x1080", 75),
    device(("macos", "app_store"), "Mac15,3", "15.4", "Apple M3", 16_384, "3024x1964", 60),
    device(("linux", "steam"), "Steam Deck", "3.6", "Van Gogh", 16_384, "1280x800", 60),
];

/// A country that players play from.
#[derive(Clone, Copy)]
pub(super) struct Country {
    pub(super) code: &'static str,
    pub(super) language: &'static str,
    pub(super) time_zone: &'static str,
    pub(super) region: &'static str,
    pub(super) currency: Currency,
}

/// A currency: its code, and the price in hundredths of it of what costs one hundredth of a dollar.
#[derive(Clone, Copy)]
pub(super) struct Currency {
    pub(super) code: &'static str,
    pub(super) per_cent: u32,
}

const fn country(
    code: &'static str,
    language: &'static str,
    time_zone: &'static str,
    region: &'static str,
    currency: &'static str,
    per_cent: u32,
) -> Country {
    Country { code, language, time_zone, region, currency: Currency { code: currency, per_cent } }
}

pub(super) const COUNTRIES: &[Country] = &[
    country("US", "en-US", "America/Chicago", "us-east", "USD", 1),
    country("DE", "de-DE", "Europe/Berlin", "eu-central", "EUR", 1),
    country("FR", "fr-FR", "Europe/Paris", "eu-west", "EUR", 1),
    country("GB", "en-GB", "Europe/London", "eu-west", "GBP", 1),
    country("JP", "ja-JP", "Asia/Tokyo", "ap-northeast", "JPY", 150),
    country("KR", "ko-KR", "Asia/Seoul", "ap-northeast", "KRW", 1_350),
    country("BR", "pt-BR", "America/Sao_Paulo", "sa-east", "BRL", 5),
    country("MX", "es-MX", "America/Mexico_City", "us-east", "MXN", 17),
    country("PL", "pl-PL", "Europe/Warsaw", "eu-central", "EUR", 1),
    country("AU", "en-AU", "Australia/Sydney", "ap-southeast", "AUD", 1),
];

/// Something that the shop sells.
#[derive(Clone, Copy)]
pub(super) struct Offer {
    pub(super) item: &'static str,
    pub(super) bundle: &'static str,
    pub(super) amount: u32,
    /// In hundredths of a dollar.
    pub(super) price: u32,
}

const fn offer(item: &'static str, bundle: &'static str, amount: u32, price: u32) -> Offer {
    Offer { item, bundle, amount, price }
}

pub(super) const OFFERS: &[Offer] = &[
    offer("gems_80", "starter", 80, 99),
    offer("gems_500", "handful", 500, 499),
    offer("season_pass", "season_7", 1, 999),
    offer("skin_emberlord", "season_7", 1, 1_499),
    offer("gems_1200", "pouch", 1_200, 1_999),
    offer("gems_2500", "chest", 2_500, 4_999),
    offer("gems_6500", "vault", 6_500, 9_999),
];
