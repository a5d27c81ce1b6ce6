//! The one way of every request, from raw bytes to raw bytes.
//!
//! ```text
//! barrier → View ─ authenticate ─ decode, validate ─ resolve ─ throttle ─ authorise
//!   ─ semantic checks ─ key state, usage, algorithm ─ dry run? ─ execute ─ audit ─ encode
//! ```
//!
//! An attempt pins one View and uses no other. A mutation that the state calls stale goes back to
//! the barrier and is authorised once more.

use std::future::Future;
use std::iter;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use keystead_api::{Error, ErrorCode, Wire, messages};
use keystead_state::View;
use keystead_types::{KeyArn, KmsArn, Principal, RequestId, UnixMillis};

use crate::audit::{AuditTrail, Record};
use crate::authenticate::{self, Caller};
use crate::authorise::Authoriser;
pub(crate) use crate::call::Call;
use crate::conditions::{Circumstances, Sent};
use crate::front::WireRequest;
use crate::grant_token;
use crate::managed_keys;
use crate::operations::{Operation, StateRule, key_state};
use crate::region::RegionServer;
use crate::resolve::{Asked, Found, Resolver, Resource};
use crate::throttle::Class;

/// How long a request may take, waiting for a leader included.
const DEADLINE: Duration = Duration::from_secs(10);

/// A request on its way through.
pub(crate) struct Handling {
    pub(crate) region: Arc<RegionServer>,
    pub(crate) audit: Arc<AuditTrail>,
    pub(crate) request: WireRequest,
    pub(crate) wire: Wire,
    pub(crate) operation: &'static str,
}

/// What goes back.
pub(crate) struct Reply {
    pub(crate) result: Result<Bytes, Error>,
    /// The log index at which the request was evaluated.
    pub(crate) index: Option<u64>,
    /// The name of the member that leads, for clients that would rather ask it.
    pub(crate) leader: Option<String>,
    pub(crate) request_id: RequestId,
}

impl Reply {
    /// The answer to a request that was evaluated against no state.
    pub(crate) fn unevaluated(error: Error, request_id: RequestId) -> Self {
        Self { result: Err(error), index: None, leader: None, request_id }
    }
}

/// A request being handled.
pub(crate) type Answering = Pin<Box<dyn Future<Output = Reply> + Send>>;

/// Why an attempt has no result.
#[derive(Debug)]
pub(crate) enum Failure<E = Error> {
    /// The caller is told.
    Error(E),
    /// A right was removed meanwhile: authorise once more.
    Stale,
}

impl<E> From<E> for Failure<E> {
    fn from(error: E) -> Self {
        Self::Error(error)
    }
}

/// The attempts of one request, until it is not stale or its time is over.
pub(crate) struct Attempts {
    request: RequestId,
    made: usize,
    pub(crate) deadline: Instant,
}

impl Attempts {
    /// The first attempt.
    pub(crate) fn new(request: RequestId) -> Self {
        Self { request, made: 0, deadline: Instant::now() + DEADLINE }
    }

    /// Whether none was made before: a request is counted once.
    pub(crate) fn is_first(&self) -> bool {
        self.made == 0
    }

    /// Waits until the next attempt may be made; `false` if there is no time for one.
    pub(crate) async fn again(&mut self) -> bool {
        if Instant::now() >= self.deadline {
            return false;
        }
        tokio::time::sleep(pause(self.made, self.request)).await;
        self.made += 1;
        true
    }
}

/// Handles a request for the operation `O`.
pub(crate) fn handle<O: Operation>(handling: Handling) -> Answering {
    Box::pin(async move {
        let begun = Instant::now();
        let mut record = handling.request.record(handling.operation, handling.region.name());
        record.read_only(O::READ_ONLY);
        let mut attempts = Attempts::new(handling.request.request_id);
        let result = loop {
            match attempt::<O>(&handling, &mut record, &attempts).await {
                Ok(body) => break Ok(body),
                Err(Failure::Error(error)) => break Err(error),
                Err(Failure::Stale) if attempts.again().await => {}
                Err(Failure::Stale) => break Err(messages::internal()),
            }
        };
        let reply = conclude(&handling, record, result);
        if matches!(&reply.result, Err(error) if error.code() == ErrorCode::AccessDeniedException) {
            hide_time(begun).await;
        }
        reply
    })
}

/// Denials are given at multiples of this time after their requests.
const DENIAL_GRID: Duration = Duration::from_millis(2);

/// Waits until the time that a request took tells nothing. What is there takes longer to be denied
/// than what is not: its policy and its grants are asked as well.
pub(crate) async fn hide_time(begun: Instant) {
    let passed = begun.elapsed().as_micros() / DENIAL_GRID.as_micros();
    let steps = u32::try_from(passed).unwrap_or(u32::MAX).saturating_add(1);
    tokio::time::sleep_until((begun + DENIAL_GRID.saturating_mul(steps)).into()).await;
}

