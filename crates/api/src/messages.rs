//! The texts that several operations answer with, each defined once. They are AWS's where these
//! are known, since clients and tools compare them.

use std::fmt::Display;

use crate::{Error, ErrorCode};

/// A key that is switched off.
pub fn disabled(arn: impl Display) -> Error {
    Error::new(ErrorCode::DisabledException, format!("{arn} is disabled."))
}

/// A key that is to be deleted.
pub fn pending_deletion(arn: impl Display) -> Error {
    invalid_state(arn, "is pending deletion.")
}

/// A primary key that is to be deleted after its replicas.
pub fn pending_replica_deletion(arn: impl Display) -> Error {
    invalid_state(arn, "is pending replica deletion.")
}

/// A key whose deletion cannot be called off, as none is scheduled.
pub fn not_pending_deletion(arn: impl Display) -> Error {
    invalid_state(arn, "is not pending deletion.")
}

/// A key that waits for its material.
pub fn pending_import(arn: impl Display) -> Error {
    invalid_state(arn, "is pending import.")
}

/// Material that cannot become a key's: another one waits already.
pub fn material_pending_rotation(
    new: impl Display,
    key: impl Display,
    pending: impl Display,
) -> Error {
    let text = format!(
        "New key material (id: {new}) cannot be imported into KMS key {key}, because another key \
         material (id: {pending}) is pending rotation."
    );
    Error::new(ErrorCode::KMSInvalidStateException, text)
}

/// Material that is not what it has to be: of another form than the spec's, not the one that the
/// key had, or one that is not new to it.
pub fn incorrect_key_material() -> Error {
    Error::bare(ErrorCode::IncorrectKeyMaterialException)
}

/// Material that a key does not have and never had.
pub fn material_not_found(id: impl Display, arn: impl Display) -> Error {
    let text = format!("Key material '{id}' does not exist in key '{arn}'");
    Error::new(ErrorCode::NotFoundException, text)
}

/// Imported material that expires, without a date.
pub fn valid_to_required() -> Error {
    let text = "A validTo date must be set if the ExpirationModel is KEY_MATERIAL_EXPIRES";
    Error::new(ErrorCode::ValidationException, text)
}

/// A date at which imported material cannot expire.
pub fn valid_to_not_taken() -> Error {
    let text = "The validTo date must be in the future and at most 365 days ahead.";
    Error::new(ErrorCode::ValidationException, text)
}

/// A member that only symmetric encryption keys take.
pub fn member_for_symmetric(member: &str, arn: impl Display) -> Error {
    let text = format!("{member} is not valid for {arn}, which is no symmetric encryption key.");
    Error::new(ErrorCode::ValidationException, text)
}

/// An algorithm that no material, or not that of this key, is wrapped with.
pub fn wrapping_not_supported(
    algorithm: impl Display,
    key: impl Display,
    spec: impl Display,
) -> Error {
    let text = format!(
        "The wrapping algorithm {algorithm} with the wrapping key spec {key} is not supported for \
         key material of spec {spec}."
    );
    Error::new(ErrorCode::UnsupportedOperationException, text)
}

/// A key spec whose material cannot be made elsewhere.
pub fn not_importable(spec: impl Display) -> Error {
    let text = format!("Key material of spec {spec} cannot be imported.");
    Error::new(ErrorCode::UnsupportedOperationException, text)
}

/// A key whose key store is not connected.
pub fn unavailable(arn: impl Display) -> Error {
    invalid_state(arn, "is unavailable.")
}

/// A replica that is being made.
pub fn creating(arn: impl Display) -> Error {
    invalid_state(arn, "is creating.")
}

/// A key that is becoming primary or replica.
pub fn updating(arn: impl Display) -> Error {
    invalid_state(arn, "is updating.")
}

/// The key is no primary of a multi-Region key.
pub fn not_primary(arn: impl Display) -> Error {
    let text = format!("{arn} is not a multi-region primary key.");
    Error::new(ErrorCode::UnsupportedOperationException, text)
}

/// The Region has a replica of the key already, or is the key's own.
pub fn replica_exists(arn: impl Display) -> Error {
    let text = format!("{arn} already has a related key in that Region.");
    Error::new(ErrorCode::AlreadyExistsException, text)
}

/// The key has no replica in the Region that is named.
pub fn replica_not_found(arn: impl Display) -> Error {
    Error::new(ErrorCode::NotFoundException, format!("{arn} has no replica in that Region."))
}

