//! Who a gRPC caller is by its certificate: the principal in its URI SAN, if an authority signed
//! it that may speak for the principal's account.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use keystead_types::{AccountId, PrincipalArn};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore,
    SignatureScheme,
};

use crate::tls::TlsError;

/// The authorities whose certificates callers may show.
#[derive(Debug)]
pub struct ClientAuthorities {
    authorities: Vec<Authority>,
    subjects: Vec<DistinguishedName>,
    provider: Arc<CryptoProvider>,
}

#[derive(Debug)]
struct Authority {
    verifier: Arc<dyn ClientCertVerifier>,
    accounts: Vec<AccountId>,
}

impl ClientAuthorities {
    /// Reads the authorities' certificates (PEM), each with the accounts that it speaks for.
    ///
    /// # Errors
    /// A file that cannot be read or holds no certificate of an authority.
    pub fn load(
        files: &[(PathBuf, Vec<AccountId>)],
        provider: &Arc<CryptoProvider>,
    ) -> Result<Self, TlsError> {
        let mut authorities = Vec::new();
        for (file, accounts) in files {
            let roots = read_roots(file)?;
            let builder =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone());
            let verifier = builder.build().map_err(|cause| TlsError::Authority {
                path: file.clone(),
                cause: cause.to_string(),
            })?;
            authorities.push(Authority { verifier, accounts: accounts.clone() });
        }
        let subjects = authorities
            .iter()
            .flat_map(|authority| authority.verifier.root_hint_subjects())
            .cloned()
            .collect();
        Ok(Self { authorities, subjects, provider: provider.clone() })
    }
}

/// The certificates of the authorities in a file (PEM), at least one.
pub(crate) fn read_roots(file: &Path) -> Result<RootCertStore, TlsError> {
    let refused = |cause: String| TlsError::Authority { path: file.to_owned(), cause };
    let bytes =
        std::fs::read(file).map_err(|cause| TlsError::Read { path: file.to_owned(), cause })?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&bytes) {
        let certificate = certificate.map_err(|error| refused(error.to_string()))?;
        roots.add(certificate).map_err(|error| refused(error.to_string()))?;
    }
    if roots.is_empty() { Err(refused("it holds no certificate".into())) } else { Ok(roots) }
}

/// The principal that a certificate names: its only URI that is an ARN.
pub(crate) fn principal(certificate: &CertificateDer<'_>) -> Option<PrincipalArn> {
    let certificate = webpki::EndEntityCert::try_from(certificate).ok()?;
    let mut names = certificate.valid_uri_names().filter(|uri| uri.starts_with("arn:"));
    match (names.next(), names.next()) {
        (Some(name), None) => name.parse().ok(),
        _ => None,
    }
}

impl ClientCertVerifier for ClientAuthorities {
    fn client_auth_mandatory(&self) -> bool {
        // Whoever signs its requests needs no certificate.
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.subjects
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let refused = Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure);
        let account = principal(end_entity).ok_or_else(|| refused.clone())?.account();
        let mut failure = refused;
        for authority in &self.authorities {
            if !authority.accounts.contains(&account) {
                continue;
            }
            match authority.verifier.verify_client_cert(end_entity, intermediates, now) {
                Ok(verified) => return Ok(verified),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
