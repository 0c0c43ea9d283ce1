//! What a person sees of long jobs: the event stream, its displays, tables and error reports.
//!
//! It does not know what the events are for.
