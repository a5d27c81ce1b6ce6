//! TLS on the listeners of clients and operators: a certificate and key from PEM files, replaced
//! while running.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{self, kx_group};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{ClientHello, NoClientAuth, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ServerConfig, SupportedProtocolVersion, version};
use thiserror::Error;
use tokio::time::MissedTickBehavior;

use crate::client_certificate::{ClientAuthorities, ClientAuthority};

/// How often the files are looked at.
const WATCH_INTERVAL: Duration = Duration::from_secs(1);

/// Why a certificate and key cannot be used.
#[derive(Debug, Error)]
pub enum TlsError {
    /// A file is not readable.
    #[error("cannot read {path}: {cause}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        cause: io::Error,
    },
    /// The file of certificates is not PEM.
    #[error("{path} holds no readable PEM certificates: {cause}")]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What the PEM reader found.
        cause: pem::Error,
    },
    /// The file of certificates holds none.
    #[error("{path} holds no certificate: expected the server's first, then its issuers'")]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// The file of the key is not PEM, or holds no private key.
    #[error("{path} holds no readable PEM private key: {cause}")]
    Key {
        /// The file.
        path: PathBuf,
        /// What the PEM reader found.
        cause: pem::Error,
    },
    /// The key is of an unsupported kind, or not the certificate's.
    #[error("the key in {key} cannot be used with the certificate in {cert}: {cause}")]
    Mismatch {
        /// The file of certificates.
        cert: PathBuf,
        /// The file of the key.
        key: PathBuf,
        /// What rustls found.
        cause: rustls::Error,
    },
    /// The file of an authority cannot be used.
    #[error("{path} holds no usable authority: {cause}")]
    Authority {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: String,
    },
    /// One authority signs for operators and for callers.
    #[error(
        "{operators} and {callers} hold the same authority: whoever it signs for as a caller would \
         be an operator; give operators an authority of their own"
    )]
    SharedAuthority {
        /// The file of the operators' authority.
        operators: PathBuf,
        /// The file of the callers'.
        callers: PathBuf,
    },
    /// rustls refuses the configuration.
    #[error("cannot set TLS up: {0}")]
    Config(rustls::Error),
}

/// A server's certificate chain and key, and the TLS configuration that presents them.
///
/// Connections made after a replacement get the new certificate; those that are open stay.
#[derive(Debug)]
pub struct TlsIdentity {
    config: Arc<ServerConfig>,
    /// Where it comes from, unless it stays as it is.
    files: Option<Arc<Files>>,
    loaded_from: Option<Stamp>,
}

impl TlsIdentity {
    /// Reads the certificate chain (the server's own first), the private key (PKCS#8, PKCS#1 or
    /// SEC 1), and the authorities of callers with the accounts that each speaks for; all PEM.
    ///
    /// # Errors
    /// A file that cannot be read or understood, or a key that is not the certificate's.
    pub fn load(
        cert: &Path,
        key: &Path,
        client_authorities: &[ClientAuthority],
    ) -> Result<Self, TlsError> {
        let verifier: Arc<dyn ClientCertVerifier> = if client_authorities.is_empty() {
            Arc::new(NoClientAuth)
        } else {
            Arc::new(ClientAuthorities::load(client_authorities, &Arc::new(provider()))?)
        };
        let versions = [&version::TLS13, &version::TLS12];
        Self::verifying((cert, key), verifier, &versions, &[b"h2", b"http/1.1"])
    }

    /// Reads the certificate chain and the key, for connections of these versions and protocols
    /// on which `verifier` decides who may come in.
    pub(crate) fn verifying(
        (cert, key): (&Path, &Path),
        verifier: Arc<dyn ClientCertVerifier>,
        versions: &[&'static SupportedProtocolVersion],
        protocols: &[&[u8]],
    ) -> Result<Self, TlsError> {
        let provider = Arc::new(provider());
        let loaded_from = Stamp::of(cert, key);
        let current = ArcSwap::from_pointee(load_certified_key(cert, key, &provider)?);
        let files = Arc::new(Files {
            cert: cert.to_owned(),
            key: key.to_owned(),
            provider: Arc::clone(&provider),
            current,
        });
        let resolver = Arc::clone(&files) as Arc<dyn ResolvesServerCert>;
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .map_err(TlsError::Config)?
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(resolver);
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        Ok(Self { config: Arc::new(config), files: Some(files), loaded_from })
    }

    /// One that stays as it is.
    pub(crate) fn fixed(config: Arc<ServerConfig>) -> Self {
        Self { config, files: None, loaded_from: None }
    }

    /// The configuration to accept connections with.
    pub fn server_config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }

    /// Looks at the files once a second, for ever, and takes up a replacement as soon as it is
    /// whole. As long as it is not, the last good pair stays and the error is logged once.
    pub fn watch(&self) -> impl Future<Output = ()> + Send + use<> {
        let files = self.files.clone();
        let watcher = files.map(|files| Watcher { files, seen: self.loaded_from, failure: None });
        async move {
            let Some(mut watcher) = watcher else { return };
            let mut ticks = tokio::time::interval(WATCH_INTERVAL);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                let looked = tokio::task::spawn_blocking(move || {
                    watcher.look();
                    watcher
                });
                match looked.await {
                    Ok(back) => watcher = back,
                    // Only when the runtime is shutting down.
                    Err(_) => return,
                }
            }
        }
    }
}

