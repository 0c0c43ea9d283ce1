//! Imports binary packages (Debian archives, self-contained upstream binaries) into the form a
//! store path must have: unpacked, flattened, and with every interpreter, library path and absolute
//! path pointing into the store.
//!
//! It works on folders it is given and does not know stores or schedulers. [`run`] is the built-in
//! builder `builtin:firn-import`; this crate's README describes its parameters. [`scan`] tells what
//! a package provides and needs, for the tool that writes the lock file.
//!
//! A package goes through these modules: [`archive`] reads it into a [`tree`], [`flatten`] gives its
//! paths their place, [`pipeline`] runs the steps, in which [`elf`] edits programs and libraries,
//! [`text`] scripts and other text, both asking the [`index`] who has a file.

pub mod archive;
pub mod elf;
mod error;
pub mod flatten;
mod gconv;
pub mod glob;
pub mod index;
mod pipeline;
pub mod scan;
mod spec;
pub mod text;
pub mod tree;
mod write;

pub use error::{Error, Result};
pub use pipeline::run;
pub use spec::{Env, Kind, Replace, Report, Spec, StringMove};
