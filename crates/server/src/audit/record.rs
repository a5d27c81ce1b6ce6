//! One line of the audit trail.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use keystead_api::{Error, ErrorCode};
use keystead_policy::Verdict;
use keystead_types::{
    AccessKeyId, AccountId, KmsArn, OidcProviderArn, Principal, Region, RequestId, ServiceName,
    UnixMillis,
};
use serde::{Serialize, Serializer};

use super::Parameters;
use crate::authenticate::Caller;
use crate::sessions::Session;

/// Characters of a user agent that are kept.
const USER_AGENT: usize = 1024;

/// A value that is written as its text.
#[derive(Debug, Clone)]
pub(super) struct Shown<T>(pub(super) T);

impl<T: fmt::Display> Serialize for Shown<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// One request, in the members of CloudTrail's event format 1.11.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Record {
    event_version: &'static str,
    user_identity: Identity,
    event_time: Shown<UnixMillis>,
    event_source: &'static str,
    event_name: &'static str,
    aws_region: Shown<Region>,
    #[serde(rename = "sourceIPAddress")]
    source_ip_address: Shown<IpAddr>,
    user_agent: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_message: Option<String>,
    request_parameters: Parameters,
    response_elements: Parameters,
    #[serde(skip_serializing_if = "Option::is_none")]
    additional_event_data: Option<AdditionalData>,
    #[serde(rename = "requestID")]
    request_id: Shown<RequestId>,
    #[serde(rename = "eventID")]
    event_id: Shown<RequestId>,
    read_only: bool,
    resources: Vec<ResourceEntry>,
    event_type: &'static str,
    management_event: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    recipient_account_id: Option<Shown<AccountId>>,
    event_category: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    tls_details: Option<TlsDetails>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Identity {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    principal_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    arn: Option<Shown<Principal>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    account_id: Option<Shown<AccountId>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    access_key_id: Option<Shown<AccessKeyId>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session_context: Option<SessionContext>,
    /// The service that asks, for itself or for whom else this names.
    #[serde(skip_serializing_if = "Option::is_none")]
    invoked_by: Option<Shown<ServiceName>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    identity_provider: Option<Shown<OidcProviderArn>>,
}

/// Of temporary credentials: whose they are, and since when.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct SessionContext {
    #[serde(skip_serializing_if = "Option::is_none")]
    session_issuer: Option<SessionIssuer>,
    #[serde(skip_serializing_if = "Option::is_none")]
    web_id_federation_data: Option<WebIdFederationData>,
    attributes: SessionAttributes,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_identity: Option<String>,
}

/// The OIDC provider that answered for a session.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct WebIdFederationData {
    federated_provider: Shown<OidcProviderArn>,
    /// Of other kinds of providers.
    attributes: BTreeMap<(), ()>,
}

/// The role of a session.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct SessionIssuer {
    #[serde(rename = "type")]
    kind: &'static str,
    principal_id: String,
    arn: String,
    account_id: Shown<AccountId>,
    user_name: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct SessionAttributes {
    creation_date: Shown<UnixMillis>,
    mfa_authenticated: &'static str,
}

impl SessionContext {
    fn new(principal: &Principal, session: &Session) -> Self {
        let issuer = || {
            Some(SessionIssuer {
                kind: "Role",
                principal_id: principal.role_id()?.to_owned(),
                arn: principal.role_arn()?,
                account_id: Shown(principal.account()),
                user_name: principal.role_name()?.to_owned(),
            })
        };
        let source_identity = &session.source_identity;
        Self {
            session_issuer: issuer(),
            web_id_federation_data: session.federated_by().map(|provider| WebIdFederationData {
                federated_provider: Shown(provider.clone()),
                attributes: BTreeMap::new(),
            }),
            attributes: SessionAttributes {
                creation_date: Shown(session.issued),
                mfa_authenticated: "false",
            },
            source_identity: (!source_identity.is_empty()).then(|| source_identity.clone()),
        }
    }
}

/// What Keystead adds: the log index of the state that the request was evaluated against.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct AdditionalData {
    #[serde(skip_serializing_if = "Option::is_none")]
    keystead_index: Option<u64>,
    /// What decided against the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    keystead_decision: Option<String>,
    /// What its reader should look at.
    #[serde(skip_serializing_if = "Option::is_none")]
    keystead_warning: Option<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct ResourceEntry {
    #[serde(rename = "accountId")]
    account_id: Shown<AccountId>,
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(rename = "ARN")]
    arn: Shown<KmsArn>,
}

impl ResourceEntry {
    /// A key or alias; both are logged with the type of a key.
    pub(super) fn key(account: AccountId, arn: KmsArn) -> Self {
        Self { account_id: Shown(account), kind: "AWS::KMS::Key", arn: Shown(arn) }
    }
}

/// How the connection was secured.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TlsDetails {
    tls_version: Shown<Arc<str>>,
    cipher_suite: Shown<Arc<str>>,
}

impl TlsDetails {
    /// A protocol version and a cipher suite, in the names of the TLS registry.
    pub(crate) fn new(version: &str, suite: &str) -> Self {
        Self { tls_version: Shown(version.into()), cipher_suite: Shown(suite.into()) }
    }
}

