//! The policies of users, groups and roles, and what bounds them.

use std::collections::BTreeSet;

use keystead_state::Permissions;
use keystead_types::{IamArn, PolicyId, PolicyName};

use super::planner::AccountPlanner;
use super::step::{Entity, Kind, Step};
use super::{document, requests};
use crate::admin::proto::DeclaredPermissions;
use crate::iam::documents;

impl AccountPlanner<'_, '_, '_> {
    /// The steps from the policies of an entity to those that are declared. What comes comes first:
    /// what goes may be what the entity is denied by, until something else denies it.
    pub(super) fn permissions(
        &mut self,
        entity: &Entity,
        now: &Permissions,
        wanted: &DeclaredPermissions,
    ) {
        self.put_inline(entity, now, wanted);
        let attached = self.attach(entity, now, wanted);
        for (name, policy) in &now.inline {
            if wanted.inline.iter().any(|declared| declared.name == name.as_str()) {
                continue;
            }
            let request = requests::delete_inline(entity, name.as_str());
            let step = self.change(entity, request).about(format!("inline policy {name}"));
            self.push(step.before(document::canonical(&policy.text)));
        }
        for id in &now.attached {
            let Some(policy) = self.view.managed_policy(id) else { continue };
            if !attached.contains(policy.name.as_str()) {
                let request = requests::detach(entity, policy.arn().to_string());
                let step = self.change(entity, request).about("attached policy");
                let other = Some(Entity::new(Kind::Policy, &policy.name));
                self.push(step.before(policy.name.as_str()).with(other));
            }
        }
    }

    fn put_inline(&mut self, entity: &Entity, now: &Permissions, wanted: &DeclaredPermissions) {
        let mut seen = BTreeSet::new();
        for policy in &wanted.inline {
            let name = &policy.name;
            let Ok(parsed) = name.parse::<PolicyName>() else {
                self.problem(entity, format_args!("{name:?} cannot be the name of a policy"));
                continue;
            };
            if !seen.insert(name) {
                self.problem(entity, format_args!("inline policy {name} is declared twice"));
            }
            if let Err(fault) = documents::checked(&policy.document) {
                self.problem(entity, format_args!("inline policy {name}: {}", fault.message()));
                continue;
            }
            let old = now.inline.get(&parsed).map(|policy| document::canonical(&policy.text));
            let new = document::canonical(&policy.document);
            if old.as_ref() == Some(&new) {
                continue;
            }
            let request = requests::put_inline(entity, name, &policy.document);
            let step = self.change(entity, request).about(format!("inline policy {name}"));
            let step = step.after(new);
            self.push(match old {
                Some(old) => step.before(old),
                None => step,
            });
        }
    }

    /// Attaches what is missing, and tells the names of all that shall be attached.
    fn attach<'w>(
        &mut self,
        entity: &Entity,
        now: &Permissions,
        wanted: &'w DeclaredPermissions,
    ) -> BTreeSet<&'w str> {
        let held: BTreeSet<_> = now
            .attached
            .iter()
            .filter_map(|id| self.view.managed_policy(id))
            .map(|policy| policy.name.as_str())
            .collect();
        let mut seen = BTreeSet::new();
        for name in &wanted.attached {
            if !seen.insert(name.as_str()) {
                self.problem(entity, format_args!("policy {name} is attached twice"));
            }
            let Some(arn) = self.policy_arn(entity, name) else { continue };
            if !held.contains(name.as_str()) {
                let step = self.change(entity, requests::attach(entity, arn));
                let other = Some(Entity::new(Kind::Policy, name));
                self.push(step.about("attached policy").after(name).with(other));
            }
        }
        seen
    }

    /// The ARN of the policy that is to bound an entity; an empty name is none.
    pub(super) fn boundary_arn(&mut self, entity: &Entity, name: &str) -> Option<String> {
        if name.is_empty() { None } else { self.policy_arn(entity, name) }
    }

    /// The step from one boundary to another, if they differ.
    pub(super) fn boundary(
        &mut self,
        entity: &Entity,
        now: Option<PolicyId>,
        wanted: &str,
    ) -> Option<Step> {
        let arn = self.boundary_arn(entity, wanted);
        let now = now.and_then(|id| self.view.managed_policy(&id));
        let old = now.map(|policy| policy.name.as_str()).unwrap_or_default();
        if old == wanted {
            return None;
        }
        let step = match arn {
            Some(arn) => self
                .change(entity, requests::put_boundary(entity, arn))
                .after(wanted)
                .with(Some(Entity::new(Kind::Policy, wanted))),
            // What is wrong with its name is noted.
            None if !wanted.is_empty() => return None,
            None => self.change(entity, requests::delete_boundary(entity)),
        };
        let step = step.about("boundary");
        Some(if old.is_empty() { step } else { step.before(old) })
    }

    /// Refuses a name that differs in case from that of the entity which it finds.
    pub(super) fn refuse_other_name(&mut self, entity: &Entity, arn: &IamArn) {
        let friendly = arn.friendly_name();
        let name = friendly.rsplit('/').next().unwrap_or_default();
        if name != entity.name {
            self.problem(entity, format_args!("there is one that is written {name}; write it so"));
        }
    }
}
