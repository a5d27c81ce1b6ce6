//! The rights that are lost: who has which, and how it is revoked.

use anyhow::{Context, Result};
use keystead_api::kms;
use serde_json::{Value, json};

use super::owner::{Acknowledged, Owner};
use super::worker::Mutation;
use crate::node::{ACCOUNT, AccessKey};

/// An account without keys. Its root needs nothing but the right that the owner of a key gives.
pub(super) const TENANT: &str = "444455556666";
/// What a user may do as long as the right is there.
const ACTIONS: [&str; 4] = ["kms:Encrypt", "kms:Decrypt", "kms:GenerateDataKey", "kms:CreateGrant"];

/// How a right is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// The key policy names the user no more.
    PolicyWithout,
    /// The key policy still names the user, and denies it everything.
    PolicyDenying,
    Grant,
    Key,
}

pub(super) const KINDS: [Kind; 4] =
    [Kind::PolicyWithout, Kind::PolicyDenying, Kind::Grant, Kind::Key];

/// A right that somebody has.
pub(super) struct Right {
    pub(super) kind: Kind,
    /// The ARN of the key that may be used.
    pub(super) key: String,
    /// What the user may change as long as it has the right.
    pub(super) mutation: Mutation,
    pub(super) holder: AccessKey,
    revocation: Revocation,
}

enum Revocation {
    PutKeyPolicy(Value),
    RevokeGrant(String),
    DisableKey,
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::PolicyWithout => "PutKeyPolicy without the user",
            Self::PolicyDenying => "PutKeyPolicy with a denial",
            Self::Grant => "RevokeGrant",
            Self::Key => "DisableKey",
        }
    }
}

impl Right {
    /// Makes a key and gives a right to it.
    ///
    /// # Errors
    /// Those of [`Owner::persist`].
    pub(super) async fn give(owner: &mut Owner, kind: Kind, tenant: &AccessKey) -> Result<Self> {
        let mutation = Mutation::CreateGrant;
        let holder = tenant.clone();
        let (policy, revocation) = match kind {
            Kind::PolicyWithout => (named(), Revocation::PutKeyPolicy(policy(&[]))),
            Kind::PolicyDenying => {
                let denying = policy(&[("Allow", &ACTIONS), ("Deny", &["kms:*"])]);
                (named(), Revocation::PutKeyPolicy(denying))
            }
            Kind::Grant => {
                let key = create_key(owner, &policy(&[])).await?;
                let revocation = Revocation::RevokeGrant(grant(owner, &key).await?);
                return Ok(Self { kind, key, mutation, holder, revocation });
            }
            Kind::Key => (named(), Revocation::DisableKey),
        };
        let key = create_key(owner, &policy).await?;
        Ok(Self { kind, key, mutation, holder, revocation })
    }

    /// Revokes it.
    ///
    /// # Errors
    /// Those of [`Owner::persist`].
    pub(super) async fn revoke(&self, owner: &mut Owner) -> Result<Acknowledged<()>> {
        let key_id = Some(self.key.clone());
        match &self.revocation {
            Revocation::PutKeyPolicy(policy) => {
                let policy = Some(policy.to_string());
                let input = kms::PutKeyPolicyRequest { key_id, policy, ..Default::default() };
                Ok(owner.persist::<_, kms::PutKeyPolicyResponse>(&input).await?.done())
            }
            Revocation::RevokeGrant(id) => {
                let grant_id = Some(id.clone());
                let input = kms::RevokeGrantRequest { key_id, grant_id, dry_run: None };
                Ok(owner.persist::<_, kms::RevokeGrantResponse>(&input).await?.done())
            }
            Revocation::DisableKey => {
                let input = kms::DisableKeyRequest { key_id };
                Ok(owner.persist::<_, kms::DisableKeyResponse>(&input).await?.done())
            }
        }
    }
}

/// A key policy that gives the tenant's root what it may need.
fn named() -> Value {
    policy(&[("Allow", &ACTIONS)])
}

/// A key policy that gives the key's account everything and says this of the tenant's root.
fn policy(of_tenant: &[(&str, &[&str])]) -> Value {
    let statement = |effect: &str, account: &str, actions: &[&str]| {
        let principal = json!({ "AWS": root(account) });
        json!({ "Effect": effect, "Principal": principal, "Action": actions, "Resource": "*" })
    };
    let more = of_tenant.iter().map(|(effect, actions)| statement(effect, TENANT, actions));
    let statements: Vec<_> =
        std::iter::once(statement("Allow", ACCOUNT, &["kms:*"])).chain(more).collect();
    json!({ "Version": "2012-10-17", "Statement": statements })
}

pub(super) fn root(account: &str) -> String {
    format!("arn:aws:iam::{account}:root")
}

async fn create_key(owner: &mut Owner, policy: &Value) -> Result<String> {
    let policy = Some(policy.to_string());
    let input = kms::CreateKeyRequest { policy, ..Default::default() };
    let made = owner.persist::<_, kms::CreateKeyResponse>(&input).await?;
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
    let made = owner.persist::<_, kms::CreateGrantResponse>(&input).await?;
    made.output.grant_id.context("CreateGrant told no id")
}
