//! The texts that IAM's actions answer with, each defined once. They are AWS's where these are
//! known, since clients and tools compare them.

use std::fmt::Display;

use super::{Fault, FaultCode};

/// A user that does not exist.
pub fn user_not_found(name: impl Display) -> Fault {
    not_found(format!("The user with name {name} cannot be found."))
}

/// A group that does not exist.
pub fn group_not_found(name: impl Display) -> Fault {
    not_found(format!("The group with name {name} cannot be found."))
}

/// A role that does not exist.
pub fn role_not_found(name: impl Display) -> Fault {
    not_found(format!("The role with name {name} cannot be found."))
}

/// An access key that does not exist, or is another user's.
pub fn access_key_not_found(id: impl Display) -> Fault {
    not_found(format!("The Access Key with id {id} cannot be found."))
}

/// A policy that is not in the user.
pub fn user_policy_not_found(name: impl Display) -> Fault {
    not_found(format!("The user policy with name {name} cannot be found."))
}

/// A policy that is not in the group.
pub fn group_policy_not_found(name: impl Display) -> Fault {
    not_found(format!("The group policy with name {name} cannot be found."))
}

/// A policy that is not in the role.
pub fn role_policy_not_found(name: impl Display) -> Fault {
    not_found(format!("The role policy with name {name} cannot be found."))
}

/// An OIDC provider that does not exist.
pub fn oidc_provider_not_found(arn: impl Display) -> Fault {
    not_found(format!("OpenIDConnect Provider not found for arn {arn}"))
}

/// A managed policy that does not exist, or is not attached to the entity.
pub fn policy_not_found(arn: impl Display) -> Fault {
    not_found(format!("Policy {arn} was not found."))
}

/// A managed policy to be attached that does not exist.
pub fn policy_not_attachable(arn: impl Display) -> Fault {
    not_found(format!("Policy {arn} does not exist or is not attachable."))
}

/// A version that a managed policy does not have.
pub fn policy_version_not_found(arn: impl Display, version: impl Display) -> Fault {
    let text = format!("Policy {arn} version {version} does not exist or is not attachable.");
    not_found(text)
}

/// A user whose name is taken.
pub fn user_exists(name: impl Display) -> Fault {
    exists(format!("User with name {name} already exists."))
}

/// A group whose name is taken.
pub fn group_exists(name: impl Display) -> Fault {
    exists(format!("Group with name {name} already exists."))
}

/// A role whose name is taken.
pub fn role_exists(name: impl Display) -> Fault {
    exists(format!("Role with name {name} already exists."))
}

/// An OIDC provider whose issuer has one already.
pub fn oidc_provider_exists(url: impl Display) -> Fault {
    exists(format!("Provider with url {url} already exists."))
}

/// A managed policy whose name is taken.
pub fn policy_exists(name: impl Display) -> Fault {
    exists(format!("A policy called {name} already exists. Duplicate names are not allowed."))
}

/// A user that has access keys.
pub fn has_access_keys() -> Fault {
    conflict("Cannot delete entity, must delete access keys first.")
}

/// A user, group or role that has policies in it.
pub fn has_inline_policies() -> Fault {
    conflict("Cannot delete entity, must delete policies first.")
}

/// A user, group or role that managed policies are attached to.
pub fn has_attached_policies() -> Fault {
    conflict("Cannot delete entity, must detach all policies first.")
}

/// A group that has users, or a user that is in groups.
pub fn has_memberships() -> Fault {
    conflict("Cannot delete entity, must remove users from group first.")
}

/// A managed policy that something has.
pub fn policy_attached() -> Fault {
    conflict("Cannot delete a policy attached to entities.")
}

/// A managed policy with more than the version in force.
pub fn policy_has_versions() -> Fault {
    conflict(
        "This policy has more than one version. Before you delete a policy, you must delete the \
         policy's versions. The default version is deleted with the policy.",
    )
}

/// The version of a managed policy that is in force.
pub fn default_version() -> Fault {
    conflict("Cannot delete the default version of a policy.")
}

/// One more than a quota allows, such as `AccessKeysPerUser`.
pub fn quota_exceeded(quota: &str, limit: impl Display) -> Fault {
    limited(format!("Cannot exceed quota for {quota}: {limit}"))
}

