//! Users, groups, roles, managed policies and OIDC providers: what the View holds of them and how it is found.

mod directory;
mod model;
mod queries;
mod records;
mod transition;

pub(crate) use directory::Directory;
pub use directory::PolicyUse;
pub use model::{Group, ManagedPolicy, OidcProvider, Permissions, PolicyVersion, Role, User};
pub use queries::NamedPolicy;
pub(crate) use queries::in_force;
pub(crate) use records::{group, managed_policy, oidc_provider, role, user};
pub(crate) use records::{
    load_group, load_managed_policy, load_oidc_provider, load_role, load_user,
};

/// The size of a policy document as IAM counts it: its characters without white space.
pub fn policy_size(document: &str) -> usize {
    document.chars().filter(|c| !c.is_ascii_whitespace()).count()
}
