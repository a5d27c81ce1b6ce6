//! Groups, and who is in them.

use keystead_api::iam;
use keystead_api::query::{Fault, messages};
use keystead_crypto::random;
use keystead_state::proto::{self, outcome};
use keystead_types::{GroupId, GroupName};

use super::call::Call;
use super::listing::{Listing, paged};
use super::{Change, Operation, Query, entities, names, operation};
use crate::audit::Parameters;
use crate::propose;

operation!(CreateGroup: CreateGroupRequest => CreateGroupResponse, |this, call| {
    call.on_new("group", names::path(this.path.as_deref())?.as_str(), this.group_name())
});
operation!(GetGroup: GetGroupRequest => GetGroupResponse, |this, call| {
    call.on_group(this.group_name())
});
operation!(ListGroups: ListGroupsRequest => ListGroupsResponse, |this, call| {
    call.on_new("group", this.path_prefix.as_deref().unwrap_or("/"), "")
});
operation!(UpdateGroup: UpdateGroupRequest => UpdateGroupResponse, |this, call| {
    call.on_group(this.group_name())
}, also |this, call| {
    // As with users: on the group that it becomes, too.
    let group = call.find_group(this.group_name());
    let old_name = group.map_or(this.group_name(), |group| group.name.as_str());
    let name = this.new_group_name.as_deref().unwrap_or(old_name);
    let old = group.map(|group| group.arn());
    Some(call.on_renamed("group", old, name, this.new_path.as_deref()))
});
operation!(DeleteGroup: DeleteGroupRequest => DeleteGroupResponse, |this, call| {
    call.on_group(this.group_name())
});
operation!(AddUserToGroup: AddUserToGroupRequest => AddUserToGroupResponse, |this, call| {
    call.on_group(this.group_name())
});
operation!(
    RemoveUserFromGroup: RemoveUserFromGroupRequest => RemoveUserFromGroupResponse,
    |this, call| call.on_group(this.group_name())
);
operation!(
    ListGroupsForUser: ListGroupsForUserRequest => ListGroupsForUserResponse,
    |this, call| call.on_user(this.user_name())
);

impl Change for iam::CreateGroupRequest {
    fn command(&self, call: Call<'_>) -> Result<propose::Operation, Fault> {
        let id = GroupId::from_random(random::bytes().map_err(|_| messages::internal())?);
        Ok(proto::CreateGroup {
            group_id: id.to_string(),
            account: call.account().number(),
            path: names::path(self.path.as_deref())?.to_string(),
            name: names::name::<GroupName>(self.group_name(), "groupName")?,
        }
        .into())
    }

    fn answer(&self, call: Call<'_>, _: &outcome::Result) -> Result<Self::Output, Fault> {
        let group = call.group(self.group_name())?;
        Ok(Self::Output { group: Some(entities::group(group)) })
    }

    fn record_response(output: &Self::Output) -> Parameters {
        Parameters::of(output)
    }
}

impl Query for iam::GetGroupRequest {
    fn answer(&self, call: Call<'_>) -> Result<Self::Output, Fault> {
        let group = call.group(self.group_name())?;
        let listing =
            Listing::new(call, Self::OPERATION, group.id, self.marker.as_deref(), self.max_items);
        let members = call.view.members_of(&group.id);
        let page = listing.short(
            members,
            |user| user.name.folded().to_string(),
            |user| entities::user(user),
        )?;
        Ok(Self::Output {
            group: Some(entities::group(group)),
            users: page.items,
            is_truncated: Some(page.next_marker.is_some()),
            marker: page.next_marker,
        })
    }
}

impl Query for iam::ListGroupsRequest {
    fn answer(&self, call: Call<'_>) -> Result<Self::Output, Fault> {
        let listing =
            Listing::new(call, Self::OPERATION, "", self.marker.as_deref(), self.max_items);
        let after: Option<GroupName> = listing.after()?;
        let groups = call
            .view
            .groups_of(call.account(), after.as_ref())
            .filter(|group| group.path.as_str().starts_with(self.path_prefix()));
        Ok(paged!(
            listing.page(groups, |group| group.name.to_string(), |group| entities::group(group))?,
            groups
        ))
    }
}

impl Query for iam::ListGroupsForUserRequest {
    fn answer(&self, call: Call<'_>) -> Result<Self::Output, Fault> {
        let user = call.user(self.user_name())?;
        let listing =
            Listing::new(call, Self::OPERATION, user.id, self.marker.as_deref(), self.max_items);
        let groups = user.groups.iter().filter_map(|id| call.view.group(id));
        let page = listing.short(
            groups,
            |group| group.name.folded().to_string(),
            |group| entities::group(group),
        )?;
        Ok(paged!(page, groups))
    }
}

impl Change for iam::UpdateGroupRequest {
    fn command(&self, call: Call<'_>) -> Result<propose::Operation, Fault> {
        let entity = call.group_ref(self.group_name())?;
        let name = self.new_group_name.as_deref();
        names::renamed::<GroupName>(entity, name, "newGroupName", self.new_path.as_deref())
    }
}

impl Change for iam::DeleteGroupRequest {
    fn command(&self, call: Call<'_>) -> Result<propose::Operation, Fault> {
        let entity = Some(call.group_ref(self.group_name())?);
        Ok(proto::DeleteEntity { entity }.into())
    }
}

impl Change for iam::AddUserToGroupRequest {
    fn command(&self, call: Call<'_>) -> Result<propose::Operation, Fault> {
        let (user, group) = (call.user_ref(self.user_name())?, call.group_ref(self.group_name())?);
        let account = user.account;
        Ok(proto::AddUserToGroup { account, user: user.name, group: group.name }.into())
    }
}

impl Change for iam::RemoveUserFromGroupRequest {
    fn command(&self, call: Call<'_>) -> Result<propose::Operation, Fault> {
        let (user, group) = (call.user_ref(self.user_name())?, call.group_ref(self.group_name())?);
        let account = user.account;
        Ok(proto::RemoveUserFromGroup { account, user: user.name, group: group.name }.into())
    }
}
