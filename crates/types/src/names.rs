//! The names of AWS KMS for what a key is: one table each of text and stable code.

use std::fmt;
use std::str::FromStr;

use crate::InvalidIdentifier;

/// Defines an enum whose members have AWS's text and a code that never changes once stored.
macro_rules! names {
    ($(#[$doc:meta])* $name:ident, $kind:literal {
        $($(#[$member_doc:meta])* $member:ident = $code:literal, $text:literal;)+
    }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$member_doc])* $member,)+ }

        impl $name {
            /// Every member, in the order of the codes.
            pub const ALL: &'static [Self] = &[$(Self::$member,)+];

            /// AWS's text.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$member => $text,)+ }
            }

            /// The number under which it is stored and bound into ciphertexts; never reused.
            pub fn code(self) -> u16 {
                match self { $(Self::$member => $code,)+ }
            }

            /// The member of a stored code.
            pub fn from_code(code: u16) -> Option<Self> {
                match code { $($code => Some(Self::$member),)+ _ => None }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = InvalidIdentifier;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    $($text => Ok(Self::$member),)+
                    _ => Err(InvalidIdentifier::new($kind, text)),
                }
            }
        }
    };
}

names!(
    /// The kind of key material (AWS KMS `KeySpec`).
    KeySpec, "key spec" {
        /// AES-256-GCM through per-message derived keys.
        SymmetricDefault = 1, "SYMMETRIC_DEFAULT";
        /// RSA with a 2,048-bit modulus.
        Rsa2048 = 2, "RSA_2048";
        /// RSA with a 3,072-bit modulus.
        Rsa3072 = 3, "RSA_3072";
        /// RSA with a 4,096-bit modulus.
        Rsa4096 = 4, "RSA_4096";
        /// NIST P-256 (secp256r1).
        EccNistP256 = 5, "ECC_NIST_P256";
        /// NIST P-384 (secp384r1).
        EccNistP384 = 6, "ECC_NIST_P384";
        /// NIST P-521 (secp521r1).
        EccNistP521 = 7, "ECC_NIST_P521";
        /// SECG secp256k1.
        EccSecgP256k1 = 8, "ECC_SECG_P256K1";
        /// Ed25519.
        EccNistEdwards25519 = 9, "ECC_NIST_EDWARDS25519";
        /// HMAC with a 28-byte key.
        Hmac224 = 10, "HMAC_224";
        /// HMAC with a 32-byte key.
        Hmac256 = 11, "HMAC_256";
        /// HMAC with a 48-byte key.
        Hmac384 = 12, "HMAC_384";
        /// HMAC with a 64-byte key.
        Hmac512 = 13, "HMAC_512";
        /// ML-DSA-44 (FIPS 204).
        MlDsa44 = 14, "ML_DSA_44";
        /// ML-DSA-65 (FIPS 204).
        MlDsa65 = 15, "ML_DSA_65";
        /// ML-DSA-87 (FIPS 204).
        MlDsa87 = 16, "ML_DSA_87";
        /// ML-KEM-512 (FIPS 203).
        MlKem512 = 17, "ML_KEM_512";
        /// ML-KEM-768 (FIPS 203).
        MlKem768 = 18, "ML_KEM_768";
        /// ML-KEM-1024 (FIPS 203).
        MlKem1024 = 19, "ML_KEM_1024";
        /// SM2; known by name, always refused.
        Sm2 = 20, "SM2";
    }
);

names!(
    /// What a key may be used for (AWS KMS `KeyUsage`).
    KeyUsage, "key usage" {
        /// Encrypt and decrypt.
        EncryptDecrypt = 1, "ENCRYPT_DECRYPT";
        /// Sign and verify.
        SignVerify = 2, "SIGN_VERIFY";
        /// Make and verify MACs.
        GenerateVerifyMac = 3, "GENERATE_VERIFY_MAC";
        /// Derive shared secrets.
        KeyAgreement = 4, "KEY_AGREEMENT";
        /// Encapsulate and decapsulate shared secrets.
        EncapsulateDecapsulate = 5, "ENCAPSULATE_DECAPSULATE";
    }
);

names!(
    /// Where key material comes from (AWS KMS `Origin`).
    Origin, "origin" {
        /// Generated here.
        AwsKms = 1, "AWS_KMS";
        /// Imported by its owner.
        External = 2, "EXTERNAL";
        /// In a CloudHSM key store.
        AwsCloudHsm = 3, "AWS_CLOUDHSM";
        /// In an external key store.
        ExternalKeyStore = 4, "EXTERNAL_KEY_STORE";
    }
);

names!(
    /// Who manages a key (AWS KMS `KeyManager`).
    KeyManager, "key manager" {
        /// The account that owns it.
        Customer = 1, "CUSTOMER";
        /// A service, on the account's behalf.
        Aws = 2, "AWS";
    }
);

names!(
    /// The state of a key (AWS KMS `KeyState`).
    KeyState, "key state" {
        /// Usable.
        Enabled = 1, "Enabled";
        /// Switched off by its owner.
        Disabled = 2, "Disabled";
        /// Waiting for the end of its deletion window.
        PendingDeletion = 3, "PendingDeletion";
        /// Waiting for material to be imported.
        PendingImport = 4, "PendingImport";
        /// A replica being created.
        Creating = 5, "Creating";
        /// A primary whose replicas have to go first.
        PendingReplicaDeletion = 6, "PendingReplicaDeletion";
        /// Its key store is disconnected.
        Unavailable = 7, "Unavailable";
        /// Its primary Region is changing.
        Updating = 8, "Updating";
    }
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_and_codes_are_unique_and_round_trip() {
        for &spec in KeySpec::ALL {
            assert_eq!(spec.as_str().parse::<KeySpec>().unwrap(), spec);
            assert_eq!(KeySpec::from_code(spec.code()), Some(spec));
        }
        let codes: std::collections::BTreeSet<_> = KeySpec::ALL.iter().map(|s| s.code()).collect();
        assert_eq!(codes.len(), KeySpec::ALL.len());
        assert!("symmetric_default".parse::<KeySpec>().is_err());
    }
}
