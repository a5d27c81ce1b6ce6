//! ListKeys: the keys of the caller's account.

use keystead_api::{Error, kms};
use keystead_types::{KeyArn, KeyId};

use super::paging::{self, List};
use super::{Operation, refuse_members};
use crate::audit::Parameters;
use crate::pipeline::{Call, Failure};
use crate::resolve::Target;

pub(crate) struct ListKeys;

impl Operation for ListKeys {
    type Input = kms::ListKeysRequest;
    type Output = kms::ListKeysResponse;

    const NAME: &'static str = "ListKeys";
    const READ_ONLY: bool = true;

    fn refuse_unsupported(input: &Self::Input) -> Result<(), Error> {
        let own = i32::from(kms::ResourceOwnerType::Self_);
        let foreign = input.resource_owners.iter().any(|&owner| owner != own);
        refuse_members(&[("ResourceOwners", foreign)])
    }

    fn targets(_: &Self::Input) -> Result<Vec<Target<'_>>, Error> {
        Ok(vec![Target::account("kms:ListKeys")])
    }

    async fn execute(call: &Call<'_>, input: &Self::Input) -> Result<Self::Output, Failure> {
        let list = List::of(call, Self::NAME, &[]);
        let after: Option<KeyId> = list.after(input.marker.as_deref())?;
        let page = list.page(
            paging::limit(input.limit, 100, 1000),
            call.view.keys_of(call.account(), after),
            |key| key.id.to_string(),
            |key| {
                let region = call.region.name().clone();
                let arn = KeyArn { region, account: key.account, id: key.id };
                kms::KeyListEntry {
                    key_id: Some(key.id.to_string()),
                    key_arn: Some(arn.to_string()),
                }
            },
        )?;
        Ok(kms::ListKeysResponse {
            keys: page.items,
            truncated: Some(page.next_marker.is_some()),
            next_marker: page.next_marker,
        })
    }

    fn record(input: &Self::Input) -> Parameters {
        Parameters::new().number("limit", input.limit).text("marker", &input.marker)
    }
}
