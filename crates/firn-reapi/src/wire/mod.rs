//! The protocol beneath: messages as Protocol Buffers have them, and gRPC calls over HTTP/2.
//!
//! This is both sides' part, so that a server for tests can be made of it. It knows no builds.

pub mod grpc;
pub mod messages;
pub mod proto;
