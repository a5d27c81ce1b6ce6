//! Project Wycheproof's vectors for the algorithms of AWS KMS, through the public functions.
//!
//! What is valid must be accepted with the right result, what is invalid refused. Every vector that
//! is not run is counted under the reason for it, and all counts are fixed, so that none can get
//! lost: run with `--nocapture` to see them.
#![allow(clippy::unwrap_used)]

mod agreement;
mod kem;
mod rsa;
mod signatures;
mod symmetric;
mod tally;

use keystead_crypto::material::KeyMaterial;
use keystead_types::KeySpec;

/// A SubjectPublicKeyInfo with this raw key in the place of that of a generated one.
fn spki(spec: KeySpec, raw_len: usize, raw: &[u8]) -> Vec<u8> {
    let generated = KeyMaterial::generate(spec).unwrap();
    let der = generated.public_key().unwrap().der();
    [&der[..der.len() - raw_len], raw].concat()
}

/// The material of this seed.
fn from_seed(spec: KeySpec, seed: &[u8]) -> Option<KeyMaterial> {
    let kind = KeyMaterial::generate(spec).unwrap().encode()[0];
    KeyMaterial::decode(spec, &[&[kind], seed].concat()).ok()
}
