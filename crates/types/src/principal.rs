//! Who makes a request.

use std::fmt;
use std::str::FromStr;

use crate::{AccountId, InvalidIdentifier, PARTITION};

/// An authenticated principal, of the kinds that AWS knows.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Principal {
    /// The account itself: its root credential.
    Root(AccountId),
}

impl Principal {
    /// The account that the principal belongs to.
    pub fn account(&self) -> AccountId {
        match self {
            Self::Root(account) => *account,
        }
    }

    /// The unique id that STS and the audit trail show; of the root, its account.
    pub fn unique_id(&self) -> String {
        match self {
            Self::Root(account) => account.to_string(),
        }
    }

    /// The kind, as `userIdentity.type` in the audit trail names it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Root(_) => "Root",
        }
    }
}

/// The principal's ARN.
impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root(account) => write!(f, "arn:{PARTITION}:iam::{account}:root"),
        }
    }
}

/// Reads a principal's ARN.
impl FromStr for Principal {
    type Err = InvalidIdentifier;

    fn from_str(text: &str) -> Result<Self, InvalidIdentifier> {
        let account = text
            .strip_prefix("arn:")
            .and_then(|rest| rest.strip_prefix(PARTITION))
            .and_then(|rest| rest.strip_prefix(":iam::"))
            .and_then(|rest| rest.strip_suffix(":root"))
            .ok_or_else(|| InvalidIdentifier::new("principal", text))?;
        account.parse().map(Self::Root)
    }
}
