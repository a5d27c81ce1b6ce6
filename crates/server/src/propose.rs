//! From an operation to the log: commands, and what their rejections mean to a caller.

use keystead_api::{Error, ErrorCode, messages};
use keystead_state::proto::{self, command, outcome};
use keystead_state::{
    Command, FORWARDING_VERSION, Key, OIDC_VERSION, Quotas, ROLES_VERSION,
    SESSION_POLICIES_VERSION, View, least_version,
};
use keystead_types::{AliasArn, KeyId, KeyState, Origin};

use crate::authenticate::Caller;
use crate::pipeline::{Call, Failure};

/// What a call may propose.
pub(crate) struct Operation(command::Operation);

/// Who proposes, and the View that allows it.
pub(crate) struct Author<'a> {
    pub(crate) caller: &'a Caller,
    pub(crate) view: &'a View,
}

impl Operation {
    /// Its command on behalf of an operator, who needs no policy. What changed after the log index
    /// `authorised_at` makes it stale.
    pub(crate) fn by_operator(
        self,
        operator: String,
        request_id: [u8; 32],
        authorised_at: u64,
    ) -> Command {
        Command {
            request_id: request_id.to_vec(),
            principal: operator,
            authorised_at,
            version: least_version(&self.0),
            operation: Some(self.0),
            ..Command::default()
        }
    }
}

impl Author<'_> {
    /// The command of an operation. An empty request id is of one that must not come twice.
    pub(crate) fn command(
        &self,
        request_id: impl Into<Vec<u8>>,
        operation: impl Into<Operation>,
    ) -> Command {
        let operation = operation.into();
        let Caller { principal, session, .. } = self.caller;
        let via = self.caller.via();
        let least = least_version(&operation.0);
        let provider = session.as_ref().and_then(|session| session.provider.as_ref());
        let session_policy_ids = self.session_policy_ids();
        Command {
            request_id: request_id.into(),
            time_ms: 0,
            principal: principal.author_arn(),
            user_id: principal.user_id().unwrap_or_default().to_owned(),
            access_key_id: self.caller.stored_key().map(ToString::to_string).unwrap_or_default(),
            authorised_at: self.view.applied(),
            // What is older does not know when sessions end, nor when services and providers do.
            version: match session {
                None => least,
                Some(_) if !session_policy_ids.is_empty() => least.max(SESSION_POLICIES_VERSION),
                Some(_) if via.is_some() => least.max(FORWARDING_VERSION),
                Some(_) if provider.is_some() => least.max(OIDC_VERSION),
                Some(_) => least.max(ROLES_VERSION),
            },
            quotas: None,
            role_id: principal.role_id().unwrap_or_default().to_owned(),
            via_access_key_id: via.map(|via| via.issuer.id.to_string()).unwrap_or_default(),
            session_issued_ms: session.as_ref().map_or(0, |session| session.ordered.0),
            provider_id: provider.map(|provider| provider.id.to_string()).unwrap_or_default(),
            session_policy_ids,
            operation: Some(operation.0),
        }
    }

    /// The managed policies that narrow the session. A member of an older version would not look at
    /// them, and its state would become another one.
    fn session_policy_ids(&self) -> Vec<String> {
        let known = self.view.cluster_version() >= SESSION_POLICIES_VERSION;
        let session = self.caller.session.as_ref().filter(|_| known);
        let managed = session.into_iter().flat_map(|session| &session.managed);
        managed.map(ToString::to_string).collect()
    }
}

/// Proposes a mutation on behalf of a call and waits until it is applied.
///
/// # Errors
/// [`Failure::Stale`] when the call has to be authorised once more; else the state's refusal.
pub(crate) async fn result(
    call: &Call<'_>,
    operation: impl Into<Operation>,
) -> Result<outcome::Result, Failure> {
    match attempt(call, operation).await? {
        outcome::Result::Rejected(rejected) => Err(rejection(call, rejected.reason()).into()),
        result => Ok(result),
    }
}

/// The same, where the operation has its own words for a rejection.
pub(crate) async fn attempt(
    call: &Call<'_>,
    operation: impl Into<Operation>,
) -> Result<outcome::Result, Failure> {
    let author = Author { caller: &call.caller, view: &call.view };
    let mut command = author.command(call.idempotency()?, operation);
    // A member of an older version could not apply them.
    if call.view.cluster_version() >= Quotas::VERSION {
        call.region.quotas.resources.put_into(&mut command);
    }
    let applied = call.region.propose(command).await?;
    call.note_index(applied.index);
    match applied.outcome.result {
        Some(outcome::Result::Stale(_)) => Err(Failure::Stale),
        Some(result) => Ok(result),
        None => Err(messages::internal().into()),
    }
}

