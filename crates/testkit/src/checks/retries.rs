//! Calls whose first replies get lost: each is carried out once, however often it is sent.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use clap::Args;
use fastrand::Rng;
use http::{HeaderName, HeaderValue};
use serde_json::{Value, json};

use super::{Common, Outcome, worker_rng};
use crate::client::{Client, Target};
use crate::node::{Mode, Node};
use crate::proxy::DropFirstReply;

const CONNECTIONS: usize = 8;
const ATTEMPTS: usize = 5;
const PAGE: u32 = 1000;

/// Arguments of `retries`.
#[derive(Debug, Args)]
pub struct Options {
    #[command(flatten)]
    common: Common,
    /// How many calls of CreateKey.
    #[arg(long, default_value_t = 1000)]
    calls: usize,
}

/// Creates keys through a proxy that loses the first reply of each call, and counts the keys.
///
/// # Errors
/// The node failed, or a call failed more often than the proxy makes it.
pub async fn run(options: &Options) -> Result<Outcome> {
    let node = Node::start(&options.common.binary, Mode::Server).await?;
    let proxy = DropFirstReply::start(node.target().address, "CreateKey").await?;
    let target = Target { address: proxy.address(), ..node.target().clone() };
    let left = Arc::new(AtomicUsize::new(options.calls));
    let workers: Vec<_> = (0..CONNECTIONS)
        .map(|worker| {
            let rng = worker_rng(options.common.seed, worker);
            tokio::spawn(create_keys(target.clone(), left.clone(), rng))
        })
        .collect();
    let (mut told, mut attempts) = (BTreeSet::new(), 0);
    for worker in workers {
        let (ids, tried) = worker.await??;
        told.extend(ids);
        attempts += tried;
    }
    let listed = list_keys(&mut Client::new(node.target().clone())).await?;

    let figures = format!(
        "{} calls, {attempts} attempts, {} replies dropped; {} keys told, {} keys there",
        options.calls,
        proxy.dropped(),
        told.len(),
        listed.len(),
    );
    let mut outcome = Outcome { figures, violations: Vec::new() };
    outcome.require(proxy.dropped() == options.calls, || "not every first reply was lost".into());
    outcome.require(told.len() == options.calls, || "two calls were told of one key".into());
    outcome.require(listed == told, || "the keys there are not the keys told of".into());
    Ok(outcome)
}

async fn create_keys(
    target: Target,
    left: Arc<AtomicUsize>,
    mut rng: Rng,
) -> Result<(Vec<String>, usize)> {
    let mut client = Client::new(target);
    let (mut ids, mut attempts) = (Vec::new(), 0);
    let take = |left: usize| left.checked_sub(1);
    while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok() {
        let (id, tried) = create_key(&mut client, &mut rng).await?;
        ids.push(id);
        attempts += tried;
    }
    Ok((ids, attempts))
}

/// One call, retried as an SDK does: the same invocation and body, signed anew.
async fn create_key(client: &mut Client, rng: &mut Rng) -> Result<(String, usize)> {
    let invocation = HeaderValue::from_str(&format!("{:032x}", rng.u128(..)))?;
    let body = Bytes::from_static(br#"{"Description":"made once"}"#);
    for attempt in 1..=ATTEMPTS {
        let count = HeaderValue::from_str(&format!("attempt={attempt}; max={ATTEMPTS}"))?;
        let headers = [
            (HeaderName::from_static("amz-sdk-invocation-id"), invocation.clone()),
            (HeaderName::from_static("amz-sdk-request"), count),
        ];
        let request = client.target().signed("CreateKey", body.clone(), &headers)?;
        let Ok(reply) = client.send(request).await else { continue };
        let output = reply.ok()?;
        let id = output["KeyMetadata"]["KeyId"].as_str().context("CreateKey told no id")?;
        return Ok((id.to_owned(), attempt));
    }
    anyhow::bail!("CreateKey had no reply in {ATTEMPTS} attempts")
}

async fn list_keys(client: &mut Client) -> Result<BTreeSet<String>> {
    let (mut ids, mut marker) = (BTreeSet::new(), Value::Null);
    loop {
        let output = client.ok("ListKeys", &json!({ "Limit": PAGE, "Marker": marker })).await?;
        for key in output["Keys"].as_array().context("ListKeys told no keys")? {
            let id = key["KeyId"].as_str().context("a key without an id")?;
            ensure!(ids.insert(id.to_owned()), "{id} is listed twice");
        }
        marker = output["NextMarker"].clone();
        if marker.is_null() {
            return Ok(ids);
        }
    }
}
