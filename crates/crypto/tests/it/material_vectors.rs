//! Material of every spec that must be read for ever, and what was made with it.

use keystead_crypto::keyring::{DomainKey, Keyring, RootKey};
use keystead_crypto::material::KeyMaterial;
use keystead_crypto::public::PublicKey;
use keystead_crypto::seal::Seal;
use keystead_crypto::spec::{self, Use};
use keystead_types::{ClusterId, KeyAgreementAlgorithm, KeySpec, MessageType};
use serde_json::{Value, json};

use crate::vectors::{
    KEY_IDS, binding, counting, file_seal, key_id, keyring, list, read, text, unhex,
};

const ECDH: KeyAgreementAlgorithm = KeyAgreementAlgorithm::Ecdh;

#[test]
fn material_is_read_and_keeps_its_ids() {
    for vector in read("material") {
        let spec: KeySpec = text(&vector["spec"]).parse().unwrap();
        let encoded = unhex(&vector["encoded"]);
        let material = KeyMaterial::decode(spec, &encoded).unwrap();
        assert_eq!(*material.encode(), encoded);
        let id = material.id(&key_id(&vector), spec).unwrap();
        assert_eq!(id.to_string(), text(&vector["id"]));
        let public = material.public_key().map(PublicKey::der).map(hex::encode);
        assert_eq!(public.as_deref(), vector["public_key"].as_str());
        for made in list(&vector["made"]) {
            check(&material, made);
        }
    }
}

#[test]
fn wrapped_material_opens_from_its_seal() {
    for vector in read("wrapped_material") {
        let keyring = keyring(&vector);
        for wrap in list(&vector["materials"]) {
            let material = keyring.unwrap_material(&binding(wrap), &unhex(&wrap["wrapped"]));
            assert_eq!(*material.unwrap().encode(), unhex(&wrap["encoded"]));
        }
    }
}

/// Checks what was once made with the material.
fn check(material: &KeyMaterial, made: &Value) {
    let algorithm = text(&made["algorithm"]);
    let bytes = |name: &str| unhex(&made[name]);
    match text(&made["what"]) {
        "ciphertext" => {
            let plaintext = material.decrypt(algorithm.parse().unwrap(), &bytes("ciphertext"));
            assert_eq!(*plaintext.unwrap(), bytes("plaintext"));
        }
        "signature" => {
            let message_type: MessageType = text(&made["message_type"]).parse().unwrap();
            let (message, signature) = (bytes("message"), bytes("signature"));
            let algorithm = algorithm.parse().unwrap();
            material.verify(algorithm, message_type, &message, &signature).unwrap();
        }
        "mac" => {
            let mac = material.mac(algorithm.parse().unwrap(), &bytes("message")).unwrap();
            assert_eq!(mac, bytes("mac"));
        }
        "agreement" => {
            let secret = material.agree(algorithm.parse().unwrap(), &bytes("peer")).unwrap();
            assert_eq!(*secret, bytes("secret"));
        }
        "encapsulation" => {
            let secret = material.decapsulate(algorithm.parse().unwrap(), &bytes("ciphertext"));
            assert_eq!(*secret.unwrap(), bytes("secret"));
        }
        other => panic!("nothing called {other} is made"),
    }
}

/// Material of every spec but the symmetric one, whose vectors are elsewhere; and an HMAC key longer
/// than the hash, such as can be imported.
fn generate() -> Vec<KeyMaterial> {
    let supported = KeySpec::ALL.iter().filter(|&&spec| spec::of(spec).supported());
    let others = supported.filter(|&&spec| spec != KeySpec::SymmetricDefault);
    let mut materials: Vec<_> = others.map(|&spec| KeyMaterial::generate(spec).unwrap()).collect();
    materials.push(KeyMaterial::import(KeySpec::Hmac256, &[0x5c; 128]).unwrap());
    materials
}

pub(crate) fn materials() -> Vec<Value> {
    let vector = |(i, material): (usize, KeyMaterial)| {
        let key_id = KEY_IDS[i % KEY_IDS.len()];
        let spec = material.spec();
        json!({
            "spec": spec.as_str(),
            "key_id": key_id,
            "encoded": hex::encode(&*material.encode()),
            "id": material.id(&key_id.parse().unwrap(), spec).unwrap().to_string(),
            "public_key": material.public_key().map(|key| hex::encode(key.der())),
            "made": spec::of(spec).uses.iter().flat_map(|one| make(&material, one)).collect::<Vec<_>>(),
        })
    };
    generate().into_iter().enumerate().map(vector).collect()
}

