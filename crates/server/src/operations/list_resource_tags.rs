//! ListResourceTags: the tags of a key.

use std::ops::Bound;

use keystead_api::{Error, kms};

use super::Operation;
use super::paging::{self, List};
use crate::audit::Parameters;
use crate::pipeline::{Call, Failure};
use crate::resolve::Target;

pub(crate) struct ListResourceTags;

impl Operation for ListResourceTags {
    type Input = kms::ListResourceTagsRequest;
    type Output = kms::ListResourceTagsResponse;

    const NAME: &'static str = "ListResourceTags";
    const READ_ONLY: bool = true;

    fn targets(input: &Self::Input) -> Result<Vec<Target<'_>>, Error> {
        Ok(vec![Target::id_or_arn(input.key_id(), "kms:ListResourceTags")])
    }

    async fn execute(call: &Call<'_>, input: &Self::Input) -> Result<Self::Output, Failure> {
        let key = call.key(0)?;
        let list = List::of(call, Self::NAME, &[Some(&key.id.to_string())]);
        let after: Option<String> = list.after(input.marker.as_deref())?;
        let start = after.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        let page = list.page(
            paging::limit(input.limit, 50, 50),
            key.tags.range::<str, _>((start, Bound::Unbounded)),
            |(name, _)| (*name).clone(),
            |(name, value)| kms::Tag {
                tag_key: Some(name.clone()),
                tag_value: Some(value.clone()),
            },
        )?;
        Ok(kms::ListResourceTagsResponse {
            tags: page.items,
            truncated: Some(page.next_marker.is_some()),
            next_marker: page.next_marker,
        })
    }

    fn record(input: &Self::Input) -> Parameters {
        Parameters::new()
            .text("keyId", &input.key_id)
            .number("limit", input.limit)
            .text("marker", &input.marker)
    }
}
