//! The protos by the rules of buf: its standard style, and that nothing which a client of the last release relies on is
//! broken. What was released lies in `proto/released/VERSION`. So that a green check means something, every rule is shown a
//! change that it has to catch.

mod breaking;
mod faults;
mod lint;
mod tool;
