//! The users of one lane, and all that gives them rights.

use anyhow::{Context, Result};
use serde_json::json;

use super::owner::Owner;
use super::right::{ACTIONS, TENANT, create_key, root};
use crate::node::{ACCOUNT, AccessKey};
use crate::query::element;

/// The name of every policy that is written into a user or a group.
pub(super) const POLICY: &str = "racing";

/// A key whose policy leaves it to IAM who may use it, and who lives from that.
pub(super) struct Household {
    /// The ARN of the key.
    pub(super) key: String,
    /// A user that has no right but what a race gives it.
    pub(super) user: String,
    pub(super) user_key: AccessKey,
    /// A user that has its right always.
    pub(super) entitled: String,
    /// The access key of that user which is switched on and off.
    pub(super) switched: AccessKey,
    /// A group whose members have the right.
    pub(super) group: String,
    /// The ARN of a policy that gives the right to whom it is attached to.
    pub(super) policy: String,
    /// A user without rights, who takes on roles.
    pub(super) taker: String,
    pub(super) taker_key: AccessKey,
    /// A role that has no right but what a race gives it, and that the taker may take on.
    pub(super) role: String,
    /// A role that has its right always, and that the entitled user may take on.
    pub(super) entitled_role: String,
}

impl Household {
    /// Makes all of it.
    ///
    /// # Errors
    /// Those of [`Owner::iam`], or IAM tells less than it should.
    pub(super) async fn found(owner: &mut Owner, number: usize) -> Result<Self> {
        let named = |what: &str| format!("{what}-{number}");
        let [user, entitled, taker] = ["user", "entitled", "taker"].map(named);
        let [role, entitled_role] = ["role", "entitled-role"].map(named);
        let [group, policy] = ["group", "policy"].map(named);
        let document = document();
        let key = create_key(owner, &root(TENANT), &[]).await?;
        create_user(owner, &user, false).await?;
        let user_key = access_key(owner, &user).await?;
        create_user(owner, &taker, false).await?;
        let taker_key = access_key(owner, &taker).await?;
        create_user(owner, &entitled, true).await?;
        let written = [("PolicyName", POLICY), ("PolicyDocument", &document)];
        let switched = access_key(owner, &entitled).await?;
        owner.iam("CreateGroup", &[("GroupName", &group)]).await?;
        owner.iam("PutGroupPolicy", &[&[("GroupName", &*group)], &written[..]].concat()).await?;
        let parameters = [("PolicyName", &*policy), ("PolicyDocument", &document)];
        let made = owner.iam("CreatePolicy", &parameters).await?.output;
        let policy = element(&made, "Arn").context("CreatePolicy told no ARN")?.to_owned();
        create_role(owner, &role, &taker).await?;
        create_role(owner, &entitled_role, &entitled).await?;
        let of_role = [("RoleName", &*entitled_role)];
        owner.iam("PutRolePolicy", &[&of_role[..], &written[..]].concat()).await?;
        Ok(Self {
            key,
            user,
            user_key,
            entitled,
            switched,
            group,
            policy,
            taker,
            taker_key,
            role,
            entitled_role,
        })
    }
}

/// A policy that lets whoever has it use every key that leaves it to IAM.
pub(super) fn document() -> String {
    let statement = json!({ "Effect": "Allow", "Action": ACTIONS, "Resource": "*" });
    json!({ "Version": "2012-10-17", "Statement": statement }).to_string()
}

/// Makes a user, with the right or without.
///
/// # Errors
/// Those of [`Owner::iam`].
pub(super) async fn create_user(owner: &mut Owner, user: &str, with_right: bool) -> Result<()> {
    owner.iam("CreateUser", &[("UserName", user)]).await?;
    if with_right {
        let document = document();
        let written = [("PolicyName", POLICY), ("PolicyDocument", &*document)];
        owner.iam("PutUserPolicy", &[&[("UserName", user)], &written[..]].concat()).await?;
    }
    Ok(())
}

/// Makes a role that a user may take on.
///
/// # Errors
/// Those of [`Owner::iam`].
pub(super) async fn create_role(owner: &mut Owner, role: &str, user: &str) -> Result<()> {
    let principal = json!({ "AWS": format!("arn:aws:iam::{ACCOUNT}:user/{user}") });
    let statement =
        json!({ "Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole" });
    let trust = json!({ "Version": "2012-10-17", "Statement": statement }).to_string();
    let parameters = [("RoleName", role), ("AssumeRolePolicyDocument", &trust)];
    owner.iam("CreateRole", &parameters).await?;
    Ok(())
}

/// Makes an access key for a user.
///
/// # Errors
/// Those of [`Owner::iam`], or IAM tells less than it should.
pub(super) async fn access_key(owner: &mut Owner, user: &str) -> Result<AccessKey> {
    let made = owner.iam("CreateAccessKey", &[("UserName", user)]).await?.output;
    told_key(&made).context("CreateAccessKey told no access key")
}

/// The access key that IAM or STS told.
pub(super) fn told_key(made: &str) -> Option<AccessKey> {
    let told = |name| element(made, name).map(str::to_owned);
    let (id, secret) = (told("AccessKeyId")?, told("SecretAccessKey")?);
    Some(AccessKey { id, secret, token: told("SessionToken") })
}
