//! ListRetirableGrants: the grants, on whatever keys, that a principal may retire.

use keystead_api::{Error, kms, messages};
use keystead_types::GrantId;

use super::paging::{self, List};
use super::{Operation, grants};
use crate::audit::Parameters;
use crate::pipeline::{Call, Failure};
use crate::resolve::Target;

pub(crate) struct ListRetirableGrants;

impl Operation for ListRetirableGrants {
    type Input = kms::ListRetirableGrantsRequest;
    type Output = kms::ListRetirableGrantsResponse;

    const NAME: &'static str = "ListRetirableGrants";
    const READ_ONLY: bool = true;
    const RECORDS_RESOURCES: bool = false;

    fn targets(input: &Self::Input) -> Result<Vec<Target<'_>>, Error> {
        Ok(vec![Target::retiring(retiring(input)?, "kms:ListRetirableGrants")])
    }

    fn check(call: &Call<'_>, input: &Self::Input) -> Result<(), Error> {
        list(call, input).after::<GrantId>(input.marker.as_deref()).map(|_| ())
    }

    async fn execute(call: &Call<'_>, input: &Self::Input) -> Result<Self::Output, Failure> {
        let list = list(call, input);
        let after: Option<GrantId> = list.after(input.marker.as_deref())?;
        let (account, service) = (call.account(), call.caller.principal.service());
        let itself =
            service.is_some_and(|name| name.as_str() == input.retiring_service_principal());
        let all = input.retiring_principal.is_some() || itself;
        let retiring = grants::principal(retiring(input)?, input.retiring_principal.is_none())?;
        // A user or a role is known by its unique id; one who does not exist retires nothing.
        let id = retiring.parse().ok().and_then(|arn| call.view.unique_id(&arn));
        let page = list.page(
            paging::limit(input.limit, 50, 100),
            call.view
                .grants_retirable_by(id.as_deref().unwrap_or(&retiring), after)
                // Others than the service itself are told of those that their account gave it.
                .filter(|grant| all || grant.issuing_account == account),
            |grant| grant.id.to_string(),
            |grant| grants::entry(call, grant),
        )?;
        Ok(kms::ListRetirableGrantsResponse {
            grants: page.items,
            truncated: Some(page.next_marker.is_some()),
            next_marker: page.next_marker,
        })
    }

    fn record(input: &Self::Input) -> Parameters {
        Parameters::new()
            .text("retiringPrincipal", &input.retiring_principal)
            .text("retiringServicePrincipal", &input.retiring_service_principal)
            .number("limit", input.limit)
            .text("marker", &input.marker)
    }
}

fn list<'a>(call: &'a Call<'_>, input: &kms::ListRetirableGrantsRequest) -> List<'a> {
    let (principal, service) = (&input.retiring_principal, &input.retiring_service_principal);
    let arguments = [principal.as_deref(), service.as_deref()];
    List::of(call, ListRetirableGrants::NAME, &arguments)
}

/// The principal or service that is asked about.
fn retiring(input: &kms::ListRetirableGrantsRequest) -> Result<&str, Error> {
    grants::one_of(
        input.retiring_principal.as_deref(),
        input.retiring_service_principal.as_deref(),
        "RetiringPrincipal",
        "RetiringServicePrincipal",
    )?
    .ok_or_else(|| messages::required_member("retiringPrincipal"))
}
