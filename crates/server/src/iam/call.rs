//! Who asks, and how what a request names is known to policies and to the state.

use std::borrow::Cow;
use std::sync::Arc;

use keystead_api::iam::Tag;
use keystead_api::query::{Fault, messages};
use keystead_state::proto::{EntityKind, EntityRef};
use keystead_state::{Group, ManagedPolicy, OidcProvider, Role, User, View};
use keystead_types::{
    AccountId, GroupName, IamArn, IamResource, OidcProviderArn, PARTITION, PolicyId, Principal,
    RoleName, UserName,
};

use crate::conditions::Facts;
use crate::region::RegionServer;
use crate::resolve::{Asked, Found, Named, Resource};

/// An authenticated request.
#[derive(Clone, Copy)]
pub(super) struct Call<'a> {
    pub(super) region: &'a RegionServer,
    pub(super) view: &'a View,
    pub(super) principal: &'a Principal,
}

/// Entities and names.
impl<'a> Call<'a> {
    pub(super) fn account(&self) -> AccountId {
        self.principal.account()
    }

    /// The caller, if it is a user.
    pub(super) fn own_user(&self) -> Option<&'a Arc<User>> {
        self.view.user(&self.principal.user_id()?.parse().ok()?)
    }

    pub(super) fn find_user(&self, name: &str) -> Option<&'a Arc<User>> {
        self.view.user_named(self.account(), &name.parse().ok()?)
    }

    /// A user that must exist.
    pub(super) fn user(&self, name: &str) -> Result<&'a Arc<User>, Fault> {
        self.find_user(name).ok_or_else(|| messages::user_not_found(name))
    }

    /// The user of a request that may leave out its name and mean the caller; none for a root.
    pub(super) fn user_or_self(&self, name: Option<&str>) -> Result<Option<&'a Arc<User>>, Fault> {
        match name {
            Some(name) => self.user(name).map(Some),
            None => self.refuse_role().map(|()| self.own_user()),
        }
    }

    /// The same, as commands name the owner of access keys.
    pub(super) fn owner_name(&self, name: Option<&str>) -> Result<String, Fault> {
        match name {
            Some(name) => user_name(name),
            None => {
                self.refuse_role()?;
                Ok(self.own_user().map(|user| user.name.to_string()).unwrap_or_default())
            }
        }
    }

    /// Refuses a session of a role, which is neither a user nor the root.
    fn refuse_role(&self) -> Result<(), Fault> {
        match self.principal.role_id() {
            Some(_) => Err(messages::user_name_required()),
            None => Ok(()),
        }
    }

    pub(super) fn find_group(&self, name: &str) -> Option<&'a Arc<Group>> {
        self.view.group_named(self.account(), &name.parse().ok()?)
    }

    /// A group that must exist.
    pub(super) fn group(&self, name: &str) -> Result<&'a Arc<Group>, Fault> {
        self.find_group(name).ok_or_else(|| messages::group_not_found(name))
    }

    pub(super) fn find_role(&self, name: &str) -> Option<&'a Arc<Role>> {
        self.view.role_named(self.account(), &name.parse().ok()?)
    }

    /// A role that must exist.
    pub(super) fn role(&self, name: &str) -> Result<&'a Arc<Role>, Fault> {
        self.find_role(name).ok_or_else(|| messages::role_not_found(name))
    }

    fn find_oidc_provider(&self, arn: &str) -> Option<&'a Arc<OidcProvider>> {
        self.view.oidc_provider_at(&arn.parse().ok()?)
    }

    /// An OIDC provider that must exist.
    pub(super) fn oidc_provider(&self, arn: &str) -> Result<&'a Arc<OidcProvider>, Fault> {
        self.find_oidc_provider(arn).ok_or_else(|| messages::oidc_provider_not_found(arn))
    }

    fn find_policy(&self, arn: &str) -> Option<&'a Arc<ManagedPolicy>> {
        self.view.managed_policy_at(&arn.parse().ok()?)
    }

    /// A managed policy that must exist.
    pub(super) fn policy(&self, arn: &str) -> Result<&'a Arc<ManagedPolicy>, Fault> {
        self.find_policy(arn).ok_or_else(|| messages::policy_not_found(arn))
    }

    /// The name of a managed policy, as commands have it, from an ARN that may be no policy's.
    pub(super) fn policy_name(&self, arn: &str) -> Option<String> {
        let parsed: IamArn = arn.parse().ok()?;
        let IamResource::Policy(name) = &parsed.resource else { return None };
        if parsed.account != self.account() {
            return None;
        }
        // A command has no path. Where the policy is gone the state will say so.
        let named = self.view.managed_policy_named(parsed.account, name);
        named.is_none_or(|policy| policy.path == parsed.path).then(|| name.to_string())
    }

    /// A managed policy as commands name it.
    pub(super) fn policy_ref(&self, arn: &str) -> Result<EntityRef, Fault> {
        let name = self.policy_name(arn).ok_or_else(|| messages::policy_not_found(arn))?;
        Ok(self.entity(EntityKind::ManagedPolicy, name))
    }

    /// A user as commands name it.
    pub(super) fn user_ref(&self, name: &str) -> Result<EntityRef, Fault> {
        Ok(self.entity(EntityKind::User, user_name(name)?))
    }

    /// A group as commands name it.
    pub(super) fn group_ref(&self, name: &str) -> Result<EntityRef, Fault> {
        let parsed: GroupName = name.parse().map_err(|_| messages::group_not_found(name))?;
        Ok(self.entity(EntityKind::Group, parsed.to_string()))
    }

    /// A role as commands name it.
    pub(super) fn role_ref(&self, name: &str) -> Result<EntityRef, Fault> {
        let parsed: RoleName = name.parse().map_err(|_| messages::role_not_found(name))?;
        Ok(self.entity(EntityKind::Role, parsed.to_string()))
    }

    /// An OIDC provider as commands name it.
    pub(super) fn oidc_provider_ref(&self, arn: &str) -> Result<EntityRef, Fault> {
        let parsed: OidcProviderArn = arn.parse().map_err(|_| messages::invalid_arn(arn))?;
        if parsed.account != self.account() {
            return Err(messages::oidc_provider_not_found(arn));
        }
        Ok(self.entity(EntityKind::OidcProvider, parsed.issuer.to_string()))
    }

    /// The name of the policy that is to be a boundary.
    pub(super) fn boundary_name(&self, arn: &str) -> Result<String, Fault> {
        self.on_policy(arn)?;
        self.policy_name(arn).ok_or_else(|| messages::policy_not_attachable(arn))
    }

    fn entity(&self, kind: EntityKind, name: String) -> EntityRef {
        EntityRef { kind: kind.into(), account: self.account().number(), name }
    }
}

