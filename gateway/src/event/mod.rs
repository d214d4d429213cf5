//! What an event's bytes say: found in the message in place ([`scan`]), held to the rules of all events ([`validate`],
//! [`json`]), and asked for one member of its data ([`member`]). Nothing is copied and nothing is built; whoever has
//! bytes from a network or a disk may ask, the bytes decide nothing but the answer.

mod charset;
pub mod id;
pub mod json;
pub mod member;
pub mod scan;
pub mod validate;
