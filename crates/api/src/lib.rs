//! The messages of the KMS, IAM and STS APIs with their wire forms, their validation and the error
//! models; the parsers of signatures and forms.
//!
//! `kms/v1`, `iam/v1` and `sts/v1` in `proto/keystead` are the one definition. prost makes the
//! structs of it; the build script makes a table of every message's members ([`MessageShape`]). The
//! AWS JSON form, the forms and XML of the query protocol, the validation that reports every
//! violation, and the `Debug` form that hides secrets follow from that table, so that no operation
//! has a conversion of its own.

mod error;
pub mod messages;
pub mod query;
pub mod shape;
pub mod sigv4;
pub mod value;
mod violations;
mod wire;

/// The generated messages and enumerations of AWS IAM, which travel in the query protocol only.
#[allow(missing_docs, clippy::all, reason = "generated; its comments are those of the protos")]
#[allow(unused_qualifications, reason = "generated code names everything in full")]
pub mod iam {
    include!(concat!(env!("OUT_DIR"), "/keystead.iam.v1.rs"));
    include!(concat!(env!("OUT_DIR"), "/iam.rs"));
}

/// The generated messages and enumerations of AWS KMS.
#[allow(missing_docs, clippy::all, reason = "generated; its comments are those of the protos")]
#[allow(unused_qualifications, reason = "generated code names everything in full")]
pub mod kms {
    include!(concat!(env!("OUT_DIR"), "/keystead.kms.v1.rs"));
    include!(concat!(env!("OUT_DIR"), "/kms.rs"));
}

/// The generated messages of AWS STS, which travel in the query protocol only.
#[allow(missing_docs, clippy::all, reason = "generated; its comments are those of the protos")]
#[allow(unused_qualifications, reason = "generated code names everything in full")]
pub mod sts {
    include!(concat!(env!("OUT_DIR"), "/keystead.sts.v1.rs"));
    include!(concat!(env!("OUT_DIR"), "/sts.rs"));
}

use std::fmt::Debug;

pub use error::{Error, ErrorCode};
pub use prost_types::Timestamp;
pub use shape::{MemberShape, MessageShape, OperationShape};
pub use violations::Violations;
pub use wire::{Wire, decode, encode};

/// The protos of KMS and all that they import, encoded, for gRPC reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/kms.bin"));

/// A message of an API.
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

/// The operations of AWS IAM that there are messages for, sorted by name.
pub fn iam_operations() -> &'static [OperationShape] {
    iam::OPERATIONS
}

/// The operations of AWS STS that there are messages for, sorted by name.
pub fn sts_operations() -> &'static [OperationShape] {
    sts::OPERATIONS
}
