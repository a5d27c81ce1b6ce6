//! Why a request was not taken as authentic, in AWS's words.

use thiserror::Error;

use super::TERMINATOR;
use super::authorization::{MAX_SIGNED_HEADERS, shortened};
use super::canonical::AbsentHeader;
use crate::query::FaultCode;
use crate::{Error, ErrorCode};

/// One variant per situation; the text is what the client is told.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Rejection {
    /// No `Authorization` header.
    #[error("Missing Authentication Token")]
    MissingAuthentication,
    /// Signed in the query string.
    #[error("Presigned requests are not supported. Sign the request with an Authorization header.")]
    Presigned,
    /// A header that decides about the signature came more than once.
    #[error("The '{0}' header must be present only once.")]
    RepeatedHeader(&'static str),
    /// A header that decides about the signature is not printable ASCII, or too long.
    #[error("The '{0}' header is too long or not printable ASCII.")]
    UnreadableHeader(&'static str),
    /// Another authorisation scheme or signature version.
    #[error("Unsupported AWS 'algorithm': '{0}'.")]
    UnsupportedAlgorithm(String),
    /// A part of the header without `=`.
    #[error(
        "'{part}' not a valid key=value pair (missing equal-sign) in Authorization header: \
         '{header}'."
    )]
    NotKeyValue {
        /// The part, shortened.
        part: String,
        /// The header, shortened.
        header: String,
    },
    /// The same parameter twice, or one that does not exist.
    #[error("Authorization header has a repeated or unknown parameter: '{0}'.")]
    UnexpectedParameter(String),
    /// Parameters or the date are missing; one sentence for each.
    #[error("{}", .0.join(" "))]
    Missing(Vec<&'static str>),
    /// A credential that is not five parts.
    #[error(
        "Credential must have exactly 5 slash-delimited elements, e.g. \
         keyid/date/region/service/term, got '{0}'"
    )]
    MalformedCredential(String),
    /// A list of signed headers that is not lower case, sorted and free of repetitions.
    #[error(
        "SignedHeaders must be at most {limit} header names, in lower case, sorted, each once.",
        limit = MAX_SIGNED_HEADERS
    )]
    MalformedSignedHeaders,
    /// A date that cannot be read.
    #[error(
        "Date must be in ISO-8601 'basic format'. Got '{0}'. \
         See http://en.wikipedia.org/wiki/ISO_8601"
    )]
    MalformedDate(String),
    /// The scope's last part is another one.
    #[error("Credential should be scoped with a valid terminator: '{TERMINATOR}'.")]
    WrongTerminator,
    /// A Region that is not served here.
    #[error("Credential should be scoped to a valid region.")]
    WrongRegion,
    /// Another service; carries the ones that will do.
    #[error("Credential should be scoped to correct service: '{}'.", .0.join("' or '"))]
    WrongService(Vec<String>),
    /// The scope's day is not the request's.
    #[error(
        "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from \
         HTTP: '{scope}' != '{day}', from '{date}'."
    )]
    WrongScopeDate {
        /// The day in the scope.
        scope: String,
        /// The day of the request.
        day: String,
        /// The request's date and time.
        date: String,
    },
    /// Signed too long ago. All three in ISO 8601 basic form.
    #[error("Signature expired: {signed} is now earlier than {limit} ({now} - 5 min.)")]
    Expired {
        /// When it was signed.
        signed: String,
        /// The earliest that will do.
        limit: String,
        /// The verifier's clock.
        now: String,
    },
    /// Signed in the future. All three in ISO 8601 basic form.
    #[error("Signature not yet current: {signed} is still later than {limit} ({now} + 5 min.)")]
    NotYetCurrent {
        /// When it was signed.
        signed: String,
        /// The latest that will do.
        limit: String,
        /// The verifier's clock.
        now: String,
    },
    /// An unknown access key, or a session token that does not belong to the key.
    #[error("The security token included in the request is invalid.")]
    InvalidToken,
    /// A session whose time is over.
    #[error("The security token included in the request is expired")]
    ExpiredToken,
    /// `host` is not among the signed headers.
    #[error("'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.")]
    HostNotSigned,
    /// A header that must be signed is not.
    #[error("'{0}' must be a 'SignedHeader' in the AWS Authorization.")]
    HeaderNotSigned(String),
    /// A header named as signed is not in the request.
    #[error("'{0}' is a 'SignedHeader' in the AWS Authorization but not in the request.")]
    SignedHeaderAbsent(String),
    /// `UNSIGNED-PAYLOAD` or a chunked signature.
    #[error("Unsigned and streaming payloads are not supported. Sign the whole body.")]
    PayloadNotSigned,
    /// The declared hash is not the body's.
    #[error("The provided 'x-amz-content-sha256' header does not match what was computed.")]
    ContentHashMismatch,
    /// Another secret, or a request that was changed after signing.
    #[error(
        "The request signature we calculated does not match the signature you provided. Check \
         your AWS Secret Access Key and signing method. Consult the service documentation for \
         details."
    )]
    SignatureMismatch,
}

/// One kind of error in the spellings of the two families of protocols.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Codes {
    /// For AWS JSON, always with status 400.
    pub json: &'static str,
    /// For the query protocol.
    pub query: &'static str,
    /// HTTP status that goes with `query`.
    pub query_status: u16,
}

impl Rejection {
    /// The error's code in each protocol.
    pub fn codes(&self) -> Codes {
        let (code, fault) = (self.code(), FaultCode::from(self.code()));
        Codes { json: code.as_str(), query: fault.as_str(), query_status: fault.http_status() }
    }

    /// The error's code, from which that of the query protocol follows.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::MissingAuthentication => ErrorCode::MissingAuthenticationTokenException,
            Self::Presigned
            | Self::RepeatedHeader(_)
            | Self::UnreadableHeader(_)
            | Self::UnsupportedAlgorithm(_)
            | Self::NotKeyValue { .. }
            | Self::UnexpectedParameter(_)
            | Self::Missing(_)
            | Self::MalformedCredential(_)
            | Self::MalformedSignedHeaders
            | Self::MalformedDate(_) => ErrorCode::IncompleteSignatureException,
            Self::WrongTerminator
            | Self::WrongRegion
            | Self::WrongService(_)
            | Self::WrongScopeDate { .. }
            | Self::Expired { .. }
            | Self::NotYetCurrent { .. }
            | Self::HostNotSigned
            | Self::HeaderNotSigned(_)
            | Self::SignedHeaderAbsent(_)
            | Self::PayloadNotSigned
            | Self::ContentHashMismatch
            | Self::SignatureMismatch => ErrorCode::InvalidSignatureException,
            Self::InvalidToken => ErrorCode::UnrecognizedClientException,
            Self::ExpiredToken => ErrorCode::ExpiredTokenException,
        }
    }
}

impl From<Rejection> for Error {
    fn from(rejection: Rejection) -> Self {
        Self::new(rejection.code(), rejection.to_string())
    }
}

impl From<AbsentHeader> for Rejection {
    fn from(AbsentHeader(name): AbsentHeader) -> Self {
        Self::SignedHeaderAbsent(shortened(&name))
    }
}
