//! The configuration of `keystead server`: one TOML file, every key also as a variable.
//!
//! `[tls] certificate` is `KEYSTEAD_TLS_CERTIFICATE`. Unknown keys are refused with the nearest
//! valid name. Durations and sizes carry units.

mod callers;
mod oidc;
mod proxies;
mod quotas;
mod read;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use keystead_server::{ClientAuthority, IssuerConfig, ProxyOptions, Quotas, Reads};
use keystead_types::Region;

pub use read::duration;
use read::{Key, Reader, size};

/// Every key there is: section, name, what it is for.
const KEYS: &[Key] = &[
    ("", "region", "the Region this node serves"),
    ("", "data_dir", "where the data is kept"),
    ("", "name", "the name of this node; the host name where it is not given"),
    ("", "shutdown_grace", "how long requests may take to finish at SIGTERM"),
    ("listen", "clients", "address for clients"),
    ("listen", "operations", "address for health, readiness and metrics"),
    ("listen", "peers", "address for other members; none for a node that stays alone"),
    ("listen", "regions", "address for other regions; none for one that no other one calls"),
    ("listen", "allow_plain_http", "serve clients without TLS off loopback"),
    ("cluster", "advertise", "host and port at which other members reach this node"),
    ("cluster", "seeds", "hosts and ports at which members may be found"),
    ("cluster", "join_secret", "file with at least 32 random characters, equal on all nodes"),
    ("cluster", "expect", "so many new nodes found a cluster by themselves"),
    ("cluster", "learner", "join without a vote"),
    ("reads", "mode", "strict or bounded"),
    ("reads", "bound", "how old a confirmation may be when reads are bounded"),
    ("proxies", "trusted", "addresses and ranges of proxies whose word is taken"),
    ("proxies", "protocol", "their connections begin with PROXY protocol version 2"),
    ("proxies", "forwarded", "their requests carry X-Forwarded-For"),
    ("tls", "certificate", "PEM file with the certificate chain"),
    ("tls", "key", "PEM file with the private key"),
    ("admin", "listen", "address for operators on other machines; none for admin.sock alone"),
    ("admin", "client_ca", "PEM file with the authority whose certificates operators show"),
    ("admin", "certificate", "PEM file with the chain that operators see; else tls.certificate"),
    ("admin", "key", "PEM file with the private key of admin.certificate"),
    ("seal", "kind", "what protects the root key: file"),
    ("seal", "path", "the seal file: 32 bytes, mode 0400"),
    ("audit", "path", "file that the audit trail is appended to"),
    ("storage", "min_free", "free space below which changes are refused"),
    ("keys", "use_interval", "how often nodes tell each other when keys were last used"),
    ("keys", "erase_within", "how soon lost key material is off the disk; 1h unless set"),
    ("quotas", "keys_per_account", "keys that an account may have; 100,000 unless set"),
    ("quotas", "aliases_per_key", "aliases that a key may have; at most 50"),
    ("quotas", "grants_per_key", "grants that a key may have; at most 50,000"),
    ("quotas", "tags_per_key", "tags that a key may have; at most 50"),
    ("quotas", "policy_size", "bytes that a key policy may have; at most 32768"),
];