/// The same, for commands that have nothing to tell.
pub(crate) async fn done(call: &Call<'_>, operation: impl Into<Operation>) -> Result<(), Failure> {
    result(call, operation).await.map(|_| ())
}

/// A key as a command names it.
pub(crate) fn key_ref(key: &Key) -> Option<proto::KeyRef> {
    id_ref(key.id)
}

/// A key id as a command names it.
pub(crate) fn id_ref(id: KeyId) -> Option<proto::KeyRef> {
    Some(proto::KeyRef { id: id.bytes().to_vec(), multi_region: id.multi_region() })
}

/// The key id that an outcome names.
pub(crate) fn ref_id(key: Option<&proto::KeyRef>) -> Option<KeyId> {
    let key = key?;
    Some(KeyId::new(key.id.as_slice().try_into().ok()?, key.multi_region))
}

/// The error that a caller gets when the state says no.
pub(crate) fn rejection(call: &Call<'_>, reason: proto::Reason) -> Error {
    use proto::Reason;
    let key = || call.last_key().map(|key| call.key_arn(key));
    let about_key = |error: fn(&keystead_types::KeyArn) -> Error| {
        key().map_or_else(messages::internal, |arn| error(&arn))
    };
    let quotas = call.region.quotas.resources;
    let about_alias = |error: fn(&AliasArn) -> Error| {
        call.alias_arn().map_or_else(messages::internal, |arn| error(&arn))
    };
    match reason {
        Reason::KeyNotFound => about_key(|arn| messages::key_not_found(arn)),
        Reason::KeyPendingDeletion => about_key(match call.last_key().map(|key| key.state) {
            Some(KeyState::PendingReplicaDeletion) => |arn| messages::pending_replica_deletion(arn),
            _ => |arn| messages::pending_deletion(arn),
        }),
        Reason::KeyNotPendingDeletion => about_key(|arn| messages::not_pending_deletion(arn)),
        Reason::KeyPendingImport => about_key(|arn| messages::pending_import(arn)),
        Reason::AliasExists => about_alias(|arn| messages::alias_exists(arn)),
        Reason::AliasNotFound => about_alias(|arn| messages::alias_not_found(arn)),
        Reason::AliasLimit => limit_exceeded("A key", quotas.aliases_per_key, "aliases"),
        Reason::AliasTargetMismatch => {
            let text = "The current and new KMS keys must be the same type (both symmetric, both \
                        asymmetric or both HMAC) and have the same key usage.";
            Error::new(ErrorCode::ValidationException, text)
        }
        Reason::PolicyMalformed => messages::malformed_policy("it is no key policy"),
        Reason::PolicyPrincipal => messages::policy_principal(),
        Reason::PolicyLockout => messages::policy_lockout(),
        Reason::GrantLimit => limit_exceeded("A key", quotas.grants_per_key, "grants"),
        Reason::GrantNotFound => call
            .grant(0)
            .map_or_else(|error| error, |(grant, _)| messages::grant_not_found(grant.id)),
        Reason::GrantPrincipal => {
            let text = "A principal that the grant names does not exist.";
            Error::new(ErrorCode::InvalidArnException, text)
        }
        Reason::KeyLimit => limit_exceeded("An account", quotas.keys_per_account, "keys"),
        Reason::TagLimit => messages::tags_too_many(),
        Reason::KeyDisabled => about_key(|arn| messages::disabled(arn)),
        Reason::RotationLimit => about_key(|arn| messages::rotation_limit(arn)),
        Reason::RotationNear => about_key(|arn| messages::rotation_near(arn)),
        Reason::NoPendingMaterial => about_key(|arn| messages::no_pending_material(arn)),
        Reason::MaterialMismatch => messages::incorrect_key_material(),
        Reason::MaterialExpired => messages::valid_to_not_taken(),
        Reason::ImportTokenExpired => Error::bare(ErrorCode::ExpiredImportTokenException),
        Reason::KeyNotImported => {
            about_key(|arn| messages::origin_not_valid(arn, Origin::AwsKms))
        }
        Reason::KeyAwsManaged => key().map_or_else(messages::internal, |arn| {
            messages::access_denied(&call.caller.principal, &call.action(), arn)
        }),
        Reason::AliasReserved => messages::alias_reserved(),
        Reason::KeyNotPrimary => about_key(|arn| messages::not_primary(arn)),
        Reason::ReplicaExists => about_key(|arn| messages::replica_exists(arn)),
        Reason::ReplicaNotFound => about_key(|arn| messages::replica_not_found(arn)),
        Reason::RegionPeerNotFound => messages::region_not_connected(),
        Reason::KeyCreating => about_key(|arn| messages::creating(arn)),
        Reason::KeyUpdating => about_key(|arn| messages::updating(arn)),
        Reason::MaterialSpreading => about_key(|arn| messages::material_spreading(arn)),
        Reason::Unspecified
        | Reason::AlreadyInitialised
        | Reason::NotInitialised
        | Reason::AccountExists
        | Reason::ServiceExists
        | Reason::AccountNotFound
        | Reason::AccessKeyExists
        | Reason::KeyExists
        | Reason::AuthorityExists
        // The operations that meet these say more.
        | Reason::MaterialPendingRotation
        | Reason::MaterialNotFound
        | Reason::Malformed => messages::internal(),
        // No operation of KMS meets these.
        Reason::RegionIdentityExists
        | Reason::RegionPeerExists
        | Reason::MessagesMissing
        | Reason::PrimaryMoving
        | Reason::RoleExists
        | Reason::RoleNotFound
        | Reason::RoleLimit
        | Reason::UserExists
        | Reason::UserNotFound
        | Reason::UserLimit
        | Reason::UserHasAccessKeys
        | Reason::UserInGroups
        | Reason::GroupExists
        | Reason::GroupNotFound
        | Reason::GroupLimit
        | Reason::GroupHasMembers
        | Reason::GroupsPerUserLimit
        | Reason::ManagedPolicyExists
        | Reason::ManagedPolicyNotFound
        | Reason::ManagedPolicyLimit
        | Reason::ManagedPolicyInUse
        | Reason::ManagedPolicyHasVersions
        | Reason::PolicyVersionNotFound
        | Reason::PolicyVersionLimit
        | Reason::PolicyVersionIsDefault
        | Reason::HasInlinePolicies
        | Reason::HasAttachedPolicies
        | Reason::InlinePolicyNotFound
        | Reason::InlinePoliciesTooLong
        | Reason::PolicyNotAttached
        | Reason::AttachmentLimit
        | Reason::EntityTagLimit
        | Reason::DuplicateTagKeys
        | Reason::AccessKeyNotFound
        | Reason::AccessKeyLimit
        | Reason::OidcProviderExists
        | Reason::OidcProviderNotFound
        | Reason::AlreadyForwarded
        | Reason::ForwardedLimit
        | Reason::OidcProviderLimit
        | Reason::ClientIdLimit
        | Reason::UniqueIdExists => messages::internal(),
    }
}

