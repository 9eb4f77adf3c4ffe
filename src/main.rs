//! The `ptxgen` command.
fn main() {}
