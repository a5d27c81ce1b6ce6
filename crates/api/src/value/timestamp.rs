//! Points in time: seconds of the Unix epoch in JSON, to the millisecond.

use std::fmt;

use prost_types::Timestamp;
use serde::de::{self, Visitor};
use serde::{Deserializer, Serializer};

use super::Value;
use crate::Violations;
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
