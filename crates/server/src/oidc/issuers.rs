//! The keys of issuers, as this node has them. They are read and fetched in the background, never on
//! the way of a request, and once had they are kept for as long as the issuer can be trusted: what
//! cannot be fetched anew goes on working.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use http::Uri;
use keystead_state::View;
use keystead_types::{Issuer, Region};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio::sync::Notify;

use super::fetch::{self, MAX_DOCUMENT};
use super::jwks::KeySet;
use crate::region::RegionServer;

/// How often keys are fetched anew.
const INTERVAL: Duration = Duration::from_secs(300);
/// How often they are tried for that were never had, unless somebody asks for them.
const RETRY: Duration = Duration::from_secs(60);
/// How soon after an attempt another one is made, because keys are missing.
const PAUSE: Duration = Duration::from_secs(10);
/// How often it is looked for what is to be done, and whether files have changed.
const TICK: Duration = Duration::from_secs(1);
/// Issuers whose keys are fetched at a time.
const AT_ONCE: usize = 64;

/// An issuer whose keys come from where the operator says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuerConfig {
    /// Whose keys they are.
    pub issuer: Issuer,
    /// Where they come from.
    pub keys: KeySource,
    /// PEM file with the authorities of the issuer's certificate; those of the system where it is
    /// not given.
    pub ca_file: Option<PathBuf>,
}

/// Where the keys of an issuer come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// From the URL that the issuer's discovery document names.
    Discovery,
    /// From a URL: `https`, or on the loopback `http`.
    Url(String),
    /// From a file, which is read again when it changes.
    File(PathBuf),
}

/// Why a configured issuer cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum IssuerConfigError {
    /// The URL of the keys.
    #[error("issuer {0}: {1} is neither https nor http on the loopback")]
    Url(Issuer, String),
    /// The authorities.
    #[error("issuer {0}: the certificates of {path} cannot be read", path = .1.display())]
    Authorities(Issuer, PathBuf),
    /// No authorities at all.
    #[error("TLS for the issuers of tokens cannot be set up")]
    Tls(#[from] rustls::Error),
}

/// All issuers whose tokens may be asked about.
pub struct Issuers {
    configured: BTreeMap<Issuer, Origin>,
    /// For the issuers that only the state knows.
    system: Option<Arc<ClientConfig>>,
    known: Mutex<BTreeMap<Issuer, Known>>,
    wanted: Notify,
}

#[derive(Clone)]
struct Origin {
    place: Place,
    tls: Arc<ClientConfig>,
}

#[derive(Clone)]
enum Place {
    Discovery,
    Url(Uri),
    File(PathBuf),
}

/// What is known of one issuer.
#[derive(Default)]
struct Known {
    keys: Option<Arc<KeySet>>,
    /// When the last attempt to get them began.
    tried: Option<Instant>,
    /// Somebody asked for a key that is not there.
    wanted: bool,
    under_way: bool,
    /// The last attempt failed.
    failing: bool,
    /// What a file was when it was read.
    stamp: Option<(SystemTime, u64)>,
}

/// No issuer but those that the state knows, and the authorities of the system.
impl Default for Issuers {
    fn default() -> Self {
        Self {
            configured: BTreeMap::new(),
            system: system_roots().ok().map(Arc::new),
            known: Mutex::default(),
            wanted: Notify::new(),
        }
    }
}

impl Issuers {
    /// These issuers, and those that the state knows.
    ///
    /// # Errors
    /// See [`IssuerConfigError`].
    pub fn new(configured: &[IssuerConfig]) -> Result<Self, IssuerConfigError> {
        let system = Arc::new(system_roots()?);
        let origin = |config: &IssuerConfig| {
            let tls = match &config.ca_file {
                None => system.clone(),
                Some(path) => {
                    let roots = roots_of(path);
                    let failed =
                        || IssuerConfigError::Authorities(config.issuer.clone(), path.clone());
                    Arc::new(trusting(roots.ok_or_else(failed)?)?)
                }
            };
            let place = match &config.keys {
                KeySource::Discovery => Place::Discovery,
                KeySource::File(path) => Place::File(path.clone()),
                KeySource::Url(url) => Place::Url(
                    fetch::key_url(url)
                        .map_err(|_| IssuerConfigError::Url(config.issuer.clone(), url.clone()))?,
                ),
            };
            Ok((config.issuer.clone(), Origin { place, tls }))
        };
        let configured = configured.iter().map(origin).collect::<Result<_, IssuerConfigError>>()?;
        Ok(Self { configured, system: Some(system), ..Self::default() })
    }

    /// The keys of an issuer, as last fetched.
    pub(crate) fn keys(&self, issuer: &Issuer) -> Option<Arc<KeySet>> {
        self.lock().get(issuer)?.keys.clone()
    }

    /// Has the keys of an issuer fetched anew because some are missing; whether that happens soon.
    /// It does not when it has just been done.
    pub(crate) fn want(&self, issuer: &Issuer) -> bool {
        let mut known = self.lock();
        let known = known.entry(issuer.clone()).or_default();
        if known.under_way {
            return true;
        }
        let rested = known.tried.is_none_or(|tried| tried.elapsed() >= PAUSE);
        known.wanted |= rested;
        if rested {
            self.wanted.notify_one();
        }
        rested
    }

