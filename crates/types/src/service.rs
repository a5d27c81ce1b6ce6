//! Services that act for users, and for themselves.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::{InvalidIdentifier, Region};

/// The domain of AWS's own services.
const AWS: &str = ".amazonaws.com";

/// The name of a service as a principal, such as `s3.amazonaws.com`: a DNS name of two labels or
/// more in lower case, of at most 128 characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceName(Arc<str>);

impl ServiceName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The service as credential scopes name it: all that comes before `.amazonaws.com`, or of a
    /// name in another domain the first label.
    pub fn scope(&self) -> &str {
        self.split().0
    }

    /// How `kms:ViaService` names it in a Region: `s3.eu-central-1.amazonaws.com`.
    pub fn via(&self, region: &Region) -> String {
        let (scope, domain) = self.split();
        format!("{scope}.{region}{domain}")
    }

    fn split(&self) -> (&str, &str) {
        let end = self.0.strip_suffix(AWS).map(str::len).or_else(|| self.0.find('.'));
        self.0.split_at(end.unwrap_or(self.0.len()))
    }
}

impl fmt::Display for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for ServiceName {
    type Err = InvalidIdentifier;

    fn from_str(text: &str) -> Result<Self, InvalidIdentifier> {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let label = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(allowed)
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        let labels = text.split('.').count();
        (labels > 1 && text.len() <= 128 && text.split('.').all(label))
            .then(|| Self(text.into()))
            .ok_or_else(|| InvalidIdentifier::new("service", text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_are_named_with_and_without_their_region() {
        let region: Region = "eu-central-1".parse().unwrap();
        for (name, scope, via) in [
            ("s3.amazonaws.com", "s3", "s3.eu-central-1.amazonaws.com"),
            (
                "delivery.logs.amazonaws.com",
                "delivery.logs",
                "delivery.logs.eu-central-1.amazonaws.com",
            ),
            ("vault.example.org", "vault", "vault.eu-central-1.example.org"),
        ] {
            let service: ServiceName = name.parse().unwrap();
            assert_eq!((service.as_str(), service.scope()), (name, scope));
            assert_eq!(service.via(&region), via);
        }
        let long = format!("{}.org", "a".repeat(64));
        for name in
            ["", "s3", ".org", "s3.", "S3.amazonaws.com", "a b.org", "-a.org", "a..b", &long]
        {
            assert!(name.parse::<ServiceName>().is_err(), "{name}");
        }
    }
}