fn limit_exceeded(who: &str, quota: usize, what: &str) -> Error {
    let text = format!("{who} cannot have more than {quota} {what}.");
    Error::new(ErrorCode::LimitExceededException, text)
}

/// A command's operation, from each of the messages that can be one.
macro_rules! operations {
    ($($name:ident),+ $(,)?) => {
        $(impl From<proto::$name> for Operation {
            fn from(message: proto::$name) -> Self {
                Self(command::Operation::$name(message))
            }
        })+
    };
}

operations!(
    CreateAccount,
    CreateKey,
    CreateManagedKey,
    EnableKey,
    DisableKey,
    UpdateKeyDescription,
    ScheduleKeyDeletion,
    CancelKeyDeletion,
    CreateAlias,
    UpdateAlias,
    UpdatePrimaryRegion,
    DeleteAlias,
    TagKey,
    UntagKey,
    PutKeyPolicy,
    CreateGrant,
    RemoveGrant,
    EnableKeyRotation,
    DisableKeyRotation,
    ReplicateKey,
    RotateKey,
    ImportMaterial,
    DeleteMaterial,
    RecordForwarded,
    CreateUser,
    CreateGroup,
    CreateManagedPolicy,
    UpdateEntity,
    DeleteEntity,
    TagEntity,
    UntagEntity,
    PutInlinePolicy,
    DeleteInlinePolicy,
    AttachPolicy,
    DetachPolicy,
    PutPermissionsBoundary,
    DeletePermissionsBoundary,
    AddUserToGroup,
    RemoveUserFromGroup,
    CreatePolicyVersion,
    DeletePolicyVersion,
    SetDefaultPolicyVersion,
    CreateAccessKey,
    UpdateAccessKey,
    DeleteAccessKey,
    CreateRole,
    UpdateRole,
    UpdateAssumeRolePolicy,
    PutRoleBoundary,
    DeleteRoleBoundary,
    CreateOidcProvider,
    AddClientId,
    RemoveClientId,
    PutThumbprints,
);
