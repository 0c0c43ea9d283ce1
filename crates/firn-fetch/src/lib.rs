//! Downloads: URLs, mirrors, retries and progress.
//!
//! Nothing here knows what a fetched file means.
