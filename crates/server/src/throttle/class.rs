//! The classes of requests, each with a quota of its own.

use keystead_types::KeySpec;

macro_rules! classes {
    ($($(#[$meaning:meta])* $name:ident = $text:literal, $default:literal;)+) => {
        /// A class of requests: AWS's group, of operations or of operations on keys of a kind.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Class {
            $($(#[$meaning])* $name,)+
        }

        impl Class {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];
            /// How many there are.
            pub const COUNT: usize = Self::ALL.len();

            /// The name that the configuration and metrics have for it.
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }

            /// Requests per second, unless configured.
            pub fn default_rate(self) -> u32 {
                match self { $(Self::$name => $default,)+ }
            }
        }
    };
}

// For cryptography and reads ten times what AWS gives in an ordinary Region. What AWS counts in
// ones and tens, since it waits for many services there, is bounded by what a node can do at all.
classes! {
    /// Cryptography with symmetric and HMAC keys, and random bytes.
    Symmetric = "symmetric", 100_000;
    /// Cryptography with RSA keys.
    Rsa = "rsa", 10_000;
    /// Cryptography with elliptic curves.
    Ecc = "ecc", 10_000;
    /// Cryptography with ML-DSA keys.
    MlDsa = "ml_dsa", 10_000;
    /// Cryptography with ML-KEM keys.
    MlKem = "ml_kem", 10_000;
    /// Data key pairs on elliptic curves.
    EccKeyPairs = "ecc_key_pairs", 1_000;
    /// Data key pairs of 2048 bits.
    Rsa2048KeyPairs = "rsa_2048_key_pairs", 200;
    /// Data key pairs of 3072 bits.
    Rsa3072KeyPairs = "rsa_3072_key_pairs", 100;
    /// Data key pairs of 4096 bits.
    Rsa4096KeyPairs = "rsa_4096_key_pairs", 100;
    /// DescribeKey, GetPublicKey, ListResourceTags.
    Describe = "describe", 20_000;
    /// GetKeyPolicy, GetKeyRotationStatus.
    Policies = "policies", 10_000;
    /// ListAliases, ListKeys.
    Lists = "lists", 5_000;
    /// ListGrants, ListKeyPolicies, ListKeyRotations, ListRetirableGrants.
    KeyLists = "key_lists", 5_000;
    /// CreateGrant, RetireGrant, RevokeGrant.
    Grants = "grants", 20_000;
    /// The changes that AWS counts in tens: DeleteAlias, PutKeyPolicy, ScheduleKeyDeletion, …
    Changes = "changes", 20_000;
    /// TagResource.
    Tags = "tags", 20_000;
    /// GetParametersForImport, which makes an RSA key.
    ImportParameters = "import_parameters", 100;
    /// Everything else: CreateKey, CreateAlias, DisableKey, …
    Keys = "keys", 20_000;
    /// IAM and STS.
    Iam = "iam", 20_000;
}

impl Class {
    /// The class of an operation. What its keys are decides for cryptography, what pair is asked
    /// for decides for pairs.
    pub(crate) fn of(
        operation: &str,
        keys: impl Iterator<Item = KeySpec>,
        pair: Option<KeySpec>,
    ) -> Self {
        match operation {
            "GenerateDataKeyPair" | "GenerateDataKeyPairWithoutPlaintext" => match pair {
                Some(KeySpec::Rsa2048) => Self::Rsa2048KeyPairs,
                Some(KeySpec::Rsa3072) => Self::Rsa3072KeyPairs,
                Some(KeySpec::Rsa4096) => Self::Rsa4096KeyPairs,
                _ => Self::EccKeyPairs,
            },
            "Encrypt"
            | "Decrypt"
            | "ReEncrypt"
            | "GenerateDataKey"
            | "GenerateMac"
            | "GenerateDataKeyWithoutPlaintext"
            | "GenerateRandom"
            | "VerifyMac"
            | "Sign"
            | "Verify"
            | "DeriveSharedSecret"
            | "Encapsulate"
            | "Decapsulate" => {
                // Of two keys, the one that costs more.
                let mut classes = keys.map(Self::of_cryptography);
                classes.find(|class| *class != Self::Symmetric).unwrap_or(Self::Symmetric)
            }
            "DescribeKey" | "GetPublicKey" | "ListResourceTags" => Self::Describe,
            "GetKeyPolicy" | "GetKeyRotationStatus" => Self::Policies,
            "ListAliases" | "ListKeys" => Self::Lists,
            "ListGrants" | "ListKeyPolicies" | "ListKeyRotations" | "ListRetirableGrants" => {
                Self::KeyLists
            }
            "CreateGrant" | "RetireGrant" | "RevokeGrant" => Self::Grants,
            "DeleteAlias"
            | "DeleteImportedKeyMaterial"
            | "EnableKeyRotation"
            | "ImportKeyMaterial"
            | "PutKeyPolicy"
            | "ScheduleKeyDeletion" => Self::Changes,
            "TagResource" => Self::Tags,
            "GetParametersForImport" => Self::ImportParameters,
            _ => Self::Keys,
        }
    }

    fn of_cryptography(spec: KeySpec) -> Self {
        use KeySpec as Spec;
        match spec {
            Spec::SymmetricDefault
            | Spec::Hmac224
            | Spec::Hmac256
            | Spec::Hmac384
            | Spec::Hmac512 => Self::Symmetric,
            Spec::Rsa2048 | Spec::Rsa3072 | Spec::Rsa4096 => Self::Rsa,
            Spec::MlDsa44 | Spec::MlDsa65 | Spec::MlDsa87 => Self::MlDsa,
            Spec::MlKem512 | Spec::MlKem768 | Spec::MlKem1024 => Self::MlKem,
            _ => Self::Ecc,
        }
    }
}
