//! ListAliases: the names of the caller's account, or those of one key.

use keystead_api::{Error, kms};
use keystead_state::Alias;
use keystead_types::{AliasArn, AliasName, KeyId};

use super::Operation;
use super::paging::{self, List};
use crate::audit::Parameters;
use crate::convert;
use crate::pipeline::{Call, Failure};
use crate::resolve::Target;

pub(crate) struct ListAliases;

impl Operation for ListAliases {
    type Input = kms::ListAliasesRequest;
    type Output = kms::ListAliasesResponse;

    const NAME: &'static str = "ListAliases";
    const READ_ONLY: bool = true;
    const RECORDS_RESOURCES: bool = false;

    fn targets(input: &Self::Input) -> Result<Vec<Target<'_>>, Error> {
        let mut targets = vec![Target::account("kms:ListAliases")];
        targets
            .extend(input.key_id.as_deref().map(|key| Target::id_or_arn(key, "kms:ListAliases")));
        Ok(targets)
    }

    async fn execute(call: &Call<'_>, input: &Self::Input) -> Result<Self::Output, Failure> {
        let key = input.key_id.as_ref().map(|_| call.key(1)).transpose()?.map(|key| key.id);
        let argument = key.map(|key| key.to_string());
        let list = List::of(call, Self::NAME, &[argument.as_deref()]);
        let after: Option<AliasName> = list.after(input.marker.as_deref())?;
        let page = list.page(
            paging::limit(input.limit, 50, 100),
            asked_for(call, key, after.as_ref()),
            |alias| alias.name.to_string(),
            |alias| {
                let region = call.region.name().clone();
                let (account, name) = (alias.account, alias.name.clone());
                kms::AliasListEntry {
                    alias_name: Some(name.to_string()),
                    alias_arn: Some(AliasArn { region, account, name }.to_string()),
                    target_key_id: Some(alias.target.to_string()),
                    creation_date: Some(convert::timestamp(alias.created)),
                    last_updated_date: Some(convert::timestamp(alias.updated)),
                }
            },
        )?;
        Ok(kms::ListAliasesResponse {
            aliases: page.items,
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

/// The aliases of a key, of which there are few, or all of the account.
fn asked_for<'a>(
    call: &'a Call<'_>,
    key: Option<KeyId>,
    after: Option<&'a AliasName>,
) -> Box<dyn Iterator<Item = &'a Alias> + 'a> {
    let account = call.account();
    match key {
        None => Box::new(call.view.aliases_of(account, after)),
        Some(key) => Box::new(
            call.view
                .aliases_to(key)
                .filter(move |name| after.is_none_or(|last| *name > last))
                .filter_map(move |name| call.view.alias(account, name)),
        ),
    }
}
