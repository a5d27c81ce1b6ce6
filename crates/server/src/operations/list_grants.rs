//! ListGrants: the grants of a key.

use keystead_api::{Error, kms, messages};
use keystead_state::Grant;
use keystead_types::GrantId;

use super::paging::{self, List};
use super::{Operation, grants};
use crate::audit::Parameters;
use crate::pipeline::{Call, Failure};
use crate::resolve::Target;

pub(crate) struct ListGrants;

impl Operation for ListGrants {
    type Input = kms::ListGrantsRequest;
    type Output = kms::ListGrantsResponse;

    const NAME: &'static str = "ListGrants";
    const READ_ONLY: bool = true;

    fn targets(input: &Self::Input) -> Result<Vec<Target<'_>>, Error> {
        Ok(vec![
            Target::id_or_arn(input.key_id(), "kms:ListGrants")
                .flag("kms:GrantIsForAWSResource", Some(false)),
        ])
    }

    fn check(call: &Call<'_>, input: &Self::Input) -> Result<(), Error> {
        list(call, input)?.after::<GrantId>(input.marker.as_deref())?;
        let Some(id) = &input.grant_id else { return Ok(()) };
        let key = call.key(0)?.id;
        let grant = id.parse().ok().and_then(|id| call.view.grant(&id));
        match grant.filter(|grant| grant.key == key) {
            Some(_) => Ok(()),
            None => Err(messages::grant_not_found(id)),
        }
    }

    async fn execute(call: &Call<'_>, input: &Self::Input) -> Result<Self::Output, Failure> {
        let list = list(call, input)?;
        let after: Option<GrantId> = list.after(input.marker.as_deref())?;
        let page = list.page(
            paging::limit(input.limit, 50, 100),
            call.view
                .grants_on(call.key(0)?.id, after)
                .filter(|grant| is_asked_for(call, grant, input)),
            |grant| grant.id.to_string(),
            |grant| grants::entry(call, grant),
        )?;
        Ok(kms::ListGrantsResponse {
            grants: page.items,
            truncated: Some(page.next_marker.is_some()),
            next_marker: page.next_marker,
        })
    }

    fn record(input: &Self::Input) -> Parameters {
        Parameters::new()
            .text("keyId", &input.key_id)
            .text("grantId", &input.grant_id)
            .text("granteePrincipal", &input.grantee_principal)
            .text("granteeServicePrincipal", &input.grantee_service_principal)
            .number("limit", input.limit)
            .text("marker", &input.marker)
    }
}

fn list<'a>(call: &'a Call<'_>, input: &kms::ListGrantsRequest) -> Result<List<'a>, Error> {
    let key = call.key(0)?.id.to_string();
    let filters = [&input.grant_id, &input.grantee_principal, &input.grantee_service_principal];
    let [id, grantee, service] = filters.map(Option::as_deref);
    Ok(List::of(call, ListGrants::NAME, &[Some(&key), id, grantee, service]))
}

/// Users are asked for by the names that they have now.
fn is_asked_for(call: &Call<'_>, grant: &Grant, input: &kms::ListGrantsRequest) -> bool {
    let id = input.grant_id.as_ref().is_none_or(|id| *id == grant.id.to_string());
    let wanted = [(&input.grantee_principal, false), (&input.grantee_service_principal, true)];
    id && wanted.into_iter().all(|(wanted, service)| {
        let is = |name: &String| grants::shown(call, &grant.grantee) == (name.clone(), service);
        wanted.as_ref().is_none_or(is)
    })
}
