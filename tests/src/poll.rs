//! Waiting for a condition, with a deadline: tests never sleep for a time and hope.

use std::time::Duration;

use tokio::time::Instant;

const PERIOD: Duration = Duration::from_millis(5);

/// Waits until `ask` answers, and gives the answer.
///
/// # Panics
/// If there is none within `patience`: says what was waited for.
pub async fn until<T>(what: &str, patience: Duration, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(Instant::now() < deadline, "waited {patience:?} in vain: {what}");
        tokio::time::sleep(PERIOD).await;
    }
}
