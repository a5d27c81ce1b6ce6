//! Who an operator is by a certificate: the only name in it, if the operators' authority signed it.

use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore,
    SignatureScheme, version,
};

use crate::client_certificate::{ClientAuthority, read_roots};
use crate::tls::{self, TlsError, TlsIdentity};

/// The longest name of an operator in bytes.
const MAX_NAME: usize = 255;

/// How a node shows itself to operators, and which operators it lets in: TLS 1.3 alone, by a
/// certificate of the operators' authority that names one operator.
#[derive(Debug)]
pub struct OperatorTls(TlsIdentity);

impl OperatorTls {
    /// Reads the node's certificate chain and key, and the certificates of the operators'
    /// authority; all PEM. `callers` are the authorities of callers, none of which may be among
    /// them.
    ///
    /// # Errors
    /// A file that cannot be read or understood, a key that is not the certificate's, or an
    /// authority that signs for callers too.
    pub fn load(
        (certificate, key): (&Path, &Path),
        authority: &Path,
        callers: &[ClientAuthority],
    ) -> Result<Self, TlsError> {
        let roots = read_roots(authority)?;
        for ClientAuthority { file, .. } in callers {
            if shares_a_key(&roots, &read_roots(file)?) {
                let (operators, callers) = (authority.to_owned(), file.clone());
                return Err(TlsError::SharedAuthority { operators, callers });
            }
        }
        let provider = Arc::new(tls::provider());
        let trusted = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        let trusted = trusted.build().map_err(|cause| TlsError::Authority {
            path: authority.to_owned(),
            cause: cause.to_string(),
        })?;
        let verifier = Arc::new(NamedOperators(trusted));
        TlsIdentity::verifying((certificate, key), verifier, &[&version::TLS13], &[b"h2"]).map(Self)
    }

    pub(super) fn into_identity(self) -> TlsIdentity {
        self.0
    }
}

fn shares_a_key(one: &RootCertStore, other: &RootCertStore) -> bool {
    let keys = |store: &RootCertStore| {
        let keys = store.roots.iter().map(|root| root.subject_public_key_info.to_vec());
        keys.collect::<Vec<_>>()
    };
    let known = keys(other);
    keys(one).iter().any(|key| known.contains(key))
}

/// The operator that a certificate names: by its only DNS name or URI.
///
/// A user's number is no name, for so are those called who use the socket; a principal's ARN is
/// none either, for it is a caller's.
pub(super) fn operator_name(certificate: &CertificateDer<'_>) -> Option<String> {
    let certificate = webpki::EndEntityCert::try_from(certificate).ok()?;
    let mut names = certificate.valid_dns_names().chain(certificate.valid_uri_names());
    match (names.next(), names.next()) {
        (Some(name), None) if is_name(name) => Some(name.to_owned()),
        _ => None,
    }
}

fn is_name(name: &str) -> bool {
    (1..=MAX_NAME).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_graphic())
        && !name.bytes().all(|byte| byte.is_ascii_digit())
        && !name.contains('*')
        && !name.starts_with("arn:")
}

/// Lets in whom the authority signed for and who has a name.
#[derive(Debug)]
struct NamedOperators(Arc<dyn ClientCertVerifier>);

impl ClientCertVerifier for NamedOperators {
    fn client_auth_mandatory(&self) -> bool {
        true
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.0.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.0.verify_client_cert(end_entity, intermediates, now)?;
        match operator_name(end_entity) {
            Some(_) => Ok(verified),
            None => Err(CertificateError::ApplicationVerificationFailure.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use rcgen::{CertificateParams, KeyPair, SanType};

    fn named(dns: &[&str], uris: &[&str]) -> Option<String> {
        let mut params =
            CertificateParams::new(dns.iter().copied().map(str::to_owned).collect::<Vec<_>>())
                .unwrap();
        let uris = uris.iter().map(|uri| SanType::URI((*uri).try_into().unwrap()));
        params.subject_alt_names.extend(uris);
        let key = KeyPair::generate().unwrap();
        operator_name(params.self_signed(&key).unwrap().der())
    }

    #[test]
    fn the_only_name_is_the_operators() {
        assert_eq!(named(&["alice.ops.example"], &[]).as_deref(), Some("alice.ops.example"));
        assert_eq!(named(&["alice"], &[]).as_deref(), Some("alice"));
        let uri = "spiffe://example/operator/alice";
        assert_eq!(named(&[], &[uri]).as_deref(), Some(uri));
    }

    #[test]
    fn no_name_and_two_names_are_none() {
        assert_eq!(named(&[], &[]), None);
        assert_eq!(named(&["alice", "bob"], &[]), None);
        assert_eq!(named(&["alice"], &["urn:bob"]), None);
    }

    #[test]
    fn what_others_are_called_is_no_operators_name() {
        assert_eq!(named(&[], &["arn:aws:iam::111122223333:root"]), None);
        assert_eq!(named(&[], &["0"]), None);
        assert_eq!(named(&["*.ops.example"], &[]), None);
        assert_eq!(named(&[], &["urn:alice bob"]), None);
        assert_eq!(named(&[], &[&format!("urn:{}", "a".repeat(MAX_NAME))]), None);
    }

    #[test]
    fn an_authority_of_callers_is_none_of_operators() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str| {
            let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
            let (cert, key) = (folder.path().join(name), folder.path().join(format!("{name}.key")));
            std::fs::write(&cert, made.cert.pem()).unwrap();
            std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
            (cert, key)
        };
        let ((cert, key), (operators, _), (callers, _)) =
            (write("server"), write("operators"), write("callers"));
        let load = |of: &Path| {
            let (file, accounts, workloads) = (callers.clone(), Vec::new(), Vec::new());
            let authority = ClientAuthority { file, accounts, workloads };
            OperatorTls::load((&cert, &key), of, &[authority]).map(drop)
        };
        load(&operators).unwrap();
        assert!(matches!(load(&callers), Err(TlsError::SharedAuthority { .. })));
        assert!(matches!(load(&key), Err(TlsError::Authority { .. })));
    }
}
