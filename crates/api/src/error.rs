//! The errors of the API: AWS's codes, what each is on either wire, and whether to retry.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use serde::Serialize;

/// An error as a client sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    code: ErrorCode,
    message: Option<Cow<'static, str>>,
}

impl Error {
    /// An error with a text.
    pub fn new(code: ErrorCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, message: Some(message.into()) }
    }

    /// An error without a text, as AWS gives some.
    pub fn bare(code: ErrorCode) -> Self {
        Self { code, message: None }
    }

    /// Which error it is.
    pub fn code(&self) -> ErrorCode {
        self.code
    }

    /// The text, if it has one.
    pub fn message(&self) -> Option<&str> {
        self.message.as_deref()
    }

    /// The HTTP status.
    pub fn http_status(&self) -> u16 {
        self.code.http_status()
    }

    /// The gRPC status code.
    pub fn grpc_code(&self) -> i32 {
        self.code.grpc_code()
    }

    /// Whether the same request may succeed later.
    pub fn retryable(&self) -> bool {
        self.code.retryable()
    }

    /// The body of a response in AWS JSON.
    pub fn to_aws_json(&self) -> Bytes {
        #[derive(Serialize)]
        struct Body<'a> {
            #[serde(rename = "__type")]
            code: &'static str,
            #[serde(skip_serializing_if = "Option::is_none")]
            message: Option<&'a str>,
        }
        serde_json::to_vec(&Body { code: self.code.as_str(), message: self.message() })
            .expect("invariant: two strings can be written to memory")
            .into()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.message {
            Some(message) => write!(f, "{}: {message}", self.code),
            None => write!(f, "{}", self.code),
        }
    }
}

impl std::error::Error for Error {}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The gRPC status codes in use, by their numbers on the wire.
mod grpc {
    pub(super) const INVALID_ARGUMENT: i32 = 3;
    pub(super) const NOT_FOUND: i32 = 5;
    pub(super) const ALREADY_EXISTS: i32 = 6;
    pub(super) const PERMISSION_DENIED: i32 = 7;
    pub(super) const RESOURCE_EXHAUSTED: i32 = 8;
    pub(super) const FAILED_PRECONDITION: i32 = 9;
    pub(super) const ABORTED: i32 = 10;
    pub(super) const UNIMPLEMENTED: i32 = 12;
    pub(super) const INTERNAL: i32 = 13;
    pub(super) const UNAVAILABLE: i32 = 14;
    pub(super) const UNAUTHENTICATED: i32 = 16;
}

/// Defines the codes: HTTP status, gRPC status, whether to retry.
macro_rules! error_codes {
    ($($name:ident = $http:literal, $grpc:ident, $retry:literal, $doc:literal;)+) => {
        /// Which error it is. The names are AWS's texts.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ErrorCode { $(#[doc = $doc] $name,)+ }

        impl ErrorCode {
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

            /// The gRPC status code.
            pub fn grpc_code(self) -> i32 {
                match self { $(Self::$name => grpc::$grpc,)+ }
            }

            /// Whether the same request may succeed later.
            pub fn retryable(self) -> bool {
                match self { $(Self::$name => $retry,)+ }
            }
        }
    };
}

