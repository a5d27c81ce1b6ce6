//! Why something is allowed or denied, and who may: for operators, by the very question that
//! requests are asked ([`crate::question`]).

mod erasure;
mod report;
mod supposition;
mod told;
mod who_can;

use std::collections::HashSet;

use keystead_state::{Key, View};
use keystead_types::{AccountId, KeyState, Principal, PrincipalArn, SessionArn};

use crate::admin::proto;
use crate::conditions::{Circumstances, Sent, Supposed};
use crate::operations::Action;
use crate::question::{Asker, PreparedGrant, Question};
use crate::region::RegionServer;
use supposition::Supposition;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoAnswer {
    /// What is asked cannot be.
    #[error("{0}")]
    Invalid(String),
    /// What it is about does not exist.
    #[error("{0}")]
    Absent(String),
}

/// One state of a Region, to be asked about.
#[derive(Clone, Copy)]
pub(crate) struct Explainer<'a> {
    pub(crate) region: &'a RegionServer,
    pub(crate) view: &'a View,
}

impl Explainer<'_> {
    /// Whether a principal may do something to a key, and what everything has to do with it.
    ///
    /// # Errors
    /// There is no such principal, key, action or context.
    pub(crate) fn explain(
        &self,
        principal: &str,
        asked: &proto::Supposition,
    ) -> Result<proto::ExplainResponse, NoAnswer> {
        let principal = self.principal(principal)?;
        let supposition = Supposition::read(asked)?;
        let account = supposition.account.unwrap_or(principal.account());
        let resource = supposition.resource(self, account)?;
        let key = resource.key().ok_or_else(|| NoAnswer::Absent("There is no such key.".into()))?;
        let asker = Asker::new(&principal, self.circumstances(&supposition.supposed));
        let suspended = self.is_suspended(&principal).then(|| principal.account());
        let answer = asker.ask(&resource, |question| self.answer(question, key, suspended));
        // A key that exists has an owner.
        let (decision, others) =
            answer.ok_or_else(|| NoAnswer::Absent("Nobody owns the key.".into()))?;
        let mut notes = notes(supposition.action, key);
        notes.extend(note_of_child(resource.action, &decision));
        Ok(proto::ExplainResponse {
            principal: principal.to_string(),
            action: resource.action.to_owned(),
            key: resource.name(self.region.name()),
            decision: Some(decision),
            others,
            notes,
            index: self.view.applied(),
        })
    }

    fn circumstances<'c>(&'c self, supposed: &'c Supposed) -> Circumstances<'c> {
        Circumstances {
            view: self.view,
            region: self.region.name(),
            principal: None,
            session: None,
            sent: Sent::Supposed(supposed),
        }
    }

    /// Whether no request of a principal is let in, whatever the policies say.
    fn is_suspended(&self, principal: &Principal) -> bool {
        self.view.account(principal.account()).is_none_or(|account| account.suspended)
    }

    /// The principal of an ARN, as authentication makes it.
    fn principal(&self, arn: &str) -> Result<Principal, NoAnswer> {
        if let Ok(session) = arn.parse() {
            return self.session(&session);
        }
        let named: PrincipalArn = arn.parse().map_err(|_| {
            let text = format!("{arn:?} is not the ARN of an account's root, a user or a session.");
            NoAnswer::Invalid(text)
        })?;
        let account = named.account();
        if self.view.account(account).is_none() {
            return Err(NoAnswer::Absent(format!("There is no account {account}.")));
        }
        let PrincipalArn::User(user) = &named else { return Ok(Principal::Root(account)) };
        let absent = || NoAnswer::Absent(format!("There is no user {arn}."));
        let id = self.view.principal_id(&named).ok_or_else(absent)?;
        let name = user.friendly_name().into();
        Ok(Principal::User { account, name, id: id.to_string().into() })
    }

    /// A session of a role that is there, made without tags and policies of its own.
    fn session(&self, arn: &SessionArn) -> Result<Principal, NoAnswer> {
        let role = self.view.role_named(arn.account, &arn.role).ok_or_else(|| {
            NoAnswer::Absent(format!("There is no role {} in account {}.", arn.role, arn.account))
        })?;
        Ok(Principal::Session {
            account: role.account,
            role: role.arn().friendly_name().into(),
            id: role.id.to_string().into(),
            session: arn.session.as_str().into(),
        })
    }

    /// The decision, and all that did not decide: the statements, the grants to the asker, and
    /// those to others or for something else, which a request does not look at.
    fn answer(
        &self,
        question: &Question<'_, '_>,
        key: &Key,
        suspended: Option<AccountId>,
    ) -> (proto::Decision, Vec<proto::Step>) {
        let (verdict, steps) = question.explain();
        let looked_at: HashSet<&str> =
            question.policies.grants.iter().map(|grant| grant.id).collect();
        let grants = self.view.grants_on(key.id, None).map(|grant| PreparedGrant::new(grant));
        let grants: Vec<_> = grants.collect();
        let others = grants.iter().map(PreparedGrant::grant);
        let others = others.filter(|grant| !looked_at.contains(grant.id));
        let misses = others.map(|grant| grant.step(&question.query));
        let (decision, deciding) = match suspended {
            Some(account) => (told::suspended(account), Vec::new()),
            None => (told::decision(&verdict), told::deciding(&verdict)),
        };
        let steps = steps.into_iter().chain(misses).filter(|step| !deciding.contains(&step.by));
        let steps = steps.map(|step| told::step(&step, question.query.context)).collect();
        (decision, steps)
    }
}

/// What a request that policies let in, or not, meets besides.
fn notes(action: &Action, key: &Key) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(error) = &key.policy.error {
        notes.push(format!("The key policy cannot be read and denies everything: {error}."));
    }
    if let Some(beside) = action.beside {
        let name = action.name;
        notes.push(format!("A request needs {name} on {beside} too, by an identity-based policy."));
    }
    if key.state != KeyState::Enabled {
        notes.push(format!("The key is {}: many requests are refused for that.", key.state));
    }
    notes
}

/// What CreateGrant checks besides, where a grant alone lets it in.
fn note_of_child(action: &str, decision: &proto::Decision) -> Option<String> {
    let by_grant = decision.by.first().is_some_and(|by| by.kind == told::GRANT);
    let text = "A grant that is made by right of another one may allow no more than that.";
    (action == "kms:CreateGrant" && by_grant).then(|| text.to_owned())
}

#[cfg(test)]
mod tests;
