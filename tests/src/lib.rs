//! Simulator and whole-session tests.
