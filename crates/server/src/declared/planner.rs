//! What differs between a View and what is declared.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::str::FromStr;

use keystead_api::query::Fault;
use keystead_state::View;
use keystead_types::{AccountId, IamArn, IamPath, IamResource, PolicyName};

use super::requests;
use super::step::{Entity, Kind, Step};
use crate::admin::proto::{self, DeclaredAccount, DeclaredState, StepKind};
use crate::iam::Proposal;

/// Collects steps and problems, one account after the other.
pub(super) struct Planner<'v> {
    pub(super) view: &'v View,
    /// What is not declared in a declared account goes.
    pub(super) prune: bool,
    steps: Vec<Step>,
    problems: Vec<String>,
}

/// One account, as it is and as it shall be.
pub(super) struct AccountPlanner<'p, 'v, 'w> {
    planner: &'p mut Planner<'v>,
    pub(super) view: &'v View,
    pub(super) account: AccountId,
    pub(super) wanted: &'w DeclaredAccount,
}

impl<'v> Planner<'v> {
    pub(super) fn new(view: &'v View, prune: bool) -> Self {
        Self { view, prune, steps: Vec::new(), problems: Vec::new() }
    }

    /// What has to be done, in an order in which most of it can be; else what is wrong.
    pub(super) fn plan(mut self, wanted: &DeclaredState) -> Result<Vec<Step>, Vec<String>> {
        let mut seen = BTreeSet::new();
        for declared in &wanted.accounts {
            let Ok(account) = declared.id.parse::<AccountId>() else {
                self.problems.push(format!("account {:?}: it is no account id", declared.id));
                continue;
            };
            if !seen.insert(account) {
                self.problems.push(format!("account {account}: it is declared twice"));
                continue;
            }
            match self.view.account(account) {
                None => self.steps.push(Step::account(account)),
                Some(known) => {
                    if let Some(service) = &known.service {
                        let problem = format!("account {account}: it is that of {service}");
                        self.problems.push(problem);
                        continue;
                    }
                }
            }
            let view = self.view;
            AccountPlanner { planner: &mut self, view, account, wanted: declared }.plan();
        }
        if self.problems.is_empty() { Ok(self.steps) } else { Err(self.problems) }
    }
}

