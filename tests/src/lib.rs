//! The rig of Headgate's end-to-end and fault tests: gateways as processes and in this process, clients with raw control,
//! load that goes on through faults, a reader of the lake, a stock Python client, and the oracle that judges what all of
//! them leave behind. Nothing here is skipped where something is missing: the test fails and says what to install.

#![allow(clippy::disallowed_methods, reason = "a test's tasks end with its runtime")]

pub mod aws;
pub mod binary;
pub mod client;
pub mod container;
pub mod destination;
pub mod events;
pub mod fault_proxy;
pub mod faults;
pub mod five_hundred;
pub mod frames;
pub mod gateway;
pub mod haproxy;
pub mod http;
pub mod inproc;
pub mod lake;
pub mod load;
pub mod loadtest;
pub mod lying_files;
pub mod metrics;
pub mod ministack;
pub mod mutate;
pub mod node;
pub mod oracle;
pub mod overload;
pub mod poll;
pub mod process;
pub mod python;
pub mod raw;
pub mod rest;
pub mod seed;
pub mod static_binary;
pub mod stream;
pub mod torn_tail;
pub mod torture;
