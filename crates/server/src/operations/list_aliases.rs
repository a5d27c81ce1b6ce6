//! ListAliases: the names of the caller's account, or those of one key.

use keystead_api::{Error, kms};
use keystead_types::{AliasArn, AliasName};

use super::{Operation, paging};
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
        let after: Option<AliasName> = paging::after(Self::NAME, input.marker.as_deref())?;
        let key = input.key_id.as_ref().map(|_| call.key(1)).transpose()?.map(|key| key.id);
        let page = paging::page(
            Self::NAME,
            paging::limit(input.limit, 50, 100),
            call.view
                .aliases_of(call.account(), after.as_ref())
                .filter(|alias| key.is_none_or(|key| alias.target == key)),
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
        );
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
