//! Headgate's two AWS Lambda functions. `transform` makes the lake's rows of what Firehose is about to write; `metrics`
//! counts what passes through a shard, minute by minute, for CloudWatch.
//!
//! Both are handed bytes by services of AWS and are handed them again until they answer. So nothing that a record holds
//! makes an invocation fail: a record that can't be understood is answered as such and counted. What fails is an invocation
//! that could not find out what it had to know, and that one is worth trying again.

mod bundle;
mod clock;
mod emf;
mod environment;
pub mod metrics;
mod record;
pub mod start;
pub mod transform;
