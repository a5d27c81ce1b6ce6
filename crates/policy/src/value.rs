//! The typed values that conditions compare. None of them uses floating point, a clock or the
//! locale, so that every replica answers the same.

/// A decimal number as billionths.
pub(crate) type Decimal = i128;

const FRACTION_DIGITS: usize = 9;

/// Up to 18 digits before the point and nine after it.
pub(crate) fn decimal(text: &str) -> Option<Decimal> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let all_digits = |text: &str, most| {
        (1..=most).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
    };
    if !all_digits(whole, 18) || !all_digits(fraction, FRACTION_DIGITS) {
        return None;
    }
    let whole: i128 = whole.parse().ok()?;
    let scaled: i128 = format!("{fraction:0<FRACTION_DIGITS$}").parse().ok()?;
    let value = whole * 1_000_000_000 + scaled;
    Some(if negative { -value } else { value })
}

/// A time as billionths of a second since 1970: a number of seconds, or ISO 8601 as in
/// `2026-11-24`, `2026-11-24T10:00Z`, `2026-11-24T10:00:00.5+01:00`.
pub(crate) fn instant(text: &str) -> Option<Decimal> {
    if let Some(seconds) = decimal(text) {
        return Some(seconds);
    }
    let (date, time) = match text.split_once('T') {
        Some((date, time)) => (date, Some(time)),
        None => (text, None),
    };
    let mut parts = date.split('-');
    let year = number(parts.next()?, 4)?;
    let month = number(parts.next()?, 2)?;
    let day = number(parts.next()?, 2)?;
    if parts.next().is_some() || !(1..=12).contains(&month) {
        return None;
    }
    if day < 1 || day > days_in_month(year, month) {
        return None;
    }
    let day_start = i128::from(days_since_1970(year, month, day)) * 86_400;
    let in_day = time.map_or(Some(0), time_of_day)?;
    Some(day_start * 1_000_000_000 + in_day)
}

/// `hh:mm`, `hh:mm:ss` or `hh:mm:ss.f`, then `Z` or an offset.
fn time_of_day(text: &str) -> Option<Decimal> {
    let (clock, offset_minutes) = match text.strip_suffix('Z') {
        Some(clock) => (clock, 0),
        None => {
            let at = text.rfind(['+', '-'])?;
            let (clock, offset) = (text.get(..at)?, text.get(at + 1..)?);
            let (hours, minutes) = offset.split_once(':')?;
            let minutes = hours_minutes(hours, minutes)?;
            (clock, if text.as_bytes().get(at) == Some(&b'-') { -minutes } else { minutes })
        }
    };
    let mut parts = clock.splitn(3, ':');
    let minutes = hours_minutes(parts.next()?, parts.next()?)?;
    let seconds = match parts.next() {
        None => 0,
        Some(seconds) => {
            number(seconds.get(..2)?, 2)?;
            decimal(seconds)?
        }
    };
    // A leap second counts as the one after it.
    if seconds > 60_999_999_999 {
        return None;
    }
    Some(i128::from(minutes - offset_minutes) * 60_000_000_000 + seconds)
}

fn hours_minutes(hours: &str, minutes: &str) -> Option<i64> {
    let (hours, minutes) = (number(hours, 2)?, number(minutes, 2)?);
    (hours < 24 && minutes < 60).then_some(hours * 60 + minutes)
}

fn number(text: &str, digits: usize) -> Option<i64> {
    let well_formed = text.len() == digits && text.bytes().all(|b| b.is_ascii_digit());
    well_formed.then(|| text.parse().ok()).flatten()
}

fn leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 => 28 + i64::from(leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    // Years that begin in March have their leap day last.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    let before_month = (153 * month + 2) / 5;
    365 * year + leap_days + before_month + day - 1 - 719_468
}

/// `true` or `false` in any case.
pub(crate) fn boolean(text: &str) -> Option<bool> {
    [true, false].into_iter().find(|value| text.eq_ignore_ascii_case(&value.to_string()))
}

/// Whether a text is base64 in its one canonical form, so that equal texts are equal bytes.
pub(crate) fn is_base64(text: &str) -> bool {
    let body = text.trim_end_matches('=');
    let padding = text.len() - body.len();
    let digit = |b: u8| match b {
        b'A'..=b'Z' => Some(b - b'A'),
        b'a'..=b'z' => Some(b - b'a' + 26),
        b'0'..=b'9' => Some(b - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    };
    // The bits of the last digit that belong to no byte must be zero.
    let unused = match padding {
        0 => 0,
        1 => 0b11,
        2 => 0b1111,
        _ => return false,
    };
    text.len().is_multiple_of(4)
        && body.bytes().all(|b| digit(b).is_some())
        && body.bytes().last().and_then(digit).is_none_or(|last| last & unused == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read() {
        for (text, seconds) in [
            ("1970-01-01", 0),
            ("2000-02-29T00:00Z", 951_782_400),
            ("2026-11-24T10:00:00Z", 1_795_514_400),
            ("2026-11-24T11:00:00+01:00", 1_795_514_400),
            ("2026-11-24T09:30:00-00:30", 1_795_514_400),
            ("1795514400", 1_795_514_400),
            ("-1", -1),
            ("1969-12-31T23:59:59Z", -1),
        ] {
            assert_eq!(instant(text), Some(seconds * 1_000_000_000), "{text}");
        }
        assert_eq!(instant("1970-01-01T00:00:00.5Z"), Some(500_000_000));
        for bad in [
            "",
            "T",
            "2026-02-29",
            "2026-13-01",
            "2026-1-1",
            "2026-11-24T",
            "2026-11-24T10Z",
            "2026-11-24T24:00Z",
            "2026-11-24T10:00",
            "2026-11-24T10:00:61Z",
            "2026-11-24T10:00:5Z",
            "ä",
            "2026-11-24Tä:00Z",
            "2026-11-24T10:00:ää",
            "2026-11-24T10:00ä00",
            "1e3",
            ".5",
            "+1",
        ] {
            assert_eq!(instant(bad), None, "{bad}");
        }
    }

    #[test]
    fn numbers_are_exact() {
        assert_eq!(decimal("1.10"), decimal("1.1"));
        assert_eq!(decimal("-0"), decimal("0"));
        assert!(decimal("999999999999999999.999999999") > decimal("999999999999999999.999999998"));
        for bad in ["", "-", "1.", "1.0000000001", "1000000000000000000", "0x1", "1 "] {
            assert_eq!(decimal(bad), None, "{bad}");
        }
    }

    #[test]
    fn base64_has_one_form() {
        for good in ["", "QQ==", "QUI=", "QUJD"] {
            assert!(is_base64(good), "{good}");
        }
        for bad in ["QR==", "QUJ=", "Q===", "QQ", "QQ=", "Q=Q=", "====", "Q-=="] {
            assert!(!is_base64(bad), "{bad}");
        }
    }
}