/// Lists, which the file alone can say.
const LISTS: &[Key] = &[
    ("client_ca", "file", "PEM file with an authority whose certificates gRPC callers show"),
    ("client_ca", "accounts", "the accounts that it speaks for"),
    ("client_ca", "spiffe", "SPIFFE ids that it vouches for, and the role of each"),
    ("oidc.issuer", "url", "https URL of an issuer of tokens, as tokens name it in iss"),
    ("oidc.issuer", "jwks_file", "file with its keys, read again when it changes"),
    ("oidc.issuer", "jwks_url", "https URL of its keys; else its discovery document tells"),
    ("oidc.issuer", "ca_file", "PEM file with the authorities of its certificate"),
    ("request_quota", "account", "whose requests per second these are; all others' without it"),
    ("request_quota", "symmetric", "cryptography with symmetric and HMAC keys"),
    ("request_quota", "rsa", "cryptography with RSA keys"),
    ("request_quota", "ecc", "cryptography with elliptic curves"),
    ("request_quota", "ml_dsa", "cryptography with ML-DSA keys"),
    ("request_quota", "ml_kem", "cryptography with ML-KEM keys"),
    ("request_quota", "ecc_key_pairs", "data key pairs on elliptic curves"),
    ("request_quota", "rsa_2048_key_pairs", "data key pairs of RSA_2048"),
    ("request_quota", "rsa_3072_key_pairs", "data key pairs of RSA_3072"),
    ("request_quota", "rsa_4096_key_pairs", "data key pairs of RSA_4096"),
    ("request_quota", "describe", "DescribeKey, GetPublicKey, ListResourceTags"),
    ("request_quota", "policies", "GetKeyPolicy, GetKeyRotationStatus"),
    ("request_quota", "lists", "ListAliases, ListKeys"),
    ("request_quota", "key_lists", "ListGrants, ListRetirableGrants, ListKeyPolicies, …"),
    ("request_quota", "grants", "CreateGrant, RetireGrant, RevokeGrant"),
    ("request_quota", "changes", "DeleteAlias, PutKeyPolicy, ScheduleKeyDeletion, …"),
    ("request_quota", "tags", "TagResource"),
    ("request_quota", "import_parameters", "GetParametersForImport"),
    ("request_quota", "keys", "CreateKey, CreateAlias and everything else of KMS"),
    ("request_quota", "iam", "everything of IAM and STS"),
];

const DEFAULT_GRACE: Duration = Duration::from_secs(10);
const DEFAULT_USE_INTERVAL: Duration = Duration::from_secs(60);
const DEFAULT_ERASE_WITHIN: Duration = Duration::from_secs(3600);
const DEFAULT_BOUND: Duration = Duration::from_millis(100);

/// A checked configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The Region this node serves.
    pub region: Region,
    /// Where the data is kept.
    pub data_dir: PathBuf,
    /// The name of this node.
    pub name: String,
    /// How long requests may take to finish at SIGTERM.
    pub shutdown_grace: Duration,
    /// Address for clients.
    pub clients: SocketAddr,
    /// Address for operations.
    pub operations: SocketAddr,
    /// Address for other members; none for a node that stays alone.
    pub peers: Option<SocketAddr>,
    /// Address for other regions; none for one that no other one calls.
    pub regions: Option<SocketAddr>,
    /// How it finds other members.
    pub cluster: ClusterConfig,
    /// How fresh what a request sees must be.
    pub reads: Reads,
    /// The proxies before it.
    pub proxies: ProxyOptions,
    /// Certificate chain and private key; none for plain HTTP.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// Authorities of gRPC callers, and whom each speaks for.
    pub client_authorities: Vec<ClientAuthority>,
    /// How operators on other machines are served, if they are.
    pub admin: Option<AdminConfig>,
    /// The seal file.
    pub seal: PathBuf,
    /// The audit trail.
    pub audit: PathBuf,
    /// How often the state is told when keys were last used.
    pub use_interval: Duration,
    /// Within what time lost key material is off the disk.
    pub erase_within: Duration,
    /// Free bytes below which changes are refused; none for the default.
    pub min_free: Option<u64>,
    /// What accounts may have and may ask for.
    pub quotas: Quotas,
    /// Issuers of tokens whose keys come from where it says.
    pub issuers: Vec<IssuerConfig>,
}

/// How operators on other machines are served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdminConfig {
    /// Address for them.
    pub listen: SocketAddr,
    /// The authority whose certificates they show.
    pub client_ca: PathBuf,
    /// The certificate chain that they see, and its private key.
    pub tls: (PathBuf, PathBuf),
}

/// How a node finds other members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterConfig {
    /// Host and port at which others reach it; none for the address it listens on.
    pub advertise: Option<String>,
    /// Hosts and ports at which members may be found.
    pub seeds: Vec<String>,
    /// The file with the join secret.
    pub join_secret: Option<PathBuf>,
    /// So many new nodes found a cluster by themselves.
    pub expect: Option<usize>,
    /// Join without a vote.
    pub learner: bool,
}

