//! Who a gRPC caller is by its certificate: the principal or the role in its URI SAN, if an
//! authority signed it that may speak for the account.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use keystead_types::{AccountId, IamArn, PrincipalArn, SessionName, lower_hex};
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
use crate::workloads::{self, SpiffeId, Workload};

/// An authority of callers, as it is configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientAuthority {
    /// PEM file with its certificates.
    pub file: PathBuf,
    /// The accounts that it speaks for.
    pub accounts: Vec<AccountId>,
    /// The workloads that it vouches for, whose roles are of those accounts.
    pub workloads: Vec<Workload>,
}

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
    workloads: Vec<Workload>,
}

impl Authority {
    /// Whether it may say of somebody what a certificate says. `all` are the workloads of all
    /// authorities: one does not vouch for a workload that another one's setting is nearer to.
    fn speaks_for<'w>(&self, named: &Certified, all: impl Iterator<Item = &'w Workload>) -> bool {
        match named {
            Certified::Principal(principal) => self.accounts.contains(&principal.account()),
            Certified::Role(named) => self.accounts.contains(&named.role.account),
            Certified::Workload { id, .. } => {
                let role = workloads::role_of(&self.workloads, id);
                role.is_some_and(|role| self.accounts.contains(&role.account))
                    && role == workloads::role_of(all, id)
            }
        }
    }
}

impl ClientAuthorities {
    /// Reads the authorities' certificates (PEM), each with the accounts that it speaks for.
    ///
    /// # Errors
    /// A file that cannot be read or holds no certificate of an authority.
    pub fn load(
        configured: &[ClientAuthority],
        provider: &Arc<CryptoProvider>,
    ) -> Result<Self, TlsError> {
        let mut authorities = Vec::new();
        for ClientAuthority { file, accounts, workloads } in configured {
            let roots = read_roots(file)?;
            let builder =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone());
            let verifier = builder.build().map_err(|cause| TlsError::Authority {
                path: file.clone(),
                cause: cause.to_string(),
            })?;
            let (accounts, workloads) = (accounts.clone(), workloads.clone());
            authorities.push(Authority { verifier, accounts, workloads });
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

/// Whom a certificate names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Certified {
    /// A root or a user, who calls as itself.
    Principal(PrincipalArn),
    /// A role, which the caller takes on if its trust policy allows that.
    Role(CertifiedRole),
    /// A workload, whose role the configuration tells.
    Workload {
        /// Its SPIFFE id.
        id: SpiffeId,
        /// As of a role.
        session: SessionName,
    },
}

/// A role that a certificate names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CertifiedRole {
    /// Its ARN.
    pub(crate) role: IamArn,
    /// The serial number of the certificate in hexadecimal digits, as the name of the session.
    pub(crate) session: SessionName,
    /// The URI that names it.
    pub(crate) uri: String,
}

/// Whom a certificate names: its only URI that is an ARN or, if none is, its only URI at all, which
/// is a SPIFFE id.
pub(crate) fn certified(certificate: &CertificateDer<'_>) -> Option<Certified> {
    let certificate = webpki::EndEntityCert::try_from(certificate).ok()?;
    let uris: Vec<&str> = certificate.valid_uri_names().collect();
    let arns: Vec<&str> = uris.iter().copied().filter(|uri| uri.starts_with("arn:")).collect();
    let session = || lower_hex(certificate.serial()).parse().ok();
    match (arns.as_slice(), uris.as_slice()) {
        ([arn], _) => {
            if let Ok(principal) = arn.parse() {
                return Some(Certified::Principal(principal));
            }
            let role: IamArn = arn.parse().ok()?;
            role.role_name()?;
            let (session, uri) = (session()?, (*arn).to_owned());
            Some(Certified::Role(CertifiedRole { role, session, uri }))
        }
        ([], [uri]) => Some(Certified::Workload { id: uri.parse().ok()?, session: session()? }),
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
        let named = certified(end_entity).ok_or_else(|| refused.clone())?;
        let mut failure = refused;
        for authority in &self.authorities {
            let all = self.authorities.iter().flat_map(|authority| &authority.workloads);
            if !authority.speaks_for(&named, all) {
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
