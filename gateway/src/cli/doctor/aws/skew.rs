//! This machine's clock against the `Date` of AWS's answers, refusals included. A signature holds for five minutes around
//! the service's time (SigV4): past that every call is refused.

use std::sync::{Arc, Mutex, PoisonError};

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::BeforeDeserializationInterceptorContextRef;
use aws_smithy_runtime_api::client::interceptors::dyn_dispatch_hint;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::DateTime;
use aws_smithy_types::config_bag::ConfigBag;
use aws_smithy_types::date_time::Format;

use super::super::check::Verdict;
use crate::clock::Clock;

/// Past this, minutes of metrics and log lines of several machines no longer fit together.
const NOTICEABLE_MS: i64 = 5_000;
/// SigV4's window.
const FATAL_MS: i64 = 300_000;
/// A `Date` has whole seconds: on average it is half a second behind.
const HALF_A_SECOND_MS: i64 = 500;

/// Listens to the answers of every client that it is given to.
#[derive(Clone, Debug)]
pub(super) struct Skew {
    clock: Clock,
    /// The smallest skew seen, milliseconds, positive where this machine is ahead: slow answers look older than they are.
    least: Arc<Mutex<Option<i64>>>,
}

impl Skew {
    pub(super) fn new(clock: Clock) -> Self {
        Self { clock, least: Arc::default() }
    }

    fn hear(&self, date: &str) {
        let Ok(told) = DateTime::from_str(date, Format::HttpDate) else { return };
        let skew = self.clock.wall_ms() - (told.secs() * 1_000 + HALF_A_SECOND_MS);
        let mut least = self.least.lock().unwrap_or_else(PoisonError::into_inner);
        if least.is_none_or(|known| skew.abs() < known.abs()) {
            *least = Some(skew);
        }
    }

    pub(super) fn verdict(&self) -> Verdict {
        let Some(skew) = *self.least.lock().unwrap_or_else(PoisonError::into_inner) else {
            return Verdict::skip("no service told the time");
        };
        let way = if skew > 0 { "ahead of" } else { "behind" };
        let says = format!("{:.1} s {way} AWS", skew.unsigned_abs() as f64 / 1_000.0);
        let mend = "have it follow a time server (chrony, systemd-timesyncd; on EC2 169.254.169.123)";
        match skew.abs() {
            off if off > FATAL_MS => Verdict::fail(format!("{says}: signatures are refused from 5 minutes on"), mend),
            off if off > NOTICEABLE_MS => Verdict::warn(says, mend),
            _ => Verdict::ok(says),
        }
    }
}

#[dyn_dispatch_hint]
impl Intercept for Skew {
    fn name(&self) -> &'static str {
        "Skew"
    }

    fn read_after_transmit(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(date) = context.response().headers().get("date") {
            self.hear(date);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::check::Level;
    use super::*;

    #[test]
    fn the_clock_is_judged_by_the_closest_answer() {
        let (clock, offset) = Clock::shifted();
        let judged = |shift_ms: i64| {
            let skew = Skew::new(clock.clone());
            assert_eq!(skew.verdict().level, Level::Skip);
            let date = DateTime::from_secs(clock.wall_ms() / 1_000).fmt(Format::HttpDate).expect("a date");
            offset.fetch_add(shift_ms, std::sync::atomic::Ordering::Relaxed);
            skew.hear(&date);
            skew.hear("no date");
            offset.fetch_sub(shift_ms, std::sync::atomic::Ordering::Relaxed);
            // Older by an hour: an answer that was long on its way changes nothing.
            skew.hear(&DateTime::from_secs(clock.wall_ms() / 1_000 - 3_600).fmt(Format::HttpDate).expect("a date"));
            skew.verdict()
        };
        assert_eq!(judged(0).level, Level::Ok);
        assert_eq!(judged(20_000).level, Level::Warn);
        assert_eq!(judged(-20_000).level, Level::Warn);
        let verdict = judged(600_000);
        assert!(verdict.level == Level::Fail && verdict.says.contains("ahead of"), "{verdict:?}");
    }
}
