//! Public keys of token issuers: RSA and ECDSA signatures as JSON Web Algorithms have them
//! (RFC 7518), where an ECDSA signature is `r ‖ s` at fixed width.

use std::fmt;

use aws_lc_rs::signature::{
    self, EcdsaVerificationAlgorithm, ParsedPublicKey, RsaParameters, RsaPublicKeyComponents,
};

/// Bytes of a modulus: from 2048 to 8192 bits, which is what the library takes.
const MODULUS: std::ops::RangeInclusive<usize> = 256..=1024;
/// Bytes of a public exponent at most; larger ones only cost time.
const EXPONENT: usize = 4;
/// What an uncompressed point begins with.
const UNCOMPRESSED: u8 = 4;

/// The signature algorithms that tokens may have. Those with a shared secret are none of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum JwsAlgorithm {
    Rs256,
    Rs384,
    Rs512,
    Ps256,
    Es256,
    Es384,
}

impl JwsAlgorithm {
    /// The algorithm with this `alg`, whose case counts.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "RS256" => Some(Self::Rs256),
            "RS384" => Some(Self::Rs384),
            "RS512" => Some(Self::Rs512),
            "PS256" => Some(Self::Ps256),
            "ES256" => Some(Self::Es256),
            "ES384" => Some(Self::Es384),
            _ => None,
        }
    }

    fn rsa(self) -> Option<&'static RsaParameters> {
        match self {
            Self::Rs256 => Some(&signature::RSA_PKCS1_2048_8192_SHA256),
            Self::Rs384 => Some(&signature::RSA_PKCS1_2048_8192_SHA384),
            Self::Rs512 => Some(&signature::RSA_PKCS1_2048_8192_SHA512),
            Self::Ps256 => Some(&signature::RSA_PSS_2048_8192_SHA256),
            Self::Es256 | Self::Es384 => None,
        }
    }
}

/// The public key of an issuer.
pub struct JwsKey(Kind);

enum Kind {
    Rsa { modulus: Vec<u8>, exponent: Vec<u8> },
    Ec { algorithm: JwsAlgorithm, key: ParsedPublicKey },
}

impl JwsKey {
    /// An RSA key by its modulus and its public exponent, big-endian. `None` if it is shorter than
    /// 2048 bits, longer than 8192, or has an exponent that no sound key has.
    pub fn rsa(modulus: &[u8], exponent: &[u8]) -> Option<Self> {
        let (modulus, exponent) = (without_zeros(modulus), without_zeros(exponent));
        let odd = |number: &[u8]| number.last().is_some_and(|byte| byte & 1 == 1);
        let sound = MODULUS.contains(&modulus.len())
            && (1..=EXPONENT).contains(&exponent.len())
            && exponent != [1]
            && odd(modulus)
            && odd(exponent);
        let (modulus, exponent) = (modulus.to_vec(), exponent.to_vec());
        sound.then_some(Self(Kind::Rsa { modulus, exponent }))
    }

    /// A key on a curve (`P-256` or `P-384`) by the coordinates of its point, at full width.
    /// `None` for other curves, other widths, and points that are not on the curve.
    pub fn ec(curve: &str, x: &[u8], y: &[u8]) -> Option<Self> {
        let (algorithm, verification, width): (_, &EcdsaVerificationAlgorithm, _) = match curve {
            "P-256" => (JwsAlgorithm::Es256, &signature::ECDSA_P256_SHA256_FIXED, 32),
            "P-384" => (JwsAlgorithm::Es384, &signature::ECDSA_P384_SHA384_FIXED, 48),
            _ => return None,
        };
        if (x.len(), y.len()) != (width, width) {
            return None;
        }
        let point = [&[UNCOMPRESSED], x, y].concat();
        let key = ParsedPublicKey::new(verification, point).ok()?;
        Some(Self(Kind::Ec { algorithm, key }))
    }

    /// Whether signatures of an algorithm can be of this key.
    pub fn fits(&self, algorithm: JwsAlgorithm) -> bool {
        match &self.0 {
            Kind::Rsa { .. } => algorithm.rsa().is_some(),
            Kind::Ec { algorithm: own, .. } => *own == algorithm,
        }
    }

