//! Identifiers: fixed-width values with one text form each.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// A text that is not the identifier it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid {kind}: {text:?}")]
pub struct InvalidIdentifier {
    kind: &'static str,
    text: String,
}

impl InvalidIdentifier {
    pub(crate) fn new(kind: &'static str, text: &str) -> Self {
        // Enough to recognise the culprit, never a megabyte of it.
        Self { kind, text: text.chars().take(128).collect() }
    }
}

/// An AWS account: twelve decimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountId(u64);

impl AccountId {
    /// The account with this number; `None` above 999,999,999,999.
    pub fn from_number(number: u64) -> Option<Self> {
        (number < 1_000_000_000_000).then_some(Self(number))
    }

    /// The account as a number, for fixed-width row keys.
    pub fn number(self) -> u64 {
        self.0
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut digits = [b'0'; 12];
        let mut rest = self.0;
        for digit in digits.iter_mut().rev() {
            *digit += (rest % 10) as u8;
            rest /= 10;
        }
        f.write_str(std::str::from_utf8(&digits).map_err(|_| fmt::Error)?)
    }
}

impl FromStr for AccountId {
    type Err = InvalidIdentifier;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit());
        digits
            .then(|| text.parse().ok())
            .flatten()
            .and_then(Self::from_number)
            .ok_or_else(|| InvalidIdentifier::new("account id", text))
    }
}

/// A Region name such as `eu-central-1`, of the form `^([a-z]+-){2,3}\d+$`, 32 bytes at most.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Region(Arc<str>);

impl Region {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Region {
    type Err = InvalidIdentifier;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidIdentifier::new("Region", text);
        let (words, number) = text.rsplit_once('-').ok_or_else(invalid)?;
        let mut count = 0;
        let mut well_formed =
            text.len() <= 32 && !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
        for word in words.split('-') {
            count += 1;
            well_formed &= !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase());
        }
        if well_formed && (2..=3).contains(&count) { Ok(Self(text.into())) } else { Err(invalid()) }
    }
}

/// A KMS key id: a lower-case UUID, or `mrk-` and 32 hex digits for a multi-Region key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId {
    bytes: [u8; 16],
    multi_region: bool,
}

impl KeyId {
    /// The id of these 16 bytes.
    pub fn new(bytes: [u8; 16], multi_region: bool) -> Self {
        Self { bytes, multi_region }
    }

    /// A new single- or multi-Region id from 16 random bytes (a version 4 UUID, RFC 9562).
    pub fn from_random(mut bytes: [u8; 16], multi_region: bool) -> Self {
        stamp_uuid_v4(&mut bytes);
        Self { bytes, multi_region }
    }

    /// The 16 bytes.
    pub fn bytes(&self) -> &[u8; 16] {
        &self.bytes
    }

    /// Whether the key is a multi-Region key (its text form starts with `mrk-`).
    pub fn multi_region(&self) -> bool {
        self.multi_region
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.multi_region {
            write!(f, "mrk-{}", lower_hex(&self.bytes))
        } else {
            write_uuid(&self.bytes, f)
        }
    }
}

impl FromStr for KeyId {
    type Err = InvalidIdentifier;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parsed = match text.strip_prefix("mrk-") {
            Some(digits) => parse_lower_hex(digits.as_bytes()).map(|bytes| Self::new(bytes, true)),
            None => parse_uuid(text).map(|bytes| Self::new(bytes, false)),
        };
        parsed.ok_or_else(|| InvalidIdentifier::new("key id", text))
    }
}

/// The 32-byte id of one key material, shown as 64 hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MaterialId([u8; 32]);

impl MaterialId {
    /// The id of these 32 bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for MaterialId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&lower_hex(&self.0))
    }
}

impl FromStr for MaterialId {
    type Err = InvalidIdentifier;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse_lower_hex(text.as_bytes())
            .map(Self)
            .ok_or_else(|| InvalidIdentifier::new("key material id", text))
    }
}

/// The id of a grant: 32 random bytes, shown as 64 hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GrantId([u8; 32]);

impl GrantId {
    /// The id of these 32 bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for GrantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&lower_hex(&self.0))
    }
}

impl FromStr for GrantId {
    type Err = InvalidIdentifier;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse_lower_hex(text.as_bytes())
            .map(Self)
            .ok_or_else(|| InvalidIdentifier::new("grant id", text))
    }
}

/// An alias name with its prefix, such as `alias/payroll`: 7 to 256 bytes of `[a-zA-Z0-9/_-]`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AliasName(Arc<str>);

impl AliasName {
    /// What every alias name begins with.
    pub const PREFIX: &'static str = "alias/";
    /// What names reserved for AWS-managed keys begin with.
    pub const RESERVED_PREFIX: &'static str = "alias/aws/";

    /// The first of all names in order, from which a listing starts.
    pub fn least() -> Self {
        Self("alias/-".into())
    }

    /// The whole name, prefix included.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the name is reserved for AWS-managed keys.
    pub fn is_reserved(&self) -> bool {
        self.0.starts_with(Self::RESERVED_PREFIX)
    }
}

impl fmt::Display for AliasName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for AliasName {
    type Err = InvalidIdentifier;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'_' | b'-');
        let well_formed = text.len() <= 256
            && text.strip_prefix(Self::PREFIX).is_some_and(|name| !name.is_empty())
            && text.bytes().all(allowed);
        well_formed
            .then(|| Self(text.into()))
            .ok_or_else(|| InvalidIdentifier::new("alias name", text))
    }
}

