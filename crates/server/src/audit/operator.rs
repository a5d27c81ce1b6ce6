//! What operators do by the admin API, in the audit trail.

use keystead_types::{RequestId, UnixMillis};
use serde::Serialize;

use super::record::Shown;

/// One call of an operator. There is no such event in CloudTrail; its members have CloudTrail's
/// names as far as they mean the same.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct OperatorRecord {
    event_version: &'static str,
    user_identity: Operator,
    event_time: Shown<UnixMillis>,
    event_source: &'static str,
    event_name: &'static str,
    #[serde(rename = "sourceIPAddress")]
    source_ip_address: &'static str,
    #[serde(rename = "eventID")]
    event_id: Shown<RequestId>,
    event_type: &'static str,
    management_event: bool,
    event_category: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Operator {
    #[serde(rename = "type")]
    kind: &'static str,
    principal_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    process_id: Option<i32>,
}

impl OperatorRecord {
    /// A call of `operation` by the user with this number, out of this process.
    pub(crate) fn new(
        user: u32,
        process_id: Option<i32>,
        operation: &'static str,
        event_id: RequestId,
        time: UnixMillis,
    ) -> Self {
        let principal_id = format!("operator:{user}");
        Self {
            event_version: "1.11",
            user_identity: Operator { kind: "Operator", principal_id, process_id },
            event_time: Shown(time),
            event_source: "admin.keystead",
            event_name: operation,
            source_ip_address: "local",
            event_id: Shown(event_id),
            event_type: "KeysteadAdminCall",
            management_event: true,
            event_category: "Management",
        }
    }
}
