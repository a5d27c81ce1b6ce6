//! Amazon Resource Names: the general form, and those of keys and aliases.

use std::fmt;
use std::str::FromStr;

use crate::{AccountId, AliasName, InvalidIdentifier, KeyId, Region};

/// The only partition there is.
pub const PARTITION: &str = "aws";

/// `arn:partition:service:region:account:resource`, split but not interpreted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arn<'a> {
    /// Such as `aws`.
    pub partition: &'a str,
    /// Such as `kms`.
    pub service: &'a str,
    /// Such as `us-east-1`; empty for global services.
    pub region: &'a str,
    /// Twelve digits, or empty.
    pub account: &'a str,
    /// All that follows, colons included.
    pub resource: &'a str,
}

impl<'a> Arn<'a> {
    /// Splits a text at its first five colons; `None` if it is no ARN.
    pub fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.splitn(6, ':');
        if parts.next()? != "arn" {
            return None;
        }
        let arn = Self {
            partition: parts.next()?,
            service: parts.next()?,
            region: parts.next()?,
            account: parts.next()?,
            resource: parts.next()?,
        };
        (!arn.partition.is_empty() && !arn.service.is_empty() && !arn.resource.is_empty())
            .then_some(arn)
    }
}

macro_rules! kms_arn {
    ($(#[$doc:meta])* $name:ident, $field:ident: $id:ty, $kind:literal, $prefix:literal, $skip:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name {
            /// The Region it lives in.
            pub region: Region,
            /// The account that owns it.
            pub account: AccountId,
            /// What it names.
            pub $field: $id,
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let Self { region, account, $field } = self;
                write!(f, "arn:{PARTITION}:kms:{region}:{account}:{}{}", $prefix, $field)
            }
        }

        impl FromStr for $name {
            type Err = InvalidIdentifier;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let invalid = || InvalidIdentifier::new($kind, text);
                let arn = Arn::parse(text).ok_or_else(invalid)?;
                if arn.partition != PARTITION || arn.service != "kms" {
                    return Err(invalid());
                }
                let resource = arn.resource.strip_prefix($skip).ok_or_else(invalid)?;
                // An alias's name keeps the prefix that a key's id sheds.
                let resource = if $prefix.is_empty() { arn.resource } else { resource };
                Ok(Self {
                    region: arn.region.parse().map_err(|_| invalid())?,
                    account: arn.account.parse().map_err(|_| invalid())?,
                    $field: resource.parse().map_err(|_| invalid())?,
                })
            }
        }
    };
}

kms_arn!(
    /// `arn:aws:kms:<region>:<account>:key/<id>`.
    KeyArn, id: KeyId, "key ARN", "key/", "key/"
);
kms_arn!(
    /// `arn:aws:kms:<region>:<account>:alias/<name>`.
    AliasArn, name: AliasName, "alias ARN", "", "alias/"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_and_alias_arns_round_trip() {
        let key = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
        assert_eq!(key.parse::<KeyArn>().unwrap().to_string(), key);
        let alias = "arn:aws:kms:us-east-1:111122223333:alias/a/b";
        assert_eq!(alias.parse::<AliasArn>().unwrap().to_string(), alias);
        assert!(alias.parse::<KeyArn>().is_err());
        assert!(key.parse::<AliasArn>().is_err());
    }

    #[test]
    fn malformed_arns_are_refused() {
        for text in ["", "arn", "arn:aws:kms:::", "arn:aws:kms:x:y", "urn:aws:kms:a:b:c"] {
            assert!(Arn::parse(text).is_none(), "{text}");
        }
    }
}
