//! Takes one step after the other: times it, tells of it, and ends it when the whole is to stop.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::report::{Case, Outcome, Step};
use super::{News, Problem};

/// How often waiting is told of.
const TELL_EVERY: Duration = Duration::from_secs(10);
const INTERRUPTED: &str = "interrupted";

/// The steps taken so far.
pub(super) struct Course<'a> {
    pub(super) cases: Vec<Case>,
    pub(super) interrupted: bool,
    stop: watch::Receiver<bool>,
    tell: &'a mut (dyn FnMut(News<'_>) + Send),
}

/// What a step has to say while it is taken.
pub(super) struct Notes<'a> {
    step: Step,
    figures: Vec<String>,
    told: Option<Instant>,
    tell: &'a mut (dyn FnMut(News<'_>) + Send),
}

impl Notes<'_> {
    /// Something for the report.
    pub(super) fn figure(&mut self, text: impl Into<String>) {
        self.figures.push(text.into());
    }

    /// How far it is; only now and then is it told.
    pub(super) fn progress(&mut self, text: impl FnOnce() -> String) {
        if self.told.is_none_or(|told| told.elapsed() >= TELL_EVERY) {
            self.told = Some(Instant::now());
            (self.tell)(News::Progress(self.step, &text()));
        }
    }
}

impl<'a> Course<'a> {
    pub(super) fn new(stop: watch::Receiver<bool>, tell: &'a mut (dyn FnMut(News<'_>) + Send)) -> Self {
        Self { cases: Vec::new(), interrupted: false, stop, tell }
    }

    /// Takes a step that a signal breaks off. What it gives is there only if it passed.
    pub(super) async fn take<T>(
        &mut self,
        step: Step,
        work: impl AsyncFnOnce(&mut Notes<'_>) -> Result<T, Problem>,
    ) -> Option<T> {
        if self.interrupted {
            self.skip(step, INTERRUPTED);
            return None;
        }
        let mut stop = self.stop.clone();
        let stopped = async move {
            // Nobody who could stop it is left: then nobody does.
            if stop.wait_for(|stop| *stop).await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        let breakable = async |notes: &mut Notes<'_>| {
            tokio::select! {
                biased;
                () = stopped => Err(Problem::Interrupted),
                done = work(notes) => done,
            }
        };
        self.take_to_the_end(step, breakable).await
    }

    /// Takes a short step as a whole, unless a signal came before.
    pub(super) async fn take_whole<T>(
        &mut self,
        step: Step,
        work: impl AsyncFnOnce(&mut Notes<'_>) -> Result<T, Problem>,
    ) -> Option<T> {
        if self.interrupted {
            self.skip(step, INTERRUPTED);
            return None;
        }
        self.take_to_the_end(step, work).await
    }

    /// Takes a step to its end, whatever signal came or comes.
    pub(super) async fn take_to_the_end<T>(
        &mut self,
        step: Step,
        work: impl AsyncFnOnce(&mut Notes<'_>) -> Result<T, Problem>,
    ) -> Option<T> {
        let began = Instant::now();
        let mut notes = Notes { step, figures: Vec::new(), told: None, tell: &mut *self.tell };
        // On the heap: as one, the steps are deeper than the compiler follows.
        let done = Box::pin(work(&mut notes)).await;
        let figures = notes.figures;
        self.interrupted |= matches!(done, Err(Problem::Interrupted));
        let (outcome, value) = match done {
            Ok(value) => (Outcome::Passed, Some(value)),
            Err(problem) => (Outcome::Failed(problem), None),
        };
        self.over(Case { step, outcome, took: began.elapsed(), figures });
        value
    }

    pub(super) fn skip(&mut self, step: Step, why: impl Into<String>) {
        let outcome = Outcome::Skipped(why.into());
        self.over(Case { step, outcome, took: Duration::ZERO, figures: Vec::new() });
    }

    /// Skips a step that needs another one.
    pub(super) fn skip_without(&mut self, step: Step, needed: Step) {
        let why = if self.interrupted { INTERRUPTED.to_owned() } else { format!("needs the step {needed}") };
        self.skip(step, why);
    }

    fn over(&mut self, case: Case) {
        (self.tell)(News::Over(&case));
        self.cases.push(case);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_signal_ends_the_step_that_is_taken_and_skips_those_after_it_but_the_last() {
        let (stop, stopped) = watch::channel(false);
        let mut told = Vec::new();
        let mut tell = |news: News<'_>| {
            told.push(match news {
                News::Progress(step, text) => format!("{step}: {text}"),
                News::Over(case) => format!("{} {}", case.step, matches!(case.outcome, Outcome::Passed)),
            });
        };
        let mut course = Course::new(stopped, &mut tell);
        let passed = course.take(Step::Version, async |notes| {
            notes.figure("eight answers");
            Ok(8)
        });
        assert_eq!(passed.await, Some(8));
        let waits = course.take(Step::Lake, async |notes| {
            notes.progress(|| "waits".to_owned());
            notes.progress(|| "not told again so soon".to_owned());
            stop.send_replace(true);
            std::future::pending::<Result<(), Problem>>().await
        });
        assert_eq!(waits.await, None);
        assert_eq!(course.take(Step::Metrics, async |_| Ok(())).await, None);
        assert_eq!(course.take_to_the_end(Step::CleanUp, async |_| Ok(())).await, Some(()));
        let outcomes: Vec<&Outcome> = course.cases.iter().map(|case| &case.outcome).collect();
        assert!(
            matches!(
                outcomes[..],
                [Outcome::Passed, Outcome::Failed(Problem::Interrupted), Outcome::Skipped(_), Outcome::Passed]
            ),
            "{outcomes:?}"
        );
        assert!(course.interrupted && course.cases[0].figures == ["eight answers"]);
        assert_eq!(told, ["version true", "lake: waits", "lake false", "metrics false", "clean-up true"]);
    }
}
