//! The thread that runs the session machine.

pub mod link;
