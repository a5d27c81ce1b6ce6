//! What IAM names: unique ids, names, paths, and the ARNs made of them.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::{AccountId, Arn, InvalidIdentifier, PARTITION};

/// Characters of a unique id after its prefix.
const UNIQUE_LEN: usize = 17;

/// Defines the unique id of one kind of entity: a prefix of IAM's and 17 of `[A-Z0-9]`.
macro_rules! unique_id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal, $kind:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; UNIQUE_LEN]);

        impl $name {
            /// What every id of this kind begins with.
            pub const PREFIX: &'static str = $prefix;
            /// The first of all ids in order, from which a listing starts.
            pub const LEAST: Self = Self([b'0'; UNIQUE_LEN]);

            /// A new id from 17 random bytes, of which five bits each are used.
            pub fn from_random(bytes: [u8; UNIQUE_LEN]) -> Self {
                const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
                Self(bytes.map(|byte| ALPHABET[usize::from(byte & 31)]))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str($prefix)?;
                f.write_str(std::str::from_utf8(&self.0).map_err(|_| fmt::Error)?)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidIdentifier;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let allowed = |b: &u8| b.is_ascii_uppercase() || b.is_ascii_digit();
                text.strip_prefix($prefix)
                    .and_then(|rest| <[u8; UNIQUE_LEN]>::try_from(rest.as_bytes()).ok())
                    .filter(|rest: &[u8; UNIQUE_LEN]| rest.iter().all(allowed))
                    .map(Self)
                    .ok_or_else(|| InvalidIdentifier::new($kind, text))
            }
        }
    };
}

unique_id!(
    /// The unique id of a user; never used again, whatever its name.
    UserId,
    "AIDA",
    "user id"
);
unique_id!(
    /// The unique id of a group.
    GroupId,
    "AGPA",
    "group id"
);
unique_id!(
    /// The unique id of a role; never used again, whatever its name.
    RoleId,
    "AROA",
    "role id"
);
unique_id!(
    /// The unique id of a managed policy.
    PolicyId,
    "ANPA",
    "policy id"
);
unique_id!(
    /// The unique id of an OIDC provider, by which sessions know the one that answered for them.
    /// AWS has none, and it is shown nowhere.
    OidcProviderId,
    "AOIP",
    "OIDC provider id"
);

/// Defines a name of `[A-Za-z0-9_+=,.@-]`, which keeps its case but is unique without regard to it.
macro_rules! iam_name {
    ($(#[$doc:meta])* $name:ident, $most:literal, $kind:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The most characters it may have.
            pub const MAX_LEN: usize = $most;

            /// The name.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The name in lower case, equal for names that IAM takes for the same.
            pub fn folded(&self) -> Arc<str> {
                if self.0.bytes().any(|b| b.is_ascii_uppercase()) {
                    self.0.to_ascii_lowercase().into()
                } else {
                    self.0.clone()
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = InvalidIdentifier;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let allowed = |b: u8| b.is_ascii_alphanumeric() || b"_+=,.@-".contains(&b);
                let well_formed =
                    (1..=$most).contains(&text.len()) && text.bytes().all(allowed);
                well_formed
                    .then(|| Self(text.into()))
                    .ok_or_else(|| InvalidIdentifier::new($kind, text))
            }
        }
    };
}

iam_name!(
    /// The name of a user.
    UserName,
    64,
    "user name"
);
iam_name!(
    /// The name of a group.
    GroupName,
    128,
    "group name"
);
iam_name!(
    /// The name of a role.
    RoleName,
    64,
    "role name"
);
iam_name!(
    /// The name of a managed or an inline policy.
    PolicyName,
    128,
    "policy name"
);

/// Where an entity stands in an account's tree of names: `/`, or `/…/` of up to 512 visible ASCII
/// characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IamPath(Arc<str>);

impl IamPath {
    /// The path, slashes included.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The path of what was given none: `/`.
impl Default for IamPath {
    fn default() -> Self {
        Self("/".into())
    }
}

impl fmt::Display for IamPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for IamPath {
    type Err = InvalidIdentifier;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let inner = || text.strip_prefix('/').and_then(|rest| rest.strip_suffix('/'));
        let nested = || {
            text.len() <= 512
                && inner().is_some_and(|inner| !inner.is_empty())
                && text.bytes().all(|b| b.is_ascii_graphic())
        };
        let well_formed = text == "/" || nested();
        well_formed.then(|| Self(text.into())).ok_or_else(|| InvalidIdentifier::new("path", text))
    }
}

/// What an IAM ARN names within its account.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum IamResource {
    /// A user.
    User(UserName),
    /// A group.
    Group(GroupName),
    /// A role.
    Role(RoleName),
    /// A managed policy.
    Policy(PolicyName),
}

/// `arn:aws:iam::<account>:<user|group|role|policy><path><name>`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IamArn {
    /// The account it belongs to.
    pub account: AccountId,
    /// Its path.
    pub path: IamPath,
    /// Its kind and name.
    pub resource: IamResource,
}

impl IamArn {
    /// The name of the user, if it is one.
    pub fn user_name(&self) -> Option<&UserName> {
        match &self.resource {
            IamResource::User(name) => Some(name),
            _ => None,
        }
    }

