//! The audit trail: one CloudTrail-shaped JSON line per request, written before the reply.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::sync::Mutex;

use keystead_api::{Error, ErrorCode, Timestamp};
use keystead_types::{Principal, Region, RequestId, UnixMillis};
use serde::Serialize;
use serde_json::{Map, Value};

/// Where the lines go.
#[derive(Debug)]
pub struct AuditTrail {
    sink: Sink,
}

#[derive(Debug)]
enum Sink {
    File(Mutex<File>),
    StandardError,
}

impl AuditTrail {
    /// Appends to a file, which is created with mode 0600 if it is not there.
    ///
    /// # Errors
    /// The file cannot be opened for appending.
    pub fn file(path: &Path) -> io::Result<Self> {
        use std::os::unix::fs::OpenOptionsExt;
        let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
        Ok(Self { sink: Sink::File(Mutex::new(file)) })
    }

    /// Writes to standard error.
    pub fn standard_error() -> Self {
        Self { sink: Sink::StandardError }
    }

    /// Writes one record as one line, in one write, so that lines never mix.
    ///
    /// # Errors
    /// The line could not be written: then nobody may get the reply.
    pub(crate) fn append(&self, record: &Record) -> io::Result<()> {
        let mut line = serde_json::to_vec(record)?;
        line.push(b'\n');
        match &self.sink {
            Sink::File(file) => {
                // A panic while holding the lock cannot leave half a line behind: one write.
                let mut file = file.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                file.write_all(&line)
            }
            Sink::StandardError => io::stderr().lock().write_all(&line),
        }
    }
}

/// One request, in the members of CloudTrail's event format 1.11.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Record {
    event_version: &'static str,
    user_identity: Identity,
    event_time: String,
    event_source: &'static str,
    event_name: String,
    aws_region: String,
    #[serde(rename = "sourceIPAddress")]
    source_ip_address: String,
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
    request_id: String,
    #[serde(rename = "eventID")]
    event_id: String,
    read_only: bool,
    resources: Vec<ResourceEntry>,
    event_type: &'static str,
    management_event: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    recipient_account_id: Option<String>,
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
    arn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    account_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    access_key_id: Option<String>,
}

/// What Keystead adds: the log index of the state that the request was evaluated against.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct AdditionalData {
    keystead_index: u64,
}

#[derive(Debug, Serialize)]
struct ResourceEntry {
    #[serde(rename = "accountId")]
    account_id: String,
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(rename = "ARN")]
    arn: String,
}

/// How the connection was secured.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TlsDetails {
    pub(crate) tls_version: String,
    pub(crate) cipher_suite: String,
}

