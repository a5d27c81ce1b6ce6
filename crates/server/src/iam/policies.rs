//! Managed policies.

use std::collections::BTreeMap;

use keystead_api::iam::{self, EntityType, PolicyScopeType, PolicyUsageType};
use keystead_api::query::{Fault, messages};
use keystead_crypto::random;
use keystead_state::PolicyUse;
use keystead_state::proto::{self, outcome};
use keystead_types::{PolicyId, PolicyName};

use super::call::{Call, Described};
use super::listing::{Listing, paged};
use super::{Change, Operation, Query, documents, entities, names, operation, tags};
use crate::audit::Parameters;
use crate::propose;

operation!(CreatePolicy: CreatePolicyRequest => CreatePolicyResponse, |this, call| {
    let path = names::path(this.path.as_deref())?;
    call.on_new("policy", path.as_str(), this.policy_name()).request_tags(&this.tags)
}, also |this, call| {
    let path = names::path(this.path.as_deref()).ok()?;
    let policy = call.on_new("policy", path.as_str(), this.policy_name());
    (!this.tags.is_empty()).then(|| policy.request_tags(&this.tags).by("iam:TagPolicy"))
});
operation!(GetPolicy: GetPolicyRequest => GetPolicyResponse, |this, call| {
    call.on_policy(this.policy_arn())?
});
operation!(ListPolicies: ListPoliciesRequest => ListPoliciesResponse, |this, call| {
    call.on_new("policy", this.path_prefix.as_deref().unwrap_or("/"), "")
});
operation!(DeletePolicy: DeletePolicyRequest => DeletePolicyResponse, |this, call| {
    call.on_policy(this.policy_arn())?
});
operation!(
    ListEntitiesForPolicy: ListEntitiesForPolicyRequest => ListEntitiesForPolicyResponse,
    |this, call| call.on_policy(this.policy_arn())?
);

impl Change for iam::CreatePolicyRequest {
    fn command(&self, call: Call<'_>) -> Result<propose::Operation, Fault> {
        let id = PolicyId::from_random(random::bytes().map_err(|_| messages::internal())?);
        Ok(proto::CreateManagedPolicy {
            policy_id: id.to_string(),
            account: call.account().number(),
            path: names::path(self.path.as_deref())?.to_string(),
            name: names::name::<PolicyName>(self.policy_name(), "policyName")?,
            description: self.description().to_owned(),
            document: documents::managed(self.policy_document())?,
            tags: tags::to_map(&self.tags)?,
        }
        .into())
    }

    fn answer(&self, call: Call<'_>, _: &outcome::Result) -> Result<Self::Output, Fault> {
        let name = self.policy_name().parse().map_err(|_| messages::internal())?;
        let policy = call.view.managed_policy_named(call.account(), &name);
        let policy = policy.ok_or_else(|| messages::policy_not_found(name))?;
        Ok(Self::Output { policy: Some(entities::whole_policy(call.view, policy)) })
    }

    fn record_response(output: &Self::Output) -> Parameters {
        Parameters::of(output)
    }
}

impl Query for iam::GetPolicyRequest {
    fn answer(&self, call: Call<'_>) -> Result<Self::Output, Fault> {
        let policy = call.policy(self.policy_arn())?;
        Ok(Self::Output { policy: Some(entities::whole_policy(call.view, policy)) })
    }
}

impl Query for iam::ListPoliciesRequest {
    fn answer(&self, call: Call<'_>) -> Result<Self::Output, Fault> {
        let listing =
            Listing::new(call, Self::OPERATION, "", self.marker.as_deref(), self.max_items);
        let after: Option<PolicyName> = listing.after()?;
        let wanted = |used: PolicyUse| suits(used, self.policy_usage_filter());
        let filtered = self.only_attached() || self.policy_usage_filter.is_some();
        let policies = call
            .view
            .managed_policies_of(call.account(), after.as_ref())
            // There are none of AWS's own.
            .filter(|_| self.scope() != PolicyScopeType::Aws)
            .filter(|policy| policy.path.as_str().starts_with(self.path_prefix()))
            .filter(|policy| !filtered || call.view.entities_of(&policy.id).any(wanted));
        let page = listing.page(
            policies,
            |policy| policy.name.to_string(),
            |policy| entities::policy(call.view, policy),
        )?;
        Ok(paged!(page, policies))
    }
}

