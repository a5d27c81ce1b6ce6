//! The kinds of entity: what makes one, and what leads from one that is there to what is declared.

use keystead_api::iam;
use keystead_state::limits::{POLICY_VERSIONS, ROLE_SESSION_SECONDS};
use keystead_state::{ManagedPolicy, Permissions, Role, User};
use keystead_types::{GroupName, IamPath, PolicyName, RoleName, UserName};

use super::planner::{AccountPlanner, permissions, tag_text};
use super::step::{Entity, Kind, Step};
use super::{document, requests};
use crate::admin::proto::{DeclaredGroup, DeclaredPolicy, DeclaredRole, DeclaredUser};
use crate::iam::documents;

impl AccountPlanner<'_, '_, '_> {
    pub(super) fn policy(&mut self, wanted: &DeclaredPolicy) {
        let entity = Entity::new(Kind::Policy, &wanted.name);
        let document = self.checked(&entity, documents::managed(&wanted.document));
        let (name, path) = (self.name::<PolicyName>(&entity), self.path(&entity, &wanted.path));
        let (Some(name), Some(path), Some(document)) = (name, path, document) else { return };
        let Some(found) = self.view.managed_policy_named(self.account, &name) else {
            let request = iam::CreatePolicyRequest {
                policy_name: Some(wanted.name.clone()),
                path: Some(path.to_string()),
                description: text(&wanted.description),
                policy_document: Some(document),
                tags: requests::tags(&wanted.tags),
            };
            let mut said = vec![at_path(&path), described(&wanted.description)];
            said.push(tagged(&wanted.tags));
            let step = self.create(&entity, request).about(sentence(said));
            self.push(step.after(document::canonical(&wanted.document)));
            return;
        };
        self.refuse_other_name(&entity, &found.arn());
        self.refuse_change(&entity, "path", found.path.as_str(), path.as_str());
        self.refuse_change(&entity, "description", &found.description, &wanted.description);
        self.policy_document(&entity, found, document);
        self.tags(&entity, Some(&found.arn().to_string()), &found.tags, &wanted.tags);
    }

    /// A new version, in the place of the oldest one that is not in force where there are too many.
    fn policy_document(&mut self, entity: &Entity, found: &ManagedPolicy, wanted: String) {
        let old = document::canonical(&found.default_version().policy.text);
        let new = document::canonical(&wanted);
        if old == new {
            return;
        }
        let arn = Some(found.arn().to_string());
        if found.versions.len() >= POLICY_VERSIONS {
            let mut others = found.versions.iter().map(|version| version.number);
            if let Some(oldest) = others.find(|number| *number != found.default_version) {
                let version_id = Some(format!("v{oldest}"));
                let request =
                    iam::DeletePolicyVersionRequest { policy_arn: arn.clone(), version_id };
                let step = self.change(entity, Box::new(request)).about("oldest version");
                self.push(step.before(format!("v{oldest}")));
            }
        }
        let request = iam::CreatePolicyVersionRequest {
            policy_arn: arn,
            policy_document: Some(wanted),
            set_as_default: Some(true),
        };
        let step = self.change(entity, Box::new(request)).about("document");
        self.push(step.before(old).after(new));
    }

    pub(super) fn group(&mut self, wanted: &DeclaredGroup) {
        let entity = Entity::new(Kind::Group, &wanted.name);
        let (name, path) = (self.name::<GroupName>(&entity), self.path(&entity, &wanted.path));
        let (Some(name), Some(path)) = (name, path) else { return };
        let declared = permissions(&wanted.permissions);
        let Some(found) = self.view.group_named(self.account, &name) else {
            let (group_name, new_path) = (Some(wanted.name.clone()), Some(path.to_string()));
            let request = iam::CreateGroupRequest { group_name, path: new_path };
            self.push(self.create(&entity, request).about(at_path(&path)));
            return self.permissions(&entity, &Permissions::default(), declared);
        };
        self.refuse_other_name(&entity, &found.arn());
        if found.path != path {
            let request = iam::UpdateGroupRequest {
                group_name: Some(wanted.name.clone()),
                new_path: Some(path.to_string()),
                new_group_name: None,
            };
            self.push(moved(self.change(&entity, Box::new(request)), &found.path, &path));
        }
        self.permissions(&entity, &found.permissions, declared);
    }

    pub(super) fn user(&mut self, wanted: &DeclaredUser) {
        let entity = Entity::new(Kind::User, &wanted.name);
        let (name, path) = (self.name::<UserName>(&entity), self.path(&entity, &wanted.path));
        let (Some(name), Some(path)) = (name, path) else { return };
        let declared = permissions(&wanted.permissions);
        let Some(found) = self.view.user_named(self.account, &name) else {
            let request = iam::CreateUserRequest {
                path: Some(path.to_string()),
                user_name: Some(wanted.name.clone()),
                permissions_boundary: self.boundary_arn(&entity, &wanted.boundary),
                tags: requests::tags(&wanted.tags),
            };
            let said = vec![at_path(&path), bounded(&wanted.boundary), tagged(&wanted.tags)];
            let step = self.create(&entity, request).about(sentence(said));
            self.push(step.with(bounding(&wanted.boundary)));
            self.permissions(&entity, &Permissions::default(), declared);
            return self.groups(&entity, None, wanted);
        };
        self.refuse_other_name(&entity, &found.arn());
        if found.path != path {
            let request = iam::UpdateUserRequest {
                user_name: Some(wanted.name.clone()),
                new_path: Some(path.to_string()),
                new_user_name: None,
            };
            self.push(moved(self.change(&entity, Box::new(request)), &found.path, &path));
        }
        self.tags(&entity, None, &found.tags, &wanted.tags);
        let boundary = self.boundary(&entity, found.boundary, &wanted.boundary);
        // It never has more than before and after: what bounds comes first, and goes last.
        let (first, last) = split(boundary, &wanted.boundary);
        first.into_iter().for_each(|step| self.push(step));
        self.permissions(&entity, &found.permissions, declared);
        self.groups(&entity, Some(found), wanted);
        last.into_iter().for_each(|step| self.push(step));
    }

    fn groups(&mut self, entity: &Entity, now: Option<&User>, wanted: &DeclaredUser) {
        let now = now.into_iter().flat_map(|user| &user.groups);
        let now: Vec<_> = now.filter_map(|id| self.view.group(id)).cloned().collect();
        for (at, name) in wanted.groups.iter().enumerate() {
            if wanted.groups[..at].contains(name) {
                self.problem(entity, format_args!("group {name} is named twice"));
            }
            if !self.wanted.groups.iter().any(|group| group.name == *name) {
                let found = name.parse().ok();
                let found = found.and_then(|name| self.view.group_named(self.account, &name));
                let exists = found.is_some_and(|group| group.name.as_str() == name);
                self.stays(entity, Kind::Group, name, exists);
            }
            if !now.iter().any(|group| group.name.as_str() == name) {
                let (group_name, user_name) = (Some(name.clone()), Some(entity.name.clone()));
                let request = iam::AddUserToGroupRequest { group_name, user_name };
                let step = self.change(entity, Box::new(request)).about("group").after(name);
                self.push(step.with(Some(Entity::new(Kind::Group, name))));
            }
        }
        for group in now {
            if !wanted.groups.iter().any(|name| group.name.as_str() == name) {
                let step = self.change(entity, leave(entity, group.name.as_str())).about("group");
                let other = Some(Entity::new(Kind::Group, &group.name));
                self.push(step.before(group.name.as_str()).with(other));
            }
        }
    }

    pub(super) fn role(&mut self, wanted: &DeclaredRole) {
        let entity = Entity::new(Kind::Role, &wanted.name);
        let trust = documents::trust(&wanted.trust_policy);
        if let Err(fault) = &trust {
            self.problem(&entity, format_args!("trust policy: {}", fault.message()));
        }
        let seconds = self.session_seconds(&entity, wanted.max_session_seconds);
        let (name, path) = (self.name::<RoleName>(&entity), self.path(&entity, &wanted.path));
        let (Some(name), Some(path), Ok(trust), Some(seconds)) = (name, path, trust, seconds)
        else {
            return;
        };
        let declared = permissions(&wanted.permissions);
        let Some(found) = self.view.role_named(self.account, &name) else {
            let request = iam::CreateRoleRequest {
                path: Some(path.to_string()),
                role_name: Some(wanted.name.clone()),
                assume_role_policy_document: Some(trust),
                description: text(&wanted.description),
                max_session_duration: Some(seconds),
                permissions_boundary: self.boundary_arn(&entity, &wanted.boundary),
                tags: requests::tags(&wanted.tags),
            };
            let mut said = vec![at_path(&path), described(&wanted.description)];
            said.extend([bounded(&wanted.boundary), tagged(&wanted.tags)]);
            let step = self.create(&entity, request).about(sentence(said));
            let step = step.after(document::canonical(&wanted.trust_policy));
            self.push(step.with(bounding(&wanted.boundary)));
            return self.permissions(&entity, &Permissions::default(), declared);
        };
        self.refuse_other_name(&entity, &found.arn());
        self.refuse_change(&entity, "path", found.path.as_str(), path.as_str());
        self.role_settings(&entity, found, wanted, seconds);
        self.tags(&entity, None, &found.tags, &wanted.tags);
        let boundary = self.boundary(&entity, found.boundary, &wanted.boundary);
        let (first, last) = split(boundary, &wanted.boundary);
        first.into_iter().for_each(|step| self.push(step));
        self.permissions(&entity, &found.permissions, declared);
        last.into_iter().for_each(|step| self.push(step));
    }

    fn role_settings(&mut self, entity: &Entity, found: &Role, wanted: &DeclaredRole, most: i32) {
        let role_name = Some(wanted.name.clone());
        let old = (&*found.description, i32::try_from(found.max_session_seconds).unwrap_or(0));
        if old != (wanted.description.as_str(), most) {
            let request = iam::UpdateRoleRequest {
                role_name: role_name.clone(),
                description: Some(wanted.description.clone()),
                max_session_duration: Some(most),
            };
            let shown =
                |(description, seconds)| format!("{description:?}, sessions of {seconds} s");
            let step = self.change(entity, Box::new(request)).about("description and sessions");
            self.push(step.before(shown(old)).after(shown((wanted.description.as_str(), most))));
        }
        let (old, new) = (&found.trust_policy.text, &wanted.trust_policy);
        let (old, new) = (document::canonical(old), document::canonical(new));
        if old != new {
            let policy_document = Some(wanted.trust_policy.clone());
            let request = iam::UpdateAssumeRolePolicyRequest { role_name, policy_document };
            let step = self.change(entity, Box::new(request)).about("trust policy");
            self.push(step.before(old).after(new));
        }
    }

    /// How long sessions may last; an hour unless it is said.
    fn session_seconds(&mut self, entity: &Entity, wanted: u32) -> Option<i32> {
        let (least, most) = (*ROLE_SESSION_SECONDS.start(), *ROLE_SESSION_SECONDS.end());
        let wanted = if wanted == 0 { least } else { wanted };
        if !ROLE_SESSION_SECONDS.contains(&wanted) {
            let range = format!("sessions last between {least} and {most} seconds, not {wanted}");
            self.problem(entity, range);
            return None;
        }
        i32::try_from(wanted).ok()
    }
}

