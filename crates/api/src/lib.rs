//! The messages of the KMS API, with both of their wire forms, their validation and the error
//! model.
//!
//! `proto/keystead/kms/v1` is the one definition. prost makes the structs of it; the build script
//! makes a table of every message's members ([`MessageShape`]). The AWS JSON form, the validation
//! that reports every violation, and the `Debug` form that hides secrets follow from that table,
//! so that no operation has a conversion of its own.

mod error;
pub mod messages;
pub mod query;
pub mod shape;
pub mod sigv4;
pub mod value;
mod violations;
mod wire;

/// The generated messages and enumerations.
#[allow(missing_docs, clippy::all, reason = "generated; its comments are those of the protos")]
#[allow(unused_qualifications, reason = "generated code names everything in full")]
pub mod kms {
    include!(concat!(env!("OUT_DIR"), "/keystead.kms.v1.rs"));
    include!(concat!(env!("OUT_DIR"), "/kms.rs"));
}

use std::fmt::Debug;

pub use error::{Error, ErrorCode};
pub use prost_types::Timestamp;
pub use shape::{MemberShape, MessageShape, OperationShape};
pub use violations::Violations;
pub use wire::{Wire, decode, encode};

/// The protos of the API and all that they import, encoded, for gRPC reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// A message of the API.
pub trait Message:
    prost::Message + Default + serde::Serialize + value::Members + Debug + Send + Sync + 'static
{
    /// The name in the protos, such as `EncryptRequest`.
    const NAME: &'static str;
}

/// Every operation of AWS KMS, with its messages, sorted by name.
pub fn operations() -> &'static [OperationShape] {
    kms::OPERATIONS
}
