//! Who makes a request, and who can be named.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::{AccountId, Arn, IamArn, InvalidIdentifier, PARTITION};

/// An authenticated principal, of the kinds that AWS knows.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Principal {
    /// The account itself: its root credential.
    Root(AccountId),
    /// A user of the account.
    User {
        /// The account.
        account: AccountId,
        /// Path and name without a leading slash, such as `alice` or `team/alice`.
        name: Arc<str>,
        /// The unique id, `AIDA…`, which no other user ever gets.
        id: Arc<str>,
    },
}

impl Principal {
    /// The account that the principal belongs to.
    pub fn account(&self) -> AccountId {
        match self {
            Self::Root(account) | Self::User { account, .. } => *account,
        }
    }

    /// The unique id that STS and the audit trail show; of the root, its account.
    pub fn unique_id(&self) -> String {
        match self {
            Self::Root(account) => account.to_string(),
            Self::User { id, .. } => id.to_string(),
        }
    }

    /// The unique id of a user; the root has none of its own.
    pub fn user_id(&self) -> Option<&str> {
        match self {
            Self::Root(_) => None,
            Self::User { id, .. } => Some(id),
        }
    }

    /// The name of a user, without its path.
    pub fn user_name(&self) -> Option<&str> {
        match self {
            Self::Root(_) => None,
            Self::User { name, .. } => Some(name.rsplit_once('/').map_or(name, |(_, name)| name)),
        }
    }

    /// The kind, as `userIdentity.type` in the audit trail names it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Root(_) => "Root",
            Self::User { .. } => "IAMUser",
        }
    }
}

/// The principal's ARN.
impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root(account) => write!(f, "arn:{PARTITION}:iam::{account}:root"),
            Self::User { account, name, .. } => {
                write!(f, "arn:{PARTITION}:iam::{account}:user/{name}")
            }
        }
    }
}

/// The ARN of a principal, as a certificate, a policy or a grant names it. Whether there is such a
/// one is another question.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PrincipalArn {
    /// The account itself.
    Root(AccountId),
    /// A user.
    User(IamArn),
}

impl PrincipalArn {
    /// The account that the principal belongs to.
    pub fn account(&self) -> AccountId {
        match self {
            Self::Root(account) => *account,
            Self::User(arn) => arn.account,
        }
    }
}

impl fmt::Display for PrincipalArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root(account) => write!(f, "arn:{PARTITION}:iam::{account}:root"),
            Self::User(arn) => arn.fmt(f),
        }
    }
}

impl FromStr for PrincipalArn {
    type Err = InvalidIdentifier;

    fn from_str(text: &str) -> Result<Self, InvalidIdentifier> {
        let root = || {
            let arn = Arn::parse(text)?;
            let ours = arn.partition == PARTITION && arn.service == "iam" && arn.region.is_empty();
            let root = ours && arn.resource == "root";
            arn.account.parse().ok().filter(|_| root).map(Self::Root)
        };
        let user = || {
            let arn: IamArn = text.parse().ok()?;
            arn.user_name().is_some().then_some(Self::User(arn))
        };
        root().or_else(user).ok_or_else(|| InvalidIdentifier::new("principal", text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn principal_arns_have_one_text_form() {
        for text in [
            "arn:aws:iam::111122223333:root",
            "arn:aws:iam::111122223333:user/alice",
            "arn:aws:iam::111122223333:user/team/a.b@c-d_e+f=g,h",
        ] {
            assert_eq!(text.parse::<PrincipalArn>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "arn:aws:iam::111122223333:user",
            "arn:aws:iam::111122223333:user/",
            "arn:aws:iam::111122223333:user/a*",
            "arn:aws:iam::111122223333:group/a",
            "arn:aws:iam::111122223333:root/a",
            "arn:aws:iam:us-east-1:111122223333:root",
            "arn:aws:sts::111122223333:root",
            "arn:aws-cn:iam::111122223333:root",
            "arn:aws:iam::11112222333:root",
        ] {
            assert!(text.parse::<PrincipalArn>().is_err(), "{text}");
        }
    }
}
