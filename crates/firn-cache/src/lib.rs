//! Binary caches: stores of compressed archives, each with a `.narinfo` file beside it that says what it is
//! (`file://`, `http://`, `https://`, `s3://`).
//!
//! [`open`] gives a [`BinaryCacheStore`] for an address. Where files come from and go to is a [`transport`]; what is
//! known of paths is kept on disk between runs by [`DiskCache`], in the file that C++ Nix uses too. Signatures are made
//! here if an address says with which keys, but whom to believe is the business of who copies from a cache.

pub mod compression;
mod config;
mod disk;
mod open;
mod store;
pub mod transport;
mod upload;

pub use config::CacheConfig;
pub use disk::{DiskCache, TimeToLive};
pub use open::{Caches, is_cache};
pub use store::BinaryCacheStore;