/// Makes one thing of each kind that the usage allows.
fn make(material: &KeyMaterial, one: &Use) -> Vec<Value> {
    match one {
        Use::EncryptDecrypt(all) => {
            let make = |entry: &spec::Encryption| {
                let ciphertext = material.encrypt(entry.algorithm, b"plaintext").unwrap();
                json!({
                    "what": "ciphertext",
                    "algorithm": entry.algorithm.as_str(),
                    "plaintext": hex::encode(b"plaintext"),
                    "ciphertext": hex::encode(ciphertext),
                })
            };
            all.iter().map(make).collect()
        }
        Use::SignVerify(all) => {
            all.iter().flat_map(|entry| make_signatures(material, entry)).collect()
        }
        Use::GenerateVerifyMac(all) => {
            let make = |entry: &spec::Mac| {
                let mac = material.mac(entry.algorithm, b"message").unwrap();
                json!({
                    "what": "mac",
                    "algorithm": entry.algorithm.as_str(),
                    "message": hex::encode(b"message"),
                    "mac": hex::encode(mac),
                })
            };
            all.iter().map(make).collect()
        }
        Use::KeyAgreement(_) => {
            let peer = KeyMaterial::generate(material.spec()).unwrap();
            let peer = peer.public_key().unwrap().der();
            vec![json!({
                "what": "agreement",
                "algorithm": ECDH.as_str(),
                "peer": hex::encode(peer),
                "secret": hex::encode(&*material.agree(ECDH, peer).unwrap()),
            })]
        }
        Use::EncapsulateDecapsulate(all) => {
            let make = |entry: &spec::Encapsulation| {
                let made = material.encapsulate(entry.algorithm).unwrap();
                json!({
                    "what": "encapsulation",
                    "algorithm": entry.algorithm.as_str(),
                    "ciphertext": hex::encode(made.ciphertext),
                    "secret": hex::encode(&*made.shared_secret),
                })
            };
            all.iter().map(make).collect()
        }
    }
}

fn make_signatures(material: &KeyMaterial, entry: &spec::Signing) -> Vec<Value> {
    let make = |message: &spec::Message| {
        let input = vec![0x6d; message.length.unwrap_or(10)];
        let signed = material.sign(entry.algorithm, message.message_type, &input).unwrap();
        json!({
            "what": "signature",
            "algorithm": entry.algorithm.as_str(),
            "message_type": message.message_type.as_str(),
            "message": hex::encode(input),
            "signature": hex::encode(signed),
        })
    };
    entry.messages.iter().map(make).collect()
}

pub(crate) fn wrapped() -> Value {
    let seal = file_seal(&counting());
    let cluster = ClusterId::new(*b"a vector cluster");
    let root = RootKey::generate().unwrap();
    let sealed = seal.wrap(&root, cluster).unwrap();
    let keyring = Keyring::new(&root).unwrap();
    let domain_key = keyring.wrap_domain_key(&DomainKey::generate(1).unwrap()).unwrap();
    keyring.add_domain_key(1, &domain_key).unwrap();
    let wrap = |material: KeyMaterial| {
        let spec = material.spec();
        let mut vector = json!({
            "account": "111122223333",
            "key_id": KEY_IDS[0],
            "material_id": material.id(&KEY_IDS[0].parse().unwrap(), spec).unwrap().to_string(),
            "spec": spec.as_str(),
            "usage": spec::of(spec).uses[0].usage().as_str(),
            "origin": "AWS_KMS",
            "encoded": hex::encode(&*material.encode()),
        });
        let wrapped = keyring.wrap_material(&binding(&vector), &material);
        vector["wrapped"] = hex::encode(wrapped.unwrap()).into();
        vector
    };
    json!({
        "seal_key": hex::encode(counting()),
        "cluster_id": cluster.to_string(),
        "root": {
            "seal_id": sealed.seal_id,
            "check_value": hex::encode(sealed.check_value),
            "blob": hex::encode(sealed.blob),
        },
        "domain_keys": [{ "epoch": 1, "wrapped": hex::encode(&domain_key) }],
        "materials": generate().into_iter().map(wrap).collect::<Vec<_>>(),
    })
}
