//! What operators do by the admin API, in the audit trail.

use std::net::IpAddr;
use std::sync::Arc;

use keystead_types::{AccountId, RequestId, UnixMillis};
use serde::Serialize;

use super::parameters::Parameters;
use super::record::Shown;

/// Who an operator is, and by whose word.
#[derive(Debug, Clone)]
pub(crate) enum Operator {
    /// A process on this machine, by the kernel's.
    Local {
        /// The number of its user.
        user: u32,
        /// Its own number, where the kernel tells it.
        process: Option<i32>,
    },
    /// Somebody with a certificate, by that of the operators' authority.
    Remote {
        /// The name in the certificate.
        name: Arc<str>,
        /// From where.
        address: IpAddr,
    },
}

/// One call of an operator. There is no such event in CloudTrail; its members have CloudTrail's
/// names as far as they mean the same.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct OperatorRecord {
    event_version: &'static str,
    user_identity: Identity,
    event_time: Shown<UnixMillis>,
    event_source: &'static str,
    event_name: &'static str,
    #[serde(rename = "sourceIPAddress")]
    source_ip_address: String,
    #[serde(rename = "eventID")]
    event_id: Shown<RequestId>,
    event_type: &'static str,
    management_event: bool,
    event_category: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    recipient_account_id: Option<Shown<AccountId>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_parameters: Option<Parameters>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Identity {
    #[serde(rename = "type")]
    kind: &'static str,
    principal_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    process_id: Option<i32>,
}

impl Operator {
    /// The process itself, for what it does before it serves anybody.
    pub(crate) fn this_process() -> Self {
        let process = i32::try_from(std::process::id()).ok();
        Self::Local { user: rustix::process::getuid().as_raw(), process }
    }

    /// As records show it.
    pub(crate) fn principal_id(&self) -> String {
        match self {
            Self::Local { user, .. } => format!("operator:{user}"),
            Self::Remote { name, .. } => format!("operator:{name}"),
        }
    }
}

impl OperatorRecord {
    /// A call of `operation` by this operator.
    pub(crate) fn new(
        operator: &Operator,
        operation: &'static str,
        event_id: RequestId,
        time: UnixMillis,
    ) -> Self {
        let principal_id = operator.principal_id();
        let (process_id, source_ip_address) = match operator {
            Operator::Local { process, .. } => (*process, "local".to_owned()),
            Operator::Remote { address, .. } => (None, address.to_canonical().to_string()),
        };
        Self {
            event_version: "1.11",
            user_identity: Identity { kind: "Operator", principal_id, process_id },
            event_time: Shown(time),
            event_source: "admin.keystead",
            event_name: operation,
            source_ip_address,
            event_id: Shown(event_id),
            event_type: "KeysteadAdminCall",
            management_event: true,
            event_category: "Management",
            recipient_account_id: None,
            request_parameters: None,
        }
    }

    /// The same, on an account and with these parameters.
    pub(crate) fn on(self, account: AccountId, parameters: Parameters) -> Self {
        Self {
            recipient_account_id: Some(Shown(account)),
            request_parameters: Some(parameters),
            ..self
        }
    }
}
