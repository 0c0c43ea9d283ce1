//! The developers' own commands: `cargo xtask demo | test | bench | dist | conformance`.

fn main() {}
