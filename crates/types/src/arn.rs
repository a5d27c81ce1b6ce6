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

    /// Account and resource of an ARN of a global service, such as `iam`; `None` if it is that of
    /// anything else.
    pub(crate) fn global(text: &'a str, service: &str) -> Option<(AccountId, &'a str)> {
        let arn = Self::parse(text)?;
        let ours = arn.partition == PARTITION && arn.service == service && arn.region.is_empty();
        Some((ours.then_some(arn.account)?.parse().ok()?, arn.resource))
    }
}

/// `arn:aws:kms:<region>:<account>:key/<id>`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyArn {
    /// The Region it lives in.
    pub region: Region,
    /// The account that owns it.
    pub account: AccountId,
    /// The key.
    pub id: KeyId,
}

impl fmt::Display for KeyArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { region, account, id } = self;
        write!(f, "arn:{PARTITION}:kms:{region}:{account}:key/{id}")
    }
}

impl FromStr for KeyArn {
    type Err = InvalidIdentifier;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let read = || {
            let (region, account, resource) = kms_parts(text)?;
            Some(Self { region, account, id: resource.strip_prefix("key/")?.parse().ok()? })
        };
        read().ok_or_else(|| InvalidIdentifier::new("key ARN", text))
    }
}

/// `arn:aws:kms:<region>:<account>:alias/<name>`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AliasArn {
    /// The Region it lives in.
    pub region: Region,
    /// The account that owns it.
    pub account: AccountId,
    /// The alias, its prefix included.
    pub name: AliasName,
}

impl fmt::Display for AliasArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { region, account, name } = self;
        write!(f, "arn:{PARTITION}:kms:{region}:{account}:{name}")
    }
}

impl FromStr for AliasArn {
    type Err = InvalidIdentifier;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let read = || {
            let (region, account, resource) = kms_parts(text)?;
            Some(Self { region, account, name: resource.parse().ok()? })
        };
        read().ok_or_else(|| InvalidIdentifier::new("alias ARN", text))
    }
}

fn kms_parts(text: &str) -> Option<(Region, AccountId, &str)> {
    let arn = Arn::parse(text)?;
    let ours = arn.partition == PARTITION && arn.service == "kms";
    ours.then_some((arn.region.parse().ok()?, arn.account.parse().ok()?, arn.resource))
}

/// The ARN of anything that a request to KMS can name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KmsArn {
    /// A key.
    Key(KeyArn),
    /// An alias.
    Alias(AliasArn),
}

impl From<KeyArn> for KmsArn {
    fn from(arn: KeyArn) -> Self {
        Self::Key(arn)
    }
}

impl From<AliasArn> for KmsArn {
    fn from(arn: AliasArn) -> Self {
        Self::Alias(arn)
    }
}

impl fmt::Display for KmsArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(arn) => arn.fmt(f),
            Self::Alias(arn) => arn.fmt(f),
        }
    }
}

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