/// How long a request that was stale waits before its next attempt. Requests that change one key
/// make each other stale, and every attempt is a log entry: they go out of each other's way, each by
/// another part of a time that doubles up to 64 ms.
fn pause(attempts: usize, request: RequestId) -> Duration {
    let most = Duration::from_millis(1 << attempts.min(6));
    let bytes = request.bytes();
    most * u32::from(bytes[(attempts + 9) % bytes.len()]) / 256
}

/// Handles a request for an operation that AWS KMS has and this service does not.
pub(crate) fn handle_unbuilt(handling: Handling) -> Answering {
    Box::pin(async move {
        let mut record = handling.request.record(handling.operation, handling.region.name());
        let deadline = Instant::now() + DEADLINE;
        let throttle = &handling.region.throttle;
        let result = match admit(&handling, &mut record, deadline).await {
            Ok((_, caller)) => throttle
                .charge(caller.principal.account(), Class::Keys)
                .and(Err(messages::unsupported_operation(handling.operation))),
            Err(error) => Err(error),
        };
        let result = result.map(|body: Bytes| (body, 0));
        conclude(&handling, record, result)
    })
}

/// The View of a request and who makes it.
async fn admit(
    handling: &Handling,
    record: &mut Record,
    deadline: Instant,
) -> Result<(Arc<View>, Caller), Error> {
    let view = handling.region.barrier(deadline).await?;
    record.index(view.applied());
    let caller = authenticate::authenticate(&handling.request, &handling.region, &view, "kms")?;
    record.caller(&caller);
    Ok((view, caller))
}

async fn attempt<O: Operation>(
    handling: &Handling,
    record: &mut Record,
    attempts: &Attempts,
) -> Result<(Bytes, u64), Failure> {
    let _inside = handling.region.throttle.enter()?;
    let (view, caller) = admit(handling, record, attempts.deadline).await?;
    let input: O::Input = keystead_api::decode(handling.wire, &handling.request.body)?;
    record.parameters(O::record(&input));
    O::refuse_unsupported(&input)?;
    let throttle = &handling.region.throttle;
    if O::EMPTY_REPLY && is_done::<O>(handling, &caller.principal, &view)? {
        throttle.charge(caller.principal.account(), Class::of(O::NAME, iter::empty(), None))?;
        let index = view.applied();
        return Ok((body::<O>(handling.wire, &O::Output::default()), index));
    }

    let region = &*handling.region;
    let account = caller.principal.account();
    let now = time_of(&handling.request, &view);
    let via_service = caller.via().is_some();
    let resolver = Resolver { view: &view, region, account, via_service, now };
    let mut resources = Vec::new();
    for target in O::targets(&input)? {
        resources.push(resolver.resolve(target)?);
    }
    O::relate(&mut resources);
    if O::RECORDS_RESOURCES {
        note_resources(record, &resources, region);
    }
    if attempts.is_first() {
        let keys = resources.iter().filter_map(|resource| Some(resource.key()?.spec));
        throttle.charge(account, Class::of(O::NAME, keys, O::pair_spec(&input)))?;
    }
    let _admitted = throttle.admit(account)?;
    grant_token::check_all(region, O::grant_tokens(&input))?;
    let circumstances = Circumstances {
        view: &view,
        region: region.name(),
        principal: Some(&caller.principal),
        session: caller.session.as_ref(),
        sent: Sent::Request(&handling.request),
    };
    Authoriser::new(&caller.principal, circumstances).check(&mut resources, record)?;

    let mut call = Call {
        region,
        index: AtomicU64::new(view.applied()),
        view,
        caller,
        request: &handling.request,
        operation: O::NAME,
        resources,
    };
    make_unmade(&mut call, O::dry_run(&input), record).await?;
    let output = match again::<O>(&call, &input)? {
        Some(output) => output,
        None => perform::<O>(&call, &input).await?,
    };
    if let Some(text) = O::warning(&call) {
        record.warning(text);
    }
    record.response(O::record_response(&call, &output));
    if let Some(arn) = O::created(&call, &output) {
        record.resource(arn.account, KmsArn::Key(arn));
    }
    let index = call.index.load(Ordering::Relaxed);
    record.index(index);
    Ok((body::<O>(handling.wire, &output), index))
}

/// Makes the AWS-managed keys that the caller may use and that nobody asked for before.
async fn make_unmade(
    call: &mut Call<'_>,
    dry_run: bool,
    record: &mut Record,
) -> Result<(), Failure> {
    for at in 0..call.resources.len() {
        let Found::Unmade(unmade) = &call.resources[at].found else { continue };
        let key = match dry_run {
            true => unmade.key.clone(),
            false => managed_keys::make(call, unmade).await?,
        };
        let arn = call.key_arn(&key);
        record.resource(arn.account, KmsArn::Key(arn));
        call.resources[at].found = Found::Key(key);
    }
    Ok(())
}