/// The request by which a user leaves a group.
pub(super) fn leave(user: &Entity, group: &str) -> Box<dyn crate::iam::Proposal> {
    let (group_name, user_name) = (Some(group.to_owned()), Some(user.name.clone()));
    Box::new(iam::RemoveUserFromGroupRequest { group_name, user_name })
}

fn text(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

fn moved(step: Step, from: &IamPath, to: &IamPath) -> Step {
    step.about("path").before(from.as_str()).after(to.as_str())
}

/// A step about a boundary, as the first of its entity's or, where the boundary goes, the last.
fn split(step: Option<Step>, wanted: &str) -> (Option<Step>, Option<Step>) {
    if wanted.is_empty() { (None, step) } else { (step, None) }
}

fn bounding(name: &str) -> Option<Entity> {
    (!name.is_empty()).then(|| Entity::new(Kind::Policy, name))
}

fn at_path(path: &IamPath) -> String {
    if *path == IamPath::default() { String::new() } else { format!("path {}", path.as_str()) }
}

fn described(description: &str) -> String {
    if description.is_empty() { String::new() } else { format!("{description:?}") }
}

fn bounded(boundary: &str) -> String {
    if boundary.is_empty() { String::new() } else { format!("boundary {boundary}") }
}

fn tagged(tags: &std::collections::BTreeMap<String, String>) -> String {
    if tags.is_empty() { String::new() } else { format!("tags {}", tag_text(tags.iter())) }
}

fn sentence(parts: Vec<String>) -> String {
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ")
}
