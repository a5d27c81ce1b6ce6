//! Cryptography: encryption with a context, re-encryption, data keys and random bytes.

use aws_sdk_kms::Client;
use aws_sdk_kms::operation::decrypt::DecryptError;
use aws_sdk_kms::operation::re_encrypt::ReEncryptError;
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::{DataKeySpec, EncryptionAlgorithmSpec};

use crate::keys::Key;
use crate::story::{Failure, Story, untyped};

/// The longest plaintext that may be encrypted, in bytes.
const LONGEST: usize = 4096;
/// The AWS code of what does not open, whatever the reason.
const INVALID: &str = "InvalidCiphertextException";

/// A ciphertext opens with its context and with no other.
pub async fn contexts(story: &mut Story, kms: &Client, key: &Key) -> Result<(), Failure> {
    let plaintext = Blob::new((0..LONGEST).map(|i| i as u8).collect::<Vec<_>>());
    let encrypt = kms.encrypt().key_id(&key.id).plaintext(plaintext.clone());
    let sent = encrypt.encryption_context("purpose", "story").encryption_context("ünïcode", "✓");
    let reply = story.answered("encrypt with a context", sent.send().await)?;
    story.equal("KeyId", reply.key_id(), Some(key.arn.as_str()))?;
    let sealed = story.present("CiphertextBlob", reply.ciphertext_blob())?;

    let decrypt = kms.decrypt().ciphertext_blob(sealed.clone());
    // The order of the pairs does not matter.
    let sent = decrypt.encryption_context("ünïcode", "✓").encryption_context("purpose", "story");
    let reply = story.answered("decrypt with the context", sent.send().await)?;
    story.equal("Plaintext", reply.plaintext(), Some(&plaintext))?;
    story.equal("KeyId", reply.key_id(), Some(key.arn.as_str()))?;
    story.equal("KeyMaterialId", reply.key_material_id(), Some(key.material.as_str()))?;
    let algorithm = Some(&EncryptionAlgorithmSpec::SymmetricDefault);
    story.equal("EncryptionAlgorithm", reply.encryption_algorithm(), algorithm)?;

    let is = DecryptError::is_invalid_ciphertext_exception;
    let sent = kms.decrypt().ciphertext_blob(sealed.clone()).send().await;
    story.refused("decrypt without the context", sent, INVALID, is)?;
    let decrypt = kms.decrypt().ciphertext_blob(sealed.clone());
    let sent = decrypt.encryption_context("purpose", "theft").encryption_context("ünïcode", "✓");
    story.refused("decrypt with another context", sent.send().await, INVALID, is)?;
    let mut damaged = sealed.as_ref().to_vec();
    if let Some(last) = damaged.last_mut() {
        *last ^= 1;
    }
    let decrypt = kms.decrypt().ciphertext_blob(Blob::new(damaged));
    let sent = decrypt.encryption_context("purpose", "story").encryption_context("ünïcode", "✓");
    story.refused("decrypt a damaged ciphertext", sent.send().await, INVALID, is)?;

    let sent = kms.encrypt().key_id(&key.id).plaintext(Blob::new([0; LONGEST + 1])).send().await;
    let text = story.refused("encrypt too much", sent, "ValidationException", untyped)?;
    story.holds("the message names plaintext", text.contains("'plaintext'"))
}

/// From `key` to `other`, and from one context to another.
pub async fn re_encrypt(
    story: &mut Story,
    kms: &Client,
    key: &Key,
    other: &Key,
) -> Result<(), Failure> {
    let plaintext = Blob::new("to be moved");
    let encrypt = kms.encrypt().key_id(&key.id).plaintext(plaintext.clone());
    let reply = story.answered("encrypt", encrypt.encryption_context("a", "1").send().await)?;
    let sealed = story.present("CiphertextBlob", reply.ciphertext_blob())?;
    let call = kms.re_encrypt().ciphertext_blob(sealed.clone()).destination_key_id(&other.arn);
    let is = ReEncryptError::is_invalid_ciphertext_exception;
    let sent = call.clone().source_encryption_context("a", "2").send().await;
    story.refused("re-encrypt with a wrong context", sent, INVALID, is)?;

    let call = call.source_encryption_context("a", "1").destination_encryption_context("b", "2");
    let reply = story.answered("re-encrypt", call.send().await)?;
    story.equal("SourceKeyId", reply.source_key_id(), Some(key.arn.as_str()))?;
    story.equal("KeyId", reply.key_id(), Some(other.arn.as_str()))?;
    let moved = story.present("CiphertextBlob", reply.ciphertext_blob())?;

    let call = kms.decrypt().ciphertext_blob(moved.clone()).encryption_context("b", "2");
    let reply = story.answered("decrypt what was moved", call.clone().send().await)?;
    story.equal("Plaintext", reply.plaintext(), Some(&plaintext))?;
    let sent = call.key_id(&key.id).send().await;
    let is = DecryptError::is_incorrect_key_exception;
    story.refused("decrypt it under its old key", sent, "IncorrectKeyException", is)?;
    Ok(())
}

/// Data keys by spec and by length, with and without their plaintext.
pub async fn data_keys(story: &mut Story, kms: &Client, key: &Key) -> Result<(), Failure> {
    let call = kms.generate_data_key().key_id(&key.id).encryption_context("a", "1");
    for (call, length) in
        [(call.clone().key_spec(DataKeySpec::Aes256), 32), (call.number_of_bytes(64), 64)]
    {
        let reply = story.answered("generate a data key", call.send().await)?;
        story.equal("KeyId", reply.key_id(), Some(key.arn.as_str()))?;
        let plaintext = story.present("Plaintext", reply.plaintext())?;
        story.equal("the plaintext's length", plaintext.as_ref().len(), length)?;
        let sealed = story.present("CiphertextBlob", reply.ciphertext_blob())?;
        let call = kms.decrypt().ciphertext_blob(sealed.clone()).encryption_context("a", "1");
        let opened = story.answered("decrypt the data key", call.send().await)?;
        story.equal("Plaintext", opened.plaintext(), Some(plaintext))?;
    }

    let call = kms.generate_data_key_without_plaintext().key_id(&key.id);
    let sent = call.key_spec(DataKeySpec::Aes128).send().await;
    let reply = story.answered("generate a data key without plaintext", sent)?;
    let sealed = story.present("CiphertextBlob", reply.ciphertext_blob())?;
    let sent = kms.decrypt().ciphertext_blob(sealed.clone()).send().await;
    let opened = story.answered("decrypt it", sent)?;
    let length = opened.plaintext().map(|plaintext| plaintext.as_ref().len());
    story.equal("the plaintext's length", length, Some(16))
}

/// Random bytes.
pub async fn random(story: &mut Story, kms: &Client) -> Result<(), Failure> {
    let first = random_bytes(story, kms).await?;
    let second = random_bytes(story, kms).await?;
    story.holds("two are different", first != second)
}

async fn random_bytes(story: &mut Story, kms: &Client) -> Result<Blob, Failure> {
    let sent = kms.generate_random().number_of_bytes(32).send().await;
    let reply = story.answered("generate random bytes", sent)?;
    let bytes = story.present("Plaintext", reply.plaintext)?;
    story.equal("the length", bytes.as_ref().len(), 32)?;
    Ok(bytes)
}
