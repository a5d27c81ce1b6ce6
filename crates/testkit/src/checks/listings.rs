//! Listings of many keys, with aliases, tags and grants, have each once while others come and go.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use anyhow::{Context, Result};
use clap::Args;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::{Common, Outcome};
use crate::client::{Client, Target};
use crate::node::{ACCOUNT, Node};

const CONNECTIONS: usize = 32;
/// What is told of, besides what was measured.
const MANY: f64 = 1_000_000.0;

/// Arguments of `listings`.
#[derive(Debug, Args)]
pub struct Options {
    #[command(flatten)]
    common: Common,
    /// Keys, each with an alias, a tag and a grant.
    #[arg(long, default_value_t = 200_000)]
    keys: usize,
}

/// Makes the keys, walks the lists while others come and go, and starts the node again.
///
/// # Errors
/// The node or a call failed.
pub async fn run(options: &Options) -> Result<Outcome> {
    let most = options.keys * 2 + 1000;
    let more = format!("[quotas]\nkeys_per_account = {}\n", most.min(1_000_000));
    let mut node = Node::start_with(&options.common.binary, &more).await?;
    let begun = Instant::now();
    node.restart().await?;
    let (started_empty, empty) = (begun.elapsed().as_secs_f64(), node.resident_bytes()?);
    let made = seed(node.target(), options.keys).await?;

    let over = Arc::new(AtomicBool::new(false));
    let others = tokio::spawn(come_and_go(node.target().clone(), over.clone()));
    let mut outcome = Outcome::default();
    let keys = walk(node.target(), "ListKeys", "Keys", "KeyId", &json!({})).await?;
    let aliases = walk(node.target(), "ListAliases", "Aliases", "TargetKeyId", &json!({})).await?;
    let root = format!("arn:aws:iam::{ACCOUNT}:root");
    let retired = json!({ "RetiringPrincipal": root });
    let grants = walk(node.target(), "ListRetirableGrants", "Grants", "KeyId", &retired).await?;
    over.store(true, Ordering::Relaxed);
    let came = others.await??;

    for (list, seen) in [("keys", &keys), ("aliases", &aliases), ("grants", &grants)] {
        let once: BTreeSet<&str> =
            seen.iter().map(|id| id.rsplit('/').next().unwrap_or(id)).collect();
        let missing = made.iter().filter(|id| !once.contains(id.as_str())).count();
        outcome.require(missing == 0, || format!("{missing} {list} were not listed"));
        // Each key has one of each, those that come and go too.
        let twice = seen.len() - once.len();
        outcome.require(twice == 0, || format!("{twice} {list} were listed twice"));
    }
    outcome.require(came > 0, || "nothing came and went".into());

    let begun = Instant::now();
    node.restart().await?;
    let (started, resident) = (begun.elapsed().as_secs_f64(), node.resident_bytes()?);
    let count = Client::new(node.target().clone()).ok("ListKeys", &json!({ "Limit": 1 })).await?;
    outcome.require(count["Keys"].as_array().is_some_and(|keys| keys.len() == 1), || {
        "the keys are gone after the start".into()
    });
    let per_key = resident.saturating_sub(empty) / options.keys.max(1) as u64;
    outcome.figures = format!(
        "{} keys with an alias, a tag and a grant each: listed {} keys, {} aliases, {} grants, each \
         once, while {came} others came and went; {per_key} bytes per key, results for retries \
         included, {:.0} MiB at a million; started again in {started:.2} s, {:.1} s at a million",
        made.len(),
        keys.len(),
        aliases.len(),
        grants.len(),
        per_key as f64 * MANY / f64::from(1 << 20),
        started_empty + (started - started_empty) * MANY / options.keys.max(1) as f64,
    );
    Ok(outcome)
}

/// Makes keys with an alias, a tag and a grant each.
async fn seed(target: &Target, count: usize) -> Result<BTreeSet<String>> {
    let left = Arc::new(AtomicUsize::new(count));
    let mut workers = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let (mut client, left) = (Client::new(target.clone()), left.clone());
        workers.spawn(async move {
            let mut made = Vec::new();
            let take = |left: usize| left.checked_sub(1);
            while let Ok(number) = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take) {
                made.push(make(&mut client, &format!("alias/stays-{number}")).await?);
            }
            anyhow::Ok(made)
        });
    }
    let made: Result<Vec<_>> = workers.join_all().await.into_iter().collect();
    Ok(made?.into_iter().flatten().collect())
}

async fn make(client: &mut Client, alias: &str) -> Result<String> {
    let tags = json!({ "Tags": [{ "TagKey": "name", "TagValue": alias }] });
    let created = client.ok("CreateKey", &tags).await?;
    let key = created["KeyMetadata"]["KeyId"].as_str().context("a key without id")?.to_owned();
    client.ok("CreateAlias", &json!({ "AliasName": alias, "TargetKeyId": key })).await?;
    let root = format!("arn:aws:iam::{ACCOUNT}:root");
    let grant = json!({
        "KeyId": key, "GranteePrincipal": root, "RetiringPrincipal": root, "Operations": ["Encrypt"],
    });
    client.ok("CreateGrant", &grant).await?;
    Ok(key)
}

/// Makes keys whose aliases and grants go again; a key itself goes after days only.
async fn come_and_go(target: Target, over: Arc<AtomicBool>) -> Result<usize> {
    let (mut client, mut came) = (Client::new(target), 0);
    while !over.load(Ordering::Relaxed) {
        let alias = format!("alias/{}-passes-{came}", if came % 2 == 0 { "a" } else { "z" });
        let key = make(&mut client, &alias).await?;
        let grants = client.ok("ListGrants", &json!({ "KeyId": key })).await?;
        let grant = grants["Grants"][0]["GrantId"].as_str().context("a grant without id")?;
        client.ok("RevokeGrant", &json!({ "KeyId": key, "GrantId": grant })).await?;
        client.ok("DeleteAlias", &json!({ "AliasName": alias })).await?;
        came += 1;
    }
    Ok(came)
}

/// All that is listed, page by page.
async fn walk(
    target: &Target,
    operation: &str,
    items: &str,
    member: &str,
    arguments: &Value,
) -> Result<Vec<String>> {
    let (mut client, mut seen) = (Client::new(target.clone()), Vec::new());
    let mut input = arguments.clone();
    input["Limit"] = json!(100);
    loop {
        let page = client.ok(operation, &input).await?;
        for item in page[items].as_array().context("a page without items")? {
            seen.push(item[member].as_str().context("an item without a key")?.to_owned());
        }
        match page["NextMarker"].as_str() {
            Some(marker) => input["Marker"] = json!(marker),
            None => return Ok(seen),
        }
    }
}
