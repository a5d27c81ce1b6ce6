//! Who makes a request, and who can be named.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::{AccountId, Arn, IamArn, InvalidIdentifier, PARTITION, RoleName, ServiceName};

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
    /// A session of a role of the account.
    Session {
        /// The account of the role.
        account: AccountId,
        /// Path and name of the role without a leading slash.
        role: Arc<str>,
        /// The unique id of the role, `AROA…`, which no other role ever gets.
        id: Arc<str>,
        /// The name that whoever took on the role gave the session.
        session: Arc<str>,
    },
    /// A service that acts as itself.
    Service {
        /// The account that the service's own keys are in. Nobody else is in it.
        account: AccountId,
        /// The name, such as `s3.amazonaws.com`.
        name: ServiceName,
    },
}

impl Principal {
    /// The account that the principal belongs to.
    pub fn account(&self) -> AccountId {
        match self {
            Self::Root(account)
            | Self::User { account, .. }
            | Self::Session { account, .. }
            | Self::Service { account, .. } => *account,
        }
    }

    /// The unique id that STS and the audit trail show; of a root or a service, its account; of a
    /// session, that of its role with its own name.
    pub fn unique_id(&self) -> String {
        match self {
            Self::Root(account) | Self::Service { account, .. } => account.to_string(),
            Self::User { id, .. } => id.to_string(),
            Self::Session { id, session, .. } => format!("{id}:{session}"),
        }
    }

    /// The unique id of a user; others have none of this kind.
    pub fn user_id(&self) -> Option<&str> {
        match self {
            Self::User { id, .. } => Some(id),
            Self::Root(_) | Self::Session { .. } | Self::Service { .. } => None,
        }
    }

    /// The unique id of the role whose session it is.
    pub fn role_id(&self) -> Option<&str> {
        match self {
            Self::Session { id, .. } => Some(id),
            Self::Root(_) | Self::User { .. } | Self::Service { .. } => None,
        }
    }

    /// The unique id of the user or the role whose policies count; the root has none.
    pub fn entity_id(&self) -> Option<&str> {
        self.user_id().or_else(|| self.role_id())
    }

    /// The name of a user, without its path.
    pub fn user_name(&self) -> Option<&str> {
        match self {
            Self::User { name, .. } => Some(without_path(name)),
            Self::Root(_) | Self::Session { .. } | Self::Service { .. } => None,
        }
    }

    /// The ARN of the role whose session it is.
    pub fn role_arn(&self) -> Option<String> {
        match self {
            Self::Session { account, role, .. } => {
                Some(format!("arn:{PARTITION}:iam::{account}:role/{role}"))
            }
            Self::Root(_) | Self::User { .. } | Self::Service { .. } => None,
        }
    }

    /// The name of the role whose session it is, without its path.
    pub fn role_name(&self) -> Option<&str> {
        match self {
            Self::Session { role, .. } => Some(without_path(role)),
            Self::Root(_) | Self::User { .. } | Self::Service { .. } => None,
        }
    }

    /// The kind, as `userIdentity.type` in the audit trail names it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Root(_) => "Root",
            Self::User { .. } => "IAMUser",
            Self::Session { .. } => "AssumedRole",
            Self::Service { .. } => "AWSService",
        }
    }

    /// The service that acts as itself.
    pub fn service(&self) -> Option<&ServiceName> {
        match self {
            Self::Service { name, .. } => Some(name),
            Self::Root(_) | Self::User { .. } | Self::Session { .. } => None,
        }
    }

    /// The ARN by which commands name their author: of a service, the root of its account.
    pub fn author_arn(&self) -> String {
        match self {
            Self::Service { account, .. } => Self::Root(*account).to_string(),
            Self::Root(_) | Self::User { .. } | Self::Session { .. } => self.to_string(),
        }
    }
}

fn without_path(name: &str) -> &str {
    name.rsplit_once('/').map_or(name, |(_, name)| name)
}

/// The principal's ARN; of a service, its name.
impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root(account) => write!(f, "arn:{PARTITION}:iam::{account}:root"),
            Self::User { account, name, .. } => {
                write!(f, "arn:{PARTITION}:iam::{account}:user/{name}")
            }
            Self::Session { account, role, session, .. } => {
                let role = without_path(role);
                write!(f, "arn:{PARTITION}:sts::{account}:assumed-role/{role}/{session}")
            }
            Self::Service { name, .. } => name.fmt(f),
        }
    }
}

/// The name of a session: 2 to 64 of `[A-Za-z0-9_+=,.@-]`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionName(Arc<str>);

impl SessionName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for SessionName {
    type Err = InvalidIdentifier;

    fn from_str(text: &str) -> Result<Self, InvalidIdentifier> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"_+=,.@-".contains(&b);
        let well_formed = (2..=64).contains(&text.len()) && text.bytes().all(allowed);
        well_formed
            .then(|| Self(text.into()))
            .ok_or_else(|| InvalidIdentifier::new("session name", text))
    }
}

/// `arn:aws:sts::<account>:assumed-role/<role>/<session>`: the ARN of a role's session, which has no
/// path. Whether there is such a role is another question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionArn {
    /// The account of the role.
    pub account: AccountId,
    /// The role.
    pub role: RoleName,
    /// The name of the session.
    pub session: SessionName,
}

impl FromStr for SessionArn {
    type Err = InvalidIdentifier;

    fn from_str(text: &str) -> Result<Self, InvalidIdentifier> {
        let read = || {
            let (account, resource) = Arn::global(text, "sts")?;
            let (role, session) = resource.strip_prefix("assumed-role/")?.split_once('/')?;
            Some(Self { account, role: role.parse().ok()?, session: session.parse().ok()? })
        };
        read().ok_or_else(|| InvalidIdentifier::new("session ARN", text))
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
            let (account, resource) = Arn::global(text, "iam")?;
            (resource == "root").then_some(Self::Root(account))
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
    fn sessions_are_known_by_their_roles() {
        let account = "111122223333".parse().unwrap();
        let text = "arn:aws:sts::111122223333:assumed-role/deploy/ci-1";
        let role: Arc<str> = "team/deploy".into();
        let id: Arc<str> = "AROAQ3EGVXKZ7N2YH5W40".into();
        let session = Principal::Session { account, role, id, session: "ci-1".into() };
        assert_eq!(session.to_string(), text);
        assert_eq!(session.unique_id(), "AROAQ3EGVXKZ7N2YH5W40:ci-1");
        assert_eq!(session.user_id(), None);
        assert_eq!(session.role_name(), Some("deploy"));
        let role_arn = "arn:aws:iam::111122223333:role/team/deploy";
        assert_eq!(session.role_arn().as_deref(), Some(role_arn));
        let parsed: SessionArn = text.parse().unwrap();
        assert_eq!((parsed.role.as_str(), parsed.session.as_str()), ("deploy", "ci-1"));
        for text in [
            "",
            role_arn,
            "arn:aws:sts::111122223333:assumed-role/deploy",
            "arn:aws:sts::111122223333:assumed-role/deploy/a",
            "arn:aws:sts::111122223333:assumed-role/deploy/a b",
            "arn:aws:sts::111122223333:assumed-role/team/deploy/ci-1",
            "arn:aws:iam::111122223333:assumed-role/deploy/ci-1",
            "arn:aws:sts:us-east-1:111122223333:assumed-role/deploy/ci-1",
        ] {
            assert!(text.parse::<SessionArn>().is_err(), "{text}");
        }
    }

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