    /// The name of the role, if it is one.
    pub fn role_name(&self) -> Option<&RoleName> {
        match &self.resource {
            IamResource::Role(name) => Some(name),
            _ => None,
        }
    }

    /// Path and name without a leading slash, such as `team/alice`.
    pub fn friendly_name(&self) -> String {
        let name = match &self.resource {
            IamResource::User(name) => name.as_str(),
            IamResource::Group(name) => name.as_str(),
            IamResource::Role(name) => name.as_str(),
            IamResource::Policy(name) => name.as_str(),
        };
        format!("{}{name}", &self.path.as_str()[1..])
    }
}

impl fmt::Display for IamArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, name) = match &self.resource {
            IamResource::User(name) => ("user", name.as_str()),
            IamResource::Group(name) => ("group", name.as_str()),
            IamResource::Role(name) => ("role", name.as_str()),
            IamResource::Policy(name) => ("policy", name.as_str()),
        };
        write!(f, "arn:{PARTITION}:iam::{}:{kind}{}{name}", self.account, self.path)
    }
}

impl FromStr for IamArn {
    type Err = InvalidIdentifier;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let read = || {
            let (account, entity) = Arn::global(text, "iam")?;
            // The path begins with the first slash and ends with the last.
            let (kind, rest) = entity.split_at(entity.find('/')?);
            let (path, name) = rest.split_at(rest.rfind('/')? + 1);
            let resource = match kind {
                "user" => IamResource::User(name.parse().ok()?),
                "group" => IamResource::Group(name.parse().ok()?),
                "role" => IamResource::Role(name.parse().ok()?),
                "policy" => IamResource::Policy(name.parse().ok()?),
                _ => return None,
            };
            Some(Self { account, path: path.parse().ok()?, resource })
        };
        read().ok_or_else(|| InvalidIdentifier::new("IAM ARN", text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unique_ids_have_one_text_form() {
        let text = "AIDAQ3EGVXKZ7N2YH5W40";
        assert_eq!(text.parse::<UserId>().unwrap().to_string(), text);
        assert!(text.parse::<GroupId>().is_err());
        for text in ["", "AIDA", "AIDAQ3EGVXKZ7N2YH5W4", "AIDAQ3EGVXKZ7N2YH5W405"] {
            assert!(text.parse::<UserId>().is_err(), "{text}");
        }
        assert!("AIDAq3EGVXKZ7N2YH5W40".parse::<UserId>().is_err());
        assert!("AIDAQ3EGVXKZ7N2YHÄ40".parse::<UserId>().is_err());
        for byte in [0, 31, 32, 255] {
            let made = GroupId::from_random([byte; 17]);
            assert_eq!(made.to_string().parse::<GroupId>().unwrap(), made);
            assert!(made.to_string().starts_with("AGPA"));
        }
    }

    #[test]
    fn names_keep_their_case_and_compare_without_it() {
        let name: UserName = "Alice@Example.com".parse().unwrap();
        assert_eq!(name.as_str(), "Alice@Example.com");
        assert_eq!(&*name.folded(), "alice@example.com");
        assert!("a".repeat(64).parse::<UserName>().is_ok());
        assert!("a".repeat(65).parse::<UserName>().is_err());
        assert!("a".repeat(128).parse::<GroupName>().is_ok());
        assert!("a".repeat(129).parse::<PolicyName>().is_err());
        assert!("_+=,.@-Z9".parse::<PolicyName>().is_ok());
        for text in ["", "a b", "a/b", "a:b", "ä", "a*"] {
            assert!(text.parse::<UserName>().is_err(), "{text}");
        }
    }

    #[test]
    fn paths_begin_and_end_with_a_slash() {
        for text in ["/", "/a/", "/a/b!/", "///"] {
            assert_eq!(text.parse::<IamPath>().unwrap().as_str(), text);
        }
        assert!(format!("/{}/", "a".repeat(510)).parse::<IamPath>().is_ok());
        assert!(format!("/{}/", "a".repeat(511)).parse::<IamPath>().is_err());
        for text in ["", "//", "a/", "/a", "/a b/", "/ä/"] {
            assert!(text.parse::<IamPath>().is_err(), "{text}");
        }
        assert_eq!(IamPath::default(), "/".parse().unwrap());
    }

    #[test]
    fn arns_round_trip() {
        for text in [
            "arn:aws:iam::111122223333:user/alice",
            "arn:aws:iam::111122223333:group/a/b/Devs",
            "arn:aws:iam::111122223333:role/service/Deploy",
            "arn:aws:iam::111122223333:policy/x:y/p",
        ] {
            assert_eq!(text.parse::<IamArn>().unwrap().to_string(), text);
        }
        for text in [
            "arn:aws:iam::111122223333:root",
            "arn:aws:iam::111122223333:user/",
            "arn:aws:iam::111122223333:instance-profile/a",
            "arn:aws:iam::111122223333:user//a",
            "arn:aws:iam::aws:policy/AdministratorAccess",
            "arn:aws:iam:us-east-1:111122223333:user/a",
            "arn:aws-cn:iam::111122223333:user/a",
            "arn:aws:sts::111122223333:user/a",
        ] {
            assert!(text.parse::<IamArn>().is_err(), "{text}");
        }
    }
}
