//! The `lookalike` program.

fn main() {}
