//! What the tests stand on.

pub(crate) mod dynamodb;
pub(crate) mod emf;
pub(crate) mod events;
pub(crate) mod lambda;
pub(crate) mod server;
