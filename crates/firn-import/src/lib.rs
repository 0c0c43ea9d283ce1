//! Imports binary packages (Debian archives, self-contained upstream binaries) into the form a
//! store path must have: unpacked, flattened, and with every interpreter, library path and absolute
//! path pointing into the store.
//!
//! It works on folders it is given and does not know stores or schedulers.