/// One more version than a managed policy can have.
pub fn too_many_versions(limit: impl Display) -> Fault {
    limited(format!(
        "A managed policy can have up to {limit} versions. Before you create a new version, you \
         must delete an existing version."
    ))
}

/// More policy text than an entity, such as `user bob`, can have in it.
pub fn inline_policies_too_large(entity: impl Display, limit: impl Display) -> Fault {
    limited(format!("Maximum policy size of {limit} bytes exceeded for {entity}"))
}

/// More tags than a user, role or policy can have.
pub fn too_many_tags() -> Fault {
    limited("The number of tags has reached the maximum limit.".to_owned())
}

/// Tags of which two have the same key; case does not count.
pub fn duplicate_tags() -> Fault {
    invalid("Duplicate tag keys found. Please note that Tag keys are case insensitive.")
}

/// A tag whose key is not the client's to give.
pub fn reserved_tag() -> Fault {
    invalid("Tag keys that start with 'aws:' are reserved.")
}

/// A name that is none; `member` is the request's.
pub fn invalid_name(member: &str) -> Fault {
    Fault::new(
        FaultCode::ValidationError,
        format!(
            "The specified value for {member} is invalid. It must contain only alphanumeric \
             characters and/or the following: +=,.@_-"
        ),
    )
}

/// A status that nobody can give.
pub fn invalid_status(status: &str) -> Fault {
    let text = format!("The status {status} cannot be set.");
    Fault::new(FaultCode::ValidationError, text)
}

/// A path that is none.
pub fn invalid_path() -> Fault {
    let text = "The specified value for path is invalid. It must begin and end with / and contain \
                only visible ASCII characters.";
    Fault::new(FaultCode::ValidationError, text)
}

/// A text that is not the ARN of what is asked for.
pub fn invalid_arn(arn: impl Display) -> Fault {
    Fault::new(FaultCode::InvalidInput, format!("ARN {arn} is not valid."))
}

/// A policy document that is refused; `reason` says why.
pub fn malformed_policy(reason: impl Display) -> Fault {
    Fault::new(FaultCode::MalformedPolicyDocument, reason.to_string())
}

/// A trust policy that names somebody who does not exist.
pub fn invalid_principal() -> Fault {
    malformed_policy("Invalid principal in policy: a principal under AWS does not exist.")
}

/// A marker that this service did not give, or not for this request.
pub fn invalid_marker() -> Fault {
    Fault::new(FaultCode::ValidationError, "Invalid Marker.")
}

/// A request about the caller, who is not a user.
pub fn user_name_required() -> Fault {
    let text = "Must specify userName when calling with non-User credentials";
    Fault::new(FaultCode::ValidationError, text)
}

/// An action that the service does not have, or does not carry out.
pub fn invalid_action(action: impl Display) -> Fault {
    Fault::new(FaultCode::InvalidAction, format!("Could not find operation {action:.128}"))
}

/// A failure that is none of the caller's doing.
pub fn internal() -> Fault {
    let text = "An internal error occurred. The request may be retried.";
    Fault::new(FaultCode::InternalFailure, text)
}

/// The root of an account that would take on a role.
pub fn root_takes_no_role() -> Fault {
    Fault::new(FaultCode::AccessDenied, "Roles may not be assumed by root accounts.")
}

/// A request that a service forwarded and that does not show who made it.
pub fn forwarded_request(why: impl Display) -> Fault {
    let text = format!("The forwarded request is not authentic: {why}");
    Fault::new(FaultCode::InvalidForwardedRequest, text)
}

/// A call of a service that came before.
pub fn forwarded_before() -> Fault {
    let text = "This call was made before. Each counts once: sign in it what no other call has.";
    Fault::new(FaultCode::InvalidForwardedRequest, text)
}

/// Somebody who is no service and forwards a request.
pub fn only_services_forward(principal: impl Display) -> Fault {
    let text = format!(
        "User: {principal} is not authorized to perform: sts:GetForwardAccessToken because it is \
         no service"
    );
    Fault::new(FaultCode::AccessDenied, text)
}

/// Temporary credentials with which others are asked for.
pub fn session_makes_no_session() -> Fault {
    let text = "Cannot call GetSessionToken with session credentials";
    Fault::new(FaultCode::AccessDenied, text)
}

