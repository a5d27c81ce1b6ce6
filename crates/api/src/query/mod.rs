//! The AWS query protocol: form bodies in, XML out. STS and IAM speak it.

mod document;
mod fault;
mod form;
pub mod messages;
mod params;
mod wire;
mod xml;

pub use document::encode_document;
pub use fault::{Fault, FaultCode};
pub use params::{FormError, Params, parse};
pub use wire::{WRAPPED_EMPTY, check, decode, encode};
pub use xml::Xml;

/// The namespace of IAM's only API version.
pub const IAM_NAMESPACE: &str = "https://iam.amazonaws.com/doc/2010-05-08/";
/// The namespace of STS's only API version.
pub const STS_NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";
