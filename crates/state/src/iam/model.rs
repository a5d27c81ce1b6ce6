//! The entities of IAM.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use keystead_types::{
    AccountId, GroupId, GroupName, IamArn, IamPath, IamResource, Issuer, OidcProviderArn,
    OidcProviderId, PolicyId, PolicyName, RoleId, RoleName, UnixMillis, UserId, UserName,
};

use super::policy_size;
use crate::model::Policy;

/// The policies of a user, a group or a role.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Permissions {
    /// Documents of its own, by name.
    pub inline: BTreeMap<PolicyName, Arc<Policy>>,
    /// Managed policies.
    pub attached: BTreeSet<PolicyId>,
}

impl Permissions {
    /// The size of all inline policies together, as [`policy_size`] counts.
    pub fn inline_size(&self) -> usize {
        self.inline.values().map(|policy| policy_size(&policy.text)).sum()
    }
}

/// A user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Its unique id.
    pub id: UserId,
    /// The account it belongs to.
    pub account: AccountId,
    /// Its path.
    pub path: IamPath,
    /// Its name, unique in the account without regard to case.
    pub name: UserName,
    /// When it was created.
    pub created: UnixMillis,
    /// Its tags; no two names differ in case alone.
    pub tags: BTreeMap<String, String>,
    /// What it may do, within its boundary.
    pub permissions: Permissions,
    /// The managed policy that bounds what it may do.
    pub boundary: Option<PolicyId>,
    /// The groups it is a member of.
    pub groups: BTreeSet<GroupId>,
    /// Log index of the last change that may have taken a right away.
    pub rights_removed_at: u64,
    /// Its sessions that were issued before this have ended; zero if none has.
    pub sessions_valid_after: UnixMillis,
}

impl User {
    /// Its ARN.
    pub fn arn(&self) -> IamArn {
        let resource = IamResource::User(self.name.clone());
        IamArn { account: self.account, path: self.path.clone(), resource }
    }
}

/// What users, services and those of identity providers take on, in sessions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    /// Its unique id.
    pub id: RoleId,
    /// The account it belongs to.
    pub account: AccountId,
    /// Its path.
    pub path: IamPath,
    /// Its name, unique in the account without regard to case; it never changes.
    pub name: RoleName,
    /// What its creator wrote about it.
    pub description: Box<str>,
    /// How long a session of it may be made to last at most, in seconds.
    pub max_session_seconds: u32,
    /// Who may take it on.
    pub trust_policy: Arc<Policy>,
    /// When it was created.
    pub created: UnixMillis,
    /// Its tags; no two names differ in case alone.
    pub tags: BTreeMap<String, String>,
    /// What it may do, within its boundary.
    pub permissions: Permissions,
    /// The managed policy that bounds what it may do.
    pub boundary: Option<PolicyId>,
    /// Log index of the last change that may have taken a right away.
    pub rights_removed_at: u64,
    /// Its sessions that were issued before this have ended; zero if none has.
    pub sessions_valid_after: UnixMillis,
}

impl Role {
    /// Its ARN.
    pub fn arn(&self) -> IamArn {
        let resource = IamResource::Role(self.name.clone());
        IamArn { account: self.account, path: self.path.clone(), resource }
    }
}

/// An identity provider of OpenID Connect whose tokens an account takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OidcProvider {
    /// Its unique id.
    pub id: OidcProviderId,
    /// The account that takes its tokens.
    pub account: AccountId,
    /// Whose tokens they are, unique in the account.
    pub issuer: Issuer,
    /// For whom the tokens are that are taken: their audiences, in the order in which they came.
    pub client_ids: Vec<String>,
    /// Thumbprints of its certificates, which are kept for those who ask and not looked at.
    pub thumbprints: Vec<String>,
    /// Its tags; no two names differ in case alone.
    pub tags: BTreeMap<String, String>,
    /// When it was created.
    pub created: UnixMillis,
    /// Log index of the last change that may have taken a right away.
    pub rights_removed_at: u64,
}

impl OidcProvider {
    /// Its ARN.
    pub fn arn(&self) -> OidcProviderArn {
        OidcProviderArn { account: self.account, issuer: self.issuer.clone() }
    }
}

/// A group of users.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Its unique id.
    pub id: GroupId,
    /// The account it belongs to.
    pub account: AccountId,
    /// Its path.
    pub path: IamPath,
    /// Its name, unique in the account without regard to case.
    pub name: GroupName,
    /// When it was created.
    pub created: UnixMillis,
    /// What its members may do.
    pub permissions: Permissions,
    /// Log index of the last change that may have taken a right away.
    pub rights_removed_at: u64,
}

impl Group {
    /// Its ARN.
    pub fn arn(&self) -> IamArn {
        let resource = IamResource::Group(self.name.clone());
        IamArn { account: self.account, path: self.path.clone(), resource }
    }
}

/// A policy that users, groups and roles share, in up to five versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManagedPolicy {
    /// Its unique id.
    pub id: PolicyId,
    /// The account it belongs to.
    pub account: AccountId,
    /// Its path.
    pub path: IamPath,
    /// Its name, unique in the account without regard to case.
    pub name: PolicyName,
    /// What its creator wrote about it.
    pub description: Box<str>,
    /// When it was created.
    pub created: UnixMillis,
    /// When its versions last changed.
    pub updated: UnixMillis,
    /// Its versions, oldest first; never empty.
    pub versions: Vec<PolicyVersion>,
    /// The number of the version in force, one of `versions`.
    pub default_version: u32,
    /// The highest number that a version of it ever had.
    pub latest_version: u32,
    /// Its tags; no two names differ in case alone.
    pub tags: BTreeMap<String, String>,
    /// Log index of the last change that may have taken a right away.
    pub rights_removed_at: u64,
}

/// One version of a managed policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyVersion {
    /// Its number, shown as `v1`; never used again.
    pub number: u32,
    /// The document.
    pub policy: Arc<Policy>,
    /// When it was created.
    pub created: UnixMillis,
}

impl ManagedPolicy {
    /// Its ARN.
    pub fn arn(&self) -> IamArn {
        let resource = IamResource::Policy(self.name.clone());
        IamArn { account: self.account, path: self.path.clone(), resource }
    }

    /// A version by its number.
    pub fn version(&self, number: u32) -> Option<&PolicyVersion> {
        self.versions.iter().find(|version| version.number == number)
    }

    /// The version in force.
    pub fn default_version(&self) -> &PolicyVersion {
        self.version(self.default_version).expect("no record is read and no change made without it")
    }
}
