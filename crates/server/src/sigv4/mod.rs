//! AWS Signature Version 4, header form: parsing, checking and making signatures.
//!
//! No I/O and no clock of its own: the time, the Regions and the services are given. The order in
//! which a caller learns of its mistakes follows from the order of the calls:
//!
//! 1. [`parse`]: no `Authorization`, or one that cannot be read, or no usable date;
//! 2. [`Authorization::check`]: Region, service, scope date, clock, kind of credential;
//! 3. the caller looks the secret up (unknown: [`Rejection::InvalidToken`]);
//! 4. [`verify`]: unsigned headers, the body's hash, the signature.
//!
//! The work is bounded by the length of the request: every header is canonicalised at most once.

mod authorization;
mod canonical;
mod date;
mod key;
mod rejection;
mod sign;

pub use authorization::{Authorization, parse, scoped_region};
pub use canonical::{AbsentHeader, PathRule, canonical_request, string_to_sign};
pub use date::AmzDate;
pub use key::SigningKey;
pub use rejection::{Codes, Rejection};
pub use sign::{Credentials, SignError, sign};

use http::HeaderMap;
use keystead_crypto::{constant_time_eq, digest};
use keystead_types::{UnixMillis, lower_hex};

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

/// Checks everything about a signed request: what [`Authorization::check`] does (again, it is
/// cheap), then that all that matters was signed, and the signature over the actual body.
///
/// `key` must be derived from the secret of `authorization.access_key_id` for the scope's date,
/// Region and service.
///
/// # Errors
/// The first thing found wrong, in the order of the module's description.
pub fn verify(
    request: &Request<'_>,
    authorization: &Authorization<'_>,
    key: &SigningKey,
    now: UnixMillis,
    expect: &Expect<'_>,
) -> Result<(), Rejection> {
    authorization.check(now, expect)?;
    require_signed(request, authorization)?;
    let body_hash = lower_hex(&digest::sha256(request.body));
    check_declared_hash(request.headers, &body_hash)?;
    let canonical =
        canonical_request(request, &authorization.signed_headers, &body_hash, expect.path)?;
    let text = string_to_sign(&authorization.date, &authorization.scope(), &canonical);
    let expected = key.sign(text.as_bytes());
    match constant_time_eq(expected.as_bytes(), authorization.signature.as_bytes()) {
        true => Ok(()),
        false => Err(Rejection::SignatureMismatch),
    }
}

/// Host, date and every `x-amz-*` header must be signed: the target among them selects the
/// operation, and a token the session.
fn require_signed(
    request: &Request<'_>,
    authorization: &Authorization<'_>,
) -> Result<(), Rejection> {
    if !authorization.signs("host") {
        return Err(Rejection::HostNotSigned);
    }
    let unsigned = request
        .headers
        .keys()
        .map(|name| name.as_str())
        .filter(|name| name.starts_with("x-amz-") || *name == authorization.date.header)
        .find(|name| !authorization.signs(name));
    match unsigned {
        Some(name) => Err(Rejection::HeaderNotSigned(name.to_owned())),
        None => Ok(()),
    }
}

/// `x-amz-content-sha256` may be there, but only to say what the body is.
fn check_declared_hash(headers: &HeaderMap, body_hash: &str) -> Result<(), Rejection> {
    for declared in headers.get_all("x-amz-content-sha256") {
        let declared = declared.as_bytes();
        if declared.starts_with(b"UNSIGNED-PAYLOAD") || declared.starts_with(b"STREAMING-") {
            return Err(Rejection::PayloadNotSigned);
        }
        if declared != body_hash.as_bytes() {
            return Err(Rejection::ContentHashMismatch);
        }
    }
    Ok(())
}
