//! Interactive sessions: what they have bound, what a line means, completion, documentation.
//!
//! Nothing here prints or knows a terminal, so that any front end can hold a session: it passes lines in and
//! shows what comes back. Building, editing and starting shells are the front end's.
//!
//! | module | what |
//! | --- | --- |
//! | [`command`] | lines as commands |
//! | [`session`] | the names that are bound, and evaluating with them |
//! | [`complete`] | what the word at the cursor may become |
//! | [`doc`] | documentation of values |
//! | [`markdown`] | Markdown laid out for a terminal |

pub mod command;
pub mod complete;
pub mod doc;
pub mod markdown;
pub mod session;

pub use command::Command;
pub use session::{Added, Entered, Session};
