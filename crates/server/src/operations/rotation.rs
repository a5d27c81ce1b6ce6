//! Which keys the operations of rotation are for.

use keystead_api::{Error, messages};
use keystead_types::{KeySpec, Origin};

use crate::pipeline::Call;

/// Refuses a key that has one material for ever.
pub(super) fn suits(call: &Call<'_>, operation: &str) -> Result<(), Error> {
    let key = call.key(0)?;
    if key.can_rotate() {
        return Ok(());
    }
    let arn = call.key_arn(key);
    match key.spec {
        KeySpec::SymmetricDefault => Err(messages::origin_not_valid(arn, key.origin)),
        spec => Err(messages::spec_not_valid(arn, spec, operation)),
    }
}

/// The same, and one whose material nobody makes here.
pub(super) fn suits_schedule(call: &Call<'_>, operation: &str) -> Result<(), Error> {
    let key = call.key(0)?;
    if key.origin != Origin::AwsKms {
        return Err(messages::origin_not_valid(call.key_arn(key), key.origin));
    }
    suits(call, operation)?;
    refuse_replica(call)
}

/// Refuses a replica, whose material is its primary's.
pub(super) fn refuse_replica(call: &Call<'_>) -> Result<(), Error> {
    let key = call.key(0)?;
    match key.as_replica() {
        Some(_) => Err(messages::not_primary(call.key_arn(key))),
        None => Ok(()),
    }
}
