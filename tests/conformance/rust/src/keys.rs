//! Keys: creating, describing, describing anew, tagging and listing them; policy and rotation.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{SystemTime, UNIX_EPOCH};

use aws_sdk_kms::Client;
use aws_sdk_kms::operation::create_key::CreateKeyError;
use aws_sdk_kms::operation::describe_key::DescribeKeyError;
use aws_sdk_kms::types::{
    EncryptionAlgorithmSpec, KeyManagerType, KeyMetadata, KeySpec, KeyState, KeyUsageType,
    OriginType, Tag,
};

use crate::story::{Failure, Story, untyped};

/// The form of a key's id, with an id that no key has.
const ABSENT: &str = "00000000-0000-4000-8000-00000000dead";
/// How far the clocks of both sides may be apart.
const CLOCK_SECONDS: u64 = 60;

/// A key as the story goes on with it.
pub struct Key {
    /// Its id, a UUID.
    pub id: String,
    /// Its ARN.
    pub arn: String,
    /// The id of its key material.
    pub material: String,
}

/// Creates a key with a description and a tag.
pub async fn create(story: &mut Story, kms: &Client) -> Result<Key, Failure> {
    let sent = kms.create_key().description("from Rust").tags(tag("a", "1")).send().await;
    let reply = story.answered("create a key", sent)?;
    let metadata = story.present("KeyMetadata", reply.key_metadata())?;
    check_new(story, metadata)?;
    let key = Key {
        id: metadata.key_id().to_owned(),
        arn: story.present("Arn", metadata.arn())?.to_owned(),
        material: story.present("the material id", metadata.current_key_material_id())?.to_owned(),
    };
    for reference in [&key.id, &key.arn] {
        let sent = kms.describe_key().key_id(reference).send().await;
        let described = story.answered("describe the key", sent)?;
        story.equal("KeyMetadata", described.key_metadata(), Some(metadata))?;
    }
    Ok(key)
}

fn check_new(story: &Story, metadata: &KeyMetadata) -> Result<(), Failure> {
    let account = story.present("AWSAccountId", metadata.aws_account_id())?;
    let arn = story.present("Arn", metadata.arn())?;
    let end = format!(":{account}:key/{}", metadata.key_id());
    story.holds("Arn has account and key id", arn.ends_with(&end))?;
    story.equal("KeyState", metadata.key_state(), Some(&KeyState::Enabled))?;
    story.equal("Enabled", metadata.enabled(), true)?;
    story.equal("Description", metadata.description(), Some("from Rust"))?;
    story.equal("KeySpec", metadata.key_spec(), Some(&KeySpec::SymmetricDefault))?;
    story.equal("KeyUsage", metadata.key_usage(), Some(&KeyUsageType::EncryptDecrypt))?;
    story.equal("Origin", metadata.origin(), Some(&OriginType::AwsKms))?;
    story.equal("KeyManager", metadata.key_manager(), Some(&KeyManagerType::Customer))?;
    story.equal("MultiRegion", metadata.multi_region(), Some(false))?;
    let algorithms = [EncryptionAlgorithmSpec::SymmetricDefault];
    story.equal("EncryptionAlgorithms", metadata.encryption_algorithms(), algorithms.as_slice())?;
    story.equal("SigningAlgorithms", metadata.signing_algorithms().len(), 0)?;
    let created = story.present("CreationDate", metadata.creation_date())?;
    let created = u64::try_from(created.secs()).unwrap_or_default();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    story.holds("CreationDate is now", now.abs_diff(created) <= CLOCK_SECONDS)
}

/// Keys that are not created, and one that is not there.
pub async fn refused(story: &mut Story, kms: &Client) -> Result<(), Failure> {
    story.not_built("build a tag without a value", Tag::builder().tag_key("a").build())?;
    // SM2 exists only in regions of another partition.
    let sm2 = kms.create_key().key_spec(KeySpec::Sm2).key_usage(KeyUsageType::SignVerify);
    let sent = sm2.send().await;
    let is = CreateKeyError::is_unsupported_operation_exception;
    let text = story.refused("create an SM2 key", sent, "UnsupportedOperationException", is)?;
    story.holds("the message names the spec", text.contains("SM2"))?;

    let sent = kms.describe_key().key_id(ABSENT).send().await;
    let is = DescribeKeyError::is_not_found_exception;
    let text = story.refused("describe an absent key", sent, "NotFoundException", is)?;
    story.holds("the message names the key", text.contains(ABSENT))?;

    // The SDK sends inputs even when a required member is missing.
    let sent = kms.describe_key().send().await;
    let text = story.refused("describe without a KeyId", sent, "ValidationException", untyped)?;
    story.holds("the message names keyId", text.contains("'keyId'"))
}

