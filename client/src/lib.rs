//! Sends telemetry events to a Headgate gateway.
//!
//! [`Client::send`] encodes an event into the open batch and returns: it is for game loops. A thread of the client's own
//! sends the batches on one long-lived stream, several at once, heeds each event's verdict, sends again what was not stored,
//! and opens the stream again whenever it has to. What that promises:
//!
//! - **Every event has one end**, and it is counted ([`Counters`]): stored, rejected, refused, dropped, or handed back by
//!   [`Client::close`].
//! - **At least once, and once where the gateway can tell**: an event keeps its id however often it is sent.
//! - **Memory is bounded**, whatever the gateway does. What happens to events beyond that is the caller's choice
//!   ([`Overflow`]).
//! - **With a [`Log`] nothing durable is lost**: [`Client::send_durable`] returns when the event is on disk, and the next
//!   process sends what this one could not.
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use headgate_client::{Client, Event, Key, Log, Overflow};
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let client = Client::builder("https://ingest.example.com:50051", Key::file("/etc/my-game/headgate-key"))
//!         .log(Log::new("/var/lib/my-game/events"))
//!         .overflow(Overflow::DropOldest)
//!         .on_failure(|failure| eprintln!("an event is lost: {failure:?}"))
//!         .build()?;
//!
//!     // In the game loop: microseconds, whatever the network does.
//!     client.send(Event::new("login", "player_login").data(br#"{"player_id":"p-1"}"#))?;
//!
//!     // What must survive a crash: on disk when it returns.
//!     let paid = br#"{"player_id":"p-1","transaction_id":"t1","item_id":"gem","currency_type":"EUR","currency_amount":4.99}"#;
//!     client.send_durable(Event::new("iap_transaction", "purchase").data(paid))?;
//!
//!     let undelivered = client.close(Duration::from_secs(10));
//!     println!("{} events lost, {} kept on the log", undelivered.in_memory(), undelivered.on_log());
//!     Ok(())
//! }
//! ```
//!
//! In async code it is the same: `send` does not block, and what waits has a twin that ends in `_async`.
//!
//! # Features
//!
//! `tls` (default): `https` endpoints, with rustls. Without it no TLS stack is built, and only `http` endpoints can be used.

mod backoff;
mod batch;
mod builder;
mod client;
mod clock;
mod codec;
mod connect;
mod counters;
mod error;
mod event;
mod failure;
mod ids;
mod key;
mod limits;
mod link;
mod log;
mod refusal;
mod shared;
mod store;
mod stored;
mod verdict;
mod window;
mod wire;
mod worker;

pub use headgate_proto::v1;
pub use headgate_proto::v1::Reason;
pub use tonic::Code;
pub use uuid::Uuid;

pub use self::builder::Builder;
pub use self::client::{Client, Receipt, Standing};
pub use self::counters::Counters;
pub use self::error::{BuildError, EventError, KeyError, LogError, LogProblem, SendError};
pub use self::event::Event;
pub use self::failure::{Cause, Failure, Undelivered};
pub use self::key::Key;
pub use self::limits::Overflow;
pub use self::log::{Fsync, Log};
pub use self::stored::Stored;