error_codes! {
    // What the service's model names.
    AlreadyExistsException = 400, ALREADY_EXISTS, false, "The alias or replica exists.";
    CloudHsmClusterInUseException = 400, FAILED_PRECONDITION, false,
        "Another store has the cluster.";
    CloudHsmClusterInvalidConfigurationException = 400, FAILED_PRECONDITION, false,
        "The cluster is not set up as it must be.";
    CloudHsmClusterNotActiveException = 400, FAILED_PRECONDITION, false,
        "The cluster is not active.";
    CloudHsmClusterNotFoundException = 400, NOT_FOUND, false, "There is no such cluster.";
    CloudHsmClusterNotRelatedException = 400, FAILED_PRECONDITION, false,
        "The cluster is not one of the store's.";
    ConflictException = 400, ABORTED, false, "Another rotation is under way.";
    CustomKeyStoreHasCMKsException = 400, FAILED_PRECONDITION, false, "The store has keys.";
    CustomKeyStoreInvalidStateException = 400, FAILED_PRECONDITION, false,
        "The store's state does not allow it.";
    CustomKeyStoreNameInUseException = 400, ALREADY_EXISTS, false,
        "Another store has the name.";
    CustomKeyStoreNotFoundException = 400, NOT_FOUND, false, "There is no such store.";
    DependencyTimeoutException = 500, UNAVAILABLE, true, "Something needed did not answer.";
    DisabledException = 400, FAILED_PRECONDITION, false, "The key is disabled.";
    DryRunOperationException = 400, FAILED_PRECONDITION, false,
        "The request would have succeeded.";
    ExpiredImportTokenException = 400, INVALID_ARGUMENT, false,
        "The import token has expired.";
    IncorrectKeyException = 400, INVALID_ARGUMENT, false,
        "Another key made the ciphertext.";
    IncorrectKeyMaterialException = 400, INVALID_ARGUMENT, false,
        "The material is not the key's.";
    IncorrectTrustAnchorException = 400, INVALID_ARGUMENT, false,
        "The certificate is not the cluster's.";
    InvalidAliasNameException = 400, INVALID_ARGUMENT, false, "No alias may be so named.";
    InvalidArnException = 400, INVALID_ARGUMENT, false, "An ARN is malformed.";
    InvalidCiphertextException = 400, INVALID_ARGUMENT, false,
        "The ciphertext does not open, for whatever reason.";
    InvalidGrantIdException = 400, INVALID_ARGUMENT, false, "The grant id is malformed.";
    InvalidGrantTokenException = 400, INVALID_ARGUMENT, false, "The grant token is invalid.";
    InvalidImportTokenException = 400, INVALID_ARGUMENT, false,
        "The import token is invalid, or for another key.";
    InvalidKeyUsageException = 400, INVALID_ARGUMENT, false,
        "The key's usage or spec does not allow it.";
    InvalidMarkerException = 400, INVALID_ARGUMENT, false, "The marker is invalid.";
    KMSInternalException = 500, UNAVAILABLE, true, "The service failed.";
    KMSInvalidMacException = 400, INVALID_ARGUMENT, false, "The MAC does not verify.";
    KMSInvalidSignatureException = 400, INVALID_ARGUMENT, false,
        "The signature does not verify.";
    KMSInvalidStateException = 400, FAILED_PRECONDITION, false,
        "The key's state does not allow it.";
    KeyUnavailableException = 500, UNAVAILABLE, true, "The key cannot be used at present.";
    LimitExceededException = 400, RESOURCE_EXHAUSTED, false, "A quota is used up.";
    MalformedPolicyDocumentException = 400, INVALID_ARGUMENT, false,
        "The policy is not acceptable.";
    NotFoundException = 400, NOT_FOUND, false, "There is no such resource.";
    TagException = 400, INVALID_ARGUMENT, false, "The tags are not acceptable.";
    UnsupportedOperationException = 400, UNIMPLEMENTED, false,
        "A parameter or kind of key is not supported.";
    XksKeyAlreadyInUseException = 400, ALREADY_EXISTS, false,
        "Another key has the external key.";
    XksKeyInvalidConfigurationException = 400, FAILED_PRECONDITION, false,
        "The external key is not set up as it must be.";
    XksKeyNotFoundException = 400, NOT_FOUND, false, "There is no such external key.";
    XksProxyIncorrectAuthenticationCredentialException = 400, INVALID_ARGUMENT, false,
        "The proxy refuses the credential.";
    XksProxyInvalidConfigurationException = 400, FAILED_PRECONDITION, false,
        "The proxy is not set up as it must be.";
    XksProxyInvalidResponseException = 400, FAILED_PRECONDITION, false,
        "The proxy's answer cannot be understood.";
    XksProxyUriEndpointInUseException = 400, ALREADY_EXISTS, false,
        "Another store has the endpoint.";
    XksProxyUriInUseException = 400, ALREADY_EXISTS, false,
        "Another store has the endpoint and path.";
    XksProxyUriUnreachableException = 400, FAILED_PRECONDITION, false,
        "The proxy cannot be reached.";
    XksProxyVpcEndpointServiceInUseException = 400, ALREADY_EXISTS, false,
        "Another store has the endpoint service.";
    XksProxyVpcEndpointServiceInvalidConfigurationException = 400, FAILED_PRECONDITION, false,
        "The endpoint service is not set up as it must be.";
    XksProxyVpcEndpointServiceNotFoundException = 400, NOT_FOUND, false,
        "There is no such endpoint service.";

    // What every operation may answer besides.
    AccessDeniedException = 400, PERMISSION_DENIED, false, "The caller is not allowed to.";
    ExpiredTokenException = 400, UNAUTHENTICATED, false, "The session has expired.";
    IncompleteSignatureException = 400, UNAUTHENTICATED, false,
        "The signature's header is malformed.";
    InternalFailure = 500, INTERNAL, true, "The front end failed.";
    InvalidSignatureException = 400, UNAUTHENTICATED, false, "The signature is wrong.";
    MissingAuthenticationTokenException = 400, UNAUTHENTICATED, false,
        "The request is not signed.";
    NotAuthorizedException = 400, PERMISSION_DENIED, false, "The name is reserved.";
    RequestEntityTooLarge = 413, RESOURCE_EXHAUSTED, false, "The request is too large.";
    SerializationException = 400, INVALID_ARGUMENT, false, "The request cannot be decoded.";
    ServiceUnavailableException = 503, UNAVAILABLE, true, "The service is not ready.";
    ThrottlingException = 400, RESOURCE_EXHAUSTED, true, "Too many requests.";
    UnknownOperationException = 400, UNIMPLEMENTED, false, "There is no such operation.";
    UnrecognizedClientException = 400, UNAUTHENTICATED, false,
        "The access key or session token is not known.";
    ValidationException = 400, INVALID_ARGUMENT, false, "The request violates constraints.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_has_the_type_and_a_message_only_if_there_is_one() {
        let error = Error::new(ErrorCode::NotFoundException, "Key 'a\"b' does not exist");
        assert_eq!(
            error.to_aws_json(),
            r#"{"__type":"NotFoundException","message":"Key 'a\"b' does not exist"}"#
        );
        let bare = Error::bare(ErrorCode::InvalidCiphertextException);
        assert_eq!(bare.to_aws_json(), r#"{"__type":"InvalidCiphertextException"}"#);
        assert_eq!(bare.to_string(), "InvalidCiphertextException");
    }

    #[test]
    fn only_faults_of_the_service_have_another_status_than_400() {
        for code in ErrorCode::ALL {
            let expected = match code {
                ErrorCode::KMSInternalException
                | ErrorCode::DependencyTimeoutException
                | ErrorCode::KeyUnavailableException
                | ErrorCode::InternalFailure => 500,
                ErrorCode::ServiceUnavailableException => 503,
                ErrorCode::RequestEntityTooLarge => 413,
                _ => 400,
            };
            assert_eq!(code.http_status(), expected, "{code}");
            let transient = expected >= 500 || *code == ErrorCode::ThrottlingException;
            assert_eq!(code.retryable(), transient, "{code}");
        }
    }
}
