//! What must hold of the formats, seen from outside.
#![allow(clippy::unwrap_used)]

mod blob;
mod documentation;
mod envelope;
mod forgery;
mod import;
mod interop;
mod keyring;
mod malformed;
mod material;
mod material_vectors;
mod reference;
mod region;
mod seal;
mod vectors;

use std::collections::BTreeMap;

use keystead_crypto::Key32;
use keystead_crypto::context::CanonicalContext;
use keystead_crypto::material::KeyMaterial;

fn key(byte: u8) -> Key32 {
    Key32::from_bytes(&[byte; 32]).unwrap()
}

fn material(byte: u8) -> KeyMaterial {
    KeyMaterial::Symmetric(key(byte))
}

fn pairs(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()
}

fn context(of: &[(&str, &str)]) -> CanonicalContext {
    CanonicalContext::from_map(&pairs(of)).unwrap()
}

/// Every way to change one bit of, shorten or lengthen `original`.
fn damaged(original: &[u8]) -> impl Iterator<Item = Vec<u8>> + '_ {
    let flipped = (0..original.len() * 8).map(|bit| {
        let mut bytes = original.to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        bytes
    });
    let shortened = (0..original.len()).map(|len| original[..len].to_vec());
    let beheaded = (1..original.len()).map(|from| original[from..].to_vec());
    let lengthened = [0x00, 0xff]
        .into_iter()
        .flat_map(move |byte| [[original, &[byte]].concat(), [&[byte], original].concat()]);
    flipped.chain(shortened).chain(beheaded).chain(lengthened)
}
