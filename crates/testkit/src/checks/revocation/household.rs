//! The users of one lane, and all that gives them rights.

use anyhow::{Context, Result};
use serde_json::json;

use super::owner::Owner;
use super::right::{ACTIONS, create_key};
use crate::iam::element;
use crate::node::AccessKey;

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
}

impl Household {
    /// Makes all of it.
    ///
    /// # Errors
    /// Those of [`Owner::iam`], or IAM tells less than it should.
    pub(super) async fn found(owner: &mut Owner, number: usize) -> Result<Self> {
        let [user, entitled, group, policy] =
            ["user", "entitled", "group", "policy"].map(|what| format!("{what}-{number}"));
        let document = document();
        let key = create_key(owner, &[]).await?;
        owner.iam("CreateUser", &[("UserName", &user)]).await?;
        let user_key = access_key(owner, &user).await?;
        owner.iam("CreateUser", &[("UserName", &entitled)]).await?;
        let written = [("PolicyName", POLICY), ("PolicyDocument", &document)];
        owner.iam("PutUserPolicy", &[&[("UserName", &*entitled)], &written[..]].concat()).await?;
        let switched = access_key(owner, &entitled).await?;
        owner.iam("CreateGroup", &[("GroupName", &group)]).await?;
        owner.iam("PutGroupPolicy", &[&[("GroupName", &*group)], &written[..]].concat()).await?;
        let parameters = [("PolicyName", &*policy), ("PolicyDocument", &document)];
        let made = owner.iam("CreatePolicy", &parameters).await?.output;
        let policy = element(&made, "Arn").context("CreatePolicy told no ARN")?.to_owned();
        Ok(Self { key, user, user_key, entitled, switched, group, policy })
    }
}

/// A policy that lets whoever has it use every key that leaves it to IAM.
pub(super) fn document() -> String {
    let statement = json!({ "Effect": "Allow", "Action": ACTIONS, "Resource": "*" });
    json!({ "Version": "2012-10-17", "Statement": statement }).to_string()
}

/// Makes an access key for a user.
///
/// # Errors
/// Those of [`Owner::iam`], or IAM tells less than it should.
pub(super) async fn access_key(owner: &mut Owner, user: &str) -> Result<AccessKey> {
    let made = owner.iam("CreateAccessKey", &[("UserName", user)]).await?.output;
    let told = |name| element(&made, name).map(str::to_owned);
    let id = told("AccessKeyId").context("CreateAccessKey told no id")?;
    let secret = told("SecretAccessKey").context("CreateAccessKey told no secret")?;
    Ok(AccessKey { id, secret })
}
