//! AWS Signature Version 4, header form: checking and making signatures. What needs no secret is
//! in `keystead_api::sigv4`.
//!
//! No I/O and no clock of its own: the time, the Regions and the services are given. The order in
//! which a caller learns of its mistakes follows from the order of the calls:
//!
//! 1. [`parse`]: no `Authorization`, or one that cannot be read, or no usable date;
//! 2. [`Authorization::check`]: Region, service, scope date, clock, kind of credential;
//! 3. the caller looks the secret up (unknown: [`Rejection::InvalidToken`]);
//! 4. [`verify`]: unsigned headers, the body's hash, the signature.

mod key;
mod sign;

pub use key::SigningKey;
pub use keystead_api::sigv4::{
    ALGORITHM, AbsentHeader, AmzDate, Authorization, Codes, Expect, MAX_SKEW_SECONDS, PathRule,
    Rejection, Request, TERMINATOR, canonical_request, parse, scoped_region,
};
pub use sign::{Credentials, SignError, sign};

use http::HeaderMap;
use keystead_api::sigv4;
use keystead_crypto::{constant_time_eq, digest};
use keystead_types::{UnixMillis, lower_hex};

/// The text to sign: algorithm, date, credential scope and the canonical request's hash.
pub fn string_to_sign(date: &AmzDate, scope: &str, canonical_request: &[u8]) -> String {
    sigv4::string_to_sign(date, scope, &lower_hex(&digest::sha256(canonical_request)))
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
    check_signature(request, authorization, key, &body_hash, expect.path)
}

/// The same for a request of which the body is elsewhere, and only what was signed of it is known:
/// a hash, or the word that S3 has instead.
///
/// # Errors
/// As [`verify`]; besides, where nothing tells what was signed, or two things do.
pub fn verify_forwarded(
    request: &Request<'_>,
    authorization: &Authorization<'_>,
    key: &SigningKey,
    payload: Option<&str>,
    expect: &Expect<'_>,
) -> Result<(), Rejection> {
    require_signed(request, authorization)?;
    let declared = request.headers.get(CONTENT_HASH).and_then(|value| value.to_str().ok());
    let payload = match (declared, payload) {
        (Some(declared), Some(payload)) if declared != payload => {
            return Err(Rejection::ContentHashMismatch);
        }
        (declared, payload) => declared.or(payload).ok_or(Rejection::ContentHashMismatch)?,
    };
    check_signature(request, authorization, key, payload, expect.path)
}

fn check_signature(
    request: &Request<'_>,
    authorization: &Authorization<'_>,
    key: &SigningKey,
    payload: &str,
    path: PathRule,
) -> Result<(), Rejection> {
    let canonical = canonical_request(request, &authorization.signed_headers, payload, path)?;
    let text = string_to_sign(&authorization.date, &authorization.scope(), &canonical);
    let expected = key.sign(text.as_bytes());
    match constant_time_eq(expected.as_bytes(), authorization.signature.as_bytes()) {
        true => Ok(()),
        false => Err(Rejection::SignatureMismatch),
    }
}

/// The header that says what the body is.
pub(crate) const CONTENT_HASH: &str = "x-amz-content-sha256";

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
    for declared in headers.get_all(CONTENT_HASH) {
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
