"""What AWS KMS promises of keys of each spec: the tables of its developer guide and API reference,
written down here apart from the product's own. Lengths are in bytes."""

from botocore.session import get_session

MODEL = get_session().get_service_model("kms")


def enumeration(shape):
    """All texts of one of the API's enumerations."""
    return tuple(MODEL.shape_for(shape).enum)


def table(lines):
    """The rows of a table, each a list of words."""
    return [line.split() for line in lines.strip().splitlines()]


SPECS = enumeration("KeySpec")
USAGES = enumeration("KeyUsageType")
MESSAGE_TYPES = enumeration("MessageType")

# Spec, usage, and the algorithms in the order in which AWS lists them. What is not here cannot be.
ALGORITHMS = {
    (spec, usage): algorithms
    for spec, usage, *algorithms in table("""
        SYMMETRIC_DEFAULT     ENCRYPT_DECRYPT         SYMMETRIC_DEFAULT
        RSA_2048              ENCRYPT_DECRYPT         RSAES_OAEP_SHA_1 RSAES_OAEP_SHA_256
        RSA_3072              ENCRYPT_DECRYPT         RSAES_OAEP_SHA_1 RSAES_OAEP_SHA_256
        RSA_4096              ENCRYPT_DECRYPT         RSAES_OAEP_SHA_1 RSAES_OAEP_SHA_256
        RSA_2048              SIGN_VERIFY             PKCS1 PSS
        RSA_3072              SIGN_VERIFY             PKCS1 PSS
        RSA_4096              SIGN_VERIFY             PKCS1 PSS
        ECC_NIST_P256         SIGN_VERIFY             ECDSA_SHA_256
        ECC_NIST_P384         SIGN_VERIFY             ECDSA_SHA_384
        ECC_NIST_P521         SIGN_VERIFY             ECDSA_SHA_512
        ECC_SECG_P256K1       SIGN_VERIFY             ECDSA_SHA_256
        ECC_NIST_EDWARDS25519 SIGN_VERIFY             ED25519_SHA_512 ED25519_PH_SHA_512
        ML_DSA_44             SIGN_VERIFY             ML_DSA_SHAKE_256
        ML_DSA_65             SIGN_VERIFY             ML_DSA_SHAKE_256
        ML_DSA_87             SIGN_VERIFY             ML_DSA_SHAKE_256
        HMAC_224              GENERATE_VERIFY_MAC     HMAC_SHA_224
        HMAC_256              GENERATE_VERIFY_MAC     HMAC_SHA_256
        HMAC_384              GENERATE_VERIFY_MAC     HMAC_SHA_384
        HMAC_512              GENERATE_VERIFY_MAC     HMAC_SHA_512
        ECC_NIST_P256         KEY_AGREEMENT           ECDH
        ECC_NIST_P384         KEY_AGREEMENT           ECDH
        ECC_NIST_P521         KEY_AGREEMENT           ECDH
        ML_KEM_512            ENCAPSULATE_DECAPSULATE ML_KEM
        ML_KEM_768            ENCAPSULATE_DECAPSULATE ML_KEM
        ML_KEM_1024           ENCAPSULATE_DECAPSULATE ML_KEM
    """)
}
for algorithms in ALGORITHMS.values():
    if algorithms == ["PKCS1", "PSS"]:
        algorithms[:] = [
            "RSASSA_PKCS1_V1_5_SHA_256",
            "RSASSA_PKCS1_V1_5_SHA_384",
            "RSASSA_PKCS1_V1_5_SHA_512",
            "RSASSA_PSS_SHA_256",
            "RSASSA_PSS_SHA_384",
            "RSASSA_PSS_SHA_512",
        ]

# AWS has these in the China Regions only.
ELSEWHERE = {"SM2"}

# What of a message each signing algorithm takes, and how long that must be; 0 where it is free.
MESSAGES = {
    algorithm: {kind: int(length) for kind, _, length in (word.partition("=") for word in words)}
    for algorithm, *words in table("""
        RSASSA_PKCS1_V1_5_SHA_256 RAW=0 DIGEST=32
        RSASSA_PKCS1_V1_5_SHA_384 RAW=0 DIGEST=48
        RSASSA_PKCS1_V1_5_SHA_512 RAW=0 DIGEST=64
        RSASSA_PSS_SHA_256        RAW=0 DIGEST=32
        RSASSA_PSS_SHA_384        RAW=0 DIGEST=48
        RSASSA_PSS_SHA_512        RAW=0 DIGEST=64
        ECDSA_SHA_256             RAW=0 DIGEST=32
        ECDSA_SHA_384             RAW=0 DIGEST=48
        ECDSA_SHA_512             RAW=0 DIGEST=64
        ED25519_SHA_512           RAW=0
        ED25519_PH_SHA_512        DIGEST=64
        ML_DSA_SHAKE_256          RAW=0 EXTERNAL_MU=64
    """)
}

# The longest plaintext that OAEP with SHA-1 and with SHA-256 has room for, and the ciphertext.
OAEP = {
    spec: {"RSAES_OAEP_SHA_1": int(sha_1), "RSAES_OAEP_SHA_256": int(sha_256), "out": int(out)}
    for spec, sha_1, sha_256, out in table("""
        RSA_2048 214 190 256
        RSA_3072 342 318 384
        RSA_4096 470 446 512
    """)
}

# The shortest and the longest signature; those of ECDSA are two integers in DER.
SIGNATURES = {
    spec: (int(shortest), int(longest))
    for spec, shortest, longest in table("""
        RSA_2048               256  256
        RSA_3072               384  384
        RSA_4096               512  512
        ECC_NIST_P256            8   72
        ECC_NIST_P384            8  104
        ECC_NIST_P521            8  139
        ECC_SECG_P256K1          8   72
        ECC_NIST_EDWARDS25519   64   64
        ML_DSA_44             2420 2420
        ML_DSA_65             3309 3309
        ML_DSA_87             4627 4627
    """)
}
MACS = {"HMAC_224": 28, "HMAC_256": 32, "HMAC_384": 48, "HMAC_512": 64}
AGREED_SECRETS = {"ECC_NIST_P256": 32, "ECC_NIST_P384": 48, "ECC_NIST_P521": 66}
# The ciphertext; every secret has 32 bytes.
ENCAPSULATIONS = {"ML_KEM_512": 768, "ML_KEM_768": 1088, "ML_KEM_1024": 1568}

# The data key pairs that there are.
PAIR_SPECS = [spec for spec in enumeration("DataKeyPairSpec") if spec not in ELSEWHERE]

# The member of a key's metadata that lists the algorithms of its usage.
LISTED_AS = {
    "ENCRYPT_DECRYPT": "EncryptionAlgorithms",
    "SIGN_VERIFY": "SigningAlgorithms",
    "GENERATE_VERIFY_MAC": "MacAlgorithms",
    "KEY_AGREEMENT": "KeyAgreementAlgorithms",
    "ENCAPSULATE_DECAPSULATE": "EncapsulationAlgorithms",
}


def has_public_key(spec):
    return spec != "SYMMETRIC_DEFAULT" and not spec.startswith("HMAC_")


def of_usage(usage):
    """The specs of the keys that can have this usage."""
    return [spec for spec, its in ALGORITHMS if its == usage]


SIGNERS = [
    (spec, algorithm)
    for (spec, usage), algorithms in ALGORITHMS.items()
    if usage == "SIGN_VERIFY"
    for algorithm in algorithms
]
ENCRYPTERS = [
    (spec, algorithm) for spec in OAEP for algorithm in ALGORITHMS[spec, "ENCRYPT_DECRYPT"]
]
