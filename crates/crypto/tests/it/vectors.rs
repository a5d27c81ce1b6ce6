//! Vectors that must open for ever: `tests/vectors/*.json` at the root of the workspace.
//!
//! They were made once and are only read since. A new file is made by
//! `cargo test -p keystead-crypto -- --ignored write_missing_vectors`; one that exists is never
//! touched.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use keystead_crypto::Key32;
use keystead_crypto::blob::{self, ParsedBlob};
use keystead_crypto::context::CanonicalContext;
use keystead_crypto::envelope::{self, Label};
use keystead_crypto::keyring::{DomainKey, Keyring, Purpose, RootKey};
use keystead_crypto::material::{KeyMaterial, MaterialBinding};
use keystead_crypto::seal::{FileSeal, Seal, SealedRoot};
use keystead_types::{ClusterId, KeyId, KeySpec, MaterialId};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{material_vectors, pairs};

const CONTEXTS: [&[(&str, &str)]; 6] = [
    &[],
    &[("", "")],
    &[("a", "b")],
    &[("b", "2"), ("a", "1"), ("B", "3"), ("ab", "")],
    &[("aws:s3:arn", "arn:aws:s3:::bucket/object")],
    &[("Straße", "日本語"), ("e\u{301}", "é"), ("\u{1f511}", "\0")],
];
pub(crate) const KEY_IDS: [&str; 2] =
    ["1234abcd-12ab-34cd-56ef-1234567890ab", "mrk-1234abcd12ab34cd56ef1234567890ab"];
const LABELS: [(&str, Label); 4] = [
    ("root", Label::Root),
    ("domain-key", Label::DomainKey),
    ("material", Label::Material),
    ("value", Label::Value),
];

#[test]
fn contexts_keep_their_canonical_form() {
    for vector in read("context") {
        assert_eq!(hex::encode(context(&vector["pairs"]).bytes()), text(&vector["bytes"]));
    }
}

#[test]
fn material_keeps_its_ids() {
    for vector in read("material_id") {
        let spec: KeySpec = text(&vector["spec"]).parse().unwrap();
        let id = material(&vector["material"]).id(&key_id(&vector), spec).unwrap();
        assert_eq!(id.to_string(), text(&vector["id"]));
    }
}

#[test]
fn ciphertexts_open() {
    for vector in read("blob_v1") {
        let bytes = unhex(&vector["blob"]);
        let parsed = ParsedBlob::parse(&bytes).unwrap();
        assert_eq!(parsed.key_id(), key_id(&vector));
        assert_eq!(hex::encode(parsed.material_id_prefix()), text(&vector["material_id"])[..32]);
        let material = material(&vector["material"]);
        let opened = blob::decrypt(&material, &parsed, &context(&vector["context"])).unwrap();
        assert_eq!(*opened, unhex(&vector["plaintext"]));
    }
}

#[test]
fn envelopes_open() {
    for vector in read("envelope") {
        let label = LABELS.iter().find(|(name, _)| *name == text(&vector["label"])).unwrap().1;
        let sealed = unhex(&vector["envelope"]);
        let key = Key32::from_bytes(&array(&vector["key"])).unwrap();
        let opened = envelope::open(label, &key, &unhex(&vector["binding"]), &sealed).unwrap();
        assert_eq!(*opened, unhex(&vector["plaintext"]));
        assert_eq!(envelope::epoch(&sealed).unwrap(), number(&vector["epoch"]));
    }
}

#[test]
fn a_whole_hierarchy_opens_from_its_seal() {
    for vector in read("hierarchy") {
        let keyring = keyring(&vector);
        for wrap in list(&vector["materials"]) {
            let wrapped = unhex(&wrap["wrapped"]);
            let material = keyring.unwrap_material(&binding(wrap), &wrapped).unwrap();
            let expected: [u8; 32] = array(&wrap["material"]);
            assert_eq!(material.symmetric().unwrap().expose(), &expected);
        }
        for value in list(&vector["values"]) {
            let purpose = text(&value["purpose"]);
            let purpose = Purpose::ALL.into_iter().find(|p| p.name() == purpose).unwrap();
            let (binding, sealed) = (unhex(&value["binding"]), unhex(&value["sealed"]));
            let opened = keyring.open_value(purpose, &binding, &sealed).unwrap();
            assert_eq!(*opened, unhex(&value["plaintext"]));
        }
    }
}

