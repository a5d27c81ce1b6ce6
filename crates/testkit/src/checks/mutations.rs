//! Mutated and damaged requests, over AWS JSON and over gRPC: none may stop the node, make it fail
//! or make it grow.

mod calls;
mod counts;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result};
use bytes::Bytes;
use clap::Args;
use counts::Counts;
use fastrand::Rng;
use http::HeaderValue;
use http::header::CONTENT_TYPE;
use keystead_api::OperationShape;
use serde_json::json;

use super::{Common, Outcome};
use crate::client::{Client, Reply, Target};
use crate::damage;
use crate::grpc;
use crate::inputs::{Catalogue, Known};
use crate::mutate::{self, proto};
use crate::node::{Mode, Node};

const CONNECTIONS: usize = 16;
const KEYS: usize = 20;
const CIPHERTEXTS: usize = 8;
const MEBIBYTE: u64 = 1 << 20;
const SHOWN: usize = 10;
const ATTEMPTS: usize = 3;

/// Arguments of `mutations`.
#[derive(Debug, Args)]
pub struct Options {
    #[command(flatten)]
    common: Common,
    /// How many requests: half mutated, half damaged, and of each half every other one over gRPC.
    #[arg(long, default_value_t = 100_000)]
    requests: usize,
    /// How many mebibytes the node may grow by after the first tenth of the requests.
    #[arg(long, default_value_t = 50)]
    growth: u64,
}

/// Sends mutated and damaged requests and looks at the node, its log and its memory.
///
/// # Errors
/// The node did not start, or did not work any more at the end.
pub async fn run(options: &Options) -> Result<Outcome> {
    // Tokens for gRPC that need no certificate exist in this mode only.
    let mut node = Node::start(&options.common.binary, Mode::Ephemeral).await?;
    let known = known(node.target()).await?;
    let catalogue = Catalogue::new()?;
    let seed = options.common.seed;
    let job = Arc::new(Job { target: node.target().clone(), known, catalogue, seed });
    let flooded = flood_all(&node, &job, options.requests).await;

    let mut outcome = Outcome::default();
    outcome.require(node.is_alive(), || format!("the node ended:\n{}", node.last_lines()));
    for panic in node.panics()?.iter().take(SHOWN) {
        outcome.violation(format!("a panic: {panic}"));
    }
    let (counts, before) = match flooded {
        Ok(flooded) => flooded,
        // A panic looks like this from outside; what the node wrote stands before it.
        Err(error) => {
            outcome.violation(format!("a request had no reply: {error:#}"));
            outcome.figures = "cut short".into();
            return Ok(outcome);
        }
    };
    let after = node.resident_bytes()?;
    let grown = after.saturating_sub(before) / MEBIBYTE;
    outcome.require(grown < options.growth, || format!("the node grew by {grown} MiB"));
    counts.judge(&job.catalogue.names(), &mut outcome);
    Client::new(node.target().clone())
        .ok("ListKeys", &json!({}))
        .await
        .context("the node does not work any more")?;
    outcome.figures = format!(
        "{}; memory {} MiB after a tenth, {} MiB at the end",
        counts.figures(),
        before / MEBIBYTE,
        after / MEBIBYTE
    );
    Ok(outcome)
}

struct Job {
    target: Target,
    known: Known,
    catalogue: Catalogue,
    seed: u64,
}

async fn known(target: &Target) -> Result<Known> {
    let mut client = Client::new(target.clone());
    let mut known = Known::default();
    for number in 0..2 * KEYS {
        let output = client.ok("CreateKey", &json!({})).await?;
        let key = output["KeyMetadata"]["KeyId"].as_str().context("a key without id")?.to_owned();
        if number < KEYS {
            let alias = format!("alias/known-{number}");
            client.ok("CreateAlias", &json!({ "AliasName": alias, "TargetKeyId": key })).await?;
            known.aliases.push(alias);
            known.keys.push(key);
        } else {
            known.victims.push(key);
        }
    }
    for (spec, usage) in OTHER_KINDS {
        let input = json!({ "KeySpec": spec, "KeyUsage": usage });
        let output = client.ok("CreateKey", &input).await?;
        let key = output["KeyMetadata"]["KeyId"].as_str().context("a key without id")?;
        known.keys.push(key.to_owned());
    }
    for key in known.keys.iter().take(CIPHERTEXTS) {
        let output = client.ok("Encrypt", &json!({ "KeyId": key, "Plaintext": "AAAA" })).await?;
        let blob = output["CiphertextBlob"].as_str().context("no ciphertext")?;
        known.ciphertexts.push(blob.to_owned());
    }
    Ok(known)
}

/// Keys that are not symmetric: one for each way of using one.
const OTHER_KINDS: [(&str, &str); 8] = [
    ("RSA_2048", "ENCRYPT_DECRYPT"),
    ("RSA_2048", "SIGN_VERIFY"),
    ("ECC_NIST_P256", "SIGN_VERIFY"),
    ("ECC_NIST_P256", "KEY_AGREEMENT"),
    ("ECC_NIST_EDWARDS25519", "SIGN_VERIFY"),
    ("HMAC_256", "GENERATE_VERIFY_MAC"),
    ("ML_DSA_44", "SIGN_VERIFY"),
    ("ML_KEM_512", "ENCAPSULATE_DECAPSULATE"),
];

/// Sends all requests; what came back, and the node's memory after the first tenth.
async fn flood_all(node: &Node, job: &Arc<Job>, requests: usize) -> Result<(Counts, u64)> {
    let tenth = requests / 10;
    let mut counts = flood(job, 0..tenth).await?;
    let before = node.resident_bytes()?;
    counts.add(flood(job, tenth..requests).await?);
    Ok((counts, before))
}

