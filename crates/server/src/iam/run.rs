//! The way of an operation: decode, validate, authorise, then look or propose, then record.

use futures::future::BoxFuture;
use keystead_api::query::{self as wire, Fault, IAM_NAMESPACE, messages};
use keystead_state::View;
use keystead_state::proto::outcome;

use super::call::Call;
use super::{Change, Operation, Query, refusals};
use crate::audit::{Parameters, Record};
use crate::authorise::Authoriser;
use crate::conditions::{Circumstances, Sent};
use crate::front::{Attempted, QueryCall};
use crate::pipeline::Failure;
use crate::propose::Author;

/// Answers a query.
pub(super) fn query<'a, O: Query>(
    request: &'a QueryCall<'a>,
    record: &'a mut Record,
) -> BoxFuture<'a, Attempted> {
    Box::pin(async move {
        let input: O = admit(request, record)?;
        let output = input.answer(call(request, &request.view))?;
        Ok(encode::<O>(request, &output))
    })
}

/// Proposes a change and answers when it is applied.
pub(super) fn change<'a, O: Change>(
    request: &'a QueryCall<'a>,
    record: &'a mut Record,
) -> BoxFuture<'a, Attempted> {
    Box::pin(async move {
        record.read_only(false);
        let input: O = admit(request, record)?;
        let operation = input.command(call(request, &request.view))?;
        let principal = &request.caller.principal;
        let author = Author { caller: &request.caller, view: &request.view };
        let request_id =
            request.request.idempotency(principal, O::OPERATION).map_err(Fault::from)?;
        let command = author.command(request_id, operation);
        let applied = request.region.propose(command).await.map_err(Fault::from)?;
        record.index(applied.index);
        match applied.outcome.result {
            Some(outcome::Result::Stale(_)) => Err(Failure::Stale),
            Some(outcome::Result::Rejected(rejected)) => {
                Err(refusals::fault(rejected.reason(), &input).into())
            }
            Some(outcome) => {
                let view = request.region.view();
                let output = input.answer(call(request, &view), &outcome)?;
                record.response(O::record_response(&output));
                Ok(encode::<O>(request, &output))
            }
            None => Err(messages::internal().into()),
        }
    })
}

/// The message of a request that is allowed.
fn admit<O: Operation>(request: &QueryCall<'_>, record: &mut Record) -> Result<O, Fault> {
    let input: O = wire::decode(request.form)?;
    record.parameters(Parameters::of(&input));
    let call = call(request, &request.view);
    let mut resources = vec![input.target(call)?];
    resources.extend(input.further_target(call));
    for resource in &mut resources {
        if resource.action.is_empty() {
            resource.action = O::ACTION;
        }
    }
    let circumstances = Circumstances {
        view: &request.view,
        region: request.region.name(),
        principal: Some(&request.caller.principal),
        session: request.caller.session.as_ref(),
        sent: Sent::Request(request.request),
    };
    Authoriser::new(&request.caller.principal, circumstances).check(&mut resources, record)?;
    drop(resources);
    Ok(input)
}

fn call<'a>(request: &'a QueryCall<'_>, view: &'a View) -> Call<'a> {
    Call { region: request.region, view, principal: &request.caller.principal }
}

fn encode<O: Operation>(request: &QueryCall<'_>, output: &O::Output) -> String {
    wire::encode(O::OPERATION, IAM_NAMESPACE, request.id, output)
}
