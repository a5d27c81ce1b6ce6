//! The `Authorization` header and the headers that belong to it.

use http::HeaderMap;
use keystead_types::UnixMillis;

use super::date::{AmzDate, basic};
use super::{ALGORITHM, Expect, MAX_SKEW_SECONDS, Rejection, Request, TERMINATOR};

/// More signed headers than any client sends.
pub(super) const MAX_SIGNED_HEADERS: usize = 100;
/// Longest `Authorization` or date header, in bytes; a hundred names of headers fit.
const MAX_HEADER_BYTES: usize = 8 * 1024;
/// Longest session token, in bytes; AWS's are below 4 KiB.
const MAX_TOKEN_BYTES: usize = 16 * 1024;
/// How much of a client's text an error repeats, in characters.
const MAX_SHOWN: usize = 256;

/// A parsed `Authorization` header with the request's date and session token. Nothing of it is
/// proved before the signature is verified.
#[derive(Clone)]
pub struct Authorization<'a> {
    /// Access key id.
    pub access_key_id: &'a str,
    /// Day of the credential scope, `yyyymmdd`.
    pub scope_date: &'a str,
    /// Region of the credential scope.
    pub region: &'a str,
    /// Service of the credential scope.
    pub service: &'a str,
    /// Names of the signed headers: lower case, strictly ascending.
    pub signed_headers: Vec<&'a str>,
    /// The signature as sent, 64 hexadecimal digits if it is to match.
    pub signature: &'a str,
    /// `X-Amz-Security-Token`, if any.
    pub session_token: Option<&'a str>,
    /// The request's date.
    pub date: AmzDate,
}

/// Reads what a request says about its signature. Cheap; needs no secret.
///
/// # Errors
/// No `Authorization` header, or one that cannot be read; a missing or malformed date.
pub fn parse<'a>(request: &Request<'a>) -> Result<Authorization<'a>, Rejection> {
    if is_presigned(request.query) {
        return Err(Rejection::Presigned);
    }
    let header = single(request.headers, "authorization", MAX_HEADER_BYTES)?
        .ok_or(Rejection::MissingAuthentication)?;
    if request.headers.get_all("host").iter().nth(1).is_some() {
        return Err(Rejection::RepeatedHeader("host"));
    }
    let parameters = Parameters::parse(header)?;
    let date = request_date(request.headers)?;
    let (Some(credential), Some(signed_headers), Some(signature), Some(date)) =
        (parameters.credential, parameters.signed_headers, parameters.signature, date.as_ref())
    else {
        return Err(parameters.missing(date.is_some()));
    };
    let [access_key_id, scope_date, region, service, terminator] = split_credential(credential)?;
    let authorization = Authorization {
        access_key_id,
        scope_date,
        region,
        service,
        signed_headers: split_signed_headers(signed_headers)?,
        signature,
        session_token: single(request.headers, "x-amz-security-token", MAX_TOKEN_BYTES)?,
        date: date.clone(),
    };
    match terminator {
        TERMINATOR => Ok(authorization),
        _ => Err(Rejection::WrongTerminator),
    }
}

/// The Region that the credential scope names, as far as that can be told at a glance: enough to
/// find out who answers, which then parses and verifies.
pub fn scoped_region(headers: &HeaderMap) -> Option<&str> {
    scope_part(headers, 2)
}

/// The service that the credential scope names, at the same glance.
pub fn scoped_service(headers: &HeaderMap) -> Option<&str> {
    scope_part(headers, 3)
}

fn scope_part(headers: &HeaderMap, index: usize) -> Option<&str> {
    let header = headers.get("authorization")?.to_str().ok()?;
    let (_, credential) = header.split_once("Credential=")?;
    credential.split('/').nth(index)
}

impl Authorization<'_> {
    /// The credential scope without the access key.
    pub fn scope(&self) -> String {
        format!("{}/{}/{}/{TERMINATOR}", self.scope_date, self.region, self.service)
    }

    /// Whether the header (lower case) is among the signed ones.
    pub fn signs(&self, header: &str) -> bool {
        self.signed_headers.binary_search(&header).is_ok()
    }

    /// Checks all that needs no secret: Region, service, scope date, clock, and that long-term
    /// keys (`AKIA…`) come without a session token and temporary ones (`ASIA…`) with one.
    ///
    /// # Errors
    /// The first of these that is wrong.
    pub fn check(&self, now: UnixMillis, expect: &Expect<'_>) -> Result<(), Rejection> {
        if !expect.regions.contains(&self.region) {
            return Err(Rejection::WrongRegion);
        }
        if !expect.services.contains(&self.service) {
            let services = expect.services.iter().map(|&name| name.to_owned()).collect();
            return Err(Rejection::WrongService(services));
        }
        if self.scope_date != self.date.day() {
            return Err(Rejection::WrongScopeDate {
                scope: shortened(self.scope_date),
                day: self.date.day().to_owned(),
                date: self.date.text.clone(),
            });
        }
        self.check_clock(i64::try_from(now.seconds()).unwrap_or(i64::MAX))?;
        let has_token = self.session_token.is_some();
        let (long_term, temporary) =
            (self.access_key_id.starts_with("AKIA"), self.access_key_id.starts_with("ASIA"));
        match (long_term && has_token) || (temporary && !has_token) {
            true => Err(Rejection::InvalidToken),
            false => Ok(()),
        }
    }

    fn check_clock(&self, now: i64) -> Result<(), Rejection> {
        let (earliest, latest) =
            (now.saturating_sub(MAX_SKEW_SECONDS), now.saturating_add(MAX_SKEW_SECONDS));
        let signed = || self.date.text.clone();
        if self.date.seconds < earliest {
            let signed = signed();
            return Err(Rejection::Expired { signed, limit: basic(earliest), now: basic(now) });
        }
        if self.date.seconds > latest {
            let signed = signed();
            return Err(Rejection::NotYetCurrent { signed, limit: basic(latest), now: basic(now) });
        }
        Ok(())
    }
}

