//! The errors of the query protocol: IAM's and STS's codes with their statuses.

use std::borrow::Cow;
use std::fmt;

use crate::{Error, ErrorCode};

/// An error as a client of the query protocol sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    code: FaultCode,
    message: Cow<'static, str>,
}

impl Fault {
    /// An error with its text.
    pub fn new(code: FaultCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, message: message.into() }
    }

    /// Which error it is.
    pub fn code(&self) -> FaultCode {
        self.code
    }

    /// The text.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The HTTP status.
    pub fn http_status(&self) -> u16 {
        self.code.http_status()
    }

    /// The body of a response: `<ErrorResponse>` in the namespace of the service.
    pub fn to_xml(&self, namespace: &str, request_id: &str) -> String {
        let sender = self.http_status() < 500;
        super::xml::error(namespace, self.code.as_str(), &self.message, request_id, sender)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl std::error::Error for Fault {}

impl fmt::Display for FaultCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Defines the codes: HTTP status and meaning.
macro_rules! fault_codes {
    ($($name:ident = $http:literal, $doc:literal;)+) => {
        /// Which error of the query protocol it is. The names are AWS's texts.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum FaultCode { $(#[doc = $doc] $name,)+ }

        impl FaultCode {
            /// Every code.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// AWS's text.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)+ }
            }

            /// The HTTP status.
            pub fn http_status(self) -> u16 {
                match self { $(Self::$name => $http,)+ }
            }
        }
    };
}

fault_codes! {
    // What IAM's model names.
    ConcurrentModification = 409, "Another request changes the same entity.";
    DeleteConflict = 409, "The entity has something that must go first.";
    EntityAlreadyExists = 409, "The name is taken.";
    EntityTemporarilyUnmodifiable = 409, "The entity cannot be changed at present.";
    InvalidInput = 400, "A value is not acceptable.";
    LimitExceeded = 409, "A quota is used up.";
    MalformedPolicyDocument = 400, "The policy is not acceptable.";
    OpenIdIdpCommunicationError = 400, "The identity provider cannot be reached.";
    NoSuchEntity = 404, "There is no such entity.";
    PolicyNotAttachable = 400, "The policy cannot be attached.";
    ServiceFailure = 500, "The service failed.";
    UnmodifiableEntity = 400, "The entity is the service's own.";

    // What STS's model names besides.
    ExpiredTokenException = 400, "The identity provider's token has expired.";
    IDPCommunicationError = 400, "The identity provider's keys cannot be had.";
    IDPRejectedClaim = 403, "The identity provider says that the claim is not valid.";
    InvalidIdentityToken = 400, "The identity provider's token is not acceptable.";
    PackedPolicyTooLarge = 400, "Session policies and tags are larger than a session can hold.";

    // What a forwarded request may be answered with.
    InvalidForwardedRequest = 400, "The request that a service forwarded is not authentic.";

    // What every action may answer besides.
    AccessDenied = 403, "The caller is not allowed to.";
    ExpiredToken = 403, "The session has expired.";
    IncompleteSignature = 400, "The signature's header is malformed.";
    InternalFailure = 500, "The front end failed.";
    InvalidAction = 400, "There is no such action.";
    InvalidClientTokenId = 403, "The access key or session token is not known.";
    MalformedInput = 400, "The request cannot be decoded.";
    MissingAuthenticationToken = 403, "The request is not signed.";
    RequestEntityTooLarge = 413, "The request is too large.";
    ServiceUnavailable = 503, "The service is not ready.";
    SignatureDoesNotMatch = 403, "The signature is wrong.";
    Throttling = 400, "Too many requests.";
    ValidationError = 400, "The request violates constraints.";
}

impl From<ErrorCode> for FaultCode {
    /// The same error in this protocol, for what all protocols have in common. What only KMS
    /// answers has no business here and is a failure.
    fn from(code: ErrorCode) -> Self {
        match code {
            ErrorCode::AccessDeniedException | ErrorCode::NotAuthorizedException => {
                Self::AccessDenied
            }
            ErrorCode::AlreadyExistsException => Self::EntityAlreadyExists,
            ErrorCode::ExpiredTokenException => Self::ExpiredToken,
            ErrorCode::IncompleteSignatureException => Self::IncompleteSignature,
            ErrorCode::InvalidSignatureException => Self::SignatureDoesNotMatch,
            ErrorCode::LimitExceededException => Self::LimitExceeded,
            ErrorCode::MalformedPolicyDocumentException => Self::MalformedPolicyDocument,
            ErrorCode::MissingAuthenticationTokenException => Self::MissingAuthenticationToken,
            ErrorCode::NotFoundException => Self::NoSuchEntity,
            ErrorCode::RequestEntityTooLarge => Self::RequestEntityTooLarge,
            ErrorCode::SerializationException => Self::MalformedInput,
            ErrorCode::ServiceUnavailableException => Self::ServiceUnavailable,
            ErrorCode::ThrottlingException => Self::Throttling,
            ErrorCode::UnknownOperationException => Self::InvalidAction,
            ErrorCode::UnrecognizedClientException => Self::InvalidClientTokenId,
            ErrorCode::ValidationException => Self::ValidationError,
            _ => Self::InternalFailure,
        }
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::new(error.code().into(), error.message().unwrap_or_default().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_at_fault_follows_from_the_status() {
        let fault = Fault::new(FaultCode::NoSuchEntity, "No <user>.");
        assert_eq!(
            fault.to_xml("urn:x", "id-1"),
            "<ErrorResponse xmlns=\"urn:x\"><Error><Type>Sender</Type><Code>NoSuchEntity</Code>\
             <Message>No &lt;user&gt;.</Message></Error><RequestId>id-1</RequestId></ErrorResponse>"
        );
        let failure = Fault::new(FaultCode::ServiceFailure, "").to_xml("urn:x", "id-1");
        assert!(failure.contains("<Type>Receiver</Type>"), "{failure}");
    }

    #[test]
    fn common_errors_keep_their_meaning() {
        for code in ErrorCode::ALL.iter().copied() {
            let same = FaultCode::from(code);
            let name = code.as_str().trim_end_matches("Exception");
            let theirs = FaultCode::ALL.iter().find(|fault| fault.as_str() == name);
            assert!(theirs.is_none_or(|theirs| *theirs == same), "{code}: {same}");
            assert!(code.http_status() < 500 || same.http_status() >= 500, "{code}: {same}");
        }
        let fault = Fault::from(Error::new(ErrorCode::ThrottlingException, "Rate exceeded"));
        assert_eq!(fault.to_string(), "Throttling: Rate exceeded");
    }
}
