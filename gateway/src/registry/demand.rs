//! Where gateways tell each other how much each of them is asked for, so that they can share an application's rates.
//!
//! A [`DemandBoard`] has a page for each application, and one for the gateways themselves. It decides nothing: when it
//! can't be reached every gateway goes on with what it last knew (`admission::shares`).

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use async_trait::async_trait;
use uuid::Uuid;

use crate::config::Settings;

/// A gateway process, for as long as it runs; another one after a restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MemberId(u64);

impl MemberId {
    /// A new one.
    ///
    /// # Errors
    /// If the system has no randomness.
    pub fn random() -> Result<Self, getrandom::Error> {
        getrandom::u64().map(Self)
    }

    /// The bits that it is made of.
    #[must_use]
    pub fn bits(self) -> u64 {
        self.0
    }
}

impl From<u64> for MemberId {
    fn from(bits: u64) -> Self {
        Self(bits)
    }
}

impl fmt::Display for MemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for MemberId {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        u64::from_str_radix(text, 16).map(Self)
    }
}

/// What a member is asked for, refused or not, averaged over a few seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Demand {
    /// Events a second.
    pub events: u64,
    /// Bytes a second.
    pub bytes: u64,
}

/// What a member writes on a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// Who.
    pub member: MemberId,
    /// Rises with each report. Whether a member is alive is seen by this alone: clocks differ and jump.
    pub sequence: u64,
    /// How much.
    pub demand: Demand,
}

/// A page of the board.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Page {
    /// The gateways that run; their demand is of no account.
    Gateways,
    /// The gateways that an application sends to.
    Application(Uuid),
}

/// Why nothing was exchanged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BoardError(pub String);

/// A board that all gateways share.
#[async_trait]
pub trait DemandBoard: Send + Sync {
    /// Writes `mine` in the place of what this member wrote before, removes what `gone` members wrote, and answers with
    /// the others' reports as they stand after that.
    async fn exchange(&self, page: Page, mine: Report, gone: &[MemberId]) -> Result<Vec<Report>, BoardError>;
    /// Removes what a member wrote.
    async fn withdraw(&self, page: Page, member: MemberId) -> Result<(), BoardError>;
}

/// The board of the registry that the settings name. `None`: rates are not shared, the gateway is alone or was told so.
///
/// # Errors
/// If AWS can't be spoken to; says what to do.
pub async fn open(settings: &Settings) -> Result<Option<Arc<dyn DemandBoard>>, BoardError> {
    if !settings.cluster.shares_limits(settings.registry.kind) {
        return Ok(None);
    }
    #[cfg(feature = "aws")]
    {
        let shared = crate::aws::shared_config(&settings.aws).await.map_err(|error| BoardError(error.to_string()))?;
        let board = super::aws::demand::DynamoDbBoard::open(&shared, &settings.cluster);
        Ok(Some(Arc::new(board)))
    }
    #[cfg(not(feature = "aws"))]
    Err(BoardError("this headgate was built without the feature `aws`".to_owned()))
}