    /// Whether a signature of a message is this key's, by an algorithm that fits it.
    pub fn verifies(&self, algorithm: JwsAlgorithm, message: &[u8], signature: &[u8]) -> bool {
        match &self.0 {
            Kind::Rsa { modulus, exponent } => algorithm.rsa().is_some_and(|parameters| {
                let key = RsaPublicKeyComponents { n: modulus, e: exponent };
                key.verify(parameters, message, signature).is_ok()
            }),
            Kind::Ec { algorithm: own, key } => {
                *own == algorithm && key.verify_sig(message, signature).is_ok()
            }
        }
    }
}

impl fmt::Debug for JwsKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.0 {
            Kind::Rsa { .. } => "JwsKey(RSA)",
            Kind::Ec { .. } => "JwsKey(EC)",
        })
    }
}

fn without_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    &number[zeros..]
}

#[cfg(test)]
mod tests {
    use keystead_types::{KeySpec, MessageType, SigningAlgorithm};

    use super::*;
    use crate::der;
    use crate::material::KeyMaterial;

    /// Modulus and exponent of a SubjectPublicKeyInfo.
    fn numbers(spki: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let (_, info, _) = der::element(spki).unwrap();
        let (_, _algorithm, rest) = der::element(info).unwrap();
        let (_, bits, _) = der::element(rest).unwrap();
        let (_, key, _) = der::element(&bits[1..]).unwrap();
        let (_, modulus, rest) = der::element(key).unwrap();
        (modulus.to_vec(), der::element(rest).unwrap().1.to_vec())
    }

    #[test]
    fn rsa_signatures_are_of_their_key_and_algorithm() {
        let material = KeyMaterial::generate(KeySpec::Rsa2048).unwrap();
        let (modulus, exponent) = numbers(material.public_key().unwrap().der());
        let key = JwsKey::rsa(&modulus, &exponent).unwrap();
        let all = [
            (JwsAlgorithm::Rs256, SigningAlgorithm::RsassaPkcs1V15Sha256),
            (JwsAlgorithm::Rs384, SigningAlgorithm::RsassaPkcs1V15Sha384),
            (JwsAlgorithm::Rs512, SigningAlgorithm::RsassaPkcs1V15Sha512),
            (JwsAlgorithm::Ps256, SigningAlgorithm::RsassaPssSha256),
        ];
        for (name, algorithm) in all {
            let signature = material.sign(algorithm, MessageType::Raw, b"message").unwrap();
            for (other, _) in all {
                assert!(key.fits(other));
                assert_eq!(key.verifies(other, b"message", &signature), other == name);
            }
            assert!(!key.verifies(name, b"massage", &signature));
            assert!(!key.verifies(name, b"message", &signature[1..]));
            assert!(!key.verifies(JwsAlgorithm::Es256, b"message", &signature));
        }
        assert!(!key.fits(JwsAlgorithm::Es256));
    }

    #[test]
    fn what_no_sound_rsa_key_is_is_none() {
        let modulus = [0xc5; 256];
        assert!(JwsKey::rsa(&modulus, &[1, 0, 1]).is_some());
        assert!(JwsKey::rsa(&[&[0, 0], &modulus[..]].concat(), &[0, 1, 0, 1]).is_some());
        for (modulus, exponent) in [
            (&modulus[1..], &[1, 0, 1][..]),
            (&[0xc5; 1025], &[1, 0, 1]),
            (&[], &[1, 0, 1]),
            (&[0xc4; 256], &[1, 0, 1]),
            (&modulus, &[]),
            (&modulus, &[0, 1]),
            (&modulus, &[2]),
            (&modulus, &[1, 0, 0, 0, 1]),
        ] {
            assert!(JwsKey::rsa(modulus, exponent).is_none());
        }
    }

    #[test]
    fn points_are_on_their_curves_at_full_width() {
        for (spec, curve, width) in
            [(KeySpec::EccNistP256, "P-256", 32), (KeySpec::EccNistP384, "P-384", 48)]
        {
            let material = KeyMaterial::generate(spec).unwrap();
            let der = material.public_key().unwrap().der();
            let (x, y) = der[der.len() - 2 * width..].split_at(width);
            assert!(JwsKey::ec(curve, x, y).is_some());
            assert!(JwsKey::ec(curve, y, x).is_none());
            assert!(JwsKey::ec(curve, &x[1..], y).is_none());
            assert!(JwsKey::ec(curve, &[&[0], x].concat(), y).is_none());
            assert!(JwsKey::ec("P-521", x, y).is_none());
            assert!(JwsKey::ec("secp256k1", x, y).is_none());
        }
    }
}
