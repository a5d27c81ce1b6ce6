//! AWS Signature Version 4, header form: parsing, and the canonical form of a request.
//!
//! No I/O, no clock and no secrets: the time, the Regions and the services are given, and who has
//! the secret computes the signature. The work is bounded by the length of the request: every
//! header is canonicalised at most once.

mod authorization;
mod canonical;
mod date;
mod rejection;

pub use authorization::{Authorization, parse, scoped_region, scoped_service};
pub use canonical::{AbsentHeader, PathRule, canonical_request, string_to_sign};
pub use date::AmzDate;
pub use rejection::{Codes, Rejection};

use http::HeaderMap;

/// The algorithm's name, first word of the `Authorization` header and of the string to sign.
pub const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// Last part of every credential scope.
pub const TERMINATOR: &str = "aws4_request";
/// Greatest distance in seconds between a request's date and the verifier's clock.
pub const MAX_SKEW_SECONDS: i64 = 5 * 60;

/// A request as it came from the wire.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// Method, as sent.
    pub method: &'a str,
    /// Path, as sent: not decoded.
    pub path: &'a str,
    /// Query string without the `?`, as sent: not decoded. Empty when there is none.
    pub query: &'a str,
    /// All headers.
    pub headers: &'a HeaderMap,
    /// `:authority` of an HTTP/2 request, which stands for `host`.
    pub authority: Option<&'a str>,
    /// The whole body.
    pub body: &'a [u8],
}

/// What a credential must be scoped to.
#[derive(Debug, Clone, Copy)]
pub struct Expect<'a> {
    /// Regions that will do.
    pub regions: &'a [&'a str],
    /// Signing names of the services that will do, such as `kms`.
    pub services: &'a [&'a str],
    /// How the signer treated the path.
    pub path: PathRule,
}

impl<'a> Expect<'a> {
    /// These Regions and services, and a normalised path as all services but S3 have it.
    pub fn new(regions: &'a [&'a str], services: &'a [&'a str]) -> Self {
        Self { regions, services, path: PathRule::Normalized }
    }
}