/// What actions are authorised on.
impl<'a> Call<'a> {
    /// A user that may be absent.
    pub(super) fn on_user(&self, name: &str) -> Resource<'a> {
        let user = self.find_user(name);
        let tags = user.map(|user| tag_facts(&user.tags)).unwrap_or_default();
        let arn = user.map(|user| user.arn());
        self.resource(self.arn("user", "/", name), arn, tags)
    }

    /// The same, with the boundary that it has.
    pub(super) fn on_bounded_user(&self, name: &str) -> Resource<'a> {
        self.bounded(self.on_user(name), self.find_user(name).and_then(|user| user.boundary))
    }

    /// A role that may be absent.
    pub(super) fn on_role(&self, name: &str) -> Resource<'a> {
        let role = self.find_role(name);
        let tags = role.map(|role| tag_facts(&role.tags)).unwrap_or_default();
        let arn = role.map(|role| role.arn());
        self.resource(self.arn("role", "/", name), arn, tags)
    }

    /// The same, with the boundary that it has.
    pub(super) fn on_bounded_role(&self, name: &str) -> Resource<'a> {
        self.bounded(self.on_role(name), self.find_role(name).and_then(|role| role.boundary))
    }

    fn bounded(&self, mut resource: Resource<'a>, boundary: Option<PolicyId>) -> Resource<'a> {
        if let Some(policy) = boundary.and_then(|id| self.view.managed_policy(&id))
            && let Found::Named(named) = &mut resource.found
        {
            named.facts.push(("iam:PermissionsBoundary".into(), policy.arn().to_string()));
        }
        resource
    }

    /// A user, or the caller.
    pub(super) fn on_user_or_self(&self, name: Option<&str>) -> Resource<'a> {
        match (name, self.own_user()) {
            (Some(name), _) => self.on_user(name),
            (None, Some(user)) => {
                let shown = user.arn().to_string();
                self.resource(shown, Some(user.arn()), tag_facts(&user.tags))
            }
            (None, None) => self.resource(self.principal.to_string(), None, Vec::new()),
        }
    }

    /// A group that may be absent.
    pub(super) fn on_group(&self, name: &str) -> Resource<'a> {
        let arn = self.find_group(name).map(|group| group.arn());
        self.resource(self.arn("group", "/", name), arn, Vec::new())
    }

    /// A managed policy that may be absent, or another account's.
    ///
    /// # Errors
    /// `InvalidInput` for what is no policy's ARN.
    pub(super) fn on_policy(&self, arn: &str) -> Result<Resource<'a>, Fault> {
        let owner = policy_owner(arn).ok_or_else(|| messages::invalid_arn(arn))?;
        let policy = self.find_policy(arn);
        let tags = policy.map(|policy| tag_facts(&policy.tags)).unwrap_or_default();
        let found = policy.map(|policy| policy.arn());
        let resource = self.resource(arn.to_owned(), found, tags);
        // The policies of AWS are nobody's here: there are none.
        Ok(Resource { owner: Some(owner.unwrap_or(self.account())), ..resource })
    }

    /// An OIDC provider that may be absent, or another account's.
    ///
    /// # Errors
    /// `InvalidInput` for what is no OIDC provider's ARN.
    pub(super) fn on_oidc_provider(&self, arn: &str) -> Result<Resource<'a>, Fault> {
        let parsed: OidcProviderArn = arn.parse().map_err(|_| messages::invalid_arn(arn))?;
        let provider = self.view.oidc_provider_at(&parsed);
        let tags = provider.map(|provider| tag_facts(&provider.tags)).unwrap_or_default();
        let resource = self.resource(arn.to_owned(), None, tags);
        Ok(Resource { owner: Some(parsed.account), ..resource })
    }

    /// What is to be created, or all that is below a path.
    pub(super) fn on_new(&self, kind: &str, path: &str, name: &str) -> Resource<'a> {
        self.resource(self.arn(kind, path, name), None, Vec::new())
    }

    /// What an entity becomes by other names than its ARN has, if it gets any.
    pub(super) fn on_renamed(
        &self,
        kind: &str,
        old: Option<IamArn>,
        name: &str,
        path: Option<&str>,
    ) -> Resource<'a> {
        let old_path = old.as_ref().map_or("/", |old| old.path.as_str());
        self.on_new(kind, path.unwrap_or(old_path), name)
    }

    /// Nothing in particular.
    pub(super) fn on_anything(&self) -> Resource<'a> {
        self.resource("*".to_owned(), None, Vec::new())
    }

    /// An ARN as condition keys have it: that of the policy, whose name the request may have
    /// written in another case.
    pub(super) fn policy_fact(&self, arn: &str) -> String {
        self.find_policy(arn).map_or_else(|| arn.to_owned(), |policy| policy.arn().to_string())
    }

    fn arn(&self, kind: &str, path: &str, name: &str) -> String {
        format!("arn:{PARTITION}:iam::{}:{kind}{path}{name}", self.account())
    }

    /// Whatever is known of it that the caller did not say stays out of denials.
    fn resource(
        &self,
        shown: String,
        arn: Option<IamArn>,
        facts: Vec<(String, String)>,
    ) -> Resource<'a> {
        let arn = arn.map_or_else(|| shown.clone(), |arn| arn.to_string());
        Resource {
            action: "",
            facts: Facts::default(),
            by_grant: None,
            asked: Asked::Named(shown),
            owner: Some(self.account()),
            found: Found::Named(Named { arn, facts }),
        }
    }
}

