//! Rows 1 and 5: single records fail, and answers get lost after what they answer for was stored.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::Run;
use super::figures::{Figures, count};
use super::stage::{KINESIS, Stage, steady};
use crate::aws::RecordError;
use crate::aws::faults::{Fault, Rule};
use crate::five_hundred::{FiveHundred, Sent};
use crate::load::Shape;
use crate::seed::Draw;
use crate::torture::plan::{Destination, HousePlan};

const RECORDS: usize = 500;
/// One call in so many has no answer.
const LOST_ONE_IN: f64 = 10.0;

pub(super) async fn some_fail(run: Run) -> Figures {
    let mut figures = Figures::default();
    exactly(run, &mut figures).await;
    under_load(run, &mut figures).await;
    figures
}

/// The sender alone: calls of 500 records of which exactly k fail. Both ends, and every k in random order as far as the
/// time goes.
async fn exactly(run: Run, figures: &mut Figures) {
    Run::say("500 records, of which k fail");
    let calls = FiveHundred::start(run.seed).await;
    let mut draw = Draw::new(run.seed, 1);
    let mut ks: Vec<usize> = (2..RECORDS).collect();
    for last in (1..ks.len()).rev() {
        ks.swap(last, draw.below(last + 1));
    }
    ks.splice(0..0, [1, RECORDS]);
    let (began, mut tried, mut sent_again, mut wrong) = (Instant::now(), 0, 0, 0);
    for k in ks {
        if tried >= 2 && began.elapsed() > run.time {
            break;
        }
        let sent = calls.send(k).await;
        tried += 1;
        sent_again += sent.sent_again;
        let right = Sent { stored: true, stored_records: RECORDS as u64, sent_again: k as u64 };
        if sent != right {
            wrong += 1;
            Run::say(&format!("k = {k}: {sent:?}"));
        }
    }
    figures.must(wrong == 0, format!("{tried} k tried, {wrong} with a record too many or too few sent again"));
    figures.tell(format!("{} sent again", count(sent_again)));
    figures.must(calls.doubled() == 0, format!("{} duplicates", calls.doubled()));
}

/// A gateway whose events are a record each.
async fn under_load(run: Run, figures: &mut Figures) {
    Run::say("records fail under load");
    let destination = Destination::Kinesis { aggregated: false, keyed: false };
    // Time enough for each call, so that none goes without an answer.
    let plain = HousePlan { destination, shards: 64, attempt_ms: 10_000, deadline_ms: 20_000, ..KINESIS };
    let stage = Stage::open(run, plain, &Shape { streams: 2, unary: 2, ..Shape::default() }, &[]).await;
    let stand_in = stage.house.stand_in.as_ref().expect("the house is on Kinesis");
    let mut draw = Draw::new(run.seed, 2);
    let began = Instant::now();
    while began.elapsed() < run.time {
        for error in [RecordError::InternalFailure, RecordError::Throttled] {
            let records = draw.within(1..=RECORDS as u64) as usize;
            let rule = stand_in.faults().set(Rule::new(Fault::RecordsFail { records, error }).times(2));
            sleep(Duration::from_millis(100)).await;
            stand_in.faults().unset(rule);
        }
    }
    let _ = stage.rate(Duration::from_secs(1)).await;
    let tally = stand_in.tally().kinesis;
    let failed: u64 = tally.failed_records.values().sum();
    figures.must(failed > 0, format!("under load {} records failed", count(failed)));
    let retried = stage.metrics().await.sum("headgate_delivery_retried_records_total", &[]);
    figures.must(retried <= failed as f64, format!("{} sent again", count(retried as u64)));
    let duplicates = stage.close_counting(figures).await;
    figures.must(duplicates == 0, format!("{duplicates} duplicates"));
}

pub(super) async fn answers_lost(run: Run) -> Figures {
    let mut figures = Figures::default();
    let stage = Stage::open(run, KINESIS, &steady(), &[("kinesis.attempt_timeout", "300ms")]).await;
    let stand_in = stage.house.stand_in.as_ref().expect("the house is on Kinesis");
    Run::say("answers get lost");
    let kinds = [Fault::AnswerLost, Fault::AnswerReset, Fault::AnswerCut];
    let rules = kinds.map(|fault| stand_in.faults().set(Rule::new(fault).probability(1.0 / LOST_ONE_IN)));
    sleep(run.time).await;
    rules.into_iter().for_each(|rule| stand_in.faults().unset(rule));
    let _ = stage.rate(Duration::from_secs(2)).await;
    let counted = stage.metrics().await.sum("headgate_delivery_ambiguous_records_total", &[]);
    let (calls, records) = {
        let tally = stand_in.tally().kinesis;
        (tally.ambiguous_calls, tally.ambiguous_records)
    };
    figures.must(records > 0, format!("{calls} calls with {} records stored and not answered", count(records)));
    figures.must(counted >= records as f64, format!("{} records counted as ambiguous", count(counted as u64)));
    stage.close(&mut figures).await;
    if figures.held() {
        figures.tell("each duplicate explained by a lost answer or a resend of its own event");
    }
    figures
}