/// What is known of a request before anything in it was understood.
pub(crate) struct Origin<'a> {
    pub(crate) service: &'static str,
    pub(crate) operation: &'static str,
    pub(crate) region: &'a Region,
    pub(crate) request_id: RequestId,
    pub(crate) event_id: RequestId,
    pub(crate) time: UnixMillis,
    pub(crate) source: IpAddr,
    pub(crate) user_agent: &'a str,
    pub(crate) tls: Option<TlsDetails>,
}

impl Record {
    pub(crate) fn new(origin: Origin<'_>) -> Self {
        Self {
            event_version: "1.11",
            user_identity: Identity {
                kind: "Unknown",
                principal_id: None,
                arn: None,
                account_id: None,
                access_key_id: None,
                user_name: None,
                session_context: None,
                invoked_by: None,
                identity_provider: None,
            },
            event_time: Shown(origin.time),
            event_source: origin.service,
            event_name: origin.operation,
            aws_region: Shown(origin.region.clone()),
            source_ip_address: Shown(origin.source),
            user_agent: start_of(origin.user_agent, USER_AGENT).to_owned(),
            error_code: None,
            error_message: None,
            request_parameters: Parameters::none(),
            response_elements: Parameters::none(),
            additional_event_data: None,
            request_id: Shown(origin.request_id),
            event_id: Shown(origin.event_id),
            read_only: true,
            resources: Vec::new(),
            event_type: "AwsApiCall",
            management_event: true,
            recipient_account_id: None,
            event_category: "Management",
            tls_details: origin.tls,
        }
    }

    pub(crate) fn read_only(&mut self, read_only: bool) {
        self.read_only = read_only;
    }

    pub(crate) fn caller(&mut self, caller: &Caller) {
        let Caller { principal, access_key_id, session } = caller;
        let invoked_by = principal.service().or(caller.via().map(|via| &via.service));
        self.user_identity = Identity {
            invoked_by: invoked_by.cloned().map(Shown),
            kind: principal.kind(),
            principal_id: Some(principal.unique_id()),
            arn: principal.service().is_none().then(|| Shown(principal.clone())),
            account_id: Some(Shown(principal.account())),
            access_key_id: access_key_id.clone().map(Shown),
            user_name: principal.user_name().map(str::to_owned),
            session_context: session
                .as_ref()
                .map(|session| SessionContext::new(principal, session)),
            identity_provider: None,
        };
        self.recipient_account_id = Some(Shown(principal.account()));
    }

    /// Somebody for whom an OIDC provider answers: for whom its token is, and whom it calls the
    /// caller.
    pub(crate) fn web_identity(
        &mut self,
        provider: &OidcProviderArn,
        audience: &str,
        subject: &str,
    ) {
        self.user_identity = Identity {
            kind: "WebIdentityUser",
            principal_id: Some(format!("{provider}:{audience}:{subject}")),
            arn: None,
            account_id: None,
            access_key_id: None,
            user_name: Some(subject.to_owned()),
            session_context: None,
            identity_provider: Some(Shown(provider.clone())),
            invoked_by: None,
        };
        self.recipient_account_id = Some(Shown(provider.account));
    }

    pub(crate) fn parameters(&mut self, parameters: Parameters) {
        self.request_parameters = parameters;
    }

    pub(crate) fn response(&mut self, elements: Parameters) {
        self.response_elements = elements;
    }

    /// The log index of the state that the request was evaluated against, once there is one.
    pub(crate) fn evaluated_at(&self) -> Option<u64> {
        self.additional_event_data.as_ref()?.keystead_index
    }

    pub(crate) fn index(&mut self, index: u64) {
        self.additional_event_data.get_or_insert_default().keystead_index = Some(index);
    }

    /// Why the request is denied: for the audit trail alone.
    pub(crate) fn decision(&mut self, verdict: &Verdict<'_>) {
        self.additional_event_data.get_or_insert_default().keystead_decision =
            Some(verdict.to_string());
    }

    /// What its reader should look at.
    pub(crate) fn warning(&mut self, text: String) {
        self.additional_event_data.get_or_insert_default().keystead_warning = Some(text);
    }

    /// A key or alias that the request touched.
    pub(crate) fn resource(&mut self, account: AccountId, arn: KmsArn) {
        self.resources.push(ResourceEntry::key(account, arn));
    }

    pub(crate) fn clear_resources(&mut self) {
        self.resources.clear();
    }

    pub(crate) fn error(&mut self, error: &Error) {
        let code = match error.code() {
            ErrorCode::AccessDeniedException => "AccessDenied",
            code => code.as_str(),
        };
        self.error_code = Some(code.to_owned());
        self.error_message = error.message().map(str::to_owned);
    }

    /// An error of a protocol with spellings of its own.
    pub(crate) fn fault(&mut self, code: &str, text: &str) {
        self.error_code = Some(code.to_owned());
        self.error_message = Some(text.to_owned());
    }
}

/// The first characters of a text.
fn start_of(text: &str, characters: usize) -> &str {
    text.char_indices().nth(characters).map_or(text, |(end, _)| &text[..end])
}
