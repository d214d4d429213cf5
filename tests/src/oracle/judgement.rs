//! Compares what is in a lake with what was promised.

use std::fmt;

use uuid::Uuid;

use super::books::Books;
use super::events::Events;
use crate::lake::Row;

/// Violations that are shown; all are counted.
const SHOWN: usize = 20;

/// A promise that is broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Violation {
    /// An acknowledged event is not there.
    Missing {
        /// The event.
        serial: u64,
    },
    /// A row that nobody sent.
    Alien {
        /// Its id, as it stands there.
        event_id: String,
    },
    /// A row whose event was sent otherwise.
    Altered {
        /// The event.
        serial: u64,
        /// The column.
        column: &'static str,
        /// What it must be.
        sent: String,
        /// What it is.
        found: String,
    },
    /// A row of an event that was never stored, if the answers are to be believed.
    NotToBeThere {
        /// The event.
        serial: u64,
        /// What was answered.
        answered: &'static str,
    },
    /// More rows of one event than unanswered sends explain.
    Doubled {
        /// The event.
        serial: u64,
        /// How many rows there are.
        rows: u16,
        /// How many there may be.
        most: u16,
    },
    /// An answer that contradicts itself or the rules.
    BadAnswer(String),
}

/// What the oracle says of a lake.
#[must_use]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Judgement {
    /// Events that were sent.
    pub sent: u64,
    /// Events that were acknowledged.
    pub acknowledged: u64,
    /// Events that were rejected.
    pub rejected: u64,
    /// Events that were refused at least once.
    pub refused: u64,
    /// Events without any answer that settles them.
    pub unsettled: u64,
    /// Acknowledged events that are not in the lake.
    pub missing: u64,
    /// Events that are in the lake.
    pub stored: u64,
    /// Rows beyond the first of an event.
    pub duplicates: u64,
    /// Rows that no resend of a client explains. A lake must not have any; in a stream they come from calls whose answers
    /// were lost ([`Judgement::at_least_once`]).
    pub doubled: u64,
    /// How many promises are broken.
    pub violation_count: u64,
    /// The first of them.
    pub violations: Vec<Violation>,
    // How many of the violations are of this kind.
    doubled_serials: u64,
}

impl Violation {
    /// What it is, in a word.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "missing",
            Self::Alien { .. } => "alien",
            Self::Altered { .. } => "altered",
            Self::NotToBeThere { .. } => "not-to-be-there",
            Self::Doubled { .. } => "doubled",
            Self::BadAnswer(_) => "bad-answer",
        }
    }

    /// The event that it is about, where it is one that was sent.
    #[must_use]
    pub fn serial(&self) -> Option<u64> {
        match self {
            Self::Missing { serial }
            | Self::Altered { serial, .. }
            | Self::NotToBeThere { serial, .. }
            | Self::Doubled { serial, .. } => Some(*serial),
            Self::Alien { .. } | Self::BadAnswer(_) => None,
        }
    }
}

