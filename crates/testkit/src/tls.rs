//! Certificates made for a test, and TLS as a client speaks it.

use std::net::IpAddr;
use std::sync::Arc;

use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, SanType,
};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// An authority of its own.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key.
pub struct Identity {
    certificate: CertificateDer<'static>,
    /// The same, for a file.
    pub certificate_pem: String,
    key: PrivatePkcs8KeyDer<'static>,
    /// The same, for a file.
    pub key_pem: String,
}

/// How a client speaks TLS: whom it believes, and who it is.
#[derive(Debug, Clone)]
pub struct Tls(Arc<ClientConfig>);

impl Authority {
    /// A new authority with this name.
    ///
    /// # Errors
    /// The key or the certificate cannot be made.
    pub fn new(name: &str) -> Result<Self> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        Ok(Self(CertifiedIssuer::self_signed(params, KeyPair::generate()?)?))
    }

    /// Its own certificate, for a file.
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate for a server with these addresses.
    ///
    /// # Errors
    /// The key or the certificate cannot be made.
    pub fn server(&self, addresses: impl IntoIterator<Item = IpAddr>) -> Result<Identity> {
        let names = addresses.into_iter().map(SanType::IpAddress).collect();
        self.issue(names, &[ExtendedKeyUsagePurpose::ServerAuth])
    }

    /// A certificate for one that is a server at this address and a client of others like it.
    ///
    /// # Errors
    /// The key or the certificate cannot be made.
    pub fn peer(&self, address: IpAddr) -> Result<Identity> {
        let usages = [ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        self.issue(vec![SanType::IpAddress(address)], &usages)
    }

    /// A certificate for a client that is this principal.
    ///
    /// # Errors
    /// The key or the certificate cannot be made.
    pub fn client(&self, principal: &str) -> Result<Identity> {
        let name = SanType::URI(principal.try_into()?);
        self.issue(vec![name], &[ExtendedKeyUsagePurpose::ClientAuth])
    }

    fn issue(&self, names: Vec<SanType>, usages: &[ExtendedKeyUsagePurpose]) -> Result<Identity> {
        let mut params = CertificateParams::default();
        params.subject_alt_names = names;
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = usages.to_vec();
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.0)?;
        Ok(Identity {
            certificate_pem: certificate.pem(),
            certificate: certificate.into(),
            key_pem: key.serialize_pem(),
            key: key.serialize_der().into(),
        })
    }
}

impl Tls {
    /// A client that believes this authority alone, speaks this protocol within TLS, and is
    /// nobody or the owner of a certificate.
    ///
    /// # Errors
    /// rustls takes none of them.
    pub fn new(authority: &Authority, protocol: &str, identity: Option<&Identity>) -> Result<Self> {
        let mut roots = RootCertStore::empty();
        roots.add(authority.0.der().clone())?;
        let provider = Arc::new(aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots);
        let mut config = match identity {
            None => config.with_no_client_auth(),
            Some(identity) => config.with_client_auth_cert(
                vec![identity.certificate.clone()],
                identity.key.clone_key().into(),
            )?,
        };
        config.alpn_protocols = vec![protocol.into()];
        Ok(Self(Arc::new(config)))
    }

    pub(crate) async fn connect(
        &self,
        host: IpAddr,
        stream: TcpStream,
    ) -> Result<TlsStream<TcpStream>> {
        let connector = TlsConnector::from(self.0.clone());
        connector.connect(ServerName::from(host), stream).await.context("TLS handshake")
    }
}
