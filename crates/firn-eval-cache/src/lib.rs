//! Results of evaluations, kept for as long as all that the evaluation read stays the same.
//!
//! A *question* is a text with everything that is known before evaluation starts: installables, arguments,
//! settings, the program itself. While it is answered, [`RecordingIo`] notes what is read through the one trait
//! by which the evaluator reaches the world: the *inputs*. The next time the question comes, the inputs are
//! compared with the world (mostly by their [`Stamp`]s), and if nothing differs the old answer is the answer.
//!
//! | file | holds |
//! | --- | --- |
//! | `stamp` | what tells that a file was not changed, without reading it |
//! | `input` | one thing that was read, and whether it is still the same |
//! | `tree` | all files of a source tree that is copied whole: a folder, a Git working tree |
//! | `record` | the world that notes what is read |
//! | `entry` | the files in which answers are kept |
//!
//! Store paths that are valid never change, so nothing below one is an input. Whether the paths that an answer
//! names are still there is for the caller to find out, which has the store. Failed evaluations are not kept:
//! errors may be due to the network, memory or the user's patience.

mod entry;
mod input;
mod record;
mod stamp;
#[cfg(test)]
mod tests;
mod tree;

pub use entry::{EvalCache, Hit};
pub use input::Input;
pub use record::{Message, Record, RecordingIo};
pub use stamp::Stamp;
