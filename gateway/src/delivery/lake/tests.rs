//! The lake's guarantees, each proved on real files, most of them on files whose power can be cut.

mod acknowledge;
mod compaction;
mod erase;
mod failures;
mod recovery;
mod rig;
mod verify;
