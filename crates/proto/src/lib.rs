//! Messages between members and their wire form.
