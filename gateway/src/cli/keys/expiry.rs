//! When a key stops letting in, in words.

use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::cli::CliError;

/// A moment, or a time from now, or never.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// It never stops.
    Never,
    /// So long from now.
    After(Duration),
    /// Then, in milliseconds since 1970-01-01 UTC.
    At(i64),
}

/// A text that is no [`Expiry`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("say 30d, 12h, 2030-01-31, 2030-01-31T12:00:00Z, or never")]
pub struct ExpiryError;

impl Expiry {
    /// When that is, in milliseconds since 1970-01-01 UTC; `None`: never.
    pub(super) fn from(self, now: i64) -> Result<Option<i64>, CliError> {
        let at = match self {
            Self::Never => return Ok(None),
            Self::After(time) => now.saturating_add(i64::try_from(time.as_millis()).unwrap_or(i64::MAX)),
            Self::At(moment) => moment,
        };
        if at <= now {
            return Err(CliError::usage("--expires lies in the past: the key would let nobody in"));
        }
        Ok(Some(at))
    }
}

impl FromStr for Expiry {
    type Err = ExpiryError;

    fn from_str(text: &str) -> Result<Self, ExpiryError> {
        if text == "never" {
            return Ok(Self::Never);
        }
        if let Ok(time) = humantime::parse_duration(text) {
            return Ok(Self::After(time));
        }
        let moment =
            humantime::parse_rfc3339_weak(text).or_else(|_| humantime::parse_rfc3339(&format!("{text}T00:00:00Z")));
        moment.ok().and_then(millis).map(Self::At).ok_or(ExpiryError)
    }
}

fn millis(moment: SystemTime) -> Option<i64> {
    i64::try_from(moment.duration_since(UNIX_EPOCH).ok()?.as_millis()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_from_now_and_a_moment_are_both_understood() {
        assert_eq!("never".parse(), Ok(Expiry::Never));
        assert_eq!("30d".parse(), Ok(Expiry::After(Duration::from_secs(30 * 86_400))));
        for moment in ["2023-11-14", "2023-11-14T00:00:00Z", "2023-11-14 00:00:00"] {
            assert_eq!(moment.parse(), Ok(Expiry::At(1_699_920_000_000)), "{moment}");
        }
        for wrong in ["", "soon", "2023-13-01", "1960-01-01", "-3d"] {
            assert_eq!(wrong.parse::<Expiry>(), Err(ExpiryError), "{wrong:?}");
        }
    }

    #[test]
    fn a_key_that_would_let_nobody_in_is_refused() {
        assert_eq!(Expiry::Never.from(1_000).expect("never"), None);
        assert_eq!(Expiry::After(Duration::from_millis(5)).from(1_000).expect("later"), Some(1_005));
        assert_eq!(Expiry::After(Duration::MAX).from(1_000).expect("later"), Some(i64::MAX));
        assert_eq!(Expiry::At(1_001).from(1_000).expect("later"), Some(1_001));
        for past in [Expiry::At(1_000), Expiry::After(Duration::ZERO)] {
            assert_eq!(past.from(1_000).expect_err("past").exit_code(), 2);
        }
    }
}
