//! Aliases: creating, listing, moving and deleting one.

use aws_sdk_kms::Client;
use aws_sdk_kms::operation::create_alias::CreateAliasError;
use aws_sdk_kms::operation::delete_alias::DeleteAliasError;
use aws_sdk_kms::operation::describe_key::DescribeKeyError;

use crate::keys::Key;
use crate::story::{Failure, Story};

/// The life of an alias that names `key` and then `other`.
pub async fn all(story: &mut Story, kms: &Client, key: &Key, other: &Key) -> Result<(), Failure> {
    let name = format!("alias/rust-{}", key.id);
    let sent = kms.create_alias().alias_name(&name).target_key_id(&key.id).send().await;
    story.answered("create an alias", sent)?;
    expect_target(story, kms, &name, key).await?;
    let sent = kms.create_alias().alias_name(&name).target_key_id(&other.id).send().await;
    let is = CreateAliasError::is_already_exists_exception;
    story.refused("create it again", sent, "AlreadyExistsException", is)?;

    let sent = kms.update_alias().alias_name(&name).target_key_id(&other.id).send().await;
    story.answered("move the alias", sent)?;
    expect_target(story, kms, &name, other).await?;
    let sent = kms.list_aliases().key_id(&key.id).send().await;
    let reply = story.answered("list the aliases of the key that it left", sent)?;
    story.equal("the number of aliases", reply.aliases().len(), 0)?;

    let sent = kms.delete_alias().alias_name(&name).send().await;
    story.answered("delete the alias", sent)?;
    let sent = kms.delete_alias().alias_name(&name).send().await;
    let is = DeleteAliasError::is_not_found_exception;
    story.refused("delete it again", sent, "NotFoundException", is)?;
    let sent = kms.describe_key().key_id(&name).send().await;
    let is = DescribeKeyError::is_not_found_exception;
    story.refused("describe by a deleted alias", sent, "NotFoundException", is)?;
    Ok(())
}

/// `name` is the one alias of `key`, and leads to it.
async fn expect_target(
    story: &mut Story,
    kms: &Client,
    name: &str,
    key: &Key,
) -> Result<(), Failure> {
    let sent = kms.list_aliases().key_id(&key.id).send().await;
    let reply = story.answered("list the key's aliases", sent)?;
    let [entry] = reply.aliases() else {
        return story.equal("the number of aliases", reply.aliases().len(), 1);
    };
    story.equal("AliasName", entry.alias_name(), Some(name))?;
    story.equal("TargetKeyId", entry.target_key_id(), Some(key.id.as_str()))?;
    let arn = key.arn.replace(&format!("key/{}", key.id), name);
    story.equal("AliasArn", entry.alias_arn(), Some(arn.as_str()))?;

    for reference in [name, &arn] {
        let sent = kms.describe_key().key_id(reference).send().await;
        let reply = story.answered("describe by the alias", sent)?;
        let metadata = story.present("KeyMetadata", reply.key_metadata())?;
        story.equal("Arn", metadata.arn(), Some(key.arn.as_str()))?;
    }
    Ok(())
}