async fn flood(job: &Arc<Job>, requests: std::ops::Range<usize>) -> Result<Counts> {
    let next = Arc::new(AtomicUsize::new(requests.start));
    let workers: Vec<_> = (0..CONNECTIONS)
        .map(|_| {
            let (job, next, end) = (job.clone(), next.clone(), requests.end);
            tokio::spawn(async move { job.work(&next, end).await })
        })
        .collect();
    let mut counts = Counts::default();
    for worker in workers {
        counts.add(worker.await??);
    }
    Ok(counts)
}

impl Job {
    async fn work(&self, next: &AtomicUsize, end: usize) -> Result<Counts> {
        let mut json = Client::new(self.target.clone());
        let mut grpc = grpc::Client::new(self.target.clone());
        let mut counts = Counts::default();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= end {
                return Ok(counts);
            }
            // In turn, so that the kinds are equally many and every operation has its share.
            let operations = keystead_api::operations();
            let operation = &operations[number / 4 % operations.len()];
            // Each request follows from the seed and its number alone, whoever sends it.
            let mut rng = Rng::with_seed(self.seed ^ (number as u64).rotate_left(32));
            match number % 4 {
                0 => self.mutated(&mut json, &mut rng, operation, &mut counts).await?,
                1 => self.damaged(&mut rng, operation, &mut counts).await?,
                2 => self.mutated_grpc(&mut grpc, &mut rng, operation, &mut counts).await?,
                _ => self.damaged_grpc(&mut rng, operation, &mut counts).await?,
            }
        }
    }

    async fn mutated(
        &self,
        client: &mut Client,
        rng: &mut Rng,
        operation: &OperationShape,
        counts: &mut Counts,
    ) -> Result<()> {
        let input = self.catalogue.input(rng, operation.name, &self.known);
        let body = Bytes::from(mutate::mutate(rng, input));
        let mut headers = Vec::new();
        if rng.u8(..50) == 0 {
            let other = rng.choice(["application/json", "text/plain; charset=utf-16", "*"]);
            headers.push((CONTENT_TYPE, HeaderValue::from_static(other.unwrap_or("*"))));
        }
        let described = || described(operation.name, &body);
        let mut reply = self.signed(client, operation.name, &body, &headers).await;
        for _ in 1..ATTEMPTS {
            if reply.is_err() {
                // A connection that was idle for long may close under the request.
                reply = self.signed(client, operation.name, &body, &headers).await;
            }
        }
        counts.json(operation.name, &reply.with_context(described)?, described);
        Ok(())
    }

    async fn signed(
        &self,
        client: &mut Client,
        operation: &str,
        body: &Bytes,
        headers: &[(http::HeaderName, HeaderValue)],
    ) -> Result<Reply> {
        client.send(self.target.signed(operation, body.clone(), headers)?).await
    }

    async fn damaged(
        &self,
        rng: &mut Rng,
        operation: &OperationShape,
        counts: &mut Counts,
    ) -> Result<()> {
        let input = self.catalogue.input(rng, operation.name, &self.known);
        let body = Bytes::from(input.to_string());
        let request = self.target.signed(operation.name, body.clone(), &[])?;
        let mut bytes = damage::wire(&request, &body);
        damage::damage(rng, &mut bytes);
        let described = || described(operation.name, &bytes);
        let answer = damage::send(self.target.address, &bytes).await.with_context(described)?;
        counts.damaged(&answer, described);
        Ok(())
    }

    async fn mutated_grpc(
        &self,
        client: &mut grpc::Client,
        rng: &mut Rng,
        operation: &OperationShape,
        counts: &mut Counts,
    ) -> Result<()> {
        let input = self.catalogue.input(rng, operation.name, &self.known);
        let other = rng.choice(keystead_api::operations()).unwrap_or(operation);
        let other_input = self.catalogue.input(rng, other.name, &self.known);
        let other = proto::encode((other.input)(), &other_input);
        let body = proto::body(rng, (operation.input)(), input, &other);
        let described = || format!("{} {}", operation.name, hex::encode(shown(&body)));
        let call = calls::call(rng, &self.target, operation.name, body.clone())?;
        let mut answer = client.send(call.request.clone()).await;
        for _ in 1..ATTEMPTS {
            if answer.is_err() {
                answer = client.send(call.request.clone()).await;
            }
        }
        counts.grpc(operation.name, &call, &answer.with_context(described)?, described);
        Ok(())
    }

    async fn damaged_grpc(
        &self,
        rng: &mut Rng,
        operation: &OperationShape,
        counts: &mut Counts,
    ) -> Result<()> {
        let input = self.catalogue.input(rng, operation.name, &self.known);
        let body = proto::frame(&proto::encode((operation.input)(), &input));
        let call = calls::call(rng, &self.target, operation.name, body.clone())?;
        let bytes = damage::frames::damaged(rng, &call.request, &body);
        let described = || described(operation.name, &bytes);
        let answer =
            damage::frames::send(self.target.address, &bytes).await.with_context(described)?;
        counts.damaged(&answer, described);
        Ok(())
    }
}

fn described(operation: &str, bytes: &[u8]) -> String {
    format!("{operation}: {}", String::from_utf8_lossy(shown(bytes)).escape_debug())
}

fn shown(bytes: &[u8]) -> &[u8] {
    &bytes[..bytes.len().min(500)]
}
