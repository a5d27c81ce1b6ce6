//! The operations: one file each, and the registry through which both wires and the
//! authorisation reach them.

use std::future::Future;

use keystead_api::{Error, Message};
use keystead_state::proto::outcome::Result as First;
use keystead_types::{KeyArn, KeySpec, KeyUsage};

use crate::audit::Parameters;
use crate::pipeline::{Call, Failure};
use crate::resolve::{Resource, Target};

mod cancel_key_deletion;
mod create_alias;
mod create_grant;
mod create_key;
mod decapsulate;
mod decrypt;
mod delete_alias;
mod delete_imported_key_material;
mod derive_shared_secret;
mod describe_key;
mod disable_key;
mod disable_key_rotation;
mod enable_key;
mod enable_key_rotation;
mod encapsulate;
mod encrypt;
mod generate_data_key;
mod generate_data_key_pair;
mod generate_data_key_pair_without_plaintext;
mod generate_data_key_without_plaintext;
mod generate_mac;
mod generate_random;
mod get_key_last_usage;
mod get_key_policy;
mod get_key_rotation_status;
mod get_parameters_for_import;
mod get_public_key;
mod import_key_material;
mod list_aliases;
mod list_grants;
mod list_key_policies;
mod list_key_rotations;
mod list_keys;
mod list_resource_tags;
mod list_retirable_grants;
mod put_key_policy;
mod re_encrypt;
mod replicate_key;
mod retire_grant;
mod revoke_grant;
mod rotate_key_on_demand;
mod schedule_key_deletion;
mod sign;
mod tag_resource;
mod untag_resource;
mod update_alias;
mod update_key_description;
mod update_primary_region;
mod verify;
mod verify_mac;

mod actions;
mod cipher;
mod grants;
pub(crate) mod key_state;
mod metadata;
pub(crate) mod paging;
mod private_key;
mod registry;
mod rotation;
mod signing;
mod symmetric;
mod tags;

pub(crate) use actions::{Action, action};
pub(crate) use key_state::StateRule;
pub(crate) use registry::Registry;

/// One operation of the API: what it touches, what it needs, what it does, what is recorded.
pub(crate) trait Operation: Send + Sync + Sized + 'static {
    /// The request message.
    type Input: Message;
    /// The response message.
    type Output: Message;

    /// The name on the wire; also its IAM action where [`Operation::targets`] says no other.
    const NAME: &'static str;
    /// Whether the audit trail calls it read-only.
    const READ_ONLY: bool;
    /// In which states its keys may be.
    const STATES: StateRule = StateRule::Any;
    /// What its keys must be for.
    const USAGE: Option<KeyUsage> = None;
    /// Whether the audit trail names the keys it touches.
    const RECORDS_RESOURCES: bool = true;
    /// Whether AWS answers success with an empty body.
    const EMPTY_REPLY: bool = false;

    /// Refuses members that are known and not supported, unless they have their default value.
    fn refuse_unsupported(_input: &Self::Input) -> Result<(), Error> {
        Ok(())
    }

    /// What it touches, each with the action that must be allowed on it.
    fn targets(input: &Self::Input) -> Result<Vec<Target<'_>>, Error>;

    /// Notes with each target what policies may ask about all of them together.
    fn relate(_resources: &mut [Resource<'_>]) {}

    /// Tokens of grants that the caller wants to count. All grants count at once here, so that
    /// they need only be tokens.
    fn grant_tokens(_input: &Self::Input) -> &[String] {
        &[]
    }

    /// Semantic checks: after authorisation, before the state of the keys is looked at.
    fn check(_call: &Call<'_>, _input: &Self::Input) -> Result<(), Error> {
        Ok(())
    }

    /// Whether its keys can do it, in the way that is asked for: after their state and usage.
    fn suits(_call: &Call<'_>, _input: &Self::Input) -> Result<(), Error> {
        Ok(())
    }

    /// What kind of pair it makes, if that is what it does: its cost.
    fn pair_spec(_input: &Self::Input) -> Option<KeySpec> {
        None
    }

    /// Whether this is a dry run, which never succeeds.
    fn dry_run(_input: &Self::Input) -> bool {
        false
    }

    /// Whether a dry run tries it and throws the result away: where only trying tells whether it
    /// would succeed, and trying changes nothing.
    fn tried_by_dry_run(_input: &Self::Input) -> bool {
        false
    }

    /// Does it: cryptography here, or a command to the log.
    fn execute(
        call: &Call<'_>,
        input: &Self::Input,
    ) -> impl Future<Output = Result<Self::Output, Failure>> + Send;

    /// The audit record's `requestParameters`: never plaintext, ciphertext or tokens.
    fn record(input: &Self::Input) -> Parameters;

    /// The ARN of the key it created, for the audit record's `resources`.
    fn created(_call: &Call<'_>, _output: &Self::Output) -> Option<KeyArn> {
        None
    }

    /// The output that a request had when it was carried out before, where its first result tells
    /// it. It may be that the keys are not in a state any more in which it could be carried out.
    fn again(_call: &Call<'_>, _input: &Self::Input, _first: &First) -> Option<Self::Output> {
        None
    }

    /// What whoever reads the audit trail should look at.
    fn warning(_call: &Call<'_>) -> Option<String> {
        None
    }

    /// The audit record's `responseElements`, where CloudTrail has any.
    fn record_response(_call: &Call<'_>, _output: &Self::Output) -> Parameters {
        Parameters::none()
    }
}

/// Refuses the first of these members that is set.
fn refuse_members(members: &[(&'static str, bool)]) -> Result<(), Error> {
    match members.iter().find(|(_, set)| *set) {
        Some((name, _)) => Err(keystead_api::messages::unsupported_member(name)),
        None => Ok(()),
    }
}
