//! The AWS query protocol: form bodies in, XML out. STS and IAM speak it.

mod params;
mod sts;
mod xml;

pub use params::{FormError, Params, parse};
pub use sts::{STS_NAMESPACE, get_caller_identity_xml};
pub use xml::{Xml, error, response};
