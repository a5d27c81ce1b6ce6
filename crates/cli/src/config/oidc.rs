//! The issuers of tokens whose keys come from where the operator says: `[[oidc.issuer]]`.

use anyhow::{Context, Result, bail};
use keystead_server::{IssuerConfig, KeySource};
use keystead_types::Issuer;
use toml::Table;

use super::read::Reader;

/// The name of the list.
const LIST: &str = "oidc.issuer";

/// The issuers of a configuration, none of them twice.
pub fn issuers(read: &Reader) -> Result<Vec<IssuerConfig>> {
    let issuers = read.list(LIST).map(issuer).collect::<Result<Vec<_>>>()?;
    for (at, one) in issuers.iter().enumerate() {
        if issuers[..at].iter().any(|other| other.issuer == one.issuer) {
            bail!("{LIST}.url = {:?} is there twice", one.issuer.url());
        }
    }
    Ok(issuers)
}

fn issuer(table: &Table) -> Result<IssuerConfig> {
    let text = |name: &str| match table.get(name) {
        None => Ok(None),
        Some(value) => {
            let text = value.as_str().with_context(|| format!("{LIST}.{name} must be a text"));
            text.map(Some)
        }
    };
    let url = text("url")?.with_context(|| format!("{LIST}.url is missing"))?;
    let issuer = Issuer::from_url(url).with_context(|| format!("{LIST}.url = {url:?}"))?;
    let keys = match (text("jwks_file")?, text("jwks_url")?) {
        (None, None) => KeySource::Discovery,
        (Some(path), None) => KeySource::File(path.into()),
        (None, Some(url)) => KeySource::Url(url.to_owned()),
        (Some(_), Some(_)) => bail!("{LIST}: there is either jwks_file or jwks_url"),
    };
    Ok(IssuerConfig { issuer, keys, ca_file: text("ca_file")?.map(Into::into) })
}
