//! Running systems: generations, activation, units to restart, containers and virtual machines
//! to try a system in.
//!
//! Nothing here knows the command line.
