//! The rights that are lost: who has which, and how it is revoked.

use anyhow::{Context, Result};
use keystead_api::kms;
use serde_json::json;

use super::household::{self, Household, POLICY};
use super::owner::{Acknowledged, Owner};
use super::session;
use super::worker::Mutation;
use crate::node::{ACCOUNT, AccessKey};

/// An account without keys. Its root needs nothing but the right that the owner of a key gives.
pub(super) const TENANT: &str = "444455556666";
/// What a user may do as long as the right is there.
pub(super) const ACTIONS: [&str; 5] =
    ["kms:Encrypt", "kms:Decrypt", "kms:GenerateDataKey", "kms:CreateGrant", "kms:TagResource"];

/// How a right is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// The key policy names the user no more.
    PolicyWithout,
    /// The key policy still names the user, and denies it everything.
    PolicyDenying,
    Grant,
    Key,
    DeletedAccessKey,
    InactiveAccessKey,
    UserPolicy,
    Membership,
    Attachment,
    /// From here on it is a session that has the right.
    InactiveIssuer,
    DeletedIssuer,
    DeletedUser,
    DeletedRole,
    RolePolicy,
    /// A policy of the role denies everything to sessions that were issued until some time.
    OlderSessions,
    /// An operator ended all sessions of the role.
    RevokedSessions,
}

pub(super) const KINDS: [Kind; 16] = [
    Kind::PolicyWithout,
    Kind::PolicyDenying,
    Kind::Grant,
    Kind::Key,
    Kind::DeletedAccessKey,
    Kind::InactiveAccessKey,
    Kind::UserPolicy,
    Kind::Membership,
    Kind::Attachment,
    Kind::InactiveIssuer,
    Kind::DeletedIssuer,
    Kind::DeletedUser,
    Kind::DeletedRole,
    Kind::RolePolicy,
    Kind::OlderSessions,
    Kind::RevokedSessions,
];

/// Who there is to have rights.
pub(super) struct People {
    /// The root of the account [`TENANT`].
    pub(super) tenant: AccessKey,
    pub(super) household: Household,
}

/// A right that somebody has.
pub(super) struct Right {
    /// The ARN of the key that may be used.
    pub(super) key: String,
    /// What the user may change as long as it has the right.
    pub(super) mutation: Mutation,
    pub(super) holder: AccessKey,
    pub(super) revocation: Revocation,
}

/// An action of IAM and its parameters.
pub(super) type Step = (&'static str, Vec<(&'static str, String)>);