/// The three parameters of the header, as far as they are there.
#[derive(Default)]
struct Parameters<'a> {
    credential: Option<&'a str>,
    signed_headers: Option<&'a str>,
    signature: Option<&'a str>,
}

impl<'a> Parameters<'a> {
    fn parse(header: &'a str) -> Result<Self, Rejection> {
        let header = header.trim();
        let (algorithm, rest) = header.split_once([' ', '\t']).unwrap_or((header, ""));
        if algorithm != ALGORITHM {
            // The rest is not repeated: with another scheme it may be a password.
            return Err(Rejection::UnsupportedAlgorithm(shortened(algorithm)));
        }
        let mut parameters = Self::default();
        for part in rest.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let Some((name, value)) = part.split_once('=') else {
                let (part, header) = (shortened(part), shortened(header));
                return Err(Rejection::NotKeyValue { part, header });
            };
            let slot = match name {
                "Credential" => &mut parameters.credential,
                "SignedHeaders" => &mut parameters.signed_headers,
                "Signature" => &mut parameters.signature,
                _ => return Err(Rejection::UnexpectedParameter(shortened(name))),
            };
            if slot.is_some() {
                return Err(Rejection::UnexpectedParameter(shortened(name)));
            }
            // An empty value counts as missing, but not as a licence to give another one.
            *slot = Some(value);
        }
        Ok(parameters.without_empty())
    }

    fn without_empty(self) -> Self {
        let full = |value: Option<&'a str>| value.filter(|text| !text.is_empty());
        Self {
            credential: full(self.credential),
            signed_headers: full(self.signed_headers),
            signature: full(self.signature),
        }
    }

    fn missing(&self, has_date: bool) -> Rejection {
        let sentences = [
            (self.credential.is_some(), "Authorization header requires 'Credential' parameter."),
            (self.signature.is_some(), "Authorization header requires 'Signature' parameter."),
            (
                self.signed_headers.is_some(),
                "Authorization header requires 'SignedHeaders' parameter.",
            ),
            (
                has_date,
                "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' \
                 header.",
            ),
        ];
        Rejection::Missing(
            sentences.into_iter().filter(|(present, _)| !present).map(|(_, text)| text).collect(),
        )
    }
}

fn is_presigned(query: &str) -> bool {
    query
        .split('&')
        .filter_map(|pair| pair.split('=').next())
        .any(|name| name == "X-Amz-Signature" || name == "X-Amz-Algorithm")
}

/// A header that may come once at most, as text.
fn single<'a>(
    headers: &'a HeaderMap,
    name: &'static str,
    max_bytes: usize,
) -> Result<Option<&'a str>, Rejection> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Rejection::RepeatedHeader(name));
    }
    match value.to_str() {
        Ok(text) if text.len() <= max_bytes => Ok(Some(text)),
        _ => Err(Rejection::UnreadableHeader(name)),
    }
}

fn request_date(headers: &HeaderMap) -> Result<Option<AmzDate>, Rejection> {
    let malformed = |text: &str| Rejection::MalformedDate(shortened(text));
    if let Some(text) = single(headers, AmzDate::HEADER, MAX_HEADER_BYTES)? {
        return AmzDate::from_amz_date(text).map(Some).ok_or_else(|| malformed(text));
    }
    match single(headers, "date", MAX_HEADER_BYTES)? {
        Some(text) => AmzDate::from_http_date(text).map(Some).ok_or_else(|| malformed(text)),
        None => Ok(None),
    }
}

fn split_credential(credential: &str) -> Result<[&str; 5], Rejection> {
    let parts: Vec<&str> = credential.splitn(6, '/').collect();
    <[&str; 5]>::try_from(parts)
        .ok()
        .filter(|parts| parts.iter().all(|part| !part.is_empty()))
        .ok_or_else(|| Rejection::MalformedCredential(shortened(credential)))
}

/// The names must ascend strictly: then none comes twice and each value is read only once.
fn split_signed_headers(list: &str) -> Result<Vec<&str>, Rejection> {
    let names: Vec<&str> = list.split(';').take(MAX_SIGNED_HEADERS + 1).collect();
    let lower_case =
        |name: &&str| !name.is_empty() && !name.bytes().any(|byte| byte.is_ascii_uppercase());
    let ascending = names.windows(2).all(|pair| pair[0] < pair[1]);
    match names.len() <= MAX_SIGNED_HEADERS && ascending && names.iter().all(lower_case) {
        true => Ok(names),
        false => Err(Rejection::MalformedSignedHeaders),
    }
}

/// A client's text for an error, cut to a bounded length. Only ASCII comes here.
pub(super) fn shortened(text: &str) -> String {
    text.chars().take(MAX_SHOWN).collect()
}
