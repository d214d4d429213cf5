//! Torture: gateways under random faults that overlap, judged by the conservation oracle.
//!
//! A seed gives a [`plan::Plan`]: a house (which destination, registry, limits), its clients and a timeline of faults. A
//! run builds the house, lets load flow through the faults, and when the last one is over it asks for what the gateway
//! promises: it is well again by itself, every event gets settled, nothing is held any more, the books add up, the drain is
//! clean, and the destination holds exactly what the answers say. What is found is a [`breach::Breach`], with the history of
//! the event. The plan of a seed is always the same; when exactly things happen is for the machine to say.

pub mod breach;
pub mod campaign;
pub mod plan;
pub mod progress;
pub mod run;
pub mod sabotage;
pub mod stops;
pub mod tally;

pub(crate) mod check;
pub(crate) mod found;
pub(crate) mod house;
mod strike;