/// The rest of the way of a request that is allowed.
async fn perform<O: Operation>(call: &Call<'_>, input: &O::Input) -> Result<O::Output, Failure> {
    O::check(call, input)?;
    await_relatives::<O>(call).await?;
    check_keys::<O>(call)?;
    O::suits(call, input)?;
    let dry_run = O::dry_run(input);
    if dry_run && !O::tried_by_dry_run(input) {
        return Err(messages::dry_run().into());
    }
    let output = O::execute(call, input).await?;
    if dry_run {
        return Err(messages::dry_run().into());
    }
    call.note_uses();
    Ok(output)
}

/// The output of the same request, if it was carried out before and is one that has to be asked: a
/// key that it scheduled for deletion cannot be scheduled once more.
fn again<O: Operation>(call: &Call<'_>, input: &O::Input) -> Result<Option<O::Output>, Error> {
    if O::READ_ONLY || O::EMPTY_REPLY || !call.request.may_be_repeated() {
        return Ok(None);
    }
    let first = call.view.first_result(&call.idempotency()?);
    Ok(first.and_then(|first| O::again(call, input, &first)))
}

/// What time it is for a request: what ends at some time has ended when either clock says so.
pub(crate) fn time_of(request: &WireRequest, view: &View) -> UnixMillis {
    request.time.max(view.clock())
}

/// Whether the same request was carried out before. What it did may stand in its own way now: the
/// grant that it ended is gone, the policy that it put denies its author. It is told of its success
/// all the same.
fn is_done<O: Operation>(
    handling: &Handling,
    principal: &Principal,
    view: &View,
) -> Result<bool, Error> {
    let request = &handling.request;
    Ok(request.may_be_repeated() && view.is_done(&request.idempotency(principal, O::NAME)?))
}

fn body<O: Operation>(wire: Wire, output: &O::Output) -> Bytes {
    let empty = O::EMPTY_REPLY && wire == Wire::AwsJson;
    if empty { Bytes::new() } else { keystead_api::encode(wire, output) }
}

/// What relatives of a multi-Region key have changed is to be known before the key is used: not while
/// this region may have been set back.
async fn await_relatives<O: Operation>(call: &Call<'_>) -> Result<(), Failure> {
    if O::STATES == StateRule::Any {
        return Ok(());
    }
    for key in call.keys().filter(|key| key.multi_region.is_some()) {
        if call.region.hear_peers(&call.view).await {
            return Err(Failure::Stale);
        }
        if call.view.is_behind(key) {
            return Err(messages::relatives_unknown(call.key_arn(key)).into());
        }
    }
    Ok(())
}

/// State first, usage second, for every key the operation uses.
fn check_keys<O: Operation>(call: &Call<'_>) -> Result<(), Error> {
    for key in call.keys() {
        let arn = call.key_arn(key);
        key_state::check(O::STATES, key.origin, key.state, &arn)?;
        if O::USAGE.is_some_and(|usage| usage != key.usage) {
            return Err(messages::usage_not_valid(&arn, key.usage.as_str(), O::NAME));
        }
    }
    Ok(())
}

fn note_resources(record: &mut Record, resources: &[Resource<'_>], region: &RegionServer) {
    record.clear_resources();
    for resource in resources {
        match (&resource.found, &resource.asked) {
            (Found::Key(key) | Found::Grant { key, .. }, _) => {
                let (region, account, id) = (region.name().clone(), key.account, key.id);
                record.resource(account, KmsArn::Key(KeyArn { region, account, id }));
            }
            (Found::Alias(_), Asked::Arn(KmsArn::Alias(arn))) => {
                record.resource(arn.account, KmsArn::Alias(arn.clone()));
            }
            _ => {}
        }
    }
}

/// Writes the audit line, without which there is no reply.
fn conclude(handling: &Handling, mut record: Record, result: Result<(Bytes, u64), Error>) -> Reply {
    if let Err(error) = &result {
        record.error(error);
    }
    let index = record.evaluated_at();
    let leader = handling.region.node().leader().map(|(_, member)| member.name);
    let mut result = result.map(|(body, _)| body);
    if let Err(error) = handling.audit.append(&record) {
        tracing::error!(%error, "the audit trail cannot be written; nothing is answered");
        result = Err(messages::internal());
    }
    let code = result.as_ref().err().map(|error| error.code().as_str());
    crate::metrics::request(handling.operation, code);
    Reply { result, index, leader, request_id: handling.request.request_id }
}
