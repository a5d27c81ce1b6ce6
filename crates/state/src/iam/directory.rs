//! Every entity of IAM, with an index for everything that is looked up or listed.

use std::fmt::Debug;
use std::hash::Hash;
use std::ops::Bound;
use std::sync::Arc;

use keystead_types::{AccessKeyId, AccountId, GroupId, OidcProviderId, PolicyId, RoleId, UserId};
use rpds::{HashTrieMapSync, RedBlackTreeMapSync, RedBlackTreeSetSync};

use super::{Group, ManagedPolicy, OidcProvider, Role, User};

/// How a user, a group or a role uses a managed policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PolicyUse {
    /// A user has it attached.
    User(UserId),
    /// A group has it attached.
    Group(GroupId),
    /// It is a user's permissions boundary.
    Boundary(UserId),
    /// A role has it attached.
    Role(RoleId),
    /// It is a role's permissions boundary.
    RoleBoundary(RoleId),
}

impl PolicyUse {
    /// Whether the policy only bounds.
    pub fn is_boundary(&self) -> bool {
        matches!(self, Self::Boundary(_) | Self::RoleBoundary(_))
    }
}

/// The part of a View that is IAM's.
#[derive(Debug, Clone, Default)]
pub(crate) struct Directory {
    pub(crate) users: Table<User>,
    pub(crate) groups: Table<Group>,
    pub(crate) roles: Table<Role>,
    pub(crate) policies: Table<ManagedPolicy>,
    pub(crate) oidc_providers: Table<OidcProvider>,
    pub(crate) members: RedBlackTreeSetSync<(GroupId, UserId)>,
    pub(crate) uses: RedBlackTreeSetSync<(PolicyId, PolicyUse)>,
    /// The owner of an access key is a user, or the account's root.
    pub(crate) access_keys: RedBlackTreeSetSync<(AccountId, Option<UserId>, AccessKeyId)>,
}

impl Directory {
    /// Whether nothing in it refers to something that is not there.
    pub(crate) fn is_whole(&self) -> bool {
        self.members.iter().all(|(group, _)| self.groups.get(*group).is_some())
            && self.uses.iter().all(|(policy, _)| self.policies.get(*policy).is_some())
            && self.access_keys.iter().all(|(account, user, _)| {
                user.is_none_or(|id| self.users.get(id).is_some_and(|u| u.account == *account))
            })
    }

    /// What a user's record says about others goes into the indices, or out of them.
    pub(super) fn index_user(&mut self, user: &User, enters: bool) {
        for group in &user.groups {
            set(&mut self.members, (*group, user.id), enters);
        }
        for policy in &user.permissions.attached {
            set(&mut self.uses, (*policy, PolicyUse::User(user.id)), enters);
        }
        if let Some(policy) = user.boundary {
            set(&mut self.uses, (policy, PolicyUse::Boundary(user.id)), enters);
        }
    }

    pub(super) fn index_role(&mut self, role: &Role, enters: bool) {
        for policy in &role.permissions.attached {
            set(&mut self.uses, (*policy, PolicyUse::Role(role.id)), enters);
        }
        if let Some(policy) = role.boundary {
            set(&mut self.uses, (policy, PolicyUse::RoleBoundary(role.id)), enters);
        }
    }

    pub(super) fn index_group(&mut self, group: &Group, enters: bool) {
        for policy in &group.permissions.attached {
            set(&mut self.uses, (*policy, PolicyUse::Group(group.id)), enters);
        }
    }
}

fn set<T: Ord>(index: &mut RedBlackTreeSetSync<T>, entry: T, enters: bool) {
    if enters {
        index.insert_mut(entry);
    } else {
        index.remove_mut(&entry);
    }
}

/// What a [`Table`] needs to know of its entries.
pub(crate) trait Entity {
    type Id: Copy + Debug + Ord + Hash;

    fn id(&self) -> Self::Id;
    fn account(&self) -> AccountId;
    /// The name without regard to case.
    fn folded_name(&self) -> Arc<str>;
}

macro_rules! entity {
    ($name:ident, $id:ident) => {
        impl Entity for $name {
            type Id = $id;

            fn id(&self) -> $id {
                self.id
            }

            fn account(&self) -> AccountId {
                self.account
            }

            fn folded_name(&self) -> Arc<str> {
                self.name.folded()
            }
        }
    };
}

entity!(User, UserId);
entity!(Group, GroupId);
entity!(Role, RoleId);
entity!(ManagedPolicy, PolicyId);

/// Known by its issuer, whose case tells it from others: tokens name it to the letter.
impl Entity for OidcProvider {
    type Id = OidcProviderId;

    fn id(&self) -> OidcProviderId {
        self.id
    }

    fn account(&self) -> AccountId {
        self.account
    }

    fn folded_name(&self) -> Arc<str> {
        self.issuer.shared()
    }
}

/// The entities of one kind, of all accounts.
#[derive(Debug, Clone)]
pub(crate) struct Table<E: Entity> {
    by_id: HashTrieMapSync<E::Id, Arc<E>>,
    by_name: RedBlackTreeMapSync<(AccountId, Arc<str>), Arc<E>>,
    counts: RedBlackTreeMapSync<AccountId, usize>,
}

impl<E: Entity> Default for Table<E> {
    fn default() -> Self {
        Self {
            by_id: HashTrieMapSync::default(),
            by_name: RedBlackTreeMapSync::default(),
            counts: RedBlackTreeMapSync::default(),
        }
    }
}

impl<E: Entity> Table<E> {
    pub(crate) fn get(&self, id: E::Id) -> Option<&Arc<E>> {
        self.by_id.get(&id)
    }

    pub(crate) fn named(&self, account: AccountId, folded: Arc<str>) -> Option<&Arc<E>> {
        self.by_name.get(&(account, folded))
    }

    /// Those of an account whose names come after `after`, in order of their names.
    pub(crate) fn of(
        &self,
        account: AccountId,
        after: Option<Arc<str>>,
    ) -> impl Iterator<Item = &Arc<E>> {
        let start = match after {
            Some(name) => Bound::Excluded((account, name)),
            None => Bound::Included((account, "".into())),
        };
        self.by_name
            .range((start, Bound::Unbounded))
            .take_while(move |((owner, _), _)| *owner == account)
            .map(|(_, entity)| entity)
    }

    /// How many an account has.
    pub(crate) fn count(&self, account: AccountId) -> usize {
        self.counts.get(&account).copied().unwrap_or_default()
    }

    pub(crate) fn size(&self) -> usize {
        self.by_id.size()
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<E>> {
        self.by_id.values()
    }

    pub(super) fn put(&mut self, entity: Arc<E>) {
        match self.by_id.get(&entity.id()) {
            Some(old) => {
                let name = (old.account(), old.folded_name());
                self.by_name.remove_mut(&name);
            }
            None => self.recount(entity.account(), true),
        }
        self.by_name.insert_mut((entity.account(), entity.folded_name()), entity.clone());
        self.by_id.insert_mut(entity.id(), entity);
    }

    pub(super) fn remove(&mut self, entity: &E) {
        self.by_name.remove_mut(&(entity.account(), entity.folded_name()));
        if self.by_id.remove_mut(&entity.id()) {
            self.recount(entity.account(), false);
        }
    }

    fn recount(&mut self, account: AccountId, enters: bool) {
        let count = self.count(account);
        let count = if enters { count + 1 } else { count.saturating_sub(1) };
        if count == 0 {
            self.counts.remove_mut(&account);
        } else {
            self.counts.insert_mut(account, count);
        }
    }
}
