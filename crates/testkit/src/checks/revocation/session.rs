//! The rights of sessions, and what ends them.

use anyhow::{Context, Result};
use serde_json::json;

use super::household::{
    Household, POLICY, access_key, create_role, create_user, document, told_key,
};
use super::owner::Owner;
use super::right::{ACTIONS, Kind, Revocation, Right, Step, create_key, step};
use super::worker::Mutation;
use crate::node::{ACCOUNT, AccessKey};

/// The name of the policy that denies everything to sessions which were issued before a date.
const DENIAL: &str = "older-sessions";
const LONG_AGO: &str = "1970-01-01T00:00:00Z";
const FAR_AHEAD: &str = "2099-12-31T00:00:00Z";

/// A session with a right that can be lost in this way.
///
/// # Errors
/// Those of [`Owner::kms`] and [`Owner::iam`].
pub(super) async fn give(kind: Kind, owner: &mut Owner, household: &Household) -> Result<Right> {
    let Household { entitled, switched, taker_key, role, entitled_role, .. } = household;
    let (mut key, mut ending) = (household.key.clone(), Vec::new());
    let of_issuer = |id: &str| vec![("UserName", entitled.clone()), ("AccessKeyId", id.into())];
    let holder = match kind {
        Kind::InactiveIssuer => {
            let status = |status: &str| {
                let of_key = of_issuer(&switched.id);
                ("UpdateAccessKey", [&of_key[..], &[("Status", status.into())]].concat())
            };
            owner.step(&status("Active")).await?;
            ending.push(status("Inactive"));
            assume(owner, switched, entitled_role).await?
        }
        Kind::DeletedIssuer => {
            let issuer = access_key(owner, entitled).await?;
            ending.push(("DeleteAccessKey", of_issuer(&issuer.id)));
            session_token(owner, &issuer).await?
        }
        Kind::DeletedUser => {
            let name = fresh(owner, "mortal");
            create_user(owner, &name, true).await?;
            let issuer = access_key(owner, &name).await?;
            let of_user = ("UserName", &*name);
            // IAM deletes nobody to whom something belongs.
            ending.push(step("DeleteAccessKey", &[of_user, ("AccessKeyId", &issuer.id)]));
            ending.push(step("DeleteUserPolicy", &[of_user, ("PolicyName", POLICY)]));
            ending.push(step("DeleteUser", &[of_user]));
            session_token(owner, &issuer).await?
        }
        Kind::DeletedRole => {
            let name = fresh(owner, "mortal-role");
            create_role(owner, &name, &household.taker).await?;
            // It has no policy that would have to go first.
            key = create_key(owner, &role_arn(&name), &[("Allow", &ACTIONS)]).await?;
            ending.push(step("DeleteRole", &[("RoleName", &name)]));
            assume(owner, taker_key, &name).await?
        }
        _ => {
            owner.step(&written(role, POLICY, &document())).await?;
            owner.step(&written(role, DENIAL, &denial(LONG_AGO))).await?;
            match kind {
                Kind::RolePolicy => {
                    let parameters = [("RoleName", &**role), ("PolicyName", POLICY)];
                    ending.push(step("DeleteRolePolicy", &parameters));
                }
                Kind::OlderSessions => ending.push(written(role, DENIAL, &denial(FAR_AHEAD))),
                _ => {}
            }
            assume(owner, taker_key, role).await?
        }
    };
    let revocation = match kind {
        Kind::RevokedSessions => Revocation::Sessions(role.clone()),
        _ => Revocation::Iam(ending),
    };
    Ok(Right { key, mutation: Mutation::TagResource, holder, revocation })
}

fn fresh(owner: &mut Owner, what: &str) -> String {
    format!("{what}-{:016x}", owner.rng().u64(..))
}

fn role_arn(name: &str) -> String {
    format!("arn:aws:iam::{ACCOUNT}:role/{name}")
}

/// Writes a policy into a role.
fn written(role: &str, name: &str, document: &str) -> Step {
    let parameters = [("RoleName", role), ("PolicyName", name), ("PolicyDocument", document)];
    step("PutRolePolicy", &parameters)
}

/// A policy that ends all sessions which were issued before a date.
fn denial(date: &str) -> String {
    let condition = json!({ "DateLessThan": { "aws:TokenIssueTime": date } });
    let statement =
        json!({ "Effect": "Deny", "Action": "*", "Resource": "*", "Condition": condition });
    json!({ "Version": "2012-10-17", "Statement": statement }).to_string()
}

async fn assume(owner: &mut Owner, issuer: &AccessKey, role: &str) -> Result<AccessKey> {
    let arn = role_arn(role);
    let parameters = [("RoleArn", &*arn), ("RoleSessionName", "racing")];
    let made = owner.sts(issuer, "AssumeRole", &parameters).await?;
    told_key(&made).context("AssumeRole told no credentials")
}

async fn session_token(owner: &mut Owner, issuer: &AccessKey) -> Result<AccessKey> {
    let made = owner.sts(issuer, "GetSessionToken", &[]).await?;
    told_key(&made).context("GetSessionToken told no credentials")
}
