//! Tags of users, roles, managed policies and OIDC providers.

use std::collections::{BTreeMap, BTreeSet};

use keystead_api::iam::{self, Tag};
use keystead_api::query::{Fault, messages};
use keystead_state::proto;

use super::call::{Call, Described};
use super::listing::{Listing, paged};
use super::{Change, Operation, Query, operation};
use crate::propose;

operation!(TagUser: TagUserRequest => TagUserResponse, |this, call| {
    call.on_user(this.user_name()).request_tags(&this.tags)
});
operation!(UntagUser: UntagUserRequest => UntagUserResponse, |this, call| {
    call.on_user(this.user_name()).tag_keys(&this.tag_keys)
});
operation!(ListUserTags: ListUserTagsRequest => ListUserTagsResponse, |this, call| {
    call.on_user(this.user_name())
});
operation!(TagRole: TagRoleRequest => TagRoleResponse, |this, call| {
    call.on_role(this.role_name()).request_tags(&this.tags)
});
operation!(UntagRole: UntagRoleRequest => UntagRoleResponse, |this, call| {
    call.on_role(this.role_name()).tag_keys(&this.tag_keys)
});
operation!(ListRoleTags: ListRoleTagsRequest => ListRoleTagsResponse, |this, call| {
    call.on_role(this.role_name())
});
operation!(TagPolicy: TagPolicyRequest => TagPolicyResponse, |this, call| {
    call.on_policy(this.policy_arn())?.request_tags(&this.tags)
});
operation!(UntagPolicy: UntagPolicyRequest => UntagPolicyResponse, |this, call| {
    call.on_policy(this.policy_arn())?.tag_keys(&this.tag_keys)
});
operation!(ListPolicyTags: ListPolicyTagsRequest => ListPolicyTagsResponse, |this, call| {
    call.on_policy(this.policy_arn())?
});
operation!(
    TagOpenIDConnectProvider:
    TagOpenIdConnectProviderRequest => TagOpenIdConnectProviderResponse,
    |this, call| {
        call.on_oidc_provider(this.open_id_connect_provider_arn())?.request_tags(&this.tags)
    }
);
operation!(
    UntagOpenIDConnectProvider:
    UntagOpenIdConnectProviderRequest => UntagOpenIdConnectProviderResponse,
    |this, call| {
        call.on_oidc_provider(this.open_id_connect_provider_arn())?.tag_keys(&this.tag_keys)
    }
);
operation!(
    ListOpenIDConnectProviderTags:
    ListOpenIdConnectProviderTagsRequest => ListOpenIdConnectProviderTagsResponse,
    |this, call| call.on_oidc_provider(this.open_id_connect_provider_arn())?
);

/// The operations of one kind of entity, which differ in how the entity is named and found.
macro_rules! tags {
    ($name:ident, $reference:ident, $find:ident; $tag:ident $untag:ident $list:ident) => {
        impl Change for iam::$tag {
            fn command(&self, call: Call<'_>) -> Result<propose::Operation, Fault> {
                let entity = Some(call.$reference(self.$name())?);
                Ok(proto::TagEntity { entity, tags: to_map(&self.tags)? }.into())
            }
        }

        impl Change for iam::$untag {
            fn command(&self, call: Call<'_>) -> Result<propose::Operation, Fault> {
                let entity = Some(call.$reference(self.$name())?);
                Ok(proto::UntagEntity { entity, tag_keys: self.tag_keys.clone() }.into())
            }
        }

        impl Query for iam::$list {
            fn answer(&self, call: Call<'_>) -> Result<Self::Output, Fault> {
                let entity = call.$find(self.$name())?;
                let (marker, max_items) = (self.marker.as_deref(), self.max_items);
                let listing = Listing::new(call, Self::OPERATION, entity.id, marker, max_items);
                let page = listing.short(entity.tags.iter(), |(key, _)| (*key).clone(), tag)?;
                Ok(paged!(page, tags))
            }
        }
    };
}

tags!(user_name, user_ref, user; TagUserRequest UntagUserRequest ListUserTagsRequest);
tags!(role_name, role_ref, role; TagRoleRequest UntagRoleRequest ListRoleTagsRequest);
tags!(policy_arn, policy_ref, policy; TagPolicyRequest UntagPolicyRequest ListPolicyTagsRequest);
tags!(
    open_id_connect_provider_arn, oidc_provider_ref, oidc_provider;
    TagOpenIdConnectProviderRequest
    UntagOpenIdConnectProviderRequest
    ListOpenIdConnectProviderTagsRequest
);

/// The tags of a request: none reserved, no two alike but for case.
pub(super) fn to_map(tags: &[Tag]) -> Result<BTreeMap<String, String>, Fault> {
    let reserved =
        |tag: &Tag| tag.key().get(..4).is_some_and(|prefix| prefix.eq_ignore_ascii_case("aws:"));
    if tags.iter().any(reserved) {
        return Err(messages::reserved_tag());
    }
    let names: BTreeSet<_> = tags.iter().map(|tag| tag.key().to_ascii_lowercase()).collect();
    if names.len() < tags.len() {
        return Err(messages::duplicate_tags());
    }
    Ok(tags.iter().map(|tag| (tag.key().to_owned(), tag.value().to_owned())).collect())
}

/// Tags as replies show them.
pub(super) fn shown(tags: &BTreeMap<String, String>) -> Vec<Tag> {
    tags.iter().map(tag).collect()
}

fn tag((key, value): (&String, &String)) -> Tag {
    Tag { key: Some(key.clone()), value: Some(value.clone()) }
}