impl Config {
    /// Reads a file, overlays the environment, checks everything.
    pub fn load(path: &Path) -> Result<Self> {
        let read = || format!("read configuration {}", path.display());
        let text = std::fs::read_to_string(path).with_context(read)?;
        Self::parse(&text, |name| std::env::var(name).ok()).with_context(read)
    }

    fn parse(text: &str, variable: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let read = Reader::new(text, KEYS, LISTS, variable)?;
        match read.text("seal", "kind")?.as_deref() {
            None | Some("file") => {}
            Some(other) => bail!("seal.kind {other:?} is not known; there is: file"),
        }
        let loopback = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let tls = pair(&read, "tls")?;
        let clients = read.address("listen", "clients")?.unwrap_or_else(|| loopback(9470));
        refuse_plain_http(clients, tls.is_some(), read.flag("listen", "allow_plain_http")?)?;
        let client_authorities = callers::authorities(&read)?;
        if tls.is_none() && !client_authorities.is_empty() {
            bail!("client_ca needs [tls]: a caller's certificate is shown over TLS");
        }
        Ok(Self {
            region: read.required("", "region")?.parse()?,
            data_dir: read.required("", "data_dir")?.into(),
            name: read.text("", "name")?.map_or_else(host_name, Ok)?,
            shutdown_grace: read.parsed("", "shutdown_grace", duration)?.unwrap_or(DEFAULT_GRACE),
            clients,
            operations: read.address("listen", "operations")?.unwrap_or_else(|| loopback(9472)),
            peers: read.address("listen", "peers")?,
            regions: read.address("listen", "regions")?,
            cluster: cluster(&read)?,
            reads: reads(&read)?,
            proxies: proxies::proxies(&read)?,
            admin: admin(&read, tls.as_ref())?,
            tls,
            client_authorities,
            seal: read.required("seal", "path")?.into(),
            audit: read.required("audit", "path")?.into(),
            use_interval: within_a_day(&read, "use_interval", 1, DEFAULT_USE_INTERVAL)?,
            erase_within: within_a_day(&read, "erase_within", 4, DEFAULT_ERASE_WITHIN)?,
            min_free: read.parsed("storage", "min_free", size)?,
            quotas: quotas::quotas(&read)?,
            issuers: oidc::issuers(&read)?,
        })
    }
}

fn cluster(read: &Reader) -> Result<ClusterConfig> {
    let cluster = ClusterConfig {
        advertise: read.text("cluster", "advertise")?,
        seeds: read.texts("cluster", "seeds")?,
        join_secret: read.path("cluster", "join_secret")?,
        expect: read.number("cluster", "expect")?,
        learner: read.flag("cluster", "learner")?,
    };
    if cluster.expect.is_some() && cluster.join_secret.is_none() {
        bail!("cluster.expect needs cluster.join_secret: new nodes know each other by it");
    }
    Ok(cluster)
}

fn reads(read: &Reader) -> Result<Reads> {
    let bound = read.parsed("reads", "bound", duration)?;
    match read.text("reads", "mode")?.as_deref() {
        None | Some("strict") if bound.is_none() => Ok(Reads::Strict),
        None | Some("strict") => bail!("reads.bound means something with reads.mode = \"bounded\""),
        Some("bounded") => Ok(Reads::Bounded(bound.unwrap_or(DEFAULT_BOUND))),
        Some(other) => bail!("reads.mode {other:?} is not known; there are: strict, bounded"),
    }
}

/// A duration about keys, of so many seconds at least and a day at most.
fn within_a_day(read: &Reader, name: &str, least: u64, default: Duration) -> Result<Duration> {
    let given = read.parsed("keys", name, duration)?.unwrap_or(default);
    if !(Duration::from_secs(least)..=Duration::from_secs(24 * 3600)).contains(&given) {
        bail!("keys.{name} must be between {least}s and 24h");
    }
    Ok(given)
}

/// A certificate chain and its key.
fn pair(read: &Reader, section: &str) -> Result<Option<(PathBuf, PathBuf)>> {
    match (read.path(section, "certificate")?, read.path(section, "key")?) {
        (Some(certificate), Some(key)) => Ok(Some((certificate, key))),
        (None, None) => Ok(None),
        _ => bail!("{section}.certificate and {section}.key belong together; one is missing"),
    }
}