impl AccountPlanner<'_, '_, '_> {
    fn plan(&mut self) {
        let wanted = self.wanted;
        self.refuse_twice(Kind::Policy, wanted.policies.iter().map(|policy| &policy.name));
        self.refuse_twice(Kind::Group, wanted.groups.iter().map(|group| &group.name));
        self.refuse_twice(Kind::User, wanted.users.iter().map(|user| &user.name));
        self.refuse_twice(Kind::Role, wanted.roles.iter().map(|role| &role.name));
        let urls = wanted.providers.iter().map(|provider| &provider.url);
        self.refuse_twice(Kind::Provider, urls);
        wanted.providers.iter().for_each(|provider| self.provider(provider));
        wanted.policies.iter().for_each(|policy| self.policy(policy));
        wanted.groups.iter().for_each(|group| self.group(group));
        wanted.users.iter().for_each(|user| self.user(user));
        wanted.roles.iter().for_each(|role| self.role(role));
        if self.planner.prune {
            self.prune();
        }
    }

    fn refuse_twice<'n>(&mut self, kind: Kind, names: impl Iterator<Item = &'n String>) {
        let mut seen = BTreeSet::new();
        for name in names {
            if !seen.insert(name.to_ascii_lowercase()) {
                self.problem(&Entity::new(kind, name), "it is declared twice");
            }
        }
    }

    /// Notes what is wrong with an entity.
    pub(super) fn problem(&mut self, entity: &Entity, what: impl Display) {
        self.planner.problems.push(format!("account {}, {entity}: {what}", self.account));
    }

    /// What a check gave, its failure being a problem of the entity.
    pub(super) fn checked<T>(&mut self, entity: &Entity, checked: Result<T, Fault>) -> Option<T> {
        checked.map_err(|fault| self.problem(entity, fault.message())).ok()
    }

    /// A declared name, as identifiers of its kind have it.
    pub(super) fn name<T: FromStr>(&mut self, entity: &Entity) -> Option<T> {
        let name = entity.name.parse().ok();
        if name.is_none() {
            self.problem(entity, format_args!("it cannot be the name of a {}", entity.kind));
        }
        name
    }

    /// A declared path; none is `/`.
    pub(super) fn path(&mut self, entity: &Entity, path: &str) -> Option<IamPath> {
        if path.is_empty() {
            return Some(IamPath::default());
        }
        let parsed = path.parse().ok();
        if parsed.is_none() {
            self.problem(entity, format_args!("{path:?} is no path, which is like /staff/"));
        }
        parsed
    }

    /// Refuses what cannot change without making another entity of it.
    pub(super) fn refuse_change(&mut self, entity: &Entity, what: &str, now: &str, wanted: &str) {
        if now != wanted {
            let problem = format!(
                "its {what} is {now:?} and never changes; declare it so, not as {wanted:?}, or \
                 delete the {} first",
                entity.kind
            );
            self.problem(entity, problem);
        }
    }

    pub(super) fn push(&mut self, step: Step) {
        self.planner.steps.push(step);
    }

    /// A step that makes an entity.
    pub(super) fn create(&self, entity: &Entity, request: impl Proposal + 'static) -> Step {
        Step::new(StepKind::Create, self.account, entity, Box::new(request))
    }

    /// A step that changes one.
    pub(super) fn change(&self, entity: &Entity, request: Box<dyn Proposal>) -> Step {
        Step::new(StepKind::Change, self.account, entity, request)
    }

    /// A step that deletes one, or something that would be in the way of that.
    pub(super) fn delete(&self, entity: &Entity, request: Box<dyn Proposal>) -> Step {
        Step::new(StepKind::Delete, self.account, entity, request)
    }

    /// The ARN of a managed policy that is declared or is there, and stays.
    pub(super) fn policy_arn(&mut self, entity: &Entity, name: &str) -> Option<String> {
        let Ok(parsed) = name.parse::<PolicyName>() else {
            let what = "is no name of a managed policy, which is said without path and ARN";
            self.problem(entity, format_args!("{name:?} {what}"));
            return None;
        };
        let resource = IamResource::Policy(parsed.clone());
        if let Some(declared) = self.wanted.policies.iter().find(|policy| policy.name == name) {
            // A path that is none is a problem of the policy.
            let path = declared.path.parse().unwrap_or_default();
            return Some(IamArn { account: self.account, path, resource }.to_string());
        }
        let found = self.view.managed_policy_named(self.account, &parsed);
        let arn = found.filter(|policy| policy.name == parsed).map(|policy| policy.arn());
        self.stays(entity, Kind::Policy, name, arn.is_some());
        arn.map(|arn| arn.to_string())
    }

    /// Notes where an entity names another one that is not declared, unless that is there to stay.
    pub(super) fn stays(&mut self, entity: &Entity, kind: Kind, name: &str, exists: bool) {
        if !exists {
            self.problem(entity, format_args!("there is no {kind} {name}, nor is one declared"));
        } else if self.planner.prune {
            let what = "is not declared, so that pruning would delete it";
            self.problem(entity, format_args!("{kind} {name}, which it has, {what}"));
        }
    }

    /// The steps from some tags to others. Managed policies are named by their ARN.
    pub(super) fn tags(
        &mut self,
        entity: &Entity,
        arn: Option<&str>,
        now: &BTreeMap<String, String>,
        wanted: &BTreeMap<String, String>,
    ) {
        let gone = |name: &&String| !wanted.contains_key(*name);
        let gone: Vec<String> = now.keys().filter(gone).cloned().collect();
        if !gone.is_empty() {
            let shown = tag_text(now.iter().filter(|(name, _)| gone.contains(name)));
            let request = requests::untag(entity, arn.map(str::to_owned), gone);
            self.push(self.change(entity, request).about("tags").before(shown));
        }
        let differs = |(name, value): &(&String, &String)| now.get(*name) != Some(value);
        let new: Vec<_> = wanted.iter().filter(differs).collect();
        if new.is_empty() {
            return;
        }
        let old = now.iter().filter(|(name, _)| new.iter().any(|(other, _)| other == name));
        let old: Vec<_> = old.collect();
        let shown = tag_text(new.iter().copied());
        let new = new.into_iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        let request = requests::tag(entity, arn.map(str::to_owned), &new);
        let step = self.change(entity, request).about("tags").after(shown);
        let step = if old.is_empty() { step } else { step.before(tag_text(old.into_iter())) };
        self.push(step);
    }
}

/// Tags as a plan shows them.
pub(super) fn tag_text<'t>(tags: impl Iterator<Item = (&'t String, &'t String)>) -> String {
    tags.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(", ")
}

/// What is said about an entity that is declared with nothing of its own.
pub(super) fn permissions(
    declared: &Option<proto::DeclaredPermissions>,
) -> &proto::DeclaredPermissions {
    static NONE: proto::DeclaredPermissions =
        proto::DeclaredPermissions { inline: Vec::new(), attached: Vec::new() };
    declared.as_ref().unwrap_or(&NONE)
}
