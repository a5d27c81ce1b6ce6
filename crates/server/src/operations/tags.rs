//! Tags as they come in requests.

use std::collections::BTreeMap;

use keystead_api::{Error, kms, messages};
use serde_json::{Value, json};

use crate::pipeline::Call;

/// The tags of a request, none reserved, none with a strange character, none twice, not too many.
pub(super) fn to_map(
    call: &Call<'_>,
    tags: &[kms::Tag],
) -> Result<BTreeMap<String, String>, Error> {
    let mut map = BTreeMap::new();
    for tag in tags {
        refuse_reserved(tag.tag_key())?;
        if ![tag.tag_key(), tag.tag_value()].iter().all(|text| text.chars().all(is_allowed)) {
            return Err(messages::tags_characters());
        }
        if map.insert(tag.tag_key().to_owned(), tag.tag_value().to_owned()).is_some() {
            return Err(messages::tags_duplicate());
        }
    }
    let most = call.region.quotas.resources.tags_per_key;
    if map.len() > most { Err(messages::tags_too_many()) } else { Ok(map) }
}

/// AWS's rule for tags of all services.
fn is_allowed(c: char) -> bool {
    c.is_alphanumeric() || (c.is_whitespace() && !c.is_control()) || "+-=._:/@".contains(c)
}

/// Refuses names that begin with `aws:`, in any case.
pub(super) fn refuse_reserved(name: &str) -> Result<(), Error> {
    let reserved = name.get(..4).is_some_and(|prefix| prefix.eq_ignore_ascii_case("aws:"));
    if reserved { Err(messages::tags_reserved()) } else { Ok(()) }
}

/// The tags of a request, for the audit trail.
pub(super) fn record(tags: &[kms::Tag]) -> Vec<Value> {
    tags.iter().map(|tag| json!({ "tagKey": tag.tag_key(), "tagValue": tag.tag_value() })).collect()
}
