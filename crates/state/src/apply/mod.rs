//! Applies one command to a View. One function per command, grouped by what it is about.

mod aliases;
mod cluster;
mod erasures;
mod forwarded;
mod grants;
mod iam;
mod imports;
mod keys;
mod managed_keys;
mod policies;
mod regions;
mod requests;
mod rotation;
mod tags;
mod uses;
mod versions;

use keystead_types::{KeyId, KeyManager, UnixMillis};
pub(crate) use requests::recall;
pub use versions::{
    CLUSTER_VERSION, FIRST_VERSION, FORWARDED_ONCE_VERSION, FORWARDING_VERSION, LATE_USES_VERSION,
    OIDC_VERSION, REGIONS_VERSION, ROLES_VERSION, SESSION_POLICIES_VERSION, least_version,
};

use crate::model::Key;
use crate::proto::command::Operation;
use crate::proto::outcome::Result as OutcomeResult;
use crate::proto::{self, Command, Outcome, Reason};
use crate::quotas::Quotas;
use crate::rows::RowChange;
use crate::transition::Transition;
use crate::view::View;

/// What applying a command gave.
#[derive(Debug)]
pub struct Applied {
    /// The answer for whoever proposed the command.
    pub outcome: Outcome,
    /// The rows that differ, in the order in which they were written.
    pub changes: Vec<RowChange>,
}

/// A command from a newer version. The node must stop: to skip it would be to diverge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a command of cluster version {version} is not understood by version {CLUSTER_VERSION}")]
pub struct UnknownCommand {
    version: u32,
}

/// Applies a command at a log index. What shares nothing with another View any more is changed in
/// place, so that of many commands in a row only the first one copies.
///
/// # Errors
/// Only [`UnknownCommand`], which leaves the View alone; what the state does not allow is an
/// [`Outcome`].
pub fn apply(view: &mut View, index: u64, command: &Command) -> Result<Applied, UnknownCommand> {
    let unknown = UnknownCommand { version: command.version };
    let operation = command.operation.as_ref().ok_or(unknown)?;
    if command.version > CLUSTER_VERSION {
        return Err(unknown);
    }
    let uninitialised = (!view.is_initialised()).then(|| view.at_index(index));
    let mut next = Transition::new(view, index);
    next.advance_clock(UnixMillis(command.time_ms));
    requests::forget_old(&mut next);
    let repeated = requests::request_id(command);
    if let Some(outcome) = repeated.and_then(|id| recall(next.view, &id)) {
        return Ok(Applied { outcome, changes: next.finish() });
    }
    let result = execute(&mut next, command, operation).unwrap_or_else(Refusal::into_result);
    let outcome = Outcome { result: Some(result) };
    if let Some(uninitialised) = uninitialised
        && !next.view.is_initialised()
    {
        // No row could hold the clock yet, so a refusal must leave no trace in memory either.
        *next.view = uninitialised;
        return Ok(Applied { outcome, changes: Vec::new() });
    }
    requests::remember(&mut next, command, &outcome);
    Ok(Applied { outcome, changes: next.finish() })
}

/// Why a command changes nothing.
enum Refusal {
    Stale,
    Rejected(Reason),
}

impl Refusal {
    fn into_result(self) -> OutcomeResult {
        match self {
            Self::Stale => OutcomeResult::Stale(proto::Stale {}),
            Self::Rejected(reason) => {
                OutcomeResult::Rejected(proto::Rejected { reason: reason.into() })
            }
        }
    }
}

impl From<Reason> for Refusal {
    fn from(reason: Reason) -> Self {
        Self::Rejected(reason)
    }
}

type Execution = Result<OutcomeResult, Refusal>;