/// The Region that is named is not connected with this one.
pub fn region_not_connected() -> Error {
    let text = "The Region is not connected with this one.";
    Error::new(ErrorCode::ValidationException, text)
}

/// The Region that is named does not take a replica of the key.
pub fn replica_refused(region: impl Display) -> Error {
    let text = format!(
        "{region} does not take the replica. The account and the principals that the key policy \
         names have to exist there, and the account's quota of keys has to allow for it."
    );
    Error::new(ErrorCode::ValidationException, text)
}

/// The key was rotated, and not all replicas have the new material yet.
pub fn material_spreading(arn: impl Display) -> Error {
    let text = format!("{arn} was rotated, and not all of its replicas have the new material yet.");
    Error::new(ErrorCode::KMSInvalidStateException, text)
}

/// What relatives of the key have changed may not be known here yet.
pub fn relatives_unknown(arn: impl Display) -> Error {
    let text = format!("{arn} waits for word of its related keys in other Regions.");
    Error::new(ErrorCode::KMSInternalException, text)
}

/// A key that does not exist.
pub fn key_not_found(arn: impl Display) -> Error {
    Error::new(ErrorCode::NotFoundException, format!("Key '{arn}' does not exist"))
}

/// A text that names no key in any form.
pub fn invalid_key_id(id: impl Display) -> Error {
    Error::new(ErrorCode::NotFoundException, format!("Invalid keyId '{id}'"))
}

/// The ARN of another region.
pub fn other_region(region: impl Display) -> Error {
    Error::new(ErrorCode::NotFoundException, format!("Invalid arn {region}"))
}

/// A text that looks like an ARN and is none.
pub fn invalid_arn(arn: impl Display) -> Error {
    Error::new(ErrorCode::InvalidArnException, format!("Invalid arn '{arn}'"))
}

/// An alias that does not exist.
pub fn alias_not_found(arn: impl Display) -> Error {
    Error::new(ErrorCode::NotFoundException, format!("Alias {arn} is not found."))
}

/// An alias that exists.
pub fn alias_exists(arn: impl Display) -> Error {
    let text = format!("An alias with the name {arn} already exists");
    Error::new(ErrorCode::AlreadyExistsException, text)
}

/// The name of an alias without its prefix.
pub fn alias_prefix() -> Error {
    let text = "Alias must start with the prefix \"alias/\". Please see \
                https://docs.aws.amazon.com/kms/latest/developerguide/kms-alias.html";
    Error::new(ErrorCode::ValidationException, text)
}

/// A name that no alias can have.
pub fn invalid_alias_name(name: impl Display) -> Error {
    Error::new(ErrorCode::InvalidAliasNameException, format!("Invalid alias name '{name}'"))
}

/// A name that only AWS's own aliases have.
pub fn alias_reserved() -> Error {
    let text = "The prefix \"alias/aws/\" is reserved.";
    Error::new(ErrorCode::NotAuthorizedException, text)
}

/// A key that is for something else, such as `key usage is SIGN_VERIFY` for `Encrypt`.
pub fn usage_not_valid(arn: impl Display, usage: impl Display, operation: &str) -> Error {
    let text = format!("{arn} key usage is {usage} which is not valid for {operation}.");
    Error::new(ErrorCode::InvalidKeyUsageException, text)
}

/// A key of a spec that an operation is not for.
pub fn spec_not_valid(arn: impl Display, spec: impl Display, operation: &str) -> Error {
    let text = format!("{arn} key spec is {spec} which is not valid for {operation}.");
    Error::new(ErrorCode::UnsupportedOperationException, text)
}

/// A key that was rotated on demand as often as a key can be.
pub fn rotation_limit(arn: impl Display) -> Error {
    let text = format!(
        "The on-demand rotations limit has been reached for the given keyId. No more on-demand \
         rotations can be performed for this key: {arn}"
    );
    Error::new(ErrorCode::LimitExceededException, text)
}

/// A key whose automatic rotation is about to take place.
pub fn rotation_near(arn: impl Display) -> Error {
    let text = format!("{arn} is about to be rotated automatically.");
    Error::new(ErrorCode::ConflictException, text)
}

/// A key of imported material, no other of which waits.
pub fn no_pending_material(arn: impl Display) -> Error {
    let text = format!("No available key material pending rotation for the key: {arn}.");
    Error::new(ErrorCode::KMSInvalidStateException, text)
}

