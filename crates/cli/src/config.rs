//! The configuration of `keystead server`: one TOML file, every key also as a variable.
//!
//! `[tls] certificate` is `KEYSTEAD_TLS_CERTIFICATE`. Unknown keys are refused with the nearest
//! valid name. Durations and sizes carry units.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use keystead_types::Region;
use toml::{Table, Value};

/// Every key there is: section, name, what it is for.
const KEYS: &[(&str, &str, &str)] = &[
    ("", "region", "the Region this node serves"),
    ("", "data_dir", "where the data is kept"),
    ("", "shutdown_grace", "how long requests may take to finish at SIGTERM"),
    ("listen", "clients", "address for clients"),
    ("listen", "operations", "address for health, readiness and metrics"),
    ("listen", "allow_plain_http", "serve clients without TLS off loopback"),
    ("tls", "certificate", "PEM file with the certificate chain"),
    ("tls", "key", "PEM file with the private key"),
    ("seal", "kind", "what protects the root key: file"),
    ("seal", "path", "the seal file: 32 bytes, mode 0400"),
    ("audit", "path", "file that the audit trail is appended to"),
    ("storage", "min_free", "free space below which changes are refused"),
];

/// A checked configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The Region this node serves.
    pub region: Region,
    /// Where the data is kept.
    pub data_dir: PathBuf,
    /// How long requests may take to finish at SIGTERM.
    pub shutdown_grace: Duration,
    /// Address for clients.
    pub clients: SocketAddr,
    /// Address for health, readiness and metrics.
    pub operations: SocketAddr,
    /// Certificate chain and private key; none for plain HTTP.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// The seal file.
    pub seal: PathBuf,
    /// The audit trail.
    pub audit: PathBuf,
    /// Free bytes below which changes are refused; none for the default.
    pub min_free: Option<u64>,
}

impl Config {
    /// Reads a file, overlays the environment, checks everything.
    pub fn load(path: &Path) -> Result<Self> {
        let read = || format!("read configuration {}", path.display());
        let text = std::fs::read_to_string(path).with_context(read)?;
        Self::parse(&text, |name| std::env::var(name).ok()).with_context(read)
    }

    fn parse(text: &str, variable: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let mut table: Table = text.parse()?;
        refuse_unknown(&table)?;
        overlay(&mut table, variable);
        let get = |section: &str, name: &str| lookup(&table, section, name);
        let text = |section: &str, name: &str| -> Result<Option<String>> {
            match get(section, name) {
                None => Ok(None),
                Some(Value::String(text)) => Ok(Some(text.clone())),
                Some(other) => {
                    bail!("{} must be a text, not {}", full(section, name), other.type_str())
                }
            }
        };
        let required = |section: &str, name: &str| -> Result<String> {
            text(section, name)?.with_context(|| format!("{} is missing", full(section, name)))
        };
        let address = |name: &str, default: &str| -> Result<SocketAddr> {
            let value = text("listen", name)?.unwrap_or_else(|| default.to_owned());
            value.parse().with_context(|| format!("listen.{name} is no address: {value:?}"))
        };
        let clients = address("clients", "127.0.0.1:9470")?;
        let tls = match (text("tls", "certificate")?, text("tls", "key")?) {
            (Some(certificate), Some(key)) => Some((certificate.into(), key.into())),
            (None, None) => None,
            _ => bail!("tls.certificate and tls.key belong together; one of them is missing"),
        };
        let plain = match get("listen", "allow_plain_http") {
            None => false,
            Some(Value::Boolean(plain)) => *plain,
            Some(Value::String(plain)) => plain == "true",
            Some(_) => bail!("listen.allow_plain_http must be true or false"),
        };
        if tls.is_none() && !clients.ip().is_loopback() && !plain {
            bail!(
                "listen.clients = {clients} can be reached by other machines and there is no \
                 [tls]; set tls.certificate and tls.key, or listen.allow_plain_http = true if a \
                 proxy on this network path terminates TLS"
            );
        }
        match text("seal", "kind")?.as_deref() {
            None | Some("file") => {}
            Some(other) => bail!("seal.kind {other:?} is not known; there is: file"),
        }
        let grace = text("", "shutdown_grace")?.map_or(Ok(Duration::from_secs(10)), |value| {
            duration(&value).with_context(|| format!("shutdown_grace = {value:?}"))
        })?;
        let min_free = text("storage", "min_free")?;
        let min_free = min_free
            .map(|value| size(&value).with_context(|| format!("storage.min_free = {value:?}")));
        Ok(Self {
            region: required("", "region")?.parse()?,
            data_dir: required("", "data_dir")?.into(),
            shutdown_grace: grace,
            clients,
            operations: address("operations", "127.0.0.1:9472")?,
            tls,
            seal: required("seal", "path")?.into(),
            audit: required("audit", "path")?.into(),
            min_free: min_free.transpose()?,
        })
    }
}