fn execute(next: &mut Transition<'_>, command: &Command, operation: &Operation) -> Execution {
    if let Operation::Initialise(initialise) = operation {
        return cluster::initialise(next, command.version, initialise);
    }
    if !next.view.is_initialised() {
        return Err(Reason::NotInitialised.into());
    }
    iam::check_author(next, command)?;
    let (at, quotas) = (command.authorised_at, Quotas::of(command));
    match operation {
        Operation::Initialise(_) => Err(Reason::AlreadyInitialised.into()),
        Operation::CreateAuthority(op) => cluster::create_authority(next, op),
        Operation::CreateAccount(op) => cluster::create_account(next, op),
        Operation::CreateKey(op) => keys::create(next, command, quotas, op),
        Operation::CreateManagedKey(op) => managed_keys::create(next, op),
        Operation::EnableKey(op) => keys::enable(next, at, op),
        Operation::DisableKey(op) => keys::disable(next, at, op),
        Operation::UpdateKeyDescription(op) => keys::describe(next, at, op),
        Operation::ScheduleKeyDeletion(op) => keys::schedule_deletion(next, at, op),
        Operation::CancelKeyDeletion(op) => keys::cancel_deletion(next, at, op),
        Operation::DeleteDueKeys(op) => keys::delete_due(next, op),
        Operation::CreateAlias(op) => aliases::create(next, at, quotas, op),
        Operation::UpdateAlias(op) => aliases::update(next, at, quotas, op),
        Operation::DeleteAlias(op) => aliases::delete(next, at, op),
        Operation::TagKey(op) => tags::tag(next, at, quotas, op),
        Operation::UntagKey(op) => tags::untag(next, at, op),
        Operation::PutKeyPolicy(op) => policies::put(next, command, op),
        Operation::CreateGrant(op) => grants::create(next, at, quotas, op),
        Operation::RemoveGrant(op) => grants::remove(next, at, op),
        Operation::EnableKeyRotation(op) => rotation::enable(next, at, op),
        Operation::DisableKeyRotation(op) => rotation::disable(next, at, op),
        Operation::RotateKey(op) => rotation::rotate(next, at, op),
        Operation::RotateDueKeys(op) => rotation::rotate_due(next, op),
        Operation::RecordKeyUses(op) => uses::record(next, op),
        Operation::RecordErased(op) => erasures::record(next, op),
        Operation::RecordForwarded(op) => forwarded::record(next, op),
        Operation::RaiseVersion(op) => cluster::raise_version(next, command.version, op),
        Operation::ImportMaterial(op) => imports::import(next, at, op),
        Operation::DeleteMaterial(op) => imports::delete(next, at, op),
        Operation::ExpireMaterials(op) => imports::expire(next, op),
        Operation::CreateRegionIdentity(op) => regions::create_identity(next, op),
        Operation::AddRegionPeer(op) => regions::add_peer(next, op),
        Operation::RemoveRegionPeer(op) => regions::remove_peer(next, op),
        Operation::ReplicateKey(op) => regions::replicate(next, command, op),
        Operation::ReceiveMessages(op) => regions::receive(next, command, op),
        Operation::ConfirmMessages(op) => regions::confirm(next, op),
        Operation::Resynchronise(op) => regions::resynchronise(next, op),
        Operation::UpdatePrimaryRegion(op) => regions::update_primary(next, at, op),
        Operation::Tick(_) => Ok(done()),
        Operation::CreateUser(op) => iam::users::create(next, at, op),
        Operation::CreateGroup(op) => iam::groups::create(next, op),
        Operation::CreateManagedPolicy(op) => iam::managed_policies::create(next, op),
        Operation::UpdateEntity(op) => iam::update(next, at, op),
        Operation::DeleteEntity(op) => iam::delete(next, at, op),
        Operation::TagEntity(op) => iam::tags::tag(next, at, op),
        Operation::UntagEntity(op) => iam::tags::untag(next, at, op),
        Operation::PutInlinePolicy(op) => iam::inline::put(next, at, op),
        Operation::DeleteInlinePolicy(op) => iam::inline::delete(next, at, op),
        Operation::AttachPolicy(op) => iam::attachments::attach(next, at, op),
        Operation::DetachPolicy(op) => iam::attachments::detach(next, at, op),
        Operation::PutPermissionsBoundary(op) => iam::boundaries::put(next, at, op),
        Operation::DeletePermissionsBoundary(op) => iam::boundaries::delete(next, at, op),
        Operation::AddUserToGroup(op) => iam::groups::add_user(next, at, op),
        Operation::RemoveUserFromGroup(op) => iam::groups::remove_user(next, at, op),
        Operation::CreatePolicyVersion(op) => iam::versions::create(next, at, op),
        Operation::DeletePolicyVersion(op) => iam::versions::delete(next, at, op),
        Operation::SetDefaultPolicyVersion(op) => iam::versions::set_default(next, at, op),
        Operation::CreateAccessKey(op) => iam::access_keys::create(next, at, op),
        Operation::UpdateAccessKey(op) => iam::access_keys::update(next, at, op),
        Operation::DeleteAccessKey(op) => iam::access_keys::delete(next, at, op),
        Operation::SetAccountSuspended(op) => iam::accounts::set_suspended(next, op),
        Operation::CreateRole(op) => iam::roles::create(next, at, op),
        Operation::UpdateRole(op) => iam::roles::update(next, at, op),
        Operation::UpdateAssumeRolePolicy(op) => iam::roles::put_trust_policy(next, at, op),
        Operation::RevokeSessions(op) => iam::sessions::revoke(next, at, op),
        Operation::PutRoleBoundary(op) => iam::boundaries::put_of_role(next, at, op),
        Operation::DeleteRoleBoundary(op) => iam::boundaries::delete_of_role(next, at, op),
        Operation::CreateOidcProvider(op) => iam::oidc_providers::create(next, op),
        Operation::AddClientId(op) => iam::oidc_providers::add_client_id(next, at, op),
        Operation::RemoveClientId(op) => iam::oidc_providers::remove_client_id(next, at, op),
        Operation::PutThumbprints(op) => iam::oidc_providers::put_thumbprints(next, at, op),
    }
}

/// The key a command names, unless it lost a right since the request was authorised.
fn fresh_key(
    next: &Transition<'_>,
    authorised_at: u64,
    key: Option<&proto::KeyRef>,
) -> Result<Key, Refusal> {
    let key = next.key(&key_id(key)?).ok_or(Reason::KeyNotFound)?;
    if key.rights_removed_at > authorised_at {
        return Err(Refusal::Stale);
    }
    Ok(Key::clone(&key))
}

/// The same, if its account may change it. Whatever AWS-managed keys have was decided when they
/// were made, and by their policy nobody gets here.
fn fresh_customer_key(
    next: &Transition<'_>,
    authorised_at: u64,
    key: Option<&proto::KeyRef>,
) -> Result<Key, Refusal> {
    let key = fresh_key(next, authorised_at, key)?;
    match key.manager {
        KeyManager::Customer => Ok(key),
        KeyManager::Aws => Err(Reason::KeyAwsManaged.into()),
    }
}

fn key_id(key: Option<&proto::KeyRef>) -> Result<KeyId, Reason> {
    let key = key.ok_or(Reason::Malformed)?;
    let bytes = key.id.as_slice().try_into().map_err(|_| Reason::Malformed)?;
    Ok(KeyId::new(bytes, key.multi_region))
}

fn done() -> OutcomeResult {
    OutcomeResult::Done(proto::Done {})
}
