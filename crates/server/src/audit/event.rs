//! What the service does by itself, in the audit trail.

use keystead_crypto::random;
use keystead_state::Key;
use keystead_types::{AccountId, KeyArn, KmsArn, Region, RequestId, UnixMillis};
use serde::Serialize;

use super::record::{ResourceEntry, Shown};
use crate::clock;

/// Who asked, in CloudTrail's words for nobody.
const INTERNAL: &str = "AWS Internal";

/// Something that happened to a key and that nobody asked for: CloudTrail's `AwsServiceEvent`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct KeyEvent {
    event_version: &'static str,
    user_identity: Identity,
    event_time: Shown<UnixMillis>,
    event_source: &'static str,
    event_name: &'static str,
    aws_region: Shown<Region>,
    #[serde(rename = "sourceIPAddress")]
    source_ip_address: &'static str,
    user_agent: &'static str,
    request_parameters: (),
    response_elements: (),
    #[serde(rename = "eventID")]
    event_id: Shown<RequestId>,
    read_only: bool,
    resources: [ResourceEntry; 1],
    event_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_event_details: Option<Details>,
    management_event: bool,
    recipient_account_id: Shown<AccountId>,
    event_category: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Identity {
    account_id: Shown<AccountId>,
    invoked_by: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Details {
    key_id: String,
    rotation_type: &'static str,
}

impl KeyEvent {
    /// That a key rotated because it was due.
    ///
    /// # Errors
    /// The random generator failed; the text says so.
    pub(crate) fn rotation(region: &Region, key: &Key) -> Result<Self, String> {
        let key_id = key.id.to_string();
        let details = Details { key_id, rotation_type: "AUTOMATIC" };
        let event = Self::new(region, key, "RotateKey")?;
        Ok(Self { service_event_details: Some(details), ..event })
    }

    /// That the Region of a relative had something done to a multi-Region key.
    ///
    /// # Errors
    /// The random generator failed; the text says so.
    pub(crate) fn by_relative(
        region: &Region,
        key: &Key,
        operation: &'static str,
    ) -> Result<Self, String> {
        Ok(Self { event_type: "AwsApiCall", ..Self::new(region, key, operation)? })
    }

    fn new(region: &Region, key: &Key, event_name: &'static str) -> Result<Self, String> {
        let account = key.account;
        let event_id = random::bytes().map_err(|error| error.to_string())?;
        let arn = KeyArn { region: region.clone(), account, id: key.id };
        Ok(Self {
            event_version: "1.11",
            user_identity: Identity { account_id: Shown(account), invoked_by: INTERNAL },
            event_time: Shown(clock::now()),
            event_source: "kms.amazonaws.com",
            event_name,
            aws_region: Shown(region.clone()),
            source_ip_address: INTERNAL,
            user_agent: INTERNAL,
            request_parameters: (),
            response_elements: (),
            event_id: Shown(RequestId::from_random(event_id)),
            read_only: false,
            resources: [ResourceEntry::key(account, KmsArn::Key(arn))],
            event_type: "AwsServiceEvent",
            service_event_details: None,
            management_event: true,
            recipient_account_id: Shown(account),
            event_category: "Management",
        })
    }
}