/// The two files and what they last held.
#[derive(Debug)]
struct Files {
    cert: PathBuf,
    key: PathBuf,
    provider: Arc<CryptoProvider>,
    current: ArcSwap<CertifiedKey>,
}

impl ResolvesServerCert for Files {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.load_full())
    }
}

/// What tells one version of the files from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp([FileStamp; 2]);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FileStamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
}

impl Stamp {
    /// Follows symbolic links; `None` while a file is absent.
    fn of(cert: &Path, key: &Path) -> Option<Self> {
        let stamp = |path: &Path| fs::metadata(path).ok().map(|found| FileStamp::from(&found));
        Some(Self([stamp(cert)?, stamp(key)?]))
    }
}

impl From<&Metadata> for FileStamp {
    fn from(found: &Metadata) -> Self {
        Self {
            device: found.dev(),
            inode: found.ino(),
            size: found.size(),
            modified: (found.mtime(), found.mtime_nsec()),
        }
    }
}

struct Watcher {
    files: Arc<Files>,
    seen: Option<Stamp>,
    failure: Option<String>,
}

impl Watcher {
    /// Loads the files if they changed, or if they were not whole at the last look: the two are
    /// not replaced at the same instant. Their stamp is taken first, so that a change during the
    /// load is seen at the next look.
    fn look(&mut self) {
        let files = &self.files;
        let stamp = Stamp::of(&files.cert, &files.key);
        if stamp == self.seen && self.failure.is_none() {
            return;
        }
        self.seen = stamp;
        match load_certified_key(&files.cert, &files.key, &files.provider) {
            Ok(loaded) => {
                files.current.store(Arc::new(loaded));
                self.failure = None;
                tracing::info!(certificate = %files.cert.display(), "TLS certificate replaced");
            }
            Err(error) => {
                let text = error.to_string();
                if self.failure.as_ref() != Some(&text) {
                    tracing::error!(
                        error = %text,
                        "the TLS certificate was not replaced and the last good one stays in \
                         use: put a certificate and its key in place"
                    );
                }
                self.failure = Some(text);
            }
        }
    }
}

/// aws-lc-rs with the post-quantum hybrid before all other key exchanges.
pub(crate) fn provider() -> CryptoProvider {
    CryptoProvider {
        kx_groups: vec![
            kx_group::X25519MLKEM768,
            kx_group::X25519,
            kx_group::SECP256R1,
            kx_group::SECP384R1,
        ],
        ..aws_lc_rs::default_provider()
    }
}

pub(crate) fn load_certified_key(
    cert: &Path,
    key: &Path,
    provider: &CryptoProvider,
) -> Result<CertifiedKey, TlsError> {
    let chain = CertificateDer::pem_slice_iter(&read(cert)?)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|cause| TlsError::Certificate { path: cert.to_owned(), cause })?;
    if chain.is_empty() {
        return Err(TlsError::NoCertificate { path: cert.to_owned() });
    }
    let private_key = PrivateKeyDer::from_pem_slice(&zeroize::Zeroizing::new(read(key)?))
        .map_err(|cause| TlsError::Key { path: key.to_owned(), cause })?;
    CertifiedKey::from_der(chain, private_key, provider).map_err(|cause| TlsError::Mismatch {
        cert: cert.to_owned(),
        key: key.to_owned(),
        cause,
    })
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    fs::read(path).map_err(|cause| TlsError::Read { path: path.to_owned(), cause })
}

#[cfg(test)]
mod tests {
    use super::*;

    use rustls::pki_types::ServerName;
    use rustls::{ClientConfig, NamedGroup, ProtocolVersion, RootCertStore};
    use tokio_rustls::{TlsAcceptor, TlsConnector};

    struct Pair {
        cert_pem: String,
        key_pem: String,
        cert: CertificateDer<'static>,
    }

    fn pair() -> Pair {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        Pair {
            cert_pem: made.cert.pem(),
            key_pem: made.signing_key.serialize_pem(),
            cert: made.cert.der().clone(),
        }
    }

    struct Folder(tempfile::TempDir);

    impl Folder {
        fn with(pair: &Pair) -> Self {
            let folder = Self(tempfile::tempdir().unwrap());
            fs::write(folder.cert(), &pair.cert_pem).unwrap();
            fs::write(folder.key(), &pair.key_pem).unwrap();
            folder
        }
        fn cert(&self) -> PathBuf {
            self.0.path().join("tls.crt")
        }
        fn key(&self) -> PathBuf {
            self.0.path().join("tls.key")
        }
        fn load(&self) -> Result<TlsIdentity, TlsError> {
            TlsIdentity::load(&self.cert(), &self.key(), &[])
        }
    }

