//! Memory per key: the slope of resident memory between few keys and many.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use serde_json::json;

use super::{Common, Outcome};
use crate::client::{Client, Target};
use crate::node::{Mode, Node};

const CONNECTIONS: usize = 32;
/// Requests before a measurement, so that caches and buffers are what they will be.
const WARMING: usize = 2000;
/// How many old results a command clears away.
const FORGOTTEN_AT_ONCE: usize = 64;

/// Arguments of `memory`.
#[derive(Debug, Args)]
pub struct Options {
    #[command(flatten)]
    common: Common,
    /// Keys at the first measurement.
    #[arg(long, default_value_t = 10_000)]
    from: usize,
    /// Keys at the second.
    #[arg(long, default_value_t = 100_000)]
    to: usize,
    /// The greatest number of bytes per key, in a node that was started with its keys.
    #[arg(long, default_value_t = 2048)]
    most: u64,
    /// Seconds to wait before each measurement; above 600, results kept for retries are gone.
    #[arg(long, default_value_t = 0)]
    settle: u64,
}

/// Creates keys and measures twice: as the node is, and after it was started again.
///
/// # Errors
/// The node or a call failed.
pub async fn run(options: &Options) -> Result<Outcome> {
    let mut node = Node::start(&options.common.binary, Mode::Server).await?;
    create(node.target(), options.from).await?;
    let few = Measured::take(&mut node, options, options.from).await?;
    create(node.target(), options.to - options.from).await?;
    let many = Measured::take(&mut node, options, options.to).await?;

    let keys = (options.to - options.from) as u64;
    let slope = |few: u64, many: u64| many.saturating_sub(few) / keys;
    let (started, running) = (slope(few.started, many.started), slope(few.started, many.running));
    let figures = format!(
        "{started} bytes per key in a node started with its keys, {running} in the node that made \
         them; results for retries {}; {} keys: {} MiB, {} keys: {} MiB, after making them {} MiB",
        if options.settle > 600 { "forgotten" } else { "included" },
        options.from,
        few.started >> 20,
        options.to,
        many.started >> 20,
        many.running >> 20,
    );
    let mut outcome = Outcome { figures, violations: Vec::new() };
    outcome.require(started <= options.most, || format!("more than {} bytes", options.most));
    Ok(outcome)
}

/// Resident memory in bytes.
struct Measured {
    running: u64,
    started: u64,
}

impl Measured {
    async fn take(node: &mut Node, options: &Options, keys: usize) -> Result<Self> {
        if options.settle > 0 {
            tokio::time::sleep(Duration::from_secs(options.settle)).await;
            forget(node.target(), keys).await?;
        }
        let running = node.resident_bytes()?;
        node.restart().await?;
        warm(node.target()).await?;
        Ok(Self { running, started: node.resident_bytes()? })
    }
}

async fn create(target: &Target, count: usize) -> Result<()> {
    let left = Arc::new(AtomicUsize::new(count));
    let workers: Vec<_> = (0..CONNECTIONS)
        .map(|_| {
            let (mut client, left) = (Client::new(target.clone()), left.clone());
            tokio::spawn(async move {
                let take = |left: usize| left.checked_sub(1);
                while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok() {
                    client.ok("CreateKey", &json!({})).await?;
                }
                anyhow::Ok(())
            })
        })
        .collect();
    for worker in workers {
        worker.await??;
    }
    Ok(())
}

/// Mutations enough to clear away the results of those that created the keys.
async fn forget(target: &Target, keys: usize) -> Result<()> {
    let mut client = Client::new(target.clone());
    let key = any_key(&mut client).await?;
    for _ in 0..keys.div_ceil(FORGOTTEN_AT_ONCE) {
        client.ok("UpdateKeyDescription", &json!({ "KeyId": key, "Description": "" })).await?;
    }
    Ok(())
}

async fn warm(target: &Target) -> Result<()> {
    let mut client = Client::new(target.clone());
    let key = any_key(&mut client).await?;
    for _ in 0..WARMING {
        client.ok("Encrypt", &json!({ "KeyId": key, "Plaintext": "AAAA" })).await?;
    }
    Ok(())
}

async fn any_key(client: &mut Client) -> Result<String> {
    let output = client.ok("ListKeys", &json!({ "Limit": 1 })).await?;
    let key = output["Keys"][0]["KeyId"].as_str().context("there is no key")?;
    Ok(key.to_owned())
}
