//! The members of a record that each operation chooses.

use std::borrow::Cow;
use std::collections::BTreeMap;

use keystead_api::Timestamp;
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Value;

/// `requestParameters` or `responseElements`: an object, or `null` when nothing is in it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Parameters(Vec<(Cow<'static, str>, Item)>);

/// Texts are most of what there is.
#[derive(Debug, Clone)]
enum Item {
    Text(Cow<'static, str>),
    Value(Value),
}

impl Parameters {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn none() -> Self {
        Self::default()
    }

    /// The members of a whole message that holds nothing secret.
    pub(crate) fn of(message: &impl Serialize) -> Self {
        match serde_json::to_value(message).map(lower_camel) {
            Ok(Value::Object(members)) => {
                let members = members.into_iter();
                Self(members.map(|(name, value)| (name.into(), Item::Value(value))).collect())
            }
            _ => Self::none(),
        }
    }

    /// A text, if it was sent.
    pub(crate) fn text(self, name: &'static str, value: &Option<String>) -> Self {
        self.item(name, value.clone().map(|text| Item::Text(text.into())))
    }

    /// A name out of a list, or none where it is empty.
    pub(crate) fn name(self, name: &'static str, value: &'static str) -> Self {
        self.item(name, (!value.is_empty()).then_some(Item::Text(value.into())))
    }

    /// A number, if it was sent.
    pub(crate) fn number(self, name: &'static str, value: Option<i32>) -> Self {
        self.value(name, value.map(Value::from))
    }

    /// A truth value, if it was sent.
    pub(crate) fn flag(self, name: &'static str, value: Option<bool>) -> Self {
        self.value(name, value.map(Value::Bool))
    }

    /// A map of texts, unless it is empty.
    pub(crate) fn map(self, name: &'static str, value: &BTreeMap<String, String>) -> Self {
        let object = || {
            let pairs = value.iter().map(|(k, v)| (k.clone(), Value::String(v.clone())));
            Value::Object(pairs.collect())
        };
        self.value(name, (!value.is_empty()).then(object))
    }

    /// A list, unless it is empty.
    pub(crate) fn list(self, name: &'static str, values: Vec<Value>) -> Self {
        self.value(name, (!values.is_empty()).then_some(Value::Array(values)))
    }

    /// A list of texts, unless it is empty.
    pub(crate) fn texts(self, name: &'static str, values: &[String]) -> Self {
        self.list(name, values.iter().cloned().map(Value::String).collect())
    }

    /// A point in time, in CloudTrail's wording: `Apr 12, 2021, 6:58:30 PM`.
    pub(crate) fn time(self, name: &'static str, value: Option<Timestamp>) -> Self {
        self.value(name, value.and_then(|time| cloudtrail_date(&time)).map(Value::String))
    }

    /// A whole message, its members in lower camel case and its dates in CloudTrail's wording.
    pub(crate) fn message(self, name: &'static str, value: Option<&impl Serialize>) -> Self {
        let object = value.and_then(|value| serde_json::to_value(value).ok()).map(lower_camel);
        self.value(name, object)
    }

    fn value(self, name: &'static str, value: Option<Value>) -> Self {
        self.item(name, value.map(Item::Value))
    }

    fn item(mut self, name: &'static str, item: Option<Item>) -> Self {
        self.0.extend(item.map(|item| (name.into(), item)));
        self
    }
}

impl Serialize for Parameters {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.is_empty() {
            return serializer.serialize_none();
        }
        let mut members = serializer.serialize_map(Some(self.0.len()))?;
        for (name, item) in &self.0 {
            match item {
                Item::Text(text) => members.serialize_entry(name, text)?,
                Item::Value(value) => members.serialize_entry(name, value)?,
            }
        }
        members.end()
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
        let some = Parameters::new().text("keyId", &Some("x\n\"y".into()));
        assert_eq!(serde_json::to_string(&some).unwrap(), r#"{"keyId":"x\n\"y"}"#);
    }
}