    /// Connects over TLS inside the process, trusting `trusted` alone.
    async fn connect(
        identity: &TlsIdentity,
        trusted: &Pair,
        versions: &[&'static SupportedProtocolVersion],
    ) -> io::Result<(Option<ProtocolVersion>, Option<NamedGroup>, Option<Vec<u8>>)> {
        let mut roots = RootCertStore::empty();
        roots.add(trusted.cert.clone()).unwrap();
        let mut config =
            ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
                .with_protocol_versions(versions)
                .unwrap()
                .with_root_certificates(roots)
                .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let (client_end, server_end) = tokio::io::duplex(64 * 1024);
        let acceptor = TlsAcceptor::from(identity.server_config());
        let name = ServerName::try_from("localhost").unwrap();
        let connector = TlsConnector::from(Arc::new(config));
        let (client, _server) =
            tokio::join!(connector.connect(name, client_end), acceptor.accept(server_end));
        let client = client?;
        let session = client.get_ref().1;
        Ok((
            session.protocol_version(),
            session.negotiated_key_exchange_group().map(|group| group.name()),
            session.alpn_protocol().map(<[u8]>::to_vec),
        ))
    }

    #[tokio::test]
    async fn serves_both_versions_and_prefers_the_hybrid_key_exchange() {
        let pair = pair();
        let identity = Folder::with(&pair).load().unwrap();
        let (version, group, alpn) = connect(&identity, &pair, &[&version::TLS13]).await.unwrap();
        assert_eq!(version, Some(ProtocolVersion::TLSv1_3));
        assert_eq!(group, Some(NamedGroup::X25519MLKEM768));
        assert_eq!(alpn.as_deref(), Some(&b"h2"[..]));
        let (version, _, _) = connect(&identity, &pair, &[&version::TLS12]).await.unwrap();
        assert_eq!(version, Some(ProtocolVersion::TLSv1_2));
    }

    #[tokio::test(start_paused = true)]
    async fn a_replacement_is_taken_up_when_it_is_whole() {
        let (old, new) = (pair(), pair());
        let folder = Folder::with(&old);
        let identity = folder.load().unwrap();
        let watching = tokio::spawn(identity.watch());
        let tls13: &[_] = &[&version::TLS13];

        fs::write(folder.cert(), &new.cert_pem).unwrap();
        tokio::time::sleep(WATCH_INTERVAL * 3).await;
        connect(&identity, &old, tls13).await.expect("a lone certificate changes nothing");

        // As orchestrators do: the new file is renamed over the old one.
        let next = folder.key().with_extension("next");
        fs::write(&next, &new.key_pem).unwrap();
        fs::rename(&next, folder.key()).unwrap();
        tokio::time::sleep(WATCH_INTERVAL * 3).await;
        connect(&identity, &new, tls13).await.expect("the new pair is in use");
        connect(&identity, &old, tls13).await.expect_err("the old certificate is gone");

        fs::remove_file(folder.cert()).unwrap();
        tokio::time::sleep(WATCH_INTERVAL * 3).await;
        connect(&identity, &new, tls13).await.expect("a missing file changes nothing");
        watching.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn a_pair_that_is_not_whole_is_read_again_though_nothing_seems_to_change() {
        let (old, new) = (pair(), pair());
        let folder = Folder::with(&old);
        let identity = folder.load().unwrap();
        let watching = tokio::spawn(identity.watch());
        fs::write(folder.cert(), &new.cert_pem).unwrap();
        tokio::time::sleep(WATCH_INTERVAL * 3).await;

        let before = Stamp::of(&folder.cert(), &folder.key());
        let modified = fs::metadata(folder.key()).unwrap().modified().unwrap();
        fs::write(folder.key(), &new.key_pem).unwrap();
        fs::File::options()
            .append(true)
            .open(folder.key())
            .unwrap()
            .set_modified(modified)
            .unwrap();
        assert_eq!(Stamp::of(&folder.cert(), &folder.key()), before);
        tokio::time::sleep(WATCH_INTERVAL * 3).await;
        connect(&identity, &new, &[&version::TLS13]).await.expect("the new pair is in use");
        watching.abort();
    }

    #[test]
    fn refuses_what_cannot_serve() {
        let (one, two) = (pair(), pair());
        let folder = Folder::with(&one);
        let failure = || folder.load().map(drop).unwrap_err();

        fs::write(folder.key(), &two.key_pem).unwrap();
        assert!(matches!(failure(), TlsError::Mismatch { .. }));
        fs::write(folder.key(), "").unwrap();
        assert!(matches!(failure(), TlsError::Key { .. }));
        fs::remove_file(folder.key()).unwrap();
        assert!(matches!(failure(), TlsError::Read { .. }));
        fs::write(folder.cert(), "not PEM").unwrap();
        assert!(matches!(failure(), TlsError::NoCertificate { .. }));
        fs::write(folder.cert(), "-----BEGIN CERTIFICATE-----\n*\n-----END CERTIFICATE-----\n")
            .unwrap();
        assert!(matches!(failure(), TlsError::Certificate { .. }));
    }
}