/// Changes the description and the tags of `key`.
pub async fn change(story: &mut Story, kms: &Client, key: &Key) -> Result<(), Failure> {
    let sent = kms.update_key_description().key_id(&key.id).description("anew").send().await;
    story.answered("change the description", sent)?;
    let sent = kms.describe_key().key_id(&key.id).send().await;
    let described = story.answered("describe the changed key", sent)?;
    let metadata = story.present("KeyMetadata", described.key_metadata())?;
    story.equal("Description", metadata.description(), Some("anew"))?;

    let sent = kms.tag_resource().key_id(&key.id).tags(tag("b", "2")).tags(tag("c", "3"));
    story.answered("add tags", sent.send().await)?;
    expect_tags(story, kms, key, &[("a", "1"), ("b", "2"), ("c", "3")]).await?;
    let sent = kms.untag_resource().key_id(&key.id).tag_keys("a").tag_keys("c").send().await;
    story.answered("remove tags", sent)?;
    expect_tags(story, kms, key, &[("b", "2")]).await
}

async fn expect_tags(
    story: &mut Story,
    kms: &Client,
    key: &Key,
    expected: &[(&str, &str)],
) -> Result<(), Failure> {
    let sent = kms.list_resource_tags().key_id(&key.id).send().await;
    let reply = story.answered("list the tags", sent)?;
    let found: BTreeMap<_, _> =
        reply.tags().iter().map(|tag| (tag.tag_key(), tag.tag_value())).collect();
    story.equal("Tags", found, expected.iter().copied().collect::<BTreeMap<_, _>>())?;
    story.equal("Truncated", reply.truncated(), false)
}

/// Policy and rotation of a key that has neither been given.
pub async fn read(story: &mut Story, kms: &Client, key: &Key) -> Result<(), Failure> {
    let sent = kms.list_key_policies().key_id(&key.id).send().await;
    let reply = story.answered("list the key's policies", sent)?;
    story.equal("PolicyNames", reply.policy_names(), &["default"][..])?;
    let sent = kms.get_key_policy().key_id(&key.id).policy_name("default").send().await;
    let reply = story.answered("get the key policy", sent)?;
    story.equal("PolicyName", reply.policy_name(), Some("default"))?;
    let policy = story.present("Policy", reply.policy())?;
    story.holds("Policy allows kms:*", policy.contains("\"kms:*\""))?;
    let sent = kms.get_key_rotation_status().key_id(&key.id).send().await;
    let reply = story.answered("get the rotation status", sent)?;
    story.equal("KeyRotationEnabled", reply.key_rotation_enabled(), false)?;
    story.equal("KeyId", reply.key_id(), Some(key.arn.as_str()))
}

/// All keys, two at a time, through the SDK's own paginator.
pub async fn list(story: &mut Story, kms: &Client, keys: &[&Key]) -> Result<(), Failure> {
    let sent = kms.list_keys().into_paginator().page_size(2).send().try_collect().await;
    let pages = story.answered("list all keys", sent)?;
    let mut found = BTreeSet::new();
    for (at, page) in pages.iter().enumerate() {
        let last = at + 1 == pages.len();
        story.equal("Truncated", page.truncated(), !last)?;
        story.holds("the page is full", last || page.keys().len() == 2)?;
        for entry in page.keys() {
            let arn = story.present("KeyArn", entry.key_arn())?;
            story.holds("no key is listed twice", found.insert(arn))?;
        }
    }
    story.holds("all keys are listed", keys.iter().all(|key| found.contains(key.arn.as_str())))
}

/// Both members are there, which is all that the builder asks for.
fn tag(key: &str, value: &str) -> Tag {
    Tag::builder()
        .tag_key(key)
        .tag_value(value)
        .build()
        .expect("invariant: a tag with key and value is complete")
}