/// The id of an access key: 1 to 128 bytes of `[A-Za-z0-9_]` (IAM makes 20; emulators use `test`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccessKeyId(Arc<str>);

impl AccessKeyId {
    /// The first of all ids in order, from which a listing starts.
    pub fn least() -> Self {
        Self("0".into())
    }

    /// The id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AccessKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for AccessKeyId {
    type Err = InvalidIdentifier;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let well_formed = (1..=128).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        well_formed
            .then(|| Self(text.into()))
            .ok_or_else(|| InvalidIdentifier::new("access key id", text))
    }
}

macro_rules! uuid_type {
    ($(#[$doc:meta])* $name:ident, $kind:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 16]);

        impl $name {
            /// The id of these 16 bytes.
            pub fn new(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            /// A new id from 16 random bytes (a version 4 UUID, RFC 9562).
            pub fn from_random(mut bytes: [u8; 16]) -> Self {
                stamp_uuid_v4(&mut bytes);
                Self(bytes)
            }

            /// The 16 bytes.
            pub fn bytes(&self) -> &[u8; 16] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_uuid(&self.0, f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidIdentifier;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                parse_uuid(text).map(Self).ok_or_else(|| InvalidIdentifier::new($kind, text))
            }
        }
    };
}

uuid_type!(
    /// The id of a region's cluster, made once by its initialisation.
    ClusterId,
    "cluster id"
);
uuid_type!(
    /// The id of one request, as returned in `x-amzn-RequestId`.
    RequestId,
    "request id"
);

/// The random 64-bit id of a node, made when its disk is first formatted and never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub u64);

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

fn stamp_uuid_v4(bytes: &mut [u8; 16]) {
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
}

const LOWER_HEX: &[u8; 16] = b"0123456789abcdef";

/// Bytes as lower-case hexadecimal digits, two each.
pub fn lower_hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        text.push(char::from(LOWER_HEX[usize::from(byte >> 4)]));
        text.push(char::from(LOWER_HEX[usize::from(byte & 15)]));
    }
    text
}

/// Where a UUID's text has hyphens.
const HYPHENS: [usize; 4] = [8, 13, 18, 23];

fn write_uuid(bytes: &[u8; 16], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut text = [b'-'; 36];
    let mut at = 0;
    for byte in bytes {
        if HYPHENS.contains(&at) {
            at += 1;
        }
        text[at] = LOWER_HEX[usize::from(byte >> 4)];
        text[at + 1] = LOWER_HEX[usize::from(byte & 15)];
        at += 2;
    }
    f.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
}

fn parse_uuid(text: &str) -> Option<[u8; 16]> {
    let text: &[u8; 36] = text.as_bytes().try_into().ok()?;
    if HYPHENS.iter().any(|&at| text[at] != b'-') {
        return None;
    }
    let mut digits = [0; 32];
    let mut rest = text.iter().enumerate().filter(|(at, _)| !HYPHENS.contains(at));
    for digit in &mut digits {
        *digit = *rest.next()?.1;
    }
    parse_lower_hex(&digits)
}

fn parse_lower_hex<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    if digits.iter().any(u8::is_ascii_uppercase) {
        return None;
    }
    let mut bytes = [0; N];
    hex::decode_to_slice(digits, &mut bytes).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_ids_have_one_text_form() {
        for text in ["1234abcd-12ab-34cd-56ef-1234567890ab", "mrk-1234abcd12ab34cd56ef1234567890ab"]
        {
            assert_eq!(text.parse::<KeyId>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "1234ABCD-12ab-34cd-56ef-1234567890ab",
            "1234abcd12ab34cd56ef1234567890ab",
            "1234abcd-12ab-34cd-56ef-1234567890ab ",
            "1234abcd-12ab-34cd-56ef-1234567890ag",
            "mrk-fake",
            "mrk-1234abcd-12ab-34cd-56ef-1234567890ab",
            "----------------------------1234----",
        ] {
            assert!(text.parse::<KeyId>().is_err(), "{text}");
        }
    }

    #[test]
    fn regions_follow_the_pattern() {
        for text in ["us-east-1", "eu-central-1", "us-gov-west-12"] {
            assert!(text.parse::<Region>().is_ok(), "{text}");
        }
        for text in ["", "us-1", "us-east", "US-east-1", "a-b-c-d-1", "us--1", "us-east-1a", "-a-1"]
        {
            assert!(text.parse::<Region>().is_err(), "{text}");
        }
    }

    #[test]
    fn accounts_are_twelve_digits() {
        assert_eq!("000000000000".parse::<AccountId>().unwrap().to_string(), "000000000000");
        for text in ["", "1", "+00000000000", "1234567890123", "12345678901a"] {
            assert!(text.parse::<AccountId>().is_err(), "{text}");
        }
    }

    #[test]
    fn alias_names_keep_their_prefix() {
        assert!("alias/a".parse::<AliasName>().is_ok());
        assert!("alias/aws/s3".parse::<AliasName>().unwrap().is_reserved());
        for text in ["alias/", "a", "alias/a:b", "alias/ä"] {
            assert!(text.parse::<AliasName>().is_err(), "{text}");
        }
        for text in ["alias//", "alias/0", "alias/A", "alias/_", "alias/--"] {
            assert!(text.parse::<AliasName>().unwrap() > AliasName::least());
        }
    }
}
