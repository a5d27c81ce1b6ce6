//! Identity providers of OpenID Connect: their issuers, and the ARNs made of them.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::{AccountId, Arn, InvalidIdentifier, PARTITION};

/// What every issuer's URL begins with, and what stands in no ARN.
const SCHEME: &str = "https://";
/// What stands before the issuer in the resource of an ARN.
const KIND: &str = "oidc-provider/";

/// The URL of an issuer without its scheme, which is `https`: a host, with a port and a path or
/// without. A slash at the end makes it another one: tokens name their issuer to the letter.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Issuer(Arc<str>);

impl Issuer {
    /// The most characters of the URL, scheme included.
    pub const MAX_LEN: usize = 255;

    /// Reads the whole URL, such as `https://idp.example.com/tenant`.
    ///
    /// # Errors
    /// It has another scheme, a query, a fragment, or characters that policies could not name.
    pub fn from_url(url: &str) -> Result<Self, InvalidIdentifier> {
        let invalid = || InvalidIdentifier::new("issuer's URL", url);
        url.strip_prefix(SCHEME).and_then(|rest| rest.parse().ok()).ok_or_else(invalid)
    }

    /// The whole URL, as tokens have it in `iss`.
    pub fn url(&self) -> String {
        format!("{SCHEME}{}", self.0)
    }

    /// Host, port and path.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The same text, shared.
    pub fn shared(&self) -> Arc<str> {
        self.0.clone()
    }
}

impl fmt::Display for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Issuer {
    type Err = InvalidIdentifier;

    /// Reads what follows the scheme.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (authority, path) = text.split_at(text.find('/').unwrap_or(text.len()));
        let (host, port) = match authority.split_once(':') {
            Some((host, port)) => (host, port.parse::<u16>().is_ok_and(|port| port > 0)),
            None => (authority, true),
        };
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
        let well_formed = text.len() + SCHEME.len() <= Self::MAX_LEN
            && !host.is_empty()
            && host.bytes().all(allowed)
            && port
            && path.split('/').all(|part| part != "." && part != "..")
            && path.bytes().all(|b| allowed(b) || b == b'/');
        well_formed.then(|| Self(text.into())).ok_or_else(|| InvalidIdentifier::new("issuer", text))
    }
}

/// `arn:aws:iam::<account>:oidc-provider/<issuer>`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OidcProviderArn {
    /// The account that trusts the provider.
    pub account: AccountId,
    /// Whose tokens it answers for.
    pub issuer: Issuer,
}

impl fmt::Display for OidcProviderArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "arn:{PARTITION}:iam::{}:{KIND}{}", self.account, self.issuer)
    }
}

impl FromStr for OidcProviderArn {
    type Err = InvalidIdentifier;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let read = || {
            let (account, resource) = Arn::global(text, "iam")?;
            let issuer = resource.strip_prefix(KIND)?.parse().ok()?;
            Some(Self { account, issuer })
        };
        read().ok_or_else(|| InvalidIdentifier::new("ARN of an OIDC provider", text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn issuers_are_https_urls_that_policies_can_name() {
        for url in [
            "https://idp.example.com",
            "https://idp.example.com/",
            "https://localhost:6443/realms/a_b",
            "https://oidc.eks.eu-west-1.amazonaws.com/id/EXAMPLE",
        ] {
            let issuer = Issuer::from_url(url).unwrap();
            assert_eq!(issuer.url(), url);
            assert_eq!(format!("https://{issuer}"), url);
        }
        assert!(Issuer::from_url(&format!("https://{}", "a".repeat(247))).is_ok());
        assert!(Issuer::from_url(&format!("https://{}", "a".repeat(248))).is_err());
        for url in [
            "",
            "https://",
            "https:///a",
            "http://idp.example.com",
            "idp.example.com",
            "https://idp.example.com?a=b",
            "https://idp.example.com/#a",
            "https://user@idp.example.com",
            "https://idp.example.com:0",
            "https://idp.example.com:65536",
            "https://idp.example.com:",
            "https://idp.example.com/a/../b",
            "https://idp.example.com/%41",
            "https://idp.example.com/*",
            "https://idp.example.com/é",
        ] {
            assert!(Issuer::from_url(url).is_err(), "{url}");
        }
    }

    #[test]
    fn arns_round_trip() {
        for text in [
            "arn:aws:iam::111122223333:oidc-provider/idp.example.com",
            "arn:aws:iam::111122223333:oidc-provider/localhost:6443/a/b/",
        ] {
            assert_eq!(text.parse::<OidcProviderArn>().unwrap().to_string(), text);
        }
        for text in [
            "arn:aws:iam::111122223333:oidc-provider/",
            "arn:aws:iam::111122223333:saml-provider/a",
            "arn:aws:iam:eu-west-1:111122223333:oidc-provider/a",
            "arn:aws:sts::111122223333:oidc-provider/a",
            "arn:aws:iam::1:oidc-provider/a",
        ] {
            assert!(text.parse::<OidcProviderArn>().is_err(), "{text}");
        }
    }
}
