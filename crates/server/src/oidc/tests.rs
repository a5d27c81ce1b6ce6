//! The reading and judging of tokens, without a node. The tokens are made by
//! `tests/conformance/oidc.py` for all else.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use keystead_crypto::material::KeyMaterial;
use keystead_types::{KeySpec, MessageType, SigningAlgorithm, UnixMillis};
use serde_json::{Value, json};

use super::json::Json;
use super::jwks::KeySet;
use super::jwt::{Claims, Refused, Token};

const NOW: UnixMillis = UnixMillis(1_800_000_000_000);
const NOW_SECONDS: u64 = 1_800_000_000;

/// A P-256 key of an issuer.
struct Signer {
    material: KeyMaterial,
    id: &'static str,
}

impl Signer {
    fn new(id: &'static str) -> Self {
        Self { material: KeyMaterial::generate(KeySpec::EccNistP256).unwrap(), id }
    }

    fn jwk(&self) -> Value {
        // The point is at the end of the SubjectPublicKeyInfo: 0x04, x, y.
        let der = self.material.public_key().unwrap().der().to_vec();
        let (x, y) = der[der.len() - 64..].split_at(32);
        let [x, y] = [x, y].map(|number| URL_SAFE_NO_PAD.encode(number));
        json!({"kty": "EC", "crv": "P-256", "kid": self.id, "x": x, "y": y})
    }

    fn token(&self, header: &Value, claims: &Value) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(header), part(claims));
        let (algorithm, raw) = (SigningAlgorithm::EcdsaSha256, MessageType::Raw);
        let der = self.material.sign(algorithm, raw, signed.as_bytes()).unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(fixed(&der)))
    }
}

/// `r ‖ s` of a signature in DER.
fn fixed(der: &[u8]) -> Vec<u8> {
    let r_len = usize::from(der[3]);
    let number = |bytes: &[u8]| {
        let kept = &bytes[bytes.len().saturating_sub(32)..];
        [vec![0; 32 - kept.len()], kept.to_vec()].concat()
    };
    [number(&der[4..4 + r_len]), number(&der[6 + r_len..])].concat()
}

fn header(signer: &Signer) -> Value {
    json!({"alg": "ES256", "kid": signer.id})
}

fn claims() -> Value {
    json!({
        "iss": "https://idp.example.com",
        "sub": "alice",
        "aud": "us",
        "exp": NOW_SECONDS + 60,
        "iat": NOW_SECONDS,
    })
}

fn set(keys: &[Value]) -> KeySet {
    KeySet::read(json!({ "keys": keys }).to_string().as_bytes()).unwrap()
}

fn judged(token: &str, keys: &KeySet) -> Result<Claims, Refused> {
    Token::read(token)?.verify(keys, NOW, NOW)
}

fn with(mut value: Value, name: &str, member: Value) -> Value {
    value[name] = member;
    value
}

#[test]
fn a_token_is_taken_as_it_was_made_and_with_no_bit_changed() {
    let signer = Signer::new("a");
    let keys = set(&[signer.jwk()]);
    let token = signer.token(&header(&signer), &claims());
    let taken = judged(&token, &keys).unwrap();
    assert_eq!((taken.subject.as_str(), &taken.audiences[..]), ("alice", &["us".to_owned()][..]));
    for at in 0..token.len() {
        for bit in 0..8 {
            let mut bytes = token.clone().into_bytes();
            bytes[at] ^= 1 << bit;
            // What is no text is no parameter of a request.
            let Ok(changed) = String::from_utf8(bytes) else { continue };
            assert!(judged(&changed, &keys).is_err(), "bit {bit} of byte {at}");
        }
        assert!(judged(&token[..at], &keys).is_err(), "cut off at {at}");
    }
    for more in ["=", ".", ".e30", " ", "\n", "A"] {
        assert!(judged(&format!("{token}{more}"), &keys).is_err(), "{more:?}");
        assert!(judged(&format!("{more}{token}"), &keys).is_err(), "{more:?}");
    }
}

#[test]
fn the_algorithm_is_one_of_the_key() {
    let (signer, other) = (Signer::new("a"), Signer::new("b"));
    let keys = set(&[signer.jwk(), other.jwk()]);
    for (name, refused) in [
        (json!("none"), Refused::Algorithm),
        (json!("None"), Refused::Algorithm),
        (json!("HS256"), Refused::Algorithm),
        (json!("es256"), Refused::Algorithm),
        (json!(256), Refused::Algorithm),
        (json!("RS256"), Refused::Signature),
        (json!("ES384"), Refused::Signature),
    ] {
        let token = signer.token(&with(header(&signer), "alg", name), &claims());
        assert_eq!(judged(&token, &keys).unwrap_err(), refused);
    }
    let swapped = signer.token(&header(&other), &claims());
    assert_eq!(judged(&swapped, &keys).unwrap_err(), Refused::Signature);
    let unknown = signer.token(&with(header(&signer), "kid", json!("c")), &claims());
    assert_eq!(judged(&unknown, &keys).unwrap_err(), Refused::UnknownKey);
    let unnamed = signer.token(&json!({"alg": "ES256"}), &claims());
    assert!(judged(&unnamed, &keys).is_ok());
    let critical = with(header(&signer), "crit", json!(["exp"]));
    let token = signer.token(&critical, &claims());
    assert_eq!(judged(&token, &keys).unwrap_err(), Refused::Critical);
    // A key that a token brings along is nobody's.
    let brought = with(json!({"alg": "ES256"}), "jwk", signer.jwk());
    let token = signer.token(&brought, &claims());
    assert_eq!(judged(&token, &set(&[other.jwk()])).unwrap_err(), Refused::Signature);
}