/// A code of a device for a second factor; nobody has one.
pub fn no_second_factor() -> Fault {
    let text = "MultiFactorAuthentication failed with invalid MFA one time pass code.";
    Fault::new(FaultCode::AccessDenied, text)
}

/// What is no role's ARN.
pub fn invalid_role_arn(arn: impl Display) -> Fault {
    Fault::new(FaultCode::ValidationError, format!("{arn} is invalid"))
}

/// A session that would last longer than the role allows.
pub fn session_too_long() -> Fault {
    let text = "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.";
    Fault::new(FaultCode::ValidationError, text)
}

/// A session, made by a session of a role, that would last longer than such may.
pub fn chained_session_too_long() -> Fault {
    let text = "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed \
                by role chaining.";
    Fault::new(FaultCode::ValidationError, text)
}

/// Session tags of which two have the same key.
pub fn repeated_session_tag() -> Fault {
    let text = "Duplicate tag keys found. Please note that Tag keys are case insensitive.";
    Fault::new(FaultCode::ValidationError, text)
}

/// A transitive tag key without a tag.
pub fn transitive_tag_absent() -> Fault {
    let text = "The specified transitive tag key must be included in the requested tags.";
    Fault::new(FaultCode::ValidationError, text)
}

/// A session tag that the calling session has handed down already.
pub fn transitive_tag_conflict() -> Fault {
    let text = "One of the specified transitive tag keys can't be set because it conflicts with a \
                transitive tag key from the calling session.";
    Fault::new(FaultCode::ValidationError, text)
}

/// Session policies and tags that do not fit, by how much of the room they would take.
pub fn packed_policy_too_large(percent: impl Display) -> Fault {
    let text =
        format!("Packed size of session tags and policies consumes {percent}% of allotted space.");
    Fault::new(FaultCode::PackedPolicyTooLarge, text)
}

/// A managed policy that a session of the role cannot have.
pub fn session_policy_not_found(arn: impl Display) -> Fault {
    let text = format!("PolicyArns: {arn} is no managed policy of the role's account.");
    Fault::new(FaultCode::ValidationError, text)
}

/// A URL that cannot be an issuer's.
pub fn invalid_issuer() -> Fault {
    let text = "Invalid Open ID Connect Provider URL: it must begin with https:// and have neither \
                a query nor a fragment.";
    Fault::new(FaultCode::ValidationError, text)
}

/// Thumbprints that are no hexadecimal digests, or too many of them.
pub fn invalid_thumbprints() -> Fault {
    invalid("Thumbprint list must be at most five SHA-1 digests in hexadecimal digits.")
}

/// A token that is not of the form or the making that is taken, and why not.
pub fn invalid_identity_token(why: impl Display) -> Fault {
    Fault::new(FaultCode::InvalidIdentityToken, why.to_string())
}

/// A token whose time is over.
pub fn identity_token_expired() -> Fault {
    Fault::new(FaultCode::ExpiredTokenException, "Token expired: the current time is past its exp")
}

/// An issuer whose keys this node has not got yet, and cannot judge tokens without.
pub fn issuer_keys_missing() -> Fault {
    let text = "Couldn't retrieve verification key from your identity provider, please reference \
                AssumeRoleWithWebIdentity documentation for requirements";
    Fault::new(FaultCode::IDPCommunicationError, text)
}

/// A request with a token of a kind that comes with no provider's id.
pub fn provider_id_not_taken() -> Fault {
    let text = "ProviderId is for OAuth 2.0 access tokens, of which none are taken.";
    Fault::new(FaultCode::ValidationError, text)
}

/// A denial to take on a role with a provider's token.
pub fn web_identity_denied(action: &str) -> Fault {
    Fault::new(FaultCode::AccessDenied, format!("Not authorized to perform {action}"))
}

fn not_found(text: String) -> Fault {
    Fault::new(FaultCode::NoSuchEntity, text)
}

fn exists(text: String) -> Fault {
    Fault::new(FaultCode::EntityAlreadyExists, text)
}

fn conflict(text: &'static str) -> Fault {
    Fault::new(FaultCode::DeleteConflict, text)
}

fn limited(text: String) -> Fault {
    Fault::new(FaultCode::LimitExceeded, text)
}

fn invalid(text: &'static str) -> Fault {
    Fault::new(FaultCode::InvalidInput, text)
}
