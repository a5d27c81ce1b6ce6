//! Tags of users, roles, managed policies and OIDC providers. Their names keep their case, but no two of one entity differ
//! in nothing else.

use std::collections::{BTreeMap, BTreeSet};

use super::entity::{self, put_managed_policy, put_oidc_provider, put_role, put_user};
use super::{Execution, done};
use crate::apply::Refusal;
use crate::limits::TAGS_PER_ENTITY;
use crate::proto::{self, EntityKind, EntityRef, Reason};
use crate::transition::Transition;

type Tags = BTreeMap<String, String>;

pub(crate) fn tag(next: &mut Transition<'_>, at: u64, op: &proto::TagEntity) -> Execution {
    change(next, at, op.entity.as_ref(), |tags| add(tags, &op.tags))
}

pub(crate) fn untag(next: &mut Transition<'_>, at: u64, op: &proto::UntagEntity) -> Execution {
    change(next, at, op.entity.as_ref(), |tags| {
        op.tag_keys.iter().for_each(|name| remove(tags, name));
        Ok(())
    })
}

/// The tags of what is created with these.
pub(super) fn initial(tags: &Tags) -> Result<Tags, Reason> {
    let mut all = Tags::new();
    add(&mut all, tags)?;
    Ok(all)
}

fn change(
    next: &mut Transition<'_>,
    at: u64,
    entity: Option<&EntityRef>,
    change: impl FnOnce(&mut Tags) -> Result<(), Reason>,
) -> Execution {
    let entity = entity.ok_or(Reason::Malformed)?;
    match entity.kind() {
        EntityKind::User => {
            let mut user = entity::user(next, at, entity.account, &entity.name)?;
            change(&mut user.tags)?;
            put_user(next, user);
        }
        EntityKind::Role => {
            let mut role = entity::role(next, at, entity.account, &entity.name)?;
            change(&mut role.tags)?;
            put_role(next, role);
        }
        EntityKind::ManagedPolicy => {
            let mut policy = entity::managed_policy(next, at, entity.account, &entity.name)?;
            change(&mut policy.tags)?;
            put_managed_policy(next, policy);
        }
        EntityKind::OidcProvider => {
            let mut provider = entity::oidc_provider(next, at, entity.account, &entity.name)?;
            change(&mut provider.tags)?;
            put_oidc_provider(next, provider);
        }
        EntityKind::Group | EntityKind::Unspecified => {
            return Err(Refusal::Rejected(Reason::Malformed));
        }
    }
    Ok(done())
}

fn add(tags: &mut Tags, new: &Tags) -> Result<(), Reason> {
    let names: BTreeSet<_> = new.keys().map(|name| name.to_ascii_lowercase()).collect();
    if names.len() < new.len() {
        return Err(Reason::DuplicateTagKeys);
    }
    tags.retain(|name, _| !names.contains(&name.to_ascii_lowercase()));
    tags.extend(new.clone());
    if tags.len() > TAGS_PER_ENTITY { Err(Reason::EntityTagLimit) } else { Ok(()) }
}

fn remove(tags: &mut Tags, name: &str) {
    tags.retain(|other, _| !other.eq_ignore_ascii_case(name));
}
