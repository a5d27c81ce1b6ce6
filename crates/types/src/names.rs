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

names!(
    /// What a grant may allow (AWS KMS `GrantOperation`).
    GrantOperation, "grant operation" {
        /// Decrypt.
        Decrypt = 1, "Decrypt";
        /// Encrypt.
        Encrypt = 2, "Encrypt";
        /// Make data keys.
        GenerateDataKey = 3, "GenerateDataKey";
        /// Make data keys without seeing them.
        GenerateDataKeyWithoutPlaintext = 4, "GenerateDataKeyWithoutPlaintext";
        /// Re-encrypt what the key encrypted.
        ReEncryptFrom = 5, "ReEncryptFrom";
        /// Re-encrypt under the key.
        ReEncryptTo = 6, "ReEncryptTo";
        /// Sign.
        Sign = 7, "Sign";
        /// Verify signatures.
        Verify = 8, "Verify";
        /// Read the public key.
        GetPublicKey = 9, "GetPublicKey";
        /// Grant others no more than the grant gives.
        CreateGrant = 10, "CreateGrant";
        /// Retire the grant.
        RetireGrant = 11, "RetireGrant";
        /// Read what the key is.
        DescribeKey = 12, "DescribeKey";
        /// Make data key pairs.
        GenerateDataKeyPair = 13, "GenerateDataKeyPair";
        /// Make data key pairs without seeing the private keys.
        GenerateDataKeyPairWithoutPlaintext = 14, "GenerateDataKeyPairWithoutPlaintext";
        /// Make MACs.
        GenerateMac = 15, "GenerateMac";
        /// Verify MACs.
        VerifyMac = 16, "VerifyMac";
        /// Derive shared secrets.
        DeriveSharedSecret = 17, "DeriveSharedSecret";
        /// Encapsulate shared secrets.
        Encapsulate = 18, "Encapsulate";
        /// Decapsulate shared secrets.
        Decapsulate = 19, "Decapsulate";
    }
);

names!(
    /// What counts as a use of a key (AWS KMS `KeyLastUsageTrackingOperation`).
    CryptographicOperation, "cryptographic operation" {
        /// Decrypt.
        Decrypt = 1, "Decrypt";
        /// Derive a shared secret.
        DeriveSharedSecret = 2, "DeriveSharedSecret";
        /// Encrypt.
        Encrypt = 3, "Encrypt";
        /// Make a data key.
        GenerateDataKey = 4, "GenerateDataKey";
        /// Make a data key pair.
        GenerateDataKeyPair = 5, "GenerateDataKeyPair";
        /// Make a data key pair without seeing the private key.
        GenerateDataKeyPairWithoutPlaintext = 6, "GenerateDataKeyPairWithoutPlaintext";
        /// Make a data key without seeing it.
        GenerateDataKeyWithoutPlaintext = 7, "GenerateDataKeyWithoutPlaintext";
        /// Make a MAC.
        GenerateMac = 8, "GenerateMac";
        /// Re-encrypt from or to the key.
        ReEncrypt = 9, "ReEncrypt";
        /// Sign.
        Sign = 10, "Sign";
        /// Verify a signature.
        Verify = 11, "Verify";
        /// Verify a MAC.
        VerifyMac = 12, "VerifyMac";
        /// Encapsulate a shared secret.
        Encapsulate = 13, "Encapsulate";
        /// Decapsulate a shared secret.
        Decapsulate = 14, "Decapsulate";
    }
);

names!(
    /// How data is encrypted (AWS KMS `EncryptionAlgorithmSpec`).
    EncryptionAlgorithm, "encryption algorithm" {
        /// AES-256-GCM under a key derived for the message.
        SymmetricDefault = 1, "SYMMETRIC_DEFAULT";
        /// RSAES-OAEP with SHA-1 and MGF1 with SHA-1 (RFC 8017).
        RsaesOaepSha1 = 2, "RSAES_OAEP_SHA_1";
        /// RSAES-OAEP with SHA-256 and MGF1 with SHA-256 (RFC 8017).
        RsaesOaepSha256 = 3, "RSAES_OAEP_SHA_256";
        /// SM2 encryption; known by name, always refused.
        Sm2Pke = 4, "SM2PKE";
    }
);