/// What is known of a request before anything in it was understood.
pub(crate) struct Origin<'a> {
    pub(crate) service: &'static str,
    pub(crate) operation: &'a str,
    pub(crate) region: &'a Region,
    pub(crate) request_id: RequestId,
    pub(crate) event_id: RequestId,
    pub(crate) time: UnixMillis,
    pub(crate) source: String,
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
            },
            event_time: origin.time.to_string(),
            event_source: origin.service,
            event_name: origin.operation.to_owned(),
            aws_region: origin.region.to_string(),
            source_ip_address: origin.source,
            user_agent: origin.user_agent.chars().take(1024).collect(),
            error_code: None,
            error_message: None,
            request_parameters: Parameters::none(),
            response_elements: Parameters::none(),
            additional_event_data: None,
            request_id: origin.request_id.to_string(),
            event_id: origin.event_id.to_string(),
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

    pub(crate) fn caller(&mut self, principal: &Principal, access_key_id: &str) {
        self.user_identity = Identity {
            kind: principal.kind(),
            principal_id: Some(principal.unique_id()),
            arn: Some(principal.to_string()),
            account_id: Some(principal.account().to_string()),
            access_key_id: Some(access_key_id.to_owned()),
        };
        self.recipient_account_id = Some(principal.account().to_string());
    }

    pub(crate) fn parameters(&mut self, parameters: Parameters) {
        self.request_parameters = parameters;
    }

    pub(crate) fn response(&mut self, elements: Parameters) {
        self.response_elements = elements;
    }

    pub(crate) fn index(&mut self, index: u64) {
        self.additional_event_data = Some(AdditionalData { keystead_index: index });
    }

    /// A key or alias that the request touched; both are logged with the type of a key.
    pub(crate) fn resource(&mut self, account: String, arn: String) {
        self.resources.push(ResourceEntry { account_id: account, kind: "AWS::KMS::Key", arn });
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

/// `requestParameters` or `responseElements`: an object, or `null` when nothing is in it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Parameters(Map<String, Value>);

impl Parameters {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn none() -> Self {
        Self::default()
    }

    /// A text, if it was sent.
    pub(crate) fn text(self, name: &str, value: &Option<String>) -> Self {
        self.value(name, value.clone().map(Value::String))
    }

    /// A text that is always there, unless it is empty.
    pub(crate) fn name(self, name: &str, value: &str) -> Self {
        self.value(name, (!value.is_empty()).then(|| Value::String(value.to_owned())))
    }

    /// A number, if it was sent.
    pub(crate) fn number(self, name: &str, value: Option<i32>) -> Self {
        self.value(name, value.map(Value::from))
    }

    /// A truth value, if it was sent.
    pub(crate) fn flag(self, name: &str, value: Option<bool>) -> Self {
        self.value(name, value.map(Value::Bool))
    }

    /// A map of texts, unless it is empty.
    pub(crate) fn map(self, name: &str, value: &BTreeMap<String, String>) -> Self {
        let object = || {
            let pairs = value.iter().map(|(k, v)| (k.clone(), Value::String(v.clone())));
            Value::Object(pairs.collect())
        };
        self.value(name, (!value.is_empty()).then(object))
    }

    /// A list, unless it is empty.
    pub(crate) fn list(self, name: &str, values: Vec<Value>) -> Self {
        self.value(name, (!values.is_empty()).then_some(Value::Array(values)))
    }

    /// A list of texts, unless it is empty.
    pub(crate) fn texts(self, name: &str, values: &[String]) -> Self {
        self.list(name, values.iter().cloned().map(Value::String).collect())
    }

    /// A point in time, in CloudTrail's wording: `Apr 12, 2021, 6:58:30 PM`.
    pub(crate) fn time(self, name: &str, value: Option<Timestamp>) -> Self {
        self.value(name, value.and_then(|time| cloudtrail_date(&time)).map(Value::String))
    }

    /// A whole message, its members in lower camel case and its dates in CloudTrail's wording.
    pub(crate) fn message(self, name: &str, value: Option<&impl Serialize>) -> Self {
        let object = value.and_then(|value| serde_json::to_value(value).ok()).map(lower_camel);
        self.value(name, object)
    }

    fn value(mut self, name: &str, value: Option<Value>) -> Self {
        if let Some(value) = value {
            self.0.insert(name.to_owned(), value);
        }
        self
    }
}

impl Serialize for Parameters {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.is_empty() { serializer.serialize_none() } else { self.0.serialize(serializer) }
    }
}

fn cloudtrail_date(time: &Timestamp) -> Option<String> {
    let format = time::macros::format_description!(
        "[month repr:short] [day padding:none], [year], [hour repr:12 padding:none]:[minute]:[second] [period]"
    );
    time::OffsetDateTime::from_unix_timestamp(time.seconds).ok()?.format(&format).ok()
}

fn lower_camel(value: Value) -> Value {
    match value {
        Value::Object(members) => Value::Object(
            members
                .into_iter()
                .map(|(name, value)| {
                    let date = name.ends_with("Date") || name == "ValidTo";
                    let value = match value.as_f64().filter(|_| date) {
                        Some(seconds) => date_of(seconds).map_or(value, Value::String),
                        None => lower_camel(value),
                    };
                    (lower_first(&name), value)
                })
                .collect(),
        ),
        Value::Array(items) => Value::Array(items.into_iter().map(lower_camel).collect()),
        other => other,
    }
}

#[allow(clippy::cast_possible_truncation)] // Dates are whole seconds far below 2^53.
fn date_of(seconds: f64) -> Option<String> {
    cloudtrail_date(&Timestamp { seconds: seconds as i64, nanos: 0 })
}

fn lower_first(name: &str) -> String {
    let mut characters = name.chars();
    characters.next().map_or_else(String::new, |first| {
        first.to_ascii_lowercase().to_string() + characters.as_str()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_read_as_cloudtrail_writes_them() {
        let time = Timestamp { seconds: 1_618_253_910, nanos: 0 };
        assert_eq!(cloudtrail_date(&time).unwrap(), "Apr 12, 2021, 6:58:30 PM");
    }

    #[test]
    fn empty_parameters_are_null() {
        assert_eq!(serde_json::to_string(&Parameters::new()).unwrap(), "null");
        let some = Parameters::new().name("keyId", "x\n\"y");
        assert_eq!(serde_json::to_string(&some).unwrap(), r#"{"keyId":"x\n\"y"}"#);
    }
}
