//! Names and paths that requests give to entities.

use std::fmt::Display;
use std::str::FromStr;

use keystead_api::query::{Fault, messages};
use keystead_state::proto::{EntityRef, UpdateEntity};
use keystead_types::IamPath;

use crate::propose;

/// A name of the kind `T` that the request has in a member.
///
/// # Errors
/// `ValidationError` where it could not be the name of anything.
pub(super) fn name<T: FromStr + Display>(name: &str, member: &str) -> Result<String, Fault> {
    let name: T = name.parse().map_err(|_| messages::invalid_name(member))?;
    Ok(name.to_string())
}

/// The path of a request that may leave it out.
///
/// # Errors
/// `ValidationError` where it is none.
pub(super) fn path(path: Option<&str>) -> Result<IamPath, Fault> {
    path.map_or_else(
        || Ok(IamPath::default()),
        |path| path.parse().map_err(|_| messages::invalid_path()),
    )
}

/// The change of an entity's name, of the kind `T`, and its path.
///
/// # Errors
/// Those of [`name`] and [`path`].
pub(super) fn renamed<T: FromStr + Display>(
    entity: EntityRef,
    new_name: Option<&str>,
    member: &str,
    new_path: Option<&str>,
) -> Result<propose::Operation, Fault> {
    let new_name = new_name.map(|new| name::<T>(new, member)).transpose()?;
    let new_path = new_path.map(|new| path(Some(new))).transpose()?;
    let new_path = new_path.map(|path| path.to_string());
    Ok(UpdateEntity { entity: Some(entity), new_name, new_path }.into())
}
