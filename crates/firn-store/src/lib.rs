//! Stores: the local SQLite store (as root or in a chroot), its garbage collector, roots,
//! profiles and verification.
//!
//! Nothing here knows the language.
