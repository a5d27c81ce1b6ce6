//! Roles, who may take them on, and their permissions boundaries.

use keystead_api::iam;
use keystead_api::query::{Fault, messages};
use keystead_crypto::random;
use keystead_state::limits::ROLE_SESSION_SECONDS;
use keystead_state::proto::{self, outcome};
use keystead_types::{RoleId, RoleName};

use super::call::{Call, Described};
use super::entities;
use super::listing::{Listing, paged};
use super::{Change, Operation, Query, documents, names, operation, tags};
use crate::audit::Parameters;
use crate::propose;

operation!(CreateRole: CreateRoleRequest => CreateRoleResponse, |this, call| {
    let role = call.on_new("role", names::path(this.path.as_deref())?.as_str(), this.role_name());
    let boundary = call.policy_fact(this.permissions_boundary());
    role.request_tags(&this.tags).fact("iam:PermissionsBoundary", boundary)
}, also |this, call| {
    let path = names::path(this.path.as_deref()).ok()?;
    let role = call.on_new("role", path.as_str(), this.role_name());
    (!this.tags.is_empty()).then(|| role.request_tags(&this.tags).by("iam:TagRole"))
});
operation!(GetRole: GetRoleRequest => GetRoleResponse, |this, call| {
    call.on_role(this.role_name())
});
operation!(ListRoles: ListRolesRequest => ListRolesResponse, |this, call| {
    call.on_new("role", this.path_prefix.as_deref().unwrap_or("/"), "")
});
operation!(UpdateRole: UpdateRoleRequest => UpdateRoleResponse, |this, call| {
    call.on_role(this.role_name())
});
operation!(
    UpdateRoleDescription: UpdateRoleDescriptionRequest => UpdateRoleDescriptionResponse,
    |this, call| call.on_role(this.role_name())
);
operation!(
    UpdateAssumeRolePolicy: UpdateAssumeRolePolicyRequest => UpdateAssumeRolePolicyResponse,
    |this, call| call.on_role(this.role_name())
);
operation!(DeleteRole: DeleteRoleRequest => DeleteRoleResponse, |this, call| {
    call.on_role(this.role_name())
});
operation!(
    PutRolePermissionsBoundary:
    PutRolePermissionsBoundaryRequest => PutRolePermissionsBoundaryResponse,
    |this, call| {
        let boundary = call.policy_fact(this.permissions_boundary());
        call.on_role(this.role_name()).fact("iam:PermissionsBoundary", boundary)
    }
);
operation!(
    DeleteRolePermissionsBoundary:
    DeleteRolePermissionsBoundaryRequest => DeleteRolePermissionsBoundaryResponse,
    |this, call| call.on_bounded_role(this.role_name())
);

impl Change for iam::CreateRoleRequest {
    fn command(&self, call: Call<'_>) -> Result<propose::Operation, Fault> {
        let boundary = self.permissions_boundary.as_deref();
        Ok(proto::CreateRole {
            role_id: RoleId::from_random(random::bytes().map_err(|_| messages::internal())?)
                .to_string(),
            account: call.account().number(),
            path: names::path(self.path.as_deref())?.to_string(),
            name: names::name::<RoleName>(self.role_name(), "roleName")?,
            description: self.description().to_owned(),
            max_session_seconds: seconds(self.max_session_duration)
                .unwrap_or(*ROLE_SESSION_SECONDS.start()),
            trust_policy: documents::trust(self.assume_role_policy_document())?,
            tags: tags::to_map(&self.tags)?,
            boundary: boundary.map(|arn| call.boundary_name(arn)).transpose()?.unwrap_or_default(),
        }
        .into())
    }

    fn answer(&self, call: Call<'_>, _: &outcome::Result) -> Result<Self::Output, Fault> {
        let role = call.role(self.role_name())?;
        Ok(Self::Output { role: Some(entities::whole_role(call.view, role)) })
    }

    fn record_response(output: &Self::Output) -> Parameters {
        Parameters::of(output)
    }
}

impl Query for iam::GetRoleRequest {
    fn answer(&self, call: Call<'_>) -> Result<Self::Output, Fault> {
        let role = call.role(self.role_name())?;
        Ok(Self::Output { role: Some(entities::whole_role(call.view, role)) })
    }
}

impl Query for iam::ListRolesRequest {
    fn answer(&self, call: Call<'_>) -> Result<Self::Output, Fault> {
        let listing =
            Listing::new(call, Self::OPERATION, "", self.marker.as_deref(), self.max_items);
        let after: Option<RoleName> = listing.after()?;
        let roles = call
            .view
            .roles_of(call.account(), after.as_ref())
            .filter(|role| role.path.as_str().starts_with(self.path_prefix()));
        Ok(paged!(
            listing.page(
                roles,
                |role| role.name.to_string(),
                |role| entities::role(call.view, role)
            )?,
            roles
        ))
    }
}

impl Change for iam::UpdateRoleRequest {
    fn command(&self, call: Call<'_>) -> Result<propose::Operation, Fault> {
        let role = call.role_ref(self.role_name())?;
        Ok(proto::UpdateRole {
            account: role.account,
            role: role.name,
            description: self.description.clone(),
            max_session_seconds: seconds(self.max_session_duration),
        }
        .into())
    }
}

impl Change for iam::UpdateRoleDescriptionRequest {
    fn command(&self, call: Call<'_>) -> Result<propose::Operation, Fault> {
        let role = call.role_ref(self.role_name())?;
        let (account, role) = (role.account, role.name);
        let description = Some(self.description().to_owned());
        Ok(proto::UpdateRole { account, role, description, max_session_seconds: None }.into())
    }

    fn answer(&self, call: Call<'_>, _: &outcome::Result) -> Result<Self::Output, Fault> {
        let role = call.role(self.role_name())?;
        Ok(Self::Output { role: Some(entities::whole_role(call.view, role)) })
    }
}

impl Change for iam::UpdateAssumeRolePolicyRequest {
    fn command(&self, call: Call<'_>) -> Result<propose::Operation, Fault> {
        let role = call.role_ref(self.role_name())?;
        let (account, role) = (role.account, role.name);
        let trust_policy = documents::trust(self.policy_document())?;
        Ok(proto::UpdateAssumeRolePolicy { account, role, trust_policy }.into())
    }
}

impl Change for iam::DeleteRoleRequest {
    fn command(&self, call: Call<'_>) -> Result<propose::Operation, Fault> {
        let entity = Some(call.role_ref(self.role_name())?);
        Ok(proto::DeleteEntity { entity }.into())
    }
}

impl Change for iam::PutRolePermissionsBoundaryRequest {
    fn command(&self, call: Call<'_>) -> Result<propose::Operation, Fault> {
        let role = call.role_ref(self.role_name())?;
        let policy = call.boundary_name(self.permissions_boundary())?;
        let (account, role) = (role.account, role.name);
        Ok(proto::PutRoleBoundary { account, role, policy }.into())
    }
}

impl Change for iam::DeleteRolePermissionsBoundaryRequest {
    fn command(&self, call: Call<'_>) -> Result<propose::Operation, Fault> {
        let role = call.role_ref(self.role_name())?;
        let (account, role) = (role.account, role.name);
        Ok(proto::DeleteRoleBoundary { account, role }.into())
    }
}

/// A length of time that the request's constraints have let through.
fn seconds(given: Option<i32>) -> Option<u32> {
    given.and_then(|seconds| u32::try_from(seconds).ok())
}
