//! Points in time: seconds of the Unix epoch in JSON, to the millisecond; ISO 8601 in XML, to the
//! second.

use std::fmt;

use prost_types::Timestamp;
use serde::de::{self, Visitor};
use serde::{Deserializer, Serializer};
use time::OffsetDateTime;

use super::Value;
use crate::Violations;
use crate::query::Xml;
use crate::shape::ValueShape;

/// 0001-01-01T00:00:00Z, before which there is no `google.protobuf.Timestamp`.
const FIRST: i64 = -62_135_596_800;
/// 9999-12-31T23:59:59Z, after which there is none either.
const LAST: i64 = 253_402_300_799;

impl Value for Timestamp {
    fn read<'de, D: Deserializer<'de>>(
        deserializer: D,
        _: &'static ValueShape,
        violations: &mut Violations,
    ) -> Result<Self, D::Error> {
        deserializer.deserialize_any(EpochSeconds { violations })
    }

    fn write<S: Serializer>(&self, _: &ValueShape, serializer: S) -> Result<S::Ok, S::Error> {
        match self.nanos / 1_000_000 {
            0 => serializer.serialize_i64(self.seconds),
            // Exact: milliseconds of these years have 15 digits at most.
            #[allow(clippy::cast_precision_loss, reason = "less than 2^53")]
            millis => serializer.serialize_f64(
                self.seconds.saturating_mul(1000).saturating_add(millis.into()) as f64 / 1000.0,
            ),
        }
    }

    fn write_xml(&self, _: &ValueShape, xml: &mut Xml) {
        xml.push_escaped(&iso8601(self.seconds));
    }

    fn check(&self, _: &ValueShape, violations: &mut Violations) {
        let valid_nanos = (0..1_000_000_000).contains(&self.nanos);
        if !valid_nanos || !(FIRST..=LAST).contains(&self.seconds) {
            violations.timestamp();
        }
    }

    fn show(&self, _: &ValueShape, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:09}", self.seconds, self.nanos)
    }
}

/// `2026-11-24T13:00:00Z`; what has no such date stops at the first or last one that has.
fn iso8601(seconds: i64) -> String {
    let utc = OffsetDateTime::from_unix_timestamp(seconds.clamp(FIRST, LAST))
        .expect("invariant: every second of these years has a date");
    let (date, (hour, minute, second)) = (utc.date(), utc.to_hms());
    format!("{date}T{hour:02}:{minute:02}:{second:02}Z")
}

/// Reads a number of seconds, whole or with a fraction.
struct EpochSeconds<'a> {
    violations: &'a mut Violations,
}

impl EpochSeconds<'_> {
    fn at_millis<E: de::Error>(self, millis: i128) -> Result<Timestamp, E> {
        let seconds = i64::try_from(millis.div_euclid(1000)).unwrap_or(i64::MAX);
        if !(FIRST..=LAST).contains(&seconds) {
            return Err(self.violations.fail("Timestamp out of range"));
        }
        let nanos = i32::try_from(millis.rem_euclid(1000) * 1_000_000).unwrap_or_default();
        Ok(Timestamp { seconds, nanos })
    }
}

impl Visitor<'_> for EpochSeconds<'_> {
    type Value = Timestamp;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number of seconds")
    }

    fn visit_i64<E: de::Error>(self, seconds: i64) -> Result<Timestamp, E> {
        self.at_millis(i128::from(seconds) * 1000)
    }

    fn visit_u64<E: de::Error>(self, seconds: u64) -> Result<Timestamp, E> {
        self.at_millis(i128::from(seconds) * 1000)
    }

    fn visit_f64<E: de::Error>(self, seconds: f64) -> Result<Timestamp, E> {
        // The conversion saturates, and what is far away is out of range anyway.
        #[allow(clippy::cast_possible_truncation, reason = "rounded before, saturating")]
        let millis = (seconds * 1000.0).round() as i128;
        self.at_millis(millis)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn xml_has_iso_8601() {
        assert_eq!(iso8601(1_795_525_200), "2026-11-24T13:00:00Z");
        assert_eq!(iso8601(i64::MIN), "0001-01-01T00:00:00Z");
        assert_eq!(iso8601(i64::MAX), "9999-12-31T23:59:59Z");
    }
}
