//! OpenID Connect: the keys of issuers, and what their tokens say.

mod fetch;
mod issuers;
mod json;
mod jwks;
mod jwt;

pub use fetch::secure_url;
pub use issuers::{IssuerConfig, IssuerConfigError, Issuers, KeySource};
pub(crate) use jwt::{Claims, Refused, Token};

#[cfg(test)]
mod tests;
