//! Browser half.
