//! Key states: what a key that is disabled or pending deletion does not do.

use aws_sdk_kms::Client;
use aws_sdk_kms::operation::decrypt::DecryptError;
use aws_sdk_kms::operation::encrypt::EncryptError;
use aws_sdk_kms::operation::generate_data_key::GenerateDataKeyError;
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::{DataKeySpec, KeyState};

use crate::keys::Key;
use crate::story::{Failure, Story};

/// The shortest time that a key waits for its deletion.
const DAYS: i32 = 7;

/// Disables `key`, tries to use it, and enables it again.
pub async fn disabled(story: &mut Story, kms: &Client, key: &Key) -> Result<(), Failure> {
    let code = "DisabledException";
    let text = format!("{} is disabled.", key.arn);
    let sealed = encrypt(story, kms, key).await?;
    story.answered("disable the key", kms.disable_key().key_id(&key.id).send().await)?;
    expect_state(story, kms, key, KeyState::Disabled).await?;

    let sent = kms.decrypt().ciphertext_blob(sealed.clone()).send().await;
    let is = DecryptError::is_disabled_exception;
    let found = story.refused("decrypt under the disabled key", sent, code, is)?;
    story.equal("the message", &found, &text)?;
    let sent = kms.encrypt().key_id(&key.id).plaintext(Blob::new("x")).send().await;
    let is = EncryptError::is_disabled_exception;
    let found = story.refused("encrypt under the disabled key", sent, code, is)?;
    story.equal("the message", &found, &text)?;

    story.answered("enable the key", kms.enable_key().key_id(&key.id).send().await)?;
    expect_state(story, kms, key, KeyState::Enabled).await?;
    decrypt(story, kms, sealed).await
}

/// Schedules the deletion of `key`, tries to use it, and cancels the deletion.
pub async fn pending_deletion(story: &mut Story, kms: &Client, key: &Key) -> Result<(), Failure> {
    let code = "KMSInvalidStateException";
    let text = format!("{} is pending deletion.", key.arn);
    let sealed = encrypt(story, kms, key).await?;
    schedule(story, kms, key).await?;
    expect_state(story, kms, key, KeyState::PendingDeletion).await?;

    let sent = kms.decrypt().ciphertext_blob(sealed.clone()).send().await;
    let is = DecryptError::is_kms_invalid_state_exception;
    let found = story.refused("decrypt under the doomed key", sent, code, is)?;
    story.equal("the message", &found, &text)?;
    let call = kms.generate_data_key().key_id(&key.id).key_spec(DataKeySpec::Aes256);
    let is = GenerateDataKeyError::is_kms_invalid_state_exception;
    let found = story.refused("generate a data key under it", call.send().await, code, is)?;
    story.equal("the message", &found, &text)?;

    let sent = kms.cancel_key_deletion().key_id(&key.id).send().await;
    let reply = story.answered("cancel the deletion", sent)?;
    story.equal("KeyId", reply.key_id(), Some(key.arn.as_str()))?;
    expect_state(story, kms, key, KeyState::Disabled).await?;
    story.answered("enable the key", kms.enable_key().key_id(&key.id).send().await)?;
    decrypt(story, kms, sealed).await
}

async fn schedule(story: &mut Story, kms: &Client, key: &Key) -> Result<(), Failure> {
    let call = kms.schedule_key_deletion().key_id(&key.id).pending_window_in_days(DAYS);
    let reply = story.answered("schedule the deletion", call.send().await)?;
    story.equal("KeyId", reply.key_id(), Some(key.arn.as_str()))?;
    story.equal("KeyState", reply.key_state(), Some(&KeyState::PendingDeletion))?;
    story.equal("PendingWindowInDays", reply.pending_window_in_days(), Some(DAYS))?;
    story.present("DeletionDate", reply.deletion_date())?;
    Ok(())
}

async fn expect_state(
    story: &mut Story,
    kms: &Client,
    key: &Key,
    state: KeyState,
) -> Result<(), Failure> {
    let reply =
        story.answered("describe the key", kms.describe_key().key_id(&key.id).send().await)?;
    let metadata = story.present("KeyMetadata", reply.key_metadata())?;
    story.equal("KeyState", metadata.key_state(), Some(&state))?;
    story.equal("Enabled", metadata.enabled(), state == KeyState::Enabled)?;
    let pending = state == KeyState::PendingDeletion;
    story.equal("that it has a DeletionDate", metadata.deletion_date().is_some(), pending)
}

async fn encrypt(story: &mut Story, kms: &Client, key: &Key) -> Result<Blob, Failure> {
    let sent = kms.encrypt().key_id(&key.id).plaintext(Blob::new("x")).send().await;
    let reply = story.answered("encrypt", sent)?;
    story.present("CiphertextBlob", reply.ciphertext_blob)
}

async fn decrypt(story: &mut Story, kms: &Client, sealed: Blob) -> Result<(), Failure> {
    let sent = kms.decrypt().ciphertext_blob(sealed).send().await;
    let reply = story.answered("decrypt under the enabled key", sent)?;
    story.equal("Plaintext", reply.plaintext(), Some(&Blob::new("x")))
}