/// The keyring of a hierarchy, opened from its seal.
pub(crate) fn keyring(vector: &Value) -> Keyring {
    let seal = file_seal(&array(&vector["seal_key"]));
    let sealed = SealedRoot {
        seal_id: text(&vector["root"]["seal_id"]).into(),
        check_value: unhex(&vector["root"]["check_value"]),
        blob: unhex(&vector["root"]["blob"]),
    };
    assert_eq!(seal.id(), sealed.seal_id);
    let cluster = text(&vector["cluster_id"]).parse().unwrap();
    let keyring = Keyring::new(&seal.unwrap(&sealed, cluster).unwrap()).unwrap();
    for domain in list(&vector["domain_keys"]) {
        let epoch = number(&domain["epoch"]);
        keyring.add_domain_key(epoch, &unhex(&domain["wrapped"])).unwrap();
    }
    keyring
}

#[test]
#[ignore = "writes files"]
fn write_missing_vectors() {
    write("context", contexts);
    write("material_id", material_ids);
    write("blob_v1", blobs);
    write("envelope", envelopes);
    write("hierarchy", || vec![hierarchy()]);
    write("material", material_vectors::materials);
    write("wrapped_material", || vec![material_vectors::wrapped()]);
}

fn contexts() -> Vec<Value> {
    let vector = |context: &[(&str, &str)]| {
        let pairs = pairs(context);
        let bytes = CanonicalContext::from_map(&pairs).unwrap();
        json!({ "pairs": pairs, "bytes": hex::encode(bytes.bytes()) })
    };
    CONTEXTS.into_iter().map(vector).collect()
}

fn material_ids() -> Vec<Value> {
    let mut vectors = Vec::new();
    for key_id in KEY_IDS {
        for material in [[0; 32], [0xff; 32], counting()] {
            let id = symmetric(&material).id(&key_id.parse().unwrap(), KeySpec::SymmetricDefault);
            vectors.push(json!({
                "material": hex::encode(material),
                "key_id": key_id,
                "spec": "SYMMETRIC_DEFAULT",
                "id": id.unwrap().to_string(),
            }));
        }
    }
    vectors
}

fn blobs() -> Vec<Value> {
    let mut vectors = Vec::new();
    for key_id in KEY_IDS {
        for context in CONTEXTS {
            for len in [1, 32, 100] {
                let material = symmetric(&counting());
                let id: KeyId = key_id.parse().unwrap();
                let material_id = material.id(&id, KeySpec::SymmetricDefault).unwrap();
                let plaintext = vec![0x61; len];
                let canonical = CanonicalContext::from_map(&pairs(context)).unwrap();
                let blob = blob::encrypt(&material, &id, &material_id, &canonical, &plaintext);
                vectors.push(json!({
                    "material": hex::encode(counting()),
                    "key_id": key_id,
                    "material_id": material_id.to_string(),
                    "context": pairs(context),
                    "plaintext": hex::encode(plaintext),
                    "blob": hex::encode(blob.unwrap()),
                }));
            }
        }
    }
    vectors
}

fn envelopes() -> Vec<Value> {
    let mut vectors = Vec::new();
    for (name, label) in LABELS {
        for (epoch, binding, plaintext) in
            [(0, "", ""), (1, "place", "value"), (u32::MAX, "p", "v")]
        {
            let key = Key32::from_bytes(&counting()).unwrap();
            let sealed =
                envelope::seal(label, &key, epoch, binding.as_bytes(), plaintext.as_bytes());
            vectors.push(json!({
                "label": name,
                "key": hex::encode(counting()),
                "epoch": epoch,
                "binding": hex::encode(binding),
                "plaintext": hex::encode(plaintext),
                "envelope": hex::encode(sealed.unwrap()),
            }));
        }
    }
    vectors
}

