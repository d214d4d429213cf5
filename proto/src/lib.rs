//! Everything that crosses a process boundary of Headgate, and nothing else: the gRPC messages (`headgate.v1`,
//! `headgate.admin.v1`), the stream record, the one JSON line in which an event travels to its destination (or, to the local lake, packed), and the
//! aggregated record, in which many of them travel through Kinesis.

pub mod aggregate;
pub mod build;
pub mod md5;
mod reason;
pub mod record;
mod redacted;
pub mod request_id;

/// The ingest API, generated from `proto/headgate/v1/ingest.proto`.
pub mod v1 {
    #![allow(missing_docs, unreachable_pub, clippy::all)]
    tonic::include_proto!("headgate.v1");
}

/// The administration API, generated from `proto/headgate/admin/v1/admin.proto`.
pub mod admin {
    /// Version 1.
    pub mod v1 {
        #![allow(missing_docs, unreachable_pub, clippy::all)]
        tonic::include_proto!("headgate.admin.v1");
    }
}

/// The encoded `google.protobuf.FileDescriptorSet` of all of Headgate's proto files, for server reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// The encoded `google.protobuf.FileDescriptorSet` of the library of common game events (`headgate.events.v1`), with the
/// comments that say what each field holds, in which unit and range.
pub const EVENT_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/events.bin"));