impl Change for iam::DeletePolicyRequest {
    fn command(&self, call: Call<'_>) -> Result<propose::Operation, Fault> {
        let entity = Some(call.policy_ref(self.policy_arn())?);
        Ok(proto::DeleteEntity { entity }.into())
    }
}

/// Who has a policy.
enum Holder {
    User(iam::PolicyUser),
    Group(iam::PolicyGroup),
    Role(iam::PolicyRole),
}

impl Query for iam::ListEntitiesForPolicyRequest {
    fn answer(&self, call: Call<'_>) -> Result<Self::Output, Fault> {
        let policy = call.policy(self.policy_arn())?;
        let listing =
            Listing::new(call, Self::OPERATION, policy.id, self.marker.as_deref(), self.max_items);
        let uses = call.view.entities_of(&policy.id);
        let uses = uses.filter(|used| suits(*used, self.policy_usage_filter()));
        // A user or a role is one entity, even if the policy is its boundary too.
        let holders: BTreeMap<_, _> = uses.filter_map(|used| self.holder(call, used)).collect();
        let page =
            listing.short(holders.into_iter(), |(id, _)| id.clone(), |(_, holder)| holder)?;
        let mut output = Self::Output {
            is_truncated: Some(page.next_marker.is_some()),
            marker: page.next_marker,
            ..Default::default()
        };
        for holder in page.items {
            match holder {
                Holder::User(user) => output.policy_users.push(user),
                Holder::Group(group) => output.policy_groups.push(group),
                Holder::Role(role) => output.policy_roles.push(role),
            }
        }
        Ok(output)
    }
}

trait Holders {
    /// Who uses a policy in this way, by unique id, if the request wants to know.
    fn holder(&self, call: Call<'_>, used: PolicyUse) -> Option<(String, Holder)>;
}

impl Holders for iam::ListEntitiesForPolicyRequest {
    fn holder(&self, call: Call<'_>, used: PolicyUse) -> Option<(String, Holder)> {
        let wanted = |kind, path: &str| {
            let filter = self.entity_filter();
            (filter == EntityType::Unspecified || filter == kind)
                && path.starts_with(self.path_prefix())
        };
        match used {
            PolicyUse::User(id) | PolicyUse::Boundary(id) => {
                let user = call.view.user(&id)?;
                let shown = iam::PolicyUser {
                    user_name: Some(user.name.to_string()),
                    user_id: Some(id.to_string()),
                };
                wanted(EntityType::User, user.path.as_str())
                    .then(|| (id.to_string(), Holder::User(shown)))
            }
            PolicyUse::Group(id) => {
                let group = call.view.group(&id)?;
                let shown = iam::PolicyGroup {
                    group_name: Some(group.name.to_string()),
                    group_id: Some(id.to_string()),
                };
                wanted(EntityType::Group, group.path.as_str())
                    .then(|| (id.to_string(), Holder::Group(shown)))
            }
            PolicyUse::Role(id) | PolicyUse::RoleBoundary(id) => {
                let role = call.view.role(&id)?;
                let shown = iam::PolicyRole {
                    role_name: Some(role.name.to_string()),
                    role_id: Some(id.to_string()),
                };
                wanted(EntityType::Role, role.path.as_str())
                    .then(|| (id.to_string(), Holder::Role(shown)))
            }
        }
    }
}

/// Whether a use is one of those that a request asks for.
fn suits(used: PolicyUse, filter: PolicyUsageType) -> bool {
    match filter {
        PolicyUsageType::PermissionsPolicy => !used.is_boundary(),
        PolicyUsageType::PermissionsBoundary => used.is_boundary(),
        PolicyUsageType::Unspecified => true,
    }
}