fn hierarchy() -> Value {
    let seal = file_seal(&counting());
    let cluster = ClusterId::new(*b"a vector cluster");
    let root = RootKey::generate().unwrap();
    let sealed = seal.wrap(&root, cluster).unwrap();
    let keyring = Keyring::new(&root).unwrap();
    let (mut domain_keys, mut materials) = (Vec::new(), Vec::new());
    for epoch in [1, 2] {
        let wrapped = keyring.wrap_domain_key(&DomainKey::generate(epoch).unwrap()).unwrap();
        keyring.add_domain_key(epoch, &wrapped).unwrap();
        domain_keys.push(json!({ "epoch": epoch, "wrapped": hex::encode(wrapped) }));
        for (key_id, origin) in KEY_IDS.into_iter().zip(["AWS_KMS", "EXTERNAL"]) {
            let mut vector = json!({
                "account": "111122223333",
                "key_id": key_id,
                "material_id": MaterialId::new([0x5c; 32]).to_string(),
                "spec": "SYMMETRIC_DEFAULT",
                "usage": "ENCRYPT_DECRYPT",
                "origin": origin,
                "material": hex::encode(counting()),
            });
            let wrapped = keyring.wrap_material(&binding(&vector), &symmetric(&counting()));
            vector["wrapped"] = hex::encode(wrapped.unwrap()).into();
            materials.push(vector);
        }
    }
    let values = Purpose::ALL.map(|purpose| {
        let sealed = keyring.seal_value(purpose, b"row", purpose.name().as_bytes()).unwrap();
        json!({
            "purpose": purpose.name(),
            "binding": hex::encode("row"),
            "plaintext": hex::encode(purpose.name()),
            "sealed": hex::encode(sealed),
        })
    });
    json!({
        "seal_key": hex::encode(counting()),
        "cluster_id": cluster.to_string(),
        "root": {
            "seal_id": sealed.seal_id,
            "check_value": hex::encode(sealed.check_value),
            "blob": hex::encode(sealed.blob),
        },
        "domain_keys": domain_keys,
        "materials": materials,
        "values": values,
    })
}

fn path(name: &str) -> PathBuf {
    PathBuf::from(format!("../../tests/vectors/{name}.json"))
}

pub(crate) fn read(name: &str) -> Vec<Value> {
    let vectors = serde_json::from_slice::<Vec<Value>>(&fs::read(path(name)).unwrap()).unwrap();
    assert!(!vectors.is_empty());
    vectors
}

pub(crate) fn write(name: &str, make: impl FnOnce() -> Vec<Value>) {
    if !path(name).exists() {
        let mut text = serde_json::to_string_pretty(&make()).unwrap();
        text.push('\n');
        fs::write(path(name), text).unwrap();
    }
}

pub(crate) fn counting() -> [u8; 32] {
    std::array::from_fn(|i| u8::try_from(i).unwrap())
}

fn symmetric(bytes: &[u8; 32]) -> KeyMaterial {
    KeyMaterial::Symmetric(Key32::from_bytes(bytes).unwrap())
}

pub(crate) fn file_seal(key: &[u8; 32]) -> FileSeal {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("seal.key");
    fs::write(&path, key).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
    FileSeal::open(&path).unwrap()
}

pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

pub(crate) fn number(value: &Value) -> u32 {
    value.as_u64().unwrap().try_into().unwrap()
}

pub(crate) fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap()
}

pub(crate) fn unhex(value: &Value) -> Vec<u8> {
    hex::decode(text(value)).unwrap()
}

pub(crate) fn array(value: &Value) -> [u8; 32] {
    unhex(value).try_into().unwrap()
}

pub(crate) fn key_id(vector: &Value) -> KeyId {
    text(&vector["key_id"]).parse().unwrap()
}

fn material(value: &Value) -> KeyMaterial {
    symmetric(&array(value))
}

fn context(value: &Value) -> CanonicalContext {
    let pairs = serde_json::from_value(value.clone()).unwrap();
    CanonicalContext::from_map(&pairs).unwrap()
}

pub(crate) fn binding(vector: &Value) -> MaterialBinding {
    MaterialBinding {
        account: text(&vector["account"]).parse().unwrap(),
        key_id: key_id(vector),
        material_id: text(&vector["material_id"]).parse().unwrap(),
        spec: text(&vector["spec"]).parse().unwrap(),
        usage: text(&vector["usage"]).parse().unwrap(),
        origin: text(&vector["origin"]).parse().unwrap(),
    }
}
