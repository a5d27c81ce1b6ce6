//! Tags of users and managed policies.

use std::collections::{BTreeMap, BTreeSet};

use keystead_api::iam::{self, Tag};
use keystead_api::query::{Fault, messages};
use keystead_state::proto;

use super::call::{Call, Described};
use super::listing::{Listing, paged};
use super::{Change, Operation, Query, operation};
use crate::operations::paging::Page;
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
operation!(TagPolicy: TagPolicyRequest => TagPolicyResponse, |this, call| {
    call.on_policy(this.policy_arn())?.request_tags(&this.tags)
});
operation!(UntagPolicy: UntagPolicyRequest => UntagPolicyResponse, |this, call| {
    call.on_policy(this.policy_arn())?.tag_keys(&this.tag_keys)
});
operation!(ListPolicyTags: ListPolicyTagsRequest => ListPolicyTagsResponse, |this, call| {
    call.on_policy(this.policy_arn())?
});

impl Change for iam::TagUserRequest {
    fn command(&self, call: Call<'_>) -> Result<propose::Operation, Fault> {
        let entity = Some(call.user_ref(self.user_name())?);
        Ok(proto::TagEntity { entity, tags: to_map(&self.tags)? }.into())
    }
}

impl Change for iam::UntagUserRequest {
    fn command(&self, call: Call<'_>) -> Result<propose::Operation, Fault> {
        let entity = Some(call.user_ref(self.user_name())?);
        Ok(proto::UntagEntity { entity, tag_keys: self.tag_keys.clone() }.into())
    }
}

impl Query for iam::ListUserTagsRequest {
    fn answer(&self, call: Call<'_>) -> Result<Self::Output, Fault> {
        let user = call.user(self.user_name())?;
        let listing =
            Listing::new(Self::OPERATION, user.id, self.marker.as_deref(), self.max_items);
        Ok(paged!(page(&listing, &user.tags)?, tags))
    }
}

impl Change for iam::TagPolicyRequest {
    fn command(&self, call: Call<'_>) -> Result<propose::Operation, Fault> {
        let entity = Some(call.policy_ref(self.policy_arn())?);
        Ok(proto::TagEntity { entity, tags: to_map(&self.tags)? }.into())
    }
}

impl Change for iam::UntagPolicyRequest {
    fn command(&self, call: Call<'_>) -> Result<propose::Operation, Fault> {
        let entity = Some(call.policy_ref(self.policy_arn())?);
        Ok(proto::UntagEntity { entity, tag_keys: self.tag_keys.clone() }.into())
    }
}

impl Query for iam::ListPolicyTagsRequest {
    fn answer(&self, call: Call<'_>) -> Result<Self::Output, Fault> {
        let policy = call.policy(self.policy_arn())?;
        let listing =
            Listing::new(Self::OPERATION, policy.id, self.marker.as_deref(), self.max_items);
        Ok(paged!(page(&listing, &policy.tags)?, tags))
    }
}

fn page(listing: &Listing<'_>, tags: &BTreeMap<String, String>) -> Result<Page<Tag>, Fault> {
    listing.short(tags.iter(), |(key, _)| (*key).clone(), tag)
}

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
