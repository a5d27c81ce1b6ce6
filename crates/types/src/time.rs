//! Points in time, as values.

use std::fmt;
use std::str::FromStr;

use ::time::OffsetDateTime;
use ::time::format_description::well_known::Rfc3339;

use crate::InvalidIdentifier;

/// Milliseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct UnixMillis(pub u64);

impl UnixMillis {
    /// One day in milliseconds.
    pub const DAY: u64 = 24 * 60 * 60 * 1000;

    /// The point this many milliseconds later; stops at the end of time instead of wrapping.
    #[must_use]
    pub fn plus(self, millis: u64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    /// Whole seconds since the epoch.
    pub fn seconds(self) -> u64 {
        self.0 / 1000
    }

    /// As a calendar date and time in UTC; the end of year 9999 for anything later.
    pub fn to_utc(self) -> OffsetDateTime {
        let nanos = i128::from(self.0) * 1_000_000;
        OffsetDateTime::from_unix_timestamp_nanos(nanos)
            .unwrap_or(::time::macros::datetime!(9999-12-31 23:59:59 UTC))
    }
}

/// RFC 3339 in UTC, to the second, as CloudTrail writes `eventTime`.
impl fmt::Display for UnixMillis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.to_utc().replace_nanosecond(0).map_err(|_| fmt::Error)?;
        f.write_str(&seconds.format(&Rfc3339).map_err(|_| fmt::Error)?)
    }
}

/// RFC 3339 with any offset, from 1970 on.
impl FromStr for UnixMillis {
    type Err = InvalidIdentifier;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let time = OffsetDateTime::parse(text, &Rfc3339).ok();
        let millis = time.map(|time| time.unix_timestamp_nanos() / 1_000_000);
        let millis = millis.and_then(|millis| u64::try_from(millis).ok());
        millis.map(Self).ok_or_else(|| InvalidIdentifier::new("time", text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shown_as_rfc_3339_seconds() {
        assert_eq!(UnixMillis(1_700_000_000_999).to_string(), "2023-11-14T22:13:20Z");
        assert_eq!(UnixMillis(u64::MAX).to_string(), "9999-12-31T23:59:59Z");
    }

    #[test]
    fn read_from_rfc_3339() {
        let read = |text: &str| text.parse().ok();
        assert_eq!(read("2023-11-14T22:13:20Z"), Some(UnixMillis(1_700_000_000_000)));
        assert_eq!(read("2023-11-14T23:13:20.999+01:00"), Some(UnixMillis(1_700_000_000_999)));
        for text in ["", "2023-11-14", "2023-11-14T22:13:20", "1969-12-31T23:59:59Z", "30d"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
