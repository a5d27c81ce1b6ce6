//! Dates as signatures carry them: ISO 8601 basic form, UTC, to the second.

use keystead_types::UnixMillis;
use time::format_description::well_known::Rfc2822;
use time::{Date, Month, OffsetDateTime, PrimitiveDateTime, Time};

/// The date of a request, and where it stood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AmzDate {
    /// Seconds since 1970-01-01T00:00:00Z.
    pub seconds: i64,
    /// `yyyymmddThhmmssZ`, the second line of the string to sign.
    pub text: String,
    /// Name of the header it came from, which must be signed.
    pub header: &'static str,
}

impl AmzDate {
    /// Name of the header that goes before `date`.
    pub const HEADER: &'static str = "x-amz-date";

    /// The date to put on a request that is signed now.
    pub fn now(now: UnixMillis) -> Self {
        let seconds = i64::try_from(now.seconds()).unwrap_or(i64::MAX);
        Self { seconds, text: basic(seconds), header: Self::HEADER }
    }

    /// Reads `X-Amz-Date`, in ISO 8601 basic form only.
    pub(super) fn from_amz_date(text: &str) -> Option<Self> {
        let seconds = parse_basic(text)?.unix_timestamp();
        Some(Self { seconds, text: text.to_owned(), header: Self::HEADER })
    }

    /// Reads `Date`, in ISO 8601 basic form or as HTTP has it (`Sun, 30 Aug 2015 12:36:00 GMT`).
    pub(super) fn from_http_date(text: &str) -> Option<Self> {
        let date = parse_basic(text).or_else(|| OffsetDateTime::parse(text, &Rfc2822).ok())?;
        let seconds = date.unix_timestamp();
        Some(Self { seconds, text: basic(seconds), header: "date" })
    }

    /// The day, `yyyymmdd`.
    pub fn day(&self) -> &str {
        self.text.split('T').next().unwrap_or_default()
    }
}

/// Seconds since the epoch as `yyyymmddThhmmssZ`; a year that does not fit stops at its bound.
pub(super) fn basic(seconds: i64) -> String {
    let utc = OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(if seconds < 0 {
        time::macros::datetime!(0000-01-01 00:00:00 UTC)
    } else {
        time::macros::datetime!(9999-12-31 23:59:59 UTC)
    });
    let (year, month, day) = (utc.year(), u8::from(utc.month()), utc.day());
    let (hour, minute, second) = utc.to_hms();
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z")
}

fn parse_basic(text: &str) -> Option<OffsetDateTime> {
    let bytes = text.as_bytes();
    if bytes.len() != 16 || bytes[8] != b'T' || bytes[15] != b'Z' {
        return None;
    }
    let number = |from: usize, to: usize| {
        bytes[from..to].iter().try_fold(0u16, |sum, byte| {
            byte.is_ascii_digit().then(|| sum * 10 + u16::from(byte - b'0'))
        })
    };
    let small = |from: usize| number(from, from + 2).and_then(|value| u8::try_from(value).ok());
    let month = Month::try_from(small(4)?).ok()?;
    let date = Date::from_calendar_date(i32::from(number(0, 4)?), month, small(6)?).ok()?;
    let time = Time::from_hms(small(9)?, small(11)?, small(13)?).ok()?;
    Some(PrimitiveDateTime::new(date, time).assume_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_headers_give_the_same_instant() {
        let amz = AmzDate::from_amz_date("20150830T123600Z").unwrap();
        let http = AmzDate::from_http_date("Sun, 30 Aug 2015 12:36:00 GMT").unwrap();
        assert_eq!((amz.seconds, &amz.text), (http.seconds, &http.text));
        assert_eq!(amz.day(), "20150830");
        assert_eq!(AmzDate::now(UnixMillis(1_440_938_160_999)), amz);
    }

    #[test]
    fn refuses_what_is_no_date() {
        for text in [
            "",
            "20150830",
            "2015-08-30T12:36:00Z",
            "20150230T123600Z",
            "20151301T123600Z",
            "20150830T246000Z",
            "20150830T123660Z",
            "20150830T12360éZ",
            "+0150830T123600Z",
            "20150830t123600z",
        ] {
            assert_eq!(AmzDate::from_amz_date(text), None, "{text}");
        }
        assert_eq!(AmzDate::from_amz_date("Sun, 30 Aug 2015 12:36:00 GMT"), None);
    }

    #[test]
    fn formats_any_number_of_seconds() {
        assert_eq!(basic(i64::MAX), "99991231T235959Z");
        assert_eq!(basic(-1), "19691231T235959Z");
        assert_eq!(basic(i64::MIN), "00000101T000000Z");
    }
}