fn full(section: &str, name: &str) -> String {
    if section.is_empty() { name.to_owned() } else { format!("{section}.{name}") }
}

fn lookup<'a>(table: &'a Table, section: &str, name: &str) -> Option<&'a Value> {
    if section.is_empty() { table.get(name) } else { table.get(section)?.get(name) }
}

fn refuse_unknown(table: &Table) -> Result<()> {
    for (name, value) in table {
        match value {
            Value::Table(section) => {
                for key in section.keys() {
                    check_name(&full(name, key))?;
                }
            }
            _ => check_name(name)?,
        }
    }
    Ok(())
}

fn check_name(name: &str) -> Result<()> {
    let known: Vec<String> = KEYS.iter().map(|(section, name, _)| full(section, name)).collect();
    if known.iter().any(|known| known == name) {
        return Ok(());
    }
    match known.iter().min_by_key(|known| distance(known, name)) {
        Some(nearest) => bail!("{name:?} is not a setting; did you mean {nearest:?}?"),
        None => bail!("{name:?} is not a setting"),
    }
}

fn overlay(table: &mut Table, variable: impl Fn(&str) -> Option<String>) {
    for (section, name, _) in KEYS {
        let variable_name = format!("KEYSTEAD_{}", full(section, name).replace('.', "_"));
        let Some(value) = variable(&variable_name.to_uppercase()) else { continue };
        let target = if section.is_empty() {
            Some(&mut *table)
        } else {
            let entry = table.entry(*section).or_insert_with(|| Value::Table(Table::new()));
            entry.as_table_mut()
        };
        if let Some(target) = target {
            target.insert((*name).to_owned(), Value::String(value));
        }
    }
}

/// Edits between two names (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

fn duration(text: &str) -> Result<Duration> {
    let units = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000)];
    with_unit(text, &units).map(Duration::from_millis)
}

fn size(text: &str) -> Result<u64> {
    let units = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40), ("B", 1)];
    with_unit(text, &units)
}

fn with_unit(text: &str, units: &[(&str, u64)]) -> Result<u64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = &text[digits.len()..];
    let Some((_, factor)) = units.iter().find(|(name, _)| *name == unit) else {
        let names: Vec<&str> = units.iter().map(|(name, _)| *name).collect();
        bail!("say a number and a unit, one of: {}", names.join(", "));
    };
    let number: u64 = digits.trim().parse().context("that is no whole number")?;
    number.checked_mul(*factor).context("that is too much")
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINIMAL: &str = r#"
        region = "eu-central-1"
        data_dir = "/var/lib/keystead"
        [seal]
        path = "/etc/keystead/seal.key"
        [audit]
        path = "/var/log/keystead/audit.json"
    "#;

    fn parse(text: &str) -> Result<Config> {
        Config::parse(text, |_| None)
    }

    #[test]
    fn a_minimal_file_listens_on_loopback() {
        let config = parse(MINIMAL).unwrap();
        assert!(config.clients.ip().is_loopback());
        assert_eq!(config.shutdown_grace, Duration::from_secs(10));
    }

    #[test]
    fn plain_http_off_loopback_is_refused_unless_said_in_as_many_words() {
        let open = format!("{MINIMAL}\n[listen]\nclients = \"0.0.0.0:9470\"");
        let error = format!("{:#}", parse(&open).unwrap_err());
        assert!(error.contains("listen.allow_plain_http = true"), "{error}");
        assert!(parse(&format!("{open}\nallow_plain_http = true")).is_ok());
        let tls = format!("{open}\n[tls]\ncertificate = \"c\"\nkey = \"k\"");
        assert!(parse(&tls).unwrap().tls.is_some());
    }

    #[test]
    fn unknown_keys_are_answered_with_the_nearest_name() {
        let error = parse(&format!("{MINIMAL}\n[tls]\ncertifcate = \"c\"")).unwrap_err();
        assert!(format!("{error:#}").contains("\"tls.certificate\""), "{error:#}");
    }

    #[test]
    fn variables_overlay_the_file() {
        let variable = |name: &str| (name == "KEYSTEAD_STORAGE_MIN_FREE").then(|| "5GiB".into());
        let config = Config::parse(MINIMAL, variable).unwrap();
        assert_eq!(config.min_free, Some(5 << 30));
    }

    #[test]
    fn sizes_and_durations_carry_units() {
        assert_eq!(duration("250ms").unwrap(), Duration::from_millis(250));
        for text in ["10", "s", "1.5s", "-1s", "99999999999999999999h", "5 fortnights"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