names!(
    /// How messages are signed (AWS KMS `SigningAlgorithmSpec`).
    SigningAlgorithm, "signing algorithm" {
        /// RSASSA-PSS with SHA-256 and a salt of 32 bytes (RFC 8017).
        RsassaPssSha256 = 1, "RSASSA_PSS_SHA_256";
        /// RSASSA-PSS with SHA-384 and a salt of 48 bytes (RFC 8017).
        RsassaPssSha384 = 2, "RSASSA_PSS_SHA_384";
        /// RSASSA-PSS with SHA-512 and a salt of 64 bytes (RFC 8017).
        RsassaPssSha512 = 3, "RSASSA_PSS_SHA_512";
        /// RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017).
        RsassaPkcs1V15Sha256 = 4, "RSASSA_PKCS1_V1_5_SHA_256";
        /// RSASSA-PKCS1-v1_5 with SHA-384 (RFC 8017).
        RsassaPkcs1V15Sha384 = 5, "RSASSA_PKCS1_V1_5_SHA_384";
        /// RSASSA-PKCS1-v1_5 with SHA-512 (RFC 8017).
        RsassaPkcs1V15Sha512 = 6, "RSASSA_PKCS1_V1_5_SHA_512";
        /// ECDSA with SHA-256 (FIPS 186-5).
        EcdsaSha256 = 7, "ECDSA_SHA_256";
        /// ECDSA with SHA-384 (FIPS 186-5).
        EcdsaSha384 = 8, "ECDSA_SHA_384";
        /// ECDSA with SHA-512 (FIPS 186-5).
        EcdsaSha512 = 9, "ECDSA_SHA_512";
        /// SM2 signatures; known by name, always refused.
        Sm2Dsa = 10, "SM2DSA";
        /// ML-DSA without a context (FIPS 204).
        MlDsaShake256 = 11, "ML_DSA_SHAKE_256";
        /// Ed25519 (RFC 8032).
        Ed25519Sha512 = 12, "ED25519_SHA_512";
        /// Ed25519ph without a context (RFC 8032).
        Ed25519PhSha512 = 13, "ED25519_PH_SHA_512";
    }
);

names!(
    /// How messages are authenticated (AWS KMS `MacAlgorithmSpec`).
    MacAlgorithm, "MAC algorithm" {
        /// HMAC with SHA-224 (FIPS 198-1).
        HmacSha224 = 1, "HMAC_SHA_224";
        /// HMAC with SHA-256 (FIPS 198-1).
        HmacSha256 = 2, "HMAC_SHA_256";
        /// HMAC with SHA-384 (FIPS 198-1).
        HmacSha384 = 3, "HMAC_SHA_384";
        /// HMAC with SHA-512 (FIPS 198-1).
        HmacSha512 = 4, "HMAC_SHA_512";
    }
);

names!(
    /// How shared secrets are derived (AWS KMS `KeyAgreementAlgorithmSpec`).
    KeyAgreementAlgorithm, "key agreement algorithm" {
        /// Elliptic curve cofactor Diffie-Hellman (SP 800-56A).
        Ecdh = 1, "ECDH";
    }
);

names!(
    /// How shared secrets are encapsulated (AWS KMS `EncapsulationAlgorithmSpec`).
    EncapsulationAlgorithm, "encapsulation algorithm" {
        /// ML-KEM (FIPS 203).
        MlKem = 1, "ML_KEM";
    }
);

names!(
    /// What of a message is given to be signed (AWS KMS `MessageType`).
    MessageType, "message type" {
        /// The message.
        Raw = 1, "RAW";
        /// Its digest.
        Digest = 2, "DIGEST";
        /// ML-DSA's message representative mu (FIPS 204, algorithm 7, line 6).
        ExternalMu = 3, "EXTERNAL_MU";
    }
);

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Whether texts and codes of one table are unique and can be read back.
    macro_rules! check {
        ($($name:ident)+) => {$(
            let codes: BTreeSet<_> = $name::ALL.iter().map(|member| member.code()).collect();
            assert_eq!(codes.len(), $name::ALL.len());
            for &member in $name::ALL {
                assert_eq!(member.as_str().parse::<$name>().unwrap(), member);
                assert_eq!($name::from_code(member.code()), Some(member));
            }
            assert_eq!($name::from_code(0), None);
        )+};
    }

    #[test]
    fn texts_and_codes_are_unique_and_round_trip() {
        check!(KeySpec KeyUsage Origin KeyManager KeyState EncryptionAlgorithm SigningAlgorithm);
        check!(CryptographicOperation GrantOperation);
        check!(MacAlgorithm KeyAgreementAlgorithm EncapsulationAlgorithm MessageType);
        assert!("symmetric_default".parse::<KeySpec>().is_err());
    }
}
