//! The cluster's authority: it signs the certificates of members and nothing else.
//!
//! Its private key is in the replicated state, sealed, so that every member can sign.

use keystead_raft::peer::{member_name, node_name};
use keystead_types::{ClusterId, NodeId};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PublicKeyData, SignatureAlgorithm,
};
use rustls_pki_types::PrivatePkcs8KeyDer;
use time::{Duration, OffsetDateTime};
use zeroize::Zeroizing;

/// How long the authority's certificate is valid.
const AUTHORITY_VALID: Duration = Duration::days(20 * 365);
/// How long a node's certificate is valid.
const NODE_VALID: Duration = Duration::days(5 * 365);
/// How far the clocks of two nodes may be apart when a certificate is new.
const CLOCK_SKEW: Duration = Duration::hours(24);
/// An uncompressed point on P-256.
const POINT_BYTES: usize = 65;
const UNCOMPRESSED: u8 = 4;

/// Why no certificate was made.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// The library refused.
    #[error("the certificate could not be made: {0}")]
    Certificate(#[from] rcgen::Error),
    /// What should be certified is no public key.
    #[error("the public key is no uncompressed point on P-256")]
    PublicKey,
}

/// An authority that can sign.
pub struct Authority {
    cluster: ClusterId,
    key: KeyPair,
    certificate: Vec<u8>,
}

impl Authority {
    /// A new authority for a cluster.
    ///
    /// # Errors
    /// The library failed.
    pub fn generate(cluster: ClusterId) -> Result<Self, AuthorityError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let certificate = parameters(cluster).self_signed(&key)?.der().to_vec();
        Ok(Self { cluster, key, certificate })
    }

    /// The authority with this certificate (DER) and key (PKCS#8).
    ///
    /// # Errors
    /// The key cannot be read.
    pub fn load(
        cluster: ClusterId,
        certificate: &[u8],
        key: &[u8],
    ) -> Result<Self, AuthorityError> {
        Ok(Self { cluster, key: read_key(key)?, certificate: certificate.to_vec() })
    }

    /// Its certificate, DER.
    pub fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    /// Its private key, PKCS#8.
    pub fn key(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(self.key.serialize_der())
    }

    /// A certificate for a node with this public key, an uncompressed point on P-256; DER.
    ///
    /// # Errors
    /// See [`AuthorityError`].
    pub fn sign(&self, node: NodeId, public_key: &[u8]) -> Result<Vec<u8>, AuthorityError> {
        let is_point = public_key.len() == POINT_BYTES && public_key.first() == Some(&UNCOMPRESSED);
        if !is_point {
            return Err(AuthorityError::PublicKey);
        }
        let names = vec![node_name(self.cluster, node), member_name(self.cluster)];
        let mut node_parameters = CertificateParams::new(names)?;
        node_parameters.distinguished_name.push(DnType::CommonName, format!("node {node}"));
        node_parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        node_parameters.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        node_parameters.use_authority_key_identifier_extension = true;
        set_validity(&mut node_parameters, NODE_VALID);
        let issuer_parameters = parameters(self.cluster);
        let issuer = Issuer::from_params(&issuer_parameters, &self.key);
        let signed = node_parameters.signed_by(&Point(public_key), &issuer)?;
        Ok(signed.der().to_vec())
    }
}

/// A private key on P-256, PKCS#8.
pub(super) fn read_key(key: &[u8]) -> Result<KeyPair, AuthorityError> {
    let key = PrivatePkcs8KeyDer::from(key);
    Ok(KeyPair::from_pkcs8_der_and_sign_algo(&key, &PKCS_ECDSA_P256_SHA256)?)
}

/// What the authority's certificate says. Only its name and its key make it the issuer of others.
fn parameters(cluster: ClusterId) -> CertificateParams {
    let mut parameters = CertificateParams::default();
    let name = format!("Keystead cluster {cluster}");
    parameters.distinguished_name = rcgen::DistinguishedName::new();
    parameters.distinguished_name.push(DnType::CommonName, name);
    parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    set_validity(&mut parameters, AUTHORITY_VALID);
    parameters
}

fn set_validity(parameters: &mut CertificateParams, valid: Duration) {
    let now = OffsetDateTime::now_utc();
    parameters.not_before = now - CLOCK_SKEW;
    parameters.not_after = now + valid;
}

struct Point<'a>(&'a [u8]);

impl PublicKeyData for Point<'_> {
    fn der_bytes(&self) -> &[u8] {
        self.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}
