//! The evaluator: compiler, machine, values and builtins.
//!
//! It reaches files, the store and fetchers through one trait ([`io::EvalIo`]) and does not know which store or
//! terminal it runs on.
//!
//! | module | is |
//! | --- | --- |
//! | [`value`], [`heap`] | one-word values in arenas that are never freed |
//! | [`shape`] | the shared lists of names that sets are made with |
//! | [`compile`] | from syntax trees to resolved nodes |
//! | [`machine`] | running nodes: forcing, calling, comparing, coercing; files |
//! | [`builtins`] | the builtin functions |
//! | [`context`] | what strings refer to |
//! | [`error`], [`position`] | errors, and where things are in source texts |
//! | [`print`] | values as text, JSON and XML |
//! | [`io`] | the world behind a trait |
//! | [`watch`] | counts and samples of calls |
//! | [`text`] | regular expressions, versions, numbers and formats as text |

pub mod builtins;
pub mod compile;
pub mod context;
pub mod error;
pub mod heap;
pub mod io;
pub mod machine;
pub mod packages;
pub mod paths;
pub mod position;
pub mod print;
pub mod shape;
pub mod text;
pub mod trees;
pub mod value;
pub mod watch;

pub use error::{Error, Kind, Result};
pub use machine::{Evaluator, FlakeLoader, Settings, Vm};
pub use value::{Value, View};
