//! Workloads that are known by SPIFFE ids, and the roles that they take on.

use std::fmt;
use std::str::FromStr;

use keystead_types::IamArn;

const SCHEME: &str = "spiffe://";
/// What ends an id that stands for all below it.
const BELOW: &str = "/*";
/// The longest SPIFFE id, in bytes, and its longest trust domain.
const MAX_ID: usize = 2048;
const MAX_TRUST_DOMAIN: usize = 255;

/// A SPIFFE id such as `spiffe://example.org/ns/shop/sa/web`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SpiffeId(String);

/// What is no SPIFFE id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no SPIFFE id, which is like spiffe://example.org/ns/shop/sa/web")]
pub struct InvalidSpiffeId(String);

impl SpiffeId {
    /// Whose authority vouches for it: `example.org`.
    pub fn trust_domain(&self) -> &str {
        let rest = self.0.strip_prefix(SCHEME).unwrap_or_default();
        rest.split_once('/').map_or(rest, |(domain, _)| domain)
    }
}

impl fmt::Display for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for SpiffeId {
    type Err = InvalidSpiffeId;

    fn from_str(text: &str) -> Result<Self, InvalidSpiffeId> {
        let domain = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || b".-_".contains(&c);
        let letter = |c: u8| c.is_ascii_alphanumeric() || b".-_".contains(&c);
        let segment =
            |segment: &str| !matches!(segment, "" | "." | "..") && segment.bytes().all(letter);
        let well_formed = text.strip_prefix(SCHEME).is_some_and(|rest| {
            let mut parts = rest.split('/');
            let named = parts.next().unwrap_or_default();
            (1..=MAX_TRUST_DOMAIN).contains(&named.len())
                && named.bytes().all(domain)
                && parts.all(segment)
        });
        if well_formed && text.len() <= MAX_ID {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidSpiffeId(text.to_owned()))
        }
    }
}

/// One SPIFFE id, or all below it, and the role of whoever has such an id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workload {
    id: SpiffeId,
    below: bool,
    role: IamArn,
}

impl Workload {
    /// The workload of an id or, where it ends in `/*`, all that are below that.
    ///
    /// # Errors
    /// What stands before that is no SPIFFE id.
    pub fn new(id: &str, role: IamArn) -> Result<Self, InvalidSpiffeId> {
        let invalid = || InvalidSpiffeId(id.to_owned());
        let (plain, below) = match id.strip_suffix(BELOW) {
            Some(above) => (above, true),
            None => (id, false),
        };
        Ok(Self { id: plain.parse().map_err(|_| invalid())?, below, role })
    }

    /// Whose authority vouches for it.
    pub fn trust_domain(&self) -> &str {
        self.id.trust_domain()
    }

    /// The role.
    pub fn role(&self) -> &IamArn {
        &self.role
    }

    fn has(&self, id: &SpiffeId) -> bool {
        match id.0.strip_prefix(&self.id.0) {
            Some("") => !self.below,
            Some(rest) => self.below && rest.starts_with('/'),
            None => false,
        }
    }
}

/// The role of a SPIFFE id: that of the id itself, else that of the nearest above it.
pub fn role_of<'w>(
    workloads: impl IntoIterator<Item = &'w Workload>,
    id: &SpiffeId,
) -> Option<&'w IamArn> {
    let having = workloads.into_iter().filter(|workload| workload.has(id));
    having.max_by_key(|workload| (!workload.below, workload.id.0.len())).map(Workload::role)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workload(id: &str, role: &str) -> Workload {
        let role = format!("arn:aws:iam::111122223333:role/{role}").parse().unwrap();
        Workload::new(id, role).unwrap()
    }

    #[test]
    fn ids_are_well_formed() {
        for text in ["spiffe://example.org", "spiffe://a/b", "spiffe://a-b.c_1/ns/Shop/sa/web.1"] {
            assert_eq!(text.parse::<SpiffeId>().unwrap().to_string(), text);
        }
        let id: SpiffeId = "spiffe://example.org/a/b".parse().unwrap();
        assert_eq!(id.trust_domain(), "example.org");
        for text in [
            "",
            "spiffe://",
            "spiffe:///a",
            "spiffe://Example.org/a",
            "spiffe://a/",
            "spiffe://a//b",
            "spiffe://a/./b",
            "spiffe://a/../b",
            "spiffe://a/b*",
            "spiffe://a:1/b",
            "http://a/b",
            "SPIFFE://a/b",
            "spiffe://a/b?c",
            "spiffe://a/%62",
        ] {
            assert!(text.parse::<SpiffeId>().is_err(), "{text}");
        }
        assert!(format!("spiffe://a/{}", "b".repeat(MAX_ID)).parse::<SpiffeId>().is_err());
    }

    #[test]
    fn the_nearest_decides() {
        let workloads = [
            workload("spiffe://a/ns/*", "all"),
            workload("spiffe://a/ns/shop/*", "shop"),
            workload("spiffe://a/ns/shop/web", "web"),
        ];
        let role = |id: &str| {
            let role = role_of(&workloads, &id.parse().unwrap())?;
            role.role_name().map(ToString::to_string)
        };
        assert_eq!(role("spiffe://a/ns/other").as_deref(), Some("all"));
        assert_eq!(role("spiffe://a/ns/shop/db").as_deref(), Some("shop"));
        assert_eq!(role("spiffe://a/ns/shop/web").as_deref(), Some("web"));
        // Not the one that it is below of, nor one whose name begins alike.
        for other in ["spiffe://a/ns", "spiffe://a/nsx/y", "spiffe://b/ns/shop/web", "spiffe://a"] {
            assert_eq!(role(other), None, "{other}");
        }
    }
}