fn admin(read: &Reader, tls: Option<&(PathBuf, PathBuf)>) -> Result<Option<AdminConfig>> {
    let (client_ca, own) = (read.path("admin", "client_ca")?, pair(read, "admin")?);
    let Some(listen) = read.address("admin", "listen")? else {
        if client_ca.is_some() || own.is_some() {
            bail!("[admin] means something with admin.listen, e.g. listen = \"0.0.0.0:9473\"");
        }
        return Ok(None);
    };
    let client_ca = client_ca.context(
        "admin.listen needs admin.client_ca: an authority that signs the operators' certificates \
         and no others",
    )?;
    let tls = own.or_else(|| tls.cloned()).context(
        "admin.listen needs a certificate: set admin.certificate and admin.key, or [tls]",
    )?;
    Ok(Some(AdminConfig { listen, client_ca, tls }))
}

fn refuse_plain_http(clients: SocketAddr, tls: bool, allowed: bool) -> Result<()> {
    if tls || allowed || clients.ip().is_loopback() {
        return Ok(());
    }
    bail!(
        "listen.clients = {clients} can be reached by other machines and there is no \
         [tls]; set tls.certificate and tls.key, or listen.allow_plain_http = true if a \
         proxy on this network path terminates TLS"
    )
}

fn host_name() -> Result<String> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname")
        .context("name is not set and the host name cannot be read")?;
    Ok(name.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use keystead_server::KeySource;

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
    fn a_member_says_where_it_is_and_where_others_are() {
        let text = format!(
            "{MINIMAL}\n[cluster]\nseeds = [\"a:1\", \"b:2\"]\njoin_secret = \"s\"\nexpect = 3"
        );
        let config = parse(&text).unwrap();
        assert_eq!(config.cluster.seeds, ["a:1", "b:2"]);
        assert_eq!(config.cluster.expect, Some(3));
        let variable = |name: &str| (name == "KEYSTEAD_CLUSTER_SEEDS").then(|| "c:3, d:4".into());
        assert_eq!(Config::parse(&text, variable).unwrap().cluster.seeds, ["c:3", "d:4"]);
        assert!(parse(&format!("{MINIMAL}\n[cluster]\nexpect = 3")).is_err());
    }

    #[test]
    fn client_authorities_are_lists_and_need_tls() {
        let authority = "[[client_ca]]\nfile = \"a.pem\"\naccounts = [\"111122223333\"]";
        assert!(parse(&format!("{MINIMAL}\n{authority}")).is_err());
        let tls = "[tls]\ncertificate = \"c\"\nkey = \"k\"";
        let config = parse(&format!("{MINIMAL}\n{tls}\n{authority}")).unwrap();
        assert_eq!(config.client_authorities[0].accounts[0].to_string(), "111122223333");
        let misspelt = authority.replace("accounts", "acounts");
        let error = parse(&format!("{MINIMAL}\n{tls}\n{misspelt}")).unwrap_err();
        assert!(format!("{error:#}").contains("client_ca.accounts"), "{error:#}");
    }

    #[test]
    fn operators_elsewhere_need_an_authority_and_a_certificate() {
        let refused = |text: &str| format!("{:#}", parse(text).unwrap_err());
        assert_eq!(parse(MINIMAL).unwrap().admin, None);
        let open = format!("{MINIMAL}\n[admin]\nlisten = \"0.0.0.0:9473\"");
        assert!(refused(&open).contains("admin.listen needs admin.client_ca"));
        let trusting = format!("{open}\nclient_ca = \"ops.pem\"");
        assert!(refused(&trusting).contains("set admin.certificate and admin.key, or [tls]"));
        assert!(refused(&format!("{trusting}\nkey = \"k\"")).contains("belong together"));
        assert!(refused(&trusting.replace("listen =", "liston =")).contains("\"admin.listen\""));
        let closed = format!("{MINIMAL}\n[admin]\nclient_ca = \"ops.pem\"");
        assert!(refused(&closed).contains("admin.listen"));

        let own = format!("{trusting}\ncertificate = \"c\"\nkey = \"k\"");
        let tls = "[tls]\ncertificate = \"tc\"\nkey = \"tk\"";
        let pair = |text: &str| parse(text).unwrap().admin.unwrap().tls;
        assert_eq!(pair(&own), ("c".into(), "k".into()));
        assert_eq!(pair(&format!("{own}\n{tls}")), ("c".into(), "k".into()));
        assert_eq!(pair(&format!("{trusting}\n{tls}")), ("tc".into(), "tk".into()));

        let variable = |name: &str| (name == "KEYSTEAD_ADMIN_LISTEN").then(|| "[::1]:1".into());
        let text = format!("{closed}\n{tls}");
        let admin = Config::parse(&text, variable).unwrap().admin.unwrap();
        assert_eq!(admin.listen.port(), 1);
    }

    #[test]
    fn uses_of_keys_are_told_neither_all_the_time_nor_never() {
        let interval = |text: &str| {
            parse(&format!("{MINIMAL}\n[keys]\nuse_interval = \"{text}\"")).map(|c| c.use_interval)
        };
        assert_eq!(parse(MINIMAL).unwrap().use_interval, Duration::from_secs(60));
        assert_eq!(interval("1s").unwrap(), Duration::from_secs(1));
        for odd in ["999ms", "0s", "25h"] {
            assert!(interval(odd).is_err(), "{odd}");
        }
    }

    #[test]
    fn lost_material_is_erased_within_an_hour_unless_said_otherwise() {
        let within = |text: &str| {
            parse(&format!("{MINIMAL}\n[keys]\nerase_within = \"{text}\"")).map(|c| c.erase_within)
        };
        assert_eq!(parse(MINIMAL).unwrap().erase_within, Duration::from_secs(3600));
        assert_eq!(within("4s").unwrap(), Duration::from_secs(4));
        for odd in ["3s", "25h"] {
            assert!(within(odd).is_err(), "{odd}");
        }
    }

    #[test]
    fn issuers_say_where_their_keys_are() {
        let issuers = |text: &str| parse(&format!("{MINIMAL}\n{text}")).map(|c| c.issuers);
        let one = "[[oidc.issuer]]\nurl = \"https://idp.example.com/a\"";
        let found = issuers(&format!("{one}\n[[oidc.issuer]]\nurl = \"https://b\"")).unwrap();
        assert_eq!(
            found.iter().map(|i| i.issuer.as_str()).collect::<Vec<_>>(),
            ["idp.example.com/a", "b"]
        );
        assert!(found.iter().all(|i| i.keys == KeySource::Discovery && i.ca_file.is_none()));
        let file = issuers(&format!("{one}\njwks_file = \"keys.json\"")).unwrap();
        assert_eq!(file[0].keys, KeySource::File("keys.json".into()));
        let url = issuers(&format!("{one}\njwks_url = \"https://c/keys\"\nca_file = \"ca\""));
        assert_eq!(url.unwrap()[0].keys, KeySource::Url("https://c/keys".into()));
        for (odd, says) in [
            (format!("{one}\n{one}"), "twice"),
            (format!("{one}\njwks_file = \"a\"\njwks_url = \"https://b\""), "jwks_file or"),
            ("[[oidc.issuer]]\njwks_file = \"a\"".to_owned(), "oidc.issuer.url is missing"),
            ("[[oidc.issuer]]\nurl = \"http://a\"".to_owned(), "oidc.issuer.url"),
            (format!("{one}\njwks_fil = \"a\""), "\"oidc.issuer.jwks_file\""),
            ("[oidc.issuer]\nurl = \"https://a\"".to_owned(), "[[oidc.issuer]]"),
        ] {
            let error = format!("{:#}", issuers(&odd).unwrap_err());
            assert!(error.contains(says), "{error}");
        }
    }

    #[test]
    fn reads_are_strict_unless_told_otherwise() {
        assert_eq!(parse(MINIMAL).unwrap().reads, Reads::Strict);
        let bounded = format!("{MINIMAL}\n[reads]\nmode = \"bounded\"\nbound = \"50ms\"");
        assert_eq!(parse(&bounded).unwrap().reads, Reads::Bounded(Duration::from_millis(50)));
        assert!(parse(&format!("{MINIMAL}\n[reads]\nmode = \"stale\"")).is_err());
    }
}