/// What a request adds to what its action is authorised on.
pub(super) trait Described<'a>: Sized {
    /// A value for a condition key; an empty one is none.
    fn fact(self, key: &'static str, value: impl Into<Cow<'a, str>>) -> Self;
    /// Tags that are to be set.
    fn request_tags(self, tags: &'a [Tag]) -> Self;
    /// Keys of tags that are to go.
    fn tag_keys(self, keys: &'a [String]) -> Self;
    /// An action of its own.
    fn by(self, action: &'static str) -> Self;
}

impl<'a> Described<'a> for Resource<'a> {
    fn fact(mut self, key: &'static str, value: impl Into<Cow<'a, str>>) -> Self {
        self.facts.add(key, value);
        self
    }

    fn request_tags(mut self, tags: &'a [Tag]) -> Self {
        self.facts.set_tags(tags.iter().map(|tag| (tag.key(), tag.value())));
        self
    }

    fn tag_keys(mut self, keys: &'a [String]) -> Self {
        self.facts.set_tag_keys(keys);
        self
    }

    fn by(self, action: &'static str) -> Self {
        Self { action, ..self }
    }
}

/// A name that may be a user's.
fn user_name(name: &str) -> Result<String, Fault> {
    let parsed: UserName = name.parse().map_err(|_| messages::user_not_found(name))?;
    Ok(parsed.to_string())
}

/// The account whose policy an ARN names, none for AWS's own; `None` for no policy's ARN.
fn policy_owner(arn: &str) -> Option<Option<AccountId>> {
    if let Some(name) = arn.strip_prefix("arn:aws:iam::aws:policy/") {
        return (!name.is_empty()).then_some(None);
    }
    let arn: IamArn = arn.parse().ok()?;
    matches!(arn.resource, IamResource::Policy(_)).then_some(Some(arn.account))
}

fn tag_facts(tags: &std::collections::BTreeMap<String, String>) -> Vec<(String, String)> {
    let keys = ["aws:ResourceTag", "iam:ResourceTag"];
    let facts = |(name, value): (&String, &String)| {
        keys.map(|key| (format!("{key}/{name}"), value.clone()))
    };
    tags.iter().flat_map(facts).collect()
}