impl Judgement {
    pub(super) fn of<'a>(
        events: &Events,
        applications: &[Uuid],
        books: &Books,
        rows: impl IntoIterator<Item = &'a Row>,
        copies: impl Fn(u64) -> u16,
    ) -> Self {
        let mut judgement = Self::default();
        let applications: Vec<_> = applications.iter().map(Uuid::to_string).collect();
        let mut found = vec![0_u16; books.entries.len()];
        for row in rows {
            let event_id = String::from_utf8_lossy(row.event_id.data());
            let serial = Uuid::try_parse(&event_id).ok().and_then(|id| events.serial(id));
            let entry = serial.and_then(|serial| books.entries.get(usize::try_from(serial).ok()?));
            match (serial, entry) {
                (Some(serial), Some(entry)) if entry.sends > 0 => {
                    #[allow(clippy::cast_possible_truncation, reason = "an index of the entries")]
                    let index = serial as usize;
                    found[index] = found[index].saturating_add(1);
                    judgement.compare(events, serial, &applications[usize::from(entry.application)], row);
                }
                _ => judgement.add(Violation::Alien { event_id: event_id.into_owned() }),
            }
        }
        for ((serial, entry), rows) in (0..).zip(&books.entries).zip(found) {
            judgement.sent += u64::from(entry.sends > 0);
            judgement.acknowledged += u64::from(entry.acks > 0);
            judgement.rejected += u64::from(entry.rejections > 0);
            judgement.refused += u64::from(entry.refusals > 0);
            judgement.unsettled += u64::from(entry.sends > 0 && entry.acks == 0 && entry.rejections == 0);
            judgement.stored += u64::from(rows > 0);
            judgement.duplicates += u64::from(rows.saturating_sub(1));
            let most = entry.most_rows();
            if rows == 0 && entry.acks > 0 {
                judgement.missing += 1;
                judgement.add(Violation::Missing { serial });
            } else if rows > most && most == 0 {
                let answered = if entry.rejections > 0 { "rejected" } else { "not stored" };
                judgement.add(Violation::NotToBeThere { serial, answered });
            } else if rows > most.saturating_add(copies(serial)) {
                judgement.doubled += u64::from(rows - most);
                judgement.doubled_serials += 1;
                judgement.add(Violation::Doubled { serial, rows, most });
            }
        }
        for answer in &books.bad_answers {
            judgement.add(Violation::BadAnswer(answer.clone()));
        }
        judgement
    }

    /// Every promise is kept, and at least so many were given: a run in which nothing was acknowledged proves nothing.
    ///
    /// # Panics
    /// If not.
    pub fn assert_kept(&self, least_acknowledged: u64) {
        println!("{self}");
        assert_eq!(self.violation_count, 0, "{self}");
        assert!(self.acknowledged >= least_acknowledged, "too little to prove anything: {self}");
    }

    /// The same for a destination that may hold an event more than once: how often is for the caller to judge, by
    /// [`Judgement::doubled`].
    pub fn at_least_once(mut self) -> Self {
        self.violation_count -= self.doubled_serials;
        self.violations.retain(|violation| !matches!(violation, Violation::Doubled { .. }));
        self.doubled_serials = 0;
        self
    }

    fn compare(&mut self, events: &Events, serial: u64, application: &str, row: &Row) {
        let sent = events.event(serial);
        let timestamp = events.timestamp(serial);
        let time_ms = timestamp.seconds * 1_000 + i64::from(timestamp.nanos / 1_000_000);
        let text = |value: &parquet::data_type::ByteArray| String::from_utf8_lossy(value.data()).into_owned();
        let some = |value: String| if value.is_empty() { None } else { Some(value) };
        let columns = [
            ("event_id", Some(sent.event_id), Some(text(&row.event_id))),
            ("event_type", Some(sent.event_type), Some(text(&row.event_type))),
            ("event_name", Some(sent.event_name), Some(text(&row.event_name))),
            ("event_version", some(sent.event_version), row.event_version.as_ref().map(text)),
            ("app_version", some(sent.app_version), row.app_version.as_ref().map(text)),
            ("event_data", events.stored_data(serial), row.event_data.as_ref().map(text)),
            ("event_timestamp", Some(timestamp.seconds.to_string()), Some(row.event_timestamp.to_string())),
            ("event_time_ms", Some(time_ms.to_string()), Some(row.event_time_ms.to_string())),
            ("application_id", Some(application.to_owned()), Some(text(&row.application_id))),
            ("partition", Some(partition(timestamp.seconds)), Some(row.partition.clone())),
        ];
        for (column, sent, found) in columns {
            if sent != found {
                let [sent, found] = [sent, found].map(|value| value.unwrap_or_else(|| "nothing".to_owned()));
                self.add(Violation::Altered { serial, column, sent, found });
            }
        }
    }

    fn add(&mut self, violation: Violation) {
        self.violation_count += 1;
        if self.violations.len() < SHOWN {
            self.violations.push(violation);
        }
    }
}

/// The partition of an event time, by the calendar of the lake's own tests.
fn partition(seconds: i64) -> String {
    let day = headgate::delivery::lake::day::Day::of_ms(seconds * 1_000);
    day.partition().display().to_string()
}

impl fmt::Display for Judgement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} events sent, {} acknowledged, {} rejected, {} refused at least once, {} unsettled; \
             {} in the lake, {} rows double; {} promises broken",
            self.sent,
            self.acknowledged,
            self.rejected,
            self.refused,
            self.unsettled,
            self.stored,
            self.duplicates,
            self.violation_count,
        )?;
        for violation in &self.violations {
            write!(f, "\n  {violation:?}")?;
        }
        Ok(())
    }
}