pub(super) enum Revocation {
    PutKeyPolicy(String),
    RevokeGrant(String),
    DisableKey,
    /// One after the other.
    Iam(Vec<Step>),
    /// The sessions of a role, by name.
    Sessions(String),
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::PolicyWithout => "PutKeyPolicy without the user",
            Self::PolicyDenying => "PutKeyPolicy with a denial",
            Self::Grant => "RevokeGrant",
            Self::Key => "DisableKey",
            Self::DeletedAccessKey => "DeleteAccessKey",
            Self::InactiveAccessKey => "UpdateAccessKey",
            Self::UserPolicy => "DeleteUserPolicy",
            Self::Membership => "RemoveUserFromGroup",
            Self::Attachment => "DetachUserPolicy",
            Self::InactiveIssuer => "UpdateAccessKey of a session",
            Self::DeletedIssuer => "DeleteAccessKey of a session",
            Self::DeletedUser => "DeleteUser of a session",
            Self::DeletedRole => "DeleteRole",
            Self::RolePolicy => "DeleteRolePolicy",
            Self::OlderSessions => "PutRolePolicy denying older sessions",
            Self::RevokedSessions => "revoke-sessions",
        }
    }

    /// Gives a right that can be lost in this way.
    ///
    /// # Errors
    /// Those of [`Owner::kms`] and [`Owner::iam`].
    pub(super) async fn give(self, owner: &mut Owner, people: &People) -> Result<Right> {
        let foreign = |key, revocation| Right {
            key,
            mutation: Mutation::CreateGrant,
            holder: people.tenant.clone(),
            revocation,
        };
        let allowed: [Statement<'_>; 1] = [("Allow", &ACTIONS)];
        let denied: [Statement<'_>; 2] = [("Allow", &ACTIONS), ("Deny", &["kms:*"])];
        match self {
            Self::PolicyWithout => {
                let key = create_key(owner, &root(TENANT), &allowed).await?;
                Ok(foreign(key, Revocation::PutKeyPolicy(policy(&root(TENANT), &[]))))
            }
            Self::PolicyDenying => {
                let key = create_key(owner, &root(TENANT), &allowed).await?;
                Ok(foreign(key, Revocation::PutKeyPolicy(policy(&root(TENANT), &denied))))
            }
            Self::Grant => {
                let key = create_key(owner, &root(TENANT), &[]).await?;
                let grant = grant(owner, &key).await?;
                Ok(foreign(key, Revocation::RevokeGrant(grant)))
            }
            Self::Key => {
                let key = create_key(owner, &root(TENANT), &allowed).await?;
                Ok(foreign(key, Revocation::DisableKey))
            }
            Self::DeletedAccessKey
            | Self::InactiveAccessKey
            | Self::UserPolicy
            | Self::Membership
            | Self::Attachment => self.give_user(owner, &people.household).await,
            _ => session::give(self, owner, &people.household).await,
        }
    }

    async fn give_user(self, owner: &mut Owner, household: &Household) -> Result<Right> {
        let Household { user, user_key, entitled, switched, group, policy, .. } = household;
        let document = household::document();
        let holder = match self {
            Self::DeletedAccessKey => &household::access_key(owner, entitled).await?,
            Self::InactiveAccessKey => switched,
            _ => user_key,
        };
        let of_key = vec![("UserName", &**entitled), ("AccessKeyId", &holder.id)];
        let of_policy = vec![("UserName", &**user), ("PolicyName", POLICY)];
        let of_group = vec![("GroupName", &**group), ("UserName", user)];
        let of_user = vec![("UserName", &**user), ("PolicyArn", policy)];
        let status = |status| [&of_key[..], &[("Status", status)]].concat();
        let written = || [&of_policy[..], &[("PolicyDocument", &document)]].concat();
        let (giving, revocation) = match self {
            Self::InactiveAccessKey => {
                let giving = ("UpdateAccessKey", status("Active"));
                (Some(giving), ("UpdateAccessKey", status("Inactive")))
            }
            Self::UserPolicy => {
                (Some(("PutUserPolicy", written())), ("DeleteUserPolicy", of_policy))
            }
            Self::Membership => {
                let giving = ("AddUserToGroup", of_group.clone());
                (Some(giving), ("RemoveUserFromGroup", of_group))
            }
            Self::Attachment => {
                let giving = ("AttachUserPolicy", of_user.clone());
                (Some(giving), ("DetachUserPolicy", of_user))
            }
            // What is deleted was made above.
            _ => (None, ("DeleteAccessKey", of_key)),
        };
        if let Some((action, parameters)) = giving {
            owner.iam(action, &parameters).await?;
        }
        let (action, parameters) = revocation;
        Ok(Right {
            key: household.key.clone(),
            mutation: Mutation::TagResource,
            holder: holder.clone(),
            revocation: Revocation::Iam(vec![step(action, &parameters)]),
        })
    }
}

impl Right {
    /// Revokes it.
    ///
    /// # Errors
    /// Those of [`Owner::kms`], [`Owner::iam`] and [`Owner::revoke_sessions`].
    pub(super) async fn revoke(&self, owner: &mut Owner) -> Result<Acknowledged<()>> {
        let key_id = Some(self.key.clone());
        match &self.revocation {
            Revocation::PutKeyPolicy(policy) => {
                let policy = Some(policy.clone());
                let input = kms::PutKeyPolicyRequest { key_id, policy, ..Default::default() };
                Ok(owner.kms::<_, kms::PutKeyPolicyResponse>(&input).await?.done())
            }
            Revocation::RevokeGrant(id) => {
                let grant_id = Some(id.clone());
                let input = kms::RevokeGrantRequest { key_id, grant_id, dry_run: None };
                Ok(owner.kms::<_, kms::RevokeGrantResponse>(&input).await?.done())
            }
            Revocation::DisableKey => {
                let input = kms::DisableKeyRequest { key_id };
                Ok(owner.kms::<_, kms::DisableKeyResponse>(&input).await?.done())
            }
            Revocation::Iam(steps) => {
                let (first, rest) = steps.split_first().context("nothing to revoke")?;
                let mut done = owner.step(first).await?;
                for step in rest {
                    done = Acknowledged { invoked: done.invoked, ..owner.step(step).await? };
                }
                Ok(done)
            }
            Revocation::Sessions(role) => owner.revoke_sessions(role).await,
        }
    }
}

/// An action of IAM with its parameters.
pub(super) fn step(action: &'static str, parameters: &[(&'static str, &str)]) -> Step {
    (action, parameters.iter().map(|(name, value)| (*name, (*value).to_owned())).collect())
}

/// What a key policy says of a principal: an effect and the actions.
type Statement<'a> = (&'a str, &'a [&'a str]);

/// A key policy that gives the key's account everything and says this of somebody.
fn policy(whom: &str, of_whom: &[Statement<'_>]) -> String {
    let statement = |effect: &str, whom: &str, actions: &[&str]| {
        let principal = json!({ "AWS": whom });
        json!({ "Effect": effect, "Principal": principal, "Action": actions, "Resource": "*" })
    };
    let more = of_whom.iter().map(|(effect, actions)| statement(effect, whom, actions));
    let statements: Vec<_> =
        std::iter::once(statement("Allow", &root(ACCOUNT), &["kms:*"])).chain(more).collect();
    json!({ "Version": "2012-10-17", "Statement": statements }).to_string()
}

pub(super) fn root(account: &str) -> String {
    format!("arn:aws:iam::{account}:root")
}

/// Makes a key with such a policy; what comes back is its ARN.
pub(super) async fn create_key(
    owner: &mut Owner,
    whom: &str,
    of_whom: &[Statement<'_>],
) -> Result<String> {
    let policy = Some(policy(whom, of_whom));
    let input = kms::CreateKeyRequest { policy, ..Default::default() };
    let made = owner.kms::<_, kms::CreateKeyResponse>(&input).await?;
    let metadata = made.output.key_metadata.context("CreateKey told nothing")?;
    metadata.arn.context("CreateKey told no ARN")
}

/// Gives the tenant's root a grant; what comes back is its id.
async fn grant(owner: &mut Owner, key: &str) -> Result<String> {
    use kms::GrantOperation as Op;
    let operations = [Op::Encrypt, Op::Decrypt, Op::GenerateDataKey, Op::CreateGrant];
    let input = kms::CreateGrantRequest {
        key_id: Some(key.to_owned()),
        grantee_principal: Some(root(TENANT)),
        operations: operations.map(i32::from).into(),
        ..Default::default()
    };
    let made = owner.kms::<_, kms::CreateGrantResponse>(&input).await?;
    made.output.grant_id.context("CreateGrant told no id")
}