#[test]
fn what_a_key_is_for_counts() {
    let signer = Signer::new("a");
    let token = signer.token(&header(&signer), &claims());
    let judged_by =
        |name: &str, member: Value| judged(&token, &set(&[with(signer.jwk(), name, member)])).err();
    assert_eq!(judged_by("use", json!("sig")), None);
    assert_eq!(judged_by("alg", json!("ES256")), None);
    assert_eq!(judged_by("key_ops", json!(["verify"])), None);
    for (name, member) in [
        ("use", json!("enc")),
        ("use", json!(1)),
        ("key_ops", json!(["sign"])),
        ("alg", json!("HS256")),
        ("crv", json!("P-384")),
        ("kty", json!("oct")),
        ("x", json!("AA")),
        ("y", json!(URL_SAFE_NO_PAD.encode([1; 32]))),
        ("kid", json!(7)),
    ] {
        assert_eq!(judged_by(name, member), Some(Refused::UnknownKey), "{name}");
    }
    let many = vec![signer.jwk(); 101];
    assert!(KeySet::read(json!({ "keys": many }).to_string().as_bytes()).is_none());
    for text in ["", "{}", "[]", r#"{"keys":{}}"#, r#"{"keys":[],"keys":[]}"#] {
        assert!(KeySet::read(text.as_bytes()).is_none(), "{text}");
    }
}

#[test]
fn claims_must_be_there_and_be_of_their_kinds() {
    let signer = Signer::new("a");
    let keys = set(&[signer.jwk()]);
    let judged_with = |name: &str, member: Value| {
        judged(&signer.token(&header(&signer), &with(claims(), name, member)), &keys).err()
    };
    for name in ["exp", "sub", "aud", "iss"] {
        let mut claims = claims();
        claims.as_object_mut().unwrap().remove(name);
        let refused = judged(&signer.token(&header(&signer), &claims), &keys).unwrap_err();
        assert_eq!(refused, Refused::Missing(name));
    }
    let seconds = NOW_SECONDS;
    for (name, member, refused) in [
        ("exp", json!(seconds), Some(Refused::Expired)),
        ("exp", json!(seconds + 1), None),
        ("exp", json!(1_800_000_000.5), None),
        ("exp", json!("soon"), Some(Refused::Malformed)),
        ("nbf", json!(seconds + 60), None),
        ("nbf", json!(seconds + 61), Some(Refused::TooEarly)),
        ("iat", json!(seconds + 61), Some(Refused::TooEarly)),
        ("nbf", Value::Null, Some(Refused::Malformed)),
        ("sub", json!(""), Some(Refused::Malformed)),
        ("sub", json!("x".repeat(255)), None),
        ("sub", json!("x".repeat(256)), Some(Refused::Malformed)),
        ("sub", json!(7), Some(Refused::Malformed)),
        ("aud", json!([]), Some(Refused::Malformed)),
        ("aud", json!(["us", 7]), Some(Refused::Malformed)),
        ("azp", json!(7), Some(Refused::Malformed)),
        ("iss", json!("http://idp.example.com"), Some(Refused::Issuer)),
        ("iss", json!(7), Some(Refused::Issuer)),
    ] {
        assert_eq!(judged_with(name, member.clone()), refused, "{name} = {member}");
    }
    // By whichever clock is later.
    let token = signer.token(&header(&signer), &claims());
    let later = UnixMillis(NOW.0 + 60_000);
    let refused = Token::read(&token).unwrap().verify(&keys, NOW, later).unwrap_err();
    assert_eq!(refused, Refused::Expired);
    let long = signer.token(&header(&signer), &with(claims(), "x", json!("x".repeat(20_000))));
    assert_eq!(judged(&long, &keys).unwrap_err(), Refused::Malformed);
}

#[test]
fn conditions_know_no_claim_by_the_name_of_another() {
    let signer = Signer::new("a");
    let keys = set(&[signer.jwk()]);
    let conditions = |claims: &Value| {
        let claims = judged(&signer.token(&header(&signer), claims), &keys).unwrap();
        claims.conditions("us")
    };
    let key = |name: &str, value: &str| (format!("idp.example.com:{name}"), value.to_owned());
    let iss = key("iss", "https://idp.example.com");
    assert_eq!(conditions(&claims()), [key("aud", "us"), key("sub", "alice"), iss.clone()]);
    let mut many = claims();
    for (name, value) in [
        ("SUB", json!("boss")),
        ("team", json!("a")),
        ("Team", json!("b")),
        ("a:b", json!("c")),
        ("groups", json!(["c"])),
        ("oaud", json!("c")),
        ("amr", json!(["pwd", "mfa"])),
        ("azp", json!("us")),
    ] {
        many[name] = value;
    }
    assert_eq!(
        conditions(&many),
        [
            key("aud", "us"),
            key("sub", "alice"),
            key("oaud", "us"),
            key("amr", "pwd"),
            key("amr", "mfa"),
            key("azp", "us"),
            iss,
        ]
    );
}

#[test]
fn a_member_comes_once_at_every_depth() {
    assert!(Json::object(br#"{"a":{"b":[1,{"c":null,"d":true}]}}"#).is_some());
    for text in [r#"{"a":1,"a":1}"#, r#"{"a":[{"b":1,"b":2}]}"#, r#"{"a":1,"\u0061":1}"#] {
        assert!(Json::object(text.as_bytes()).is_none(), "{text}");
    }
    for text in ["", "[]", "{}x", "\u{feff}{}", "{\"a\":1e999}"] {
        assert!(Json::object(text.as_bytes()).is_none(), "{text:?}");
    }
    let deep = "{\"a\":".repeat(1000) + "1" + &"}".repeat(1000);
    assert!(Json::object(deep.as_bytes()).is_none());
}