    /// The issuers that are configured or registered and whose turn it is, at most so many, from now
    /// on under way. What is neither any more is forgotten.
    fn due(&self, view: &View, most: usize) -> Vec<(Issuer, Origin)> {
        let registered = view.oidc_providers().map(|provider| provider.issuer.clone());
        let all: BTreeSet<Issuer> = registered.chain(self.configured.keys().cloned()).collect();
        let mut known = self.lock();
        known.retain(|issuer, _| all.contains(issuer));
        let mut due = Vec::new();
        for issuer in all {
            let entry = known.entry(issuer.clone()).or_default();
            let origin =
                self.configured.get(&issuer).cloned().or_else(|| {
                    Some(Origin { place: Place::Discovery, tls: self.system.clone()? })
                });
            if let Some(origin) = origin.filter(|origin| entry.is_due(origin)) {
                due.push((entry.tried, issuer, origin));
            }
        }
        // Those that do not answer keep nobody else from their turn.
        due.sort_by_key(|(tried, ..)| *tried);
        due.truncate(most);
        for (_, issuer, _) in &due {
            let entry = known.entry(issuer.clone()).or_default();
            entry.tried = Some(Instant::now());
            (entry.wanted, entry.under_way) = (false, true);
        }
        due.into_iter().map(|(_, issuer, origin)| (issuer, origin)).collect()
    }

    /// Takes what came of an attempt; keys that were there stay where it failed. Of attempts that
    /// fail one after the other the log has the first one.
    fn done(&self, issuer: &Issuer, region: &Region, came: Result<Option<Got>, String>) {
        let mut known = self.lock();
        let Some(known) = known.get_mut(issuer) else { return };
        known.under_way = false;
        match came {
            Ok(None) => {}
            Ok(Some(Got { keys, stamp })) => {
                if known.failing || known.keys.is_none() {
                    let keys = keys.len();
                    tracing::info!(%issuer, %region, keys, "the keys of an issuer are there");
                }
                (known.keys, known.stamp, known.failing) = (Some(Arc::new(keys)), stamp, false);
            }
            Err(error) => {
                if !known.failing {
                    tracing::warn!(%error, %issuer, %region, "the keys of an issuer cannot be had");
                }
                // A file that is put back as it was is read again.
                (known.stamp, known.failing) = (None, true);
            }
        }
    }

    fn stamp(&self, issuer: &Issuer) -> Option<(SystemTime, u64)> {
        self.lock().get(issuer)?.stamp
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Issuer, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn is_due(&self, origin: &Origin) -> bool {
        let since = self.tried.map(|tried| tried.elapsed());
        let pause = match (&origin.place, &self.keys) {
            // Whether it has changed costs nothing to see.
            (Place::File(_), _) => TICK / 2,
            _ if self.wanted => PAUSE,
            (_, None) => RETRY,
            (_, Some(_)) => INTERVAL,
        };
        !self.under_way && since.is_none_or(|since| since >= pause)
    }
}

/// Keys that were had.
struct Got {
    keys: KeySet,
    stamp: Option<(SystemTime, u64)>,
}

impl RegionServer {
    /// Has the keys of issuers at hand, for ever.
    pub async fn run_issuers(&self) {
        let mut interval = tokio::time::interval(TICK);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut under_way = FuturesUnordered::new();
        loop {
            tokio::select! {
                _ = interval.tick() => {}
                () = self.issuers.wanted.notified() => {}
                Some(()) = under_way.next() => {}
            }
            let room = AT_ONCE.saturating_sub(under_way.len());
            for (issuer, origin) in self.issuers.due(&self.view(), room) {
                under_way.push(async move {
                    let came = self.get(&issuer, &origin).await;
                    self.issuers.done(&issuer, self.name(), came);
                });
            }
        }
    }

    /// The keys of an issuer; none if they are in a file that has not changed.
    async fn get(&self, issuer: &Issuer, origin: &Origin) -> Result<Option<Got>, String> {
        let (document, stamp) = match &origin.place {
            Place::File(path) => match self.read(issuer, path).await? {
                Some((document, stamp)) => (document, Some(stamp)),
                None => return Ok(None),
            },
            Place::Url(url) => (fetch::get(url, &origin.tls).await.map_err(chain)?, None),
            Place::Discovery => {
                let url = fetch::discover(issuer, &origin.tls).await.map_err(chain)?;
                (fetch::get(&url, &origin.tls).await.map_err(chain)?, None)
            }
        };
        let keys = KeySet::read(&document);
        let keys = keys.ok_or("it is no JSON Web Key Set, or one of too many keys")?;
        Ok(Some(Got { keys, stamp }))
    }

    /// What is in a file, and what it is known by, if it has changed.
    async fn read(
        &self,
        issuer: &Issuer,
        path: &Path,
    ) -> Result<Option<(Bytes, (SystemTime, u64))>, String> {
        let failed = |error: std::io::Error| format!("{}: {error}", path.display());
        let metadata = tokio::fs::metadata(path).await.map_err(failed)?;
        let stamp = (metadata.modified().map_err(failed)?, metadata.len());
        if Some(stamp) == self.issuers.stamp(issuer) {
            return Ok(None);
        }
        if metadata.len() > MAX_DOCUMENT as u64 {
            return Err(format!("{} is too large", path.display()));
        }
        let document = tokio::fs::read(path).await.map_err(failed)?;
        Ok(Some((document.into(), stamp)))
    }
}

/// An error with what is behind it.
fn chain(error: fetch::FetchError) -> String {
    match std::error::Error::source(&error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

fn system_roots() -> Result<ClientConfig, rustls::Error> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    trusting(roots)
}

fn roots_of(path: &Path) -> Option<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).ok()? {
        roots.add(certificate.ok()?).ok()?;
    }
    (!roots.is_empty()).then_some(roots)
}

fn trusting(roots: RootCertStore) -> Result<ClientConfig, rustls::Error> {
    Ok(ClientConfig::builder_with_provider(Arc::new(crate::tls::provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth())
}