/// A usage that keys of a spec cannot have.
pub fn usage_incompatible(usage: impl Display, spec: impl Display) -> Error {
    let text = format!("KeyUsage {usage} is not compatible with KeySpec {spec}");
    Error::new(ErrorCode::ValidationException, text)
}

/// A key that is not symmetric, made without saying what for.
pub fn usage_required() -> Error {
    let text = "You must specify a KeyUsage value for all KMS keys except for symmetric \
                encryption keys.";
    Error::new(ErrorCode::ValidationException, text)
}

/// An algorithm that keys of a spec do not have.
pub fn algorithm_incompatible(algorithm: impl Display, spec: impl Display) -> Error {
    let text = format!("Algorithm {algorithm} is incompatible with key spec {spec}.");
    Error::new(ErrorCode::InvalidKeyUsageException, text)
}

/// Not the whole message, nor what of it the algorithm takes.
pub fn message_type_not_taken(algorithm: impl Display, message_type: impl Display) -> Error {
    let text = format!("Algorithm {algorithm} does not take messages of type {message_type}.");
    Error::new(ErrorCode::ValidationException, text)
}

/// A digest of another length than the algorithm's.
pub fn digest_length(algorithm: impl Display) -> Error {
    let text = format!("Digest is invalid length for algorithm {algorithm}.");
    Error::new(ErrorCode::ValidationException, text)
}

/// More than an algorithm encrypts at once; `max` is in bytes.
pub fn plaintext_too_long(algorithm: impl Display, spec: impl Display, max: usize) -> Error {
    let text = format!(
        "Algorithm {algorithm} and key spec {spec} cannot encrypt data larger than {max} bytes."
    );
    Error::new(ErrorCode::ValidationException, text)
}

/// An encryption context with an algorithm that has no place for it.
pub fn context_not_taken(algorithm: impl Display) -> Error {
    let text = format!("Algorithm {algorithm} does not take an encryption context.");
    Error::new(ErrorCode::ValidationException, text)
}

/// A key spec that AWS has and this service has not.
pub fn unsupported_spec(spec: impl Display) -> Error {
    let text = format!("The key spec {spec} is not supported.");
    Error::new(ErrorCode::UnsupportedOperationException, text)
}

/// A key whose material comes from elsewhere than the operation needs.
pub fn origin_not_valid(arn: impl Display, origin: impl Display) -> Error {
    let text = format!("{arn} origin is {origin} which is not valid for this operation.");
    Error::new(ErrorCode::UnsupportedOperationException, text)
}

/// A ciphertext that another key made than the one named.
pub fn incorrect_key() -> Error {
    let text = "The key ID in the request does not identify a CMK that can perform this operation.";
    Error::new(ErrorCode::IncorrectKeyException, text)
}

/// A grant that does not exist.
pub fn grant_not_found(id: impl Display) -> Error {
    Error::new(ErrorCode::InvalidGrantIdException, format!("Grant ID {id} not found"))
}

/// A token that this service did not give.
pub fn invalid_grant_token() -> Error {
    Error::new(ErrorCode::InvalidGrantTokenException, "The grant token is not valid.")
}

/// A policy document that is none, and why.
pub fn malformed_policy(reason: impl Display) -> Error {
    let text = format!("Policy document is malformed: {reason}");
    Error::new(ErrorCode::MalformedPolicyDocumentException, text)
}

/// A policy that names somebody who does not exist.
pub fn policy_principal() -> Error {
    let text = "Policy contains a statement with one or more invalid principals.";
    Error::new(ErrorCode::MalformedPolicyDocumentException, text)
}

/// A policy that is larger than it may be; `max` is in bytes.
pub fn policy_too_large(max: usize) -> Error {
    let text = format!("The policy is larger than {max} bytes.");
    Error::new(ErrorCode::LimitExceededException, text)
}

/// A dry run that would have succeeded.
pub fn dry_run() -> Error {
    let text = "The request would have succeeded, but the DryRun option is set.";
    Error::new(ErrorCode::DryRunOperationException, text)
}

/// A tag key that occurs twice in a request.
pub fn tags_duplicate() -> Error {
    Error::new(ErrorCode::TagException, "Duplicate tag keys")
}

/// More tags than a key may have.
pub fn tags_too_many() -> Error {
    Error::new(ErrorCode::TagException, "Too many tags")
}

