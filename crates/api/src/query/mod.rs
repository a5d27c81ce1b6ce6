//! The AWS query protocol: form bodies in, XML out. STS and IAM speak it.

mod document;
mod fault;
mod form;
pub mod messages;
mod params;
mod sts;
mod wire;
mod xml;

pub use document::encode_document;
pub use fault::{Fault, FaultCode};
pub use params::{FormError, Params, parse};
pub use sts::{STS_NAMESPACE, get_caller_identity_xml};
pub use wire::{WRAPPED_EMPTY, decode, encode};
pub use xml::Xml;

/// The namespace of IAM's only API version.
pub const IAM_NAMESPACE: &str = "https://iam.amazonaws.com/doc/2010-05-08/";
