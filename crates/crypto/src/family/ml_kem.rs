//! ML-KEM (FIPS 203), with the ASN.1 forms of RFC 9935.

use aws_lc_rs::kem::{self, AlgorithmId, Ciphertext, DecapsulationKey, EncapsulationKey};
use keystead_types::KeySpec;
use zeroize::Zeroizing;

use crate::ffi::Pkey;
use crate::material::MaterialError;
use crate::memory::LockedBytes;
use crate::public::PublicKey;
use crate::{CryptoError, OperationError, random};

/// Bytes of the seed, FIPS 203's `d ‖ z`.
pub(crate) const SEED: usize = 64;

/// An ML-KEM private key. The secret is the seed, in locked memory.
pub struct MlKemKey {
    parameters: Parameters,
    seed: LockedBytes,
    decapsulating: DecapsulationKey,
    public: PublicKey,
}

impl MlKemKey {
    /// A new key.
    pub(crate) fn generate(spec: KeySpec) -> Result<Self, MaterialError> {
        let mut seed = LockedBytes::zeroed(SEED)?;
        random::fill(seed.expose_mut())?;
        Self::from_seed(spec, seed)
    }

    /// The key that FIPS 203, algorithm 16, makes of this seed, which must have [`SEED`] bytes.
    pub(crate) fn from_seed(spec: KeySpec, seed: LockedBytes) -> Result<Self, MaterialError> {
        let parameters = parameters(spec).ok_or(MaterialError::Unsupported(spec))?;
        let seed_bytes = seed.expose().try_into().map_err(|_| MaterialError::Malformed)?;
        let algorithm = parameters.algorithm;
        let expanded = Pkey::from_pkcs8(&parameters.pkcs8(seed_bytes))?;
        let private = expanded.raw_private(parameters.decapsulation_key)?;
        let public = expanded.raw_public(parameters.encapsulation_key)?;
        let decapsulating =
            DecapsulationKey::new(algorithm, &private).map_err(|_| CryptoError::Library)?;
        let public =
            PublicKey::parse(spec, &parameters.spki(&public)).map_err(|_| CryptoError::Library)?;
        Ok(Self { parameters, seed, decapsulating, public })
    }

    pub(crate) fn public(&self) -> &PublicKey {
        &self.public
    }

    pub(crate) fn secret(&self) -> &[u8] {
        self.seed.expose()
    }

    /// PKCS#8 in the seed form.
    pub(crate) fn pkcs8(&self) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        let seed = self.seed.expose().try_into().map_err(|_| CryptoError::Library)?;
        Ok(self.parameters.pkcs8(seed))
    }

    /// A ciphertext of the right length, which is `len`, always gives a secret: a random-looking one if it was not
    /// made for this key.
    pub(crate) fn decapsulate(
        &self,
        len: usize,
        ciphertext: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, OperationError> {
        if ciphertext.len() != len {
            return Err(OperationError::InvalidCiphertext);
        }
        let secret = self
            .decapsulating
            .decapsulate(Ciphertext::from(ciphertext))
            .map_err(|_| CryptoError::Library)?;
        Ok(Zeroizing::new(secret.as_ref().to_vec()))
    }
}

/// One set of parameters of FIPS 203, with the lengths of its table 3.
#[derive(Clone, Copy)]
pub(crate) struct Parameters {
    algorithm: &'static kem::Algorithm<AlgorithmId>,
    /// The last byte of the object identifier 2.16.840.1.101.3.4.4.x.
    arc: u8,
    encapsulation_key: usize,
    decapsulation_key: usize,
}

/// The parameters of this spec, if it is one of ML-KEM.
pub(crate) fn parameters(spec: KeySpec) -> Option<Parameters> {
    let (algorithm, arc, encapsulation_key, decapsulation_key) = match spec {
        KeySpec::MlKem512 => (&kem::ML_KEM_512, 1, 800, 1632),
        KeySpec::MlKem768 => (&kem::ML_KEM_768, 2, 1184, 2400),
        KeySpec::MlKem1024 => (&kem::ML_KEM_1024, 3, 1568, 3168),
        _ => return None,
    };
    Some(Parameters { algorithm, arc, encapsulation_key, decapsulation_key })
}

impl Parameters {
    /// The encapsulation key in a SubjectPublicKeyInfo.
    pub(crate) fn parse_spki(self, der: &[u8]) -> Option<EncapsulationKey> {
        let raw = der.strip_prefix(self.spki(&[]).as_slice())?;
        EncapsulationKey::new(self.algorithm, raw).ok()
    }

    /// RFC 9935, section 4: `SEQUENCE { SEQUENCE { OID }, BIT STRING raw }`. The lengths are those
    /// of a whole key, even if `raw` is empty: then this is what all keys begin with.
    fn spki(self, raw: &[u8]) -> Vec<u8> {
        let bits = self.encapsulation_key + 1;
        let all = bits + 4 + self.algorithm_identifier().len();
        let [_, .., all_high, all_low] = all.to_be_bytes();
        let [_, .., bits_high, bits_low] = bits.to_be_bytes();
        let mut der = vec![0x30, 0x82, all_high, all_low];
        der.extend_from_slice(&self.algorithm_identifier());
        der.extend_from_slice(&[0x03, 0x82, bits_high, bits_low, 0]);
        der.extend_from_slice(raw);
        der
    }

    /// RFC 9935, section 6: `SEQUENCE { 0, SEQUENCE { OID }, OCTET STRING { [0] seed } }`.
    fn pkcs8(self, seed: &[u8; SEED]) -> Zeroizing<Vec<u8>> {
        let mut der = Zeroizing::new(Vec::with_capacity(86));
        der.extend_from_slice(&[0x30, 84, 0x02, 1, 0]);
        der.extend_from_slice(&self.algorithm_identifier());
        der.extend_from_slice(&[0x04, 66, 0x80, 64]);
        der.extend_from_slice(seed);
        der
    }

    fn algorithm_identifier(self) -> [u8; 13] {
        [0x30, 11, 0x06, 9, 0x60, 0x86, 0x48, 0x01, 0x65, 3, 4, 4, self.arc]
    }
}
