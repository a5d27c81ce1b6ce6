//! Signing our own requests, by the canonicaliser that checks others'.

use http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use http::{HeaderMap, header};
use keystead_crypto::digest::sha256;
use keystead_types::{UnixMillis, lower_hex};
use thiserror::Error;

use super::{
    ALGORITHM, AbsentHeader, AmzDate, PathRule, Request, SigningKey, TERMINATOR, canonical_request,
    string_to_sign,
};

/// What a client signs with.
#[derive(Clone, Copy)]
pub struct Credentials<'a> {
    /// Access key id.
    pub access_key_id: &'a str,
    /// Secret access key.
    pub secret_access_key: &'a str,
    /// Session token of temporary credentials.
    pub session_token: Option<&'a str>,
}

/// A request that cannot be signed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SignError {
    /// It has neither a `host` header nor an authority.
    #[error(transparent)]
    Absent(#[from] AbsentHeader),
    /// The access key, Region, service or session token holds what no header can.
    #[error("the {0} holds characters that cannot be sent in a header")]
    NotAHeader(&'static str),
}

/// Headers that proxies and clients change on the way, and so are not signed.
const UNSIGNED: [HeaderName; 6] = [
    AUTHORIZATION,
    header::CONNECTION,
    header::EXPECT,
    header::TE,
    header::TRANSFER_ENCODING,
    header::USER_AGENT,
];

/// Signs a request for a Region and service, and returns the headers to set on it:
/// `x-amz-date`, `x-amz-security-token` when there is a token, and `authorization`.
///
/// # Errors
/// No host, or a credential that does not fit into a header.
pub fn sign(
    request: &Request<'_>,
    credentials: &Credentials<'_>,
    region: &str,
    service: &str,
    now: UnixMillis,
) -> Result<HeaderMap, SignError> {
    let date = AmzDate::now(now);
    let mut added = HeaderMap::new();
    added.insert(AmzDate::HEADER, value(&date.text, "date")?);
    if let Some(token) = credentials.session_token {
        let mut token = value(token, "session token")?;
        token.set_sensitive(true);
        added.insert("x-amz-security-token", token);
    }
    let mut headers = request.headers.clone();
    for (name, value) in &added {
        headers.insert(name, value.clone());
    }

    let mut names: Vec<&str> =
        headers.keys().filter(|name| !UNSIGNED.contains(name)).map(HeaderName::as_str).collect();
    names.push("host");
    names.sort_unstable();
    names.dedup();

    let body_hash = lower_hex(&sha256(request.body));
    let signed = Request { headers: &headers, ..*request };
    let canonical = canonical_request(&signed, &names, &body_hash, PathRule::Normalized)?;
    let scope = format!("{}/{region}/{service}/{TERMINATOR}", date.day());
    let key = SigningKey::derive(credentials.secret_access_key, date.day(), region, service);
    let signature = key.sign(string_to_sign(&date, &scope, &canonical).as_bytes());
    let authorization = format!(
        "{ALGORITHM} Credential={}/{scope}, SignedHeaders={}, Signature={signature}",
        credentials.access_key_id,
        names.join(";"),
    );
    added.insert(AUTHORIZATION, value(&authorization, "access key, region or service")?);
    Ok(added)
}

fn value(text: &str, what: &'static str) -> Result<HeaderValue, SignError> {
    HeaderValue::from_str(text).map_err(|_| SignError::NotAHeader(what))
}
