//! The formats of the Nix world: hashes, base32, store paths, content addresses, derivations
//! (ATerm and JSON), NAR, narinfo and signatures.
//!
//! Pure and streaming: nothing here opens a file, a socket or a process.