/// A tag with a character that tags cannot have.
pub fn tags_characters() -> Error {
    let text = "Tag keys and values can have letters, numbers, spaces and + - = . _ : / @ only";
    Error::new(ErrorCode::TagException, text)
}

/// A tag key with AWS's prefix.
pub fn tags_reserved() -> Error {
    Error::new(ErrorCode::TagException, "Tags beginning with aws: are reserved")
}

/// A new policy that its writer could not change again.
pub fn policy_lockout() -> Error {
    let text = "The new key policy will not allow you to update the key policy in the future.";
    Error::new(ErrorCode::MalformedPolicyDocumentException, text)
}

/// A member that the request must have though its shape does not say so.
pub fn required_member(path: &str) -> Error {
    let text = format!(
        "1 validation error detected: Value null at '{path}' failed to satisfy constraint: \
         Member must not be null"
    );
    Error::new(ErrorCode::ValidationException, text)
}

/// A member of the API that this service refuses.
pub fn unsupported_member(name: &str) -> Error {
    let text = format!("The member {name} is not supported.");
    Error::new(ErrorCode::UnsupportedOperationException, text)
}

/// A change that a member of the cluster would not understand.
pub fn members_too_old() -> Error {
    let text = "Some nodes of this region run an older version, which does not know this change. \
                Upgrade them first.";
    Error::new(ErrorCode::UnsupportedOperationException, text)
}

/// An operation of the API that this service refuses.
pub fn unsupported_operation(operation: &str) -> Error {
    let text = format!("The operation {operation} is not supported.");
    Error::new(ErrorCode::UnsupportedOperationException, text)
}

/// An operation that the API does not have.
pub fn unknown_operation() -> Error {
    Error::bare(ErrorCode::UnknownOperationException)
}

/// A marker that this service did not give, or not for this request.
pub fn invalid_marker() -> Error {
    Error::new(ErrorCode::InvalidMarkerException, "The marker is not valid for this request.")
}

/// A request beyond the caller's rate.
pub fn throttled() -> Error {
    let text = "You have exceeded the rate at which you may call KMS. Reduce the frequency of \
                your calls.";
    Error::new(ErrorCode::ThrottlingException, text)
}

/// A failure that is none of the caller's doing.
pub fn internal() -> Error {
    let text = "An internal error occurred. The request may be retried.";
    Error::new(ErrorCode::KMSInternalException, text)
}

/// A denial that tells nothing: the text is the same whether or not the resource exists.
///
/// `action` has its prefix, such as `kms:Encrypt`; `resource` is as the caller wrote it, expanded
/// to an ARN in the caller's account.
pub fn access_denied(principal: impl Display, action: &str, resource: impl Display) -> Error {
    denied(
        principal,
        action,
        format_args!(
            "on resource: {resource} because no identity-based policy allows the {action} action"
        ),
    )
}

/// A denial to take on a role, whether or not it exists.
pub fn access_denied_role(principal: impl Display, action: &str, role: impl Display) -> Error {
    denied(principal, action, format_args!("on resource: {role}"))
}

/// A denial by one of the caller's own policies, such as `an identity-based policy`.
pub fn access_denied_explicitly(
    principal: impl Display,
    action: &str,
    resource: impl Display,
    policy: &str,
) -> Error {
    denied(
        principal,
        action,
        format_args!("on resource: {resource} with an explicit deny in {policy}"),
    )
}

/// A denial on the resource of another account, whether or not it exists.
pub fn access_denied_foreign(principal: impl Display, action: &str) -> Error {
    denied(principal, action, format_args!("on this resource {UNSEEN}"))
}

/// A denial on the key that a ciphertext names, whether or not it exists.
pub fn access_denied_ciphertext(principal: impl Display, action: &str) -> Error {
    denied(
        principal,
        action,
        format_args!("on the resource associated with this ciphertext {UNSEEN}"),
    )
}

/// Why a resource may be out of sight.
const UNSEEN: &str = "because the resource does not exist in this Region, no resource-based \
                      policies allow access, or a resource-based policy explicitly denies access";

fn denied(principal: impl Display, action: &str, rest: impl Display) -> Error {
    let text = format!("User: {principal} is not authorized to perform: {action} {rest}");
    Error::new(ErrorCode::AccessDeniedException, text)
}

fn invalid_state(arn: impl Display, state: &str) -> Error {
    Error::new(ErrorCode::KMSInvalidStateException, format!("{arn} {state}"))
}
