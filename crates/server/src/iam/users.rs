//! Users and their permissions boundaries.

use keystead_api::iam;
use keystead_api::query::{Fault, messages};
use keystead_crypto::random;
use keystead_state::proto::{self, outcome};
use keystead_types::{UserId, UserName};

use super::call::{Call, Described};
use super::entities::{self, time};
use super::listing::{Listing, paged};
use super::{Change, Operation, Query, names, operation, tags};
use crate::audit::Parameters;
use crate::propose;

operation!(CreateUser: CreateUserRequest => CreateUserResponse, |this, call| {
    let user = call.on_new("user", names::path(this.path.as_deref())?.as_str(), this.user_name());
    let boundary = call.policy_fact(this.permissions_boundary());
    user.request_tags(&this.tags).fact("iam:PermissionsBoundary", boundary)
}, also |this, call| {
    let path = names::path(this.path.as_deref()).ok()?;
    let user = call.on_new("user", path.as_str(), this.user_name());
    (!this.tags.is_empty()).then(|| user.request_tags(&this.tags).by("iam:TagUser"))
});
operation!(GetUser: GetUserRequest => GetUserResponse, |this, call| {
    call.on_user_or_self(this.user_name.as_deref())
});
operation!(ListUsers: ListUsersRequest => ListUsersResponse, |this, call| {
    call.on_new("user", this.path_prefix.as_deref().unwrap_or("/"), "")
});
operation!(UpdateUser: UpdateUserRequest => UpdateUserResponse, |this, call| {
    call.on_user(this.user_name())
}, also |this, call| {
    // Whoever renames somebody must be allowed to do so to whom that user becomes.
    let user = call.find_user(this.user_name());
    let old_name = user.map_or(this.user_name(), |user| user.name.as_str());
    let name = this.new_user_name.as_deref().unwrap_or(old_name);
    let old = user.map(|user| user.arn());
    Some(call.on_renamed("user", old, name, this.new_path.as_deref()))
});
operation!(DeleteUser: DeleteUserRequest => DeleteUserResponse, |this, call| {
    call.on_user(this.user_name())
});
operation!(
    PutUserPermissionsBoundary:
    PutUserPermissionsBoundaryRequest => PutUserPermissionsBoundaryResponse,
    |this, call| {
        let boundary = call.policy_fact(this.permissions_boundary());
        call.on_user(this.user_name()).fact("iam:PermissionsBoundary", boundary)
    }
);
operation!(
    DeleteUserPermissionsBoundary:
    DeleteUserPermissionsBoundaryRequest => DeleteUserPermissionsBoundaryResponse,
    |this, call| call.on_bounded_user(this.user_name())
);

impl Change for iam::CreateUserRequest {
    fn command(&self, call: Call<'_>) -> Result<propose::Operation, Fault> {
        let boundary = self.permissions_boundary.as_deref();
        Ok(proto::CreateUser {
            user_id: UserId::from_random(random::bytes().map_err(|_| messages::internal())?)
                .to_string(),
            account: call.account().number(),
            path: names::path(self.path.as_deref())?.to_string(),
            name: names::name::<UserName>(self.user_name(), "userName")?,
            tags: tags::to_map(&self.tags)?,
            boundary: boundary.map(|arn| call.boundary_name(arn)).transpose()?.unwrap_or_default(),
        }
        .into())
    }

    fn answer(&self, call: Call<'_>, _: &outcome::Result) -> Result<Self::Output, Fault> {
        let user = call.user(self.user_name())?;
        Ok(Self::Output { user: Some(entities::whole_user(call.view, user)) })
    }

    fn record_response(output: &Self::Output) -> Parameters {
        Parameters::of(output)
    }
}

impl Query for iam::GetUserRequest {
    fn answer(&self, call: Call<'_>) -> Result<Self::Output, Fault> {
        let user = match call.user_or_self(self.user_name.as_deref())? {
            Some(user) => entities::whole_user(call.view, user),
            None => root(call),
        };
        Ok(Self::Output { user: Some(user) })
    }
}

/// The root of an account, who is no user, as AWS describes it.
fn root(call: Call<'_>) -> iam::User {
    let account = call.view.account(call.account());
    iam::User {
        user_id: Some(call.account().to_string()),
        arn: Some(call.principal.to_string()),
        create_date: account.and_then(|account| time(account.created)),
        ..Default::default()
    }
}

impl Query for iam::ListUsersRequest {
    fn answer(&self, call: Call<'_>) -> Result<Self::Output, Fault> {
        let listing =
            Listing::new(call, Self::OPERATION, "", self.marker.as_deref(), self.max_items);
        let after: Option<UserName> = listing.after()?;
        let users = call
            .view
            .users_of(call.account(), after.as_ref())
            .filter(|user| user.path.as_str().starts_with(self.path_prefix()));
        Ok(paged!(
            listing.page(users, |user| user.name.to_string(), |user| entities::user(user))?,
            users
        ))
    }
}

impl Change for iam::UpdateUserRequest {
    fn command(&self, call: Call<'_>) -> Result<propose::Operation, Fault> {
        let entity = call.user_ref(self.user_name())?;
        let name = self.new_user_name.as_deref();
        names::renamed::<UserName>(entity, name, "newUserName", self.new_path.as_deref())
    }
}

impl Change for iam::DeleteUserRequest {
    fn command(&self, call: Call<'_>) -> Result<propose::Operation, Fault> {
        let entity = Some(call.user_ref(self.user_name())?);
        Ok(proto::DeleteEntity { entity }.into())
    }
}

impl Change for iam::PutUserPermissionsBoundaryRequest {
    fn command(&self, call: Call<'_>) -> Result<propose::Operation, Fault> {
        let user = call.user_ref(self.user_name())?;
        let policy = call.boundary_name(self.permissions_boundary())?;
        let (account, user) = (user.account, user.name);
        Ok(proto::PutPermissionsBoundary { account, user, policy }.into())
    }
}

impl Change for iam::DeleteUserPermissionsBoundaryRequest {
    fn command(&self, call: Call<'_>) -> Result<propose::Operation, Fault> {
        let user = call.user_ref(self.user_name())?;
        let (account, user) = (user.account, user.name);
        Ok(proto::DeletePermissionsBoundary { account, user }.into())
    }
}
