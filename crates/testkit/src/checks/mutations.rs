//! Mutated and damaged requests: none may stop the node, make it fail or make it grow.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result};
use bytes::Bytes;
use clap::Args;
use fastrand::Rng;
use http::HeaderValue;
use http::header::CONTENT_TYPE;
use serde_json::{Value, json};

use super::{Common, Outcome, worker_rng};
use crate::client::{Client, Reply, Target};
use crate::inputs::{Catalogue, Known};
use crate::node::{Mode, Node};
use crate::{damage, mutate};

const CONNECTIONS: usize = 16;
const KEYS: usize = 20;
const CIPHERTEXTS: usize = 8;
const MEBIBYTE: u64 = 1 << 20;
const SHOWN: usize = 10;
/// What the service says before it looks at the body, or to one who may not ask.
const BEFORE_DECODING: &[&str] = &[
    "IncompleteSignature",
    "IncompleteSignatureException",
    "InvalidSignatureException",
    "MissingAuthenticationTokenException",
    "UnrecognizedClientException",
    "AccessDeniedException",
    "UnknownOperationException",
    "ThrottlingException",
    "RequestEntityTooLarge",
];

/// Arguments of `mutations`.
#[derive(Debug, Args)]
pub struct Options {
    #[command(flatten)]
    common: Common,
    /// How many requests, half of each kind.
    #[arg(long, default_value_t = 100_000)]
    requests: usize,
    /// How many mebibytes the node may grow by after the first tenth of the requests.
    #[arg(long, default_value_t = 50)]
    growth: u64,
}

/// Sends mutated and damaged requests and looks at the node, its log and its memory.
///
/// # Errors
/// The node did not start, or stopped answering.
pub async fn run(options: &Options) -> Result<Outcome> {
    let mut node = Node::start(&options.common.binary, Mode::Server).await?;
    let known = known(node.target()).await?;
    let catalogue = Arc::new(Catalogue::new()?);
    let job = Arc::new(Job { target: node.target().clone(), known, catalogue });
    let seed = options.common.seed;
    let mut counts = flood(&job, options.requests / 10, seed).await.context("first tenth")?;
    let before = node.resident_bytes()?;
    let rest = options.requests - options.requests / 10;
    let flooded = flood(&job, rest, seed.wrapping_add(1)).await;

    let mut outcome = Outcome::default();
    outcome.require(node.is_alive(), || format!("the node ended:\n{}", node.last_lines()));
    for panic in node.panics()?.iter().take(SHOWN) {
        outcome.violation(format!("a panic: {panic}"));
    }
    counts.add(flooded.context("a request had no reply")?);
    let after = node.resident_bytes()?;
    let grown = after.saturating_sub(before) / MEBIBYTE;
    outcome.require(grown < options.growth, || format!("the node grew by {grown} MiB"));
    counts.judge(&job.catalogue, &mut outcome);
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
    catalogue: Arc<Catalogue>,
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
    for key in known.keys.iter().take(CIPHERTEXTS) {
        let output = client.ok("Encrypt", &json!({ "KeyId": key, "Plaintext": "AAAA" })).await?;
        let blob = output["CiphertextBlob"].as_str().context("no ciphertext")?;
        known.ciphertexts.push(blob.to_owned());
    }
    Ok(known)
}

async fn flood(job: &Arc<Job>, requests: usize, seed: u64) -> Result<Counts> {
    let left = Arc::new(AtomicUsize::new(requests));
    let workers: Vec<_> = (0..CONNECTIONS)
        .map(|worker| {
            let (job, left, rng) = (job.clone(), left.clone(), worker_rng(seed, worker));
            tokio::spawn(async move { job.work(&left, rng).await })
        })
        .collect();
    let mut counts = Counts::default();
    for worker in workers {
        counts.add(worker.await??);
    }
    Ok(counts)
}

impl Job {
    async fn work(&self, left: &AtomicUsize, mut rng: Rng) -> Result<Counts> {
        let mut client = Client::new(self.target.clone());
        let mut counts = Counts::default();
        let names = self.catalogue.names();
        let take = |left: usize| left.checked_sub(1);
        // Taken in turn, so that the two kinds are equally many and every operation has its share.
        while let Ok(number) = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take) {
            let operation = names[number / 2 % names.len()];
            let input = self.catalogue.input(&mut rng, operation, &self.known);
            if number % 2 == 0 {
                let body = mutate::mutate(&mut rng, input);
                let reply = self.mutated(&mut client, &mut rng, operation, body.clone()).await;
                let reply = reply.with_context(|| described(operation, &body))?;
                counts.mutated(operation, &reply, &body);
            } else {
                let body = Bytes::from(input.to_string());
                let request = self.target.signed(operation, body.clone(), &[])?;
                let mut bytes = damage::wire(&request, &body);
                damage::damage(&mut rng, &mut bytes);
                let answer = damage::send(self.target.address, &bytes).await;
                counts.damaged(&answer.with_context(|| described(operation, &bytes))?, &bytes);
            }
        }
        Ok(counts)
    }

    async fn mutated(
        &self,
        client: &mut Client,
        rng: &mut Rng,
        operation: &str,
        body: Vec<u8>,
    ) -> Result<Reply> {
        let mut headers = Vec::new();
        if rng.u8(..50) == 0 {
            let other = rng.choice(["application/json", "text/plain; charset=utf-16", "*"]);
            headers.push((CONTENT_TYPE, HeaderValue::from_static(other.unwrap_or("*"))));
        }
        let body = Bytes::from(body);
        for _ in 0..3 {
            let request = self.target.signed(operation, body.clone(), &headers)?;
            // A connection that was idle for long may close under the request.
            if let Ok(reply) = client.send(request).await {
                return Ok(reply);
            }
        }
        client.send(self.target.signed(operation, body, &headers)?).await
    }
}

fn described(operation: &str, bytes: &[u8]) -> String {
    let start = &bytes[..bytes.len().min(2000)];
    format!("{operation}: {}", String::from_utf8_lossy(start).escape_debug())
}

/// What came back.
#[derive(Default)]
struct Counts {
    mutated: BTreeMap<String, usize>,
    damaged: BTreeMap<String, usize>,
    /// Operations whose decoder refused a body, and those that got beyond it.
    refused: BTreeSet<String>,
    accepted: BTreeSet<String>,
    /// Operations that are not built.
    unbuilt: BTreeSet<String>,
    failures: Vec<String>,
}

impl Counts {
    fn mutated(&mut self, operation: &str, reply: &Reply, body: &[u8]) {
        let code = reply.code();
        if reply.status >= 500 {
            self.failures.push(format!("{code} for {}", described(operation, body)));
        }
        let decoder = ["SerializationException", "ValidationException"].contains(&code.as_str());
        if is_unbuilt(operation, reply) {
            self.unbuilt.insert(operation.to_owned());
        } else if decoder {
            self.refused.insert(operation.to_owned());
        } else if !BEFORE_DECODING.contains(&code.as_str()) && !code.starts_with("HTTP") {
            self.accepted.insert(operation.to_owned());
        }
        *self.mutated.entry(code).or_default() += 1;
    }

    fn damaged(&mut self, answer: &[u8], request: &[u8]) {
        let answer = String::from_utf8_lossy(answer);
        if answer.contains("HTTP/1.1 5") || answer.contains("HTTP/1.0 5") {
            self.failures.push(format!("{answer} for {}", described("damaged", request)));
        }
        let code = answer.split("\"__type\":\"").nth(1).and_then(|rest| rest.split('"').next());
        let status = answer.strip_prefix("HTTP/1.").and_then(|rest| rest.get(2..5));
        let kind = match (code, status) {
            (Some(code), _) => code.to_owned(),
            (None, Some("200")) => "OK".to_owned(),
            (None, Some(status)) => format!("HTTP {status}"),
            (None, None) if answer.is_empty() => "closed".to_owned(),
            (None, None) => "HTTP/2 frames".to_owned(),
        };
        *self.damaged.entry(kind).or_default() += 1;
    }

    fn add(&mut self, other: Self) {
        for (code, count) in other.mutated {
            *self.mutated.entry(code).or_default() += count;
        }
        for (code, count) in other.damaged {
            *self.damaged.entry(code).or_default() += count;
        }
        self.refused.extend(other.refused);
        self.accepted.extend(other.accepted);
        self.unbuilt.extend(other.unbuilt);
        self.failures.extend(other.failures);
    }

    fn judge(&self, catalogue: &Catalogue, outcome: &mut Outcome) {
        for failure in self.failures.iter().take(SHOWN) {
            outcome.violation(failure.clone());
        }
        outcome.require(self.failures.len() <= SHOWN, || {
            format!("{} failures of the server in all", self.failures.len())
        });
        for name in catalogue.names().into_iter().filter(|name| !self.unbuilt.contains(*name)) {
            outcome.require(self.refused.contains(name), || {
                format!("no body reached the decoder of {name} and was refused there")
            });
            outcome.require(self.accepted.contains(name), || {
                format!("no body got beyond the decoder of {name}")
            });
        }
        let signature = ["InvalidSignatureException", "IncompleteSignatureException"];
        for code in signature.into_iter().filter(|code| self.mutated.contains_key(*code)) {
            outcome.violation(format!("{code} for a request that was signed correctly"));
        }
    }

    fn figures(&self) -> String {
        let list = |counts: &BTreeMap<String, usize>| {
            let texts: Vec<String> =
                counts.iter().map(|(code, count)| format!("{code} {count}")).collect();
            (counts.values().sum::<usize>(), texts.join(", "))
        };
        let ((mutated, codes), (damaged, kinds)) = (list(&self.mutated), list(&self.damaged));
        format!(
            "{mutated} mutated before signing ({codes}); {damaged} damaged ({kinds}); {} \
             operations reached, {} not built",
            self.refused.len(),
            self.unbuilt.len(),
        )
    }
}

/// Whether an operation is refused as a whole, as opposed to one of its members.
fn is_unbuilt(operation: &str, reply: &Reply) -> bool {
    let body = serde_json::from_slice::<Value>(&reply.body).unwrap_or_default();
    let text = body["message"].as_str().unwrap_or_default();
    body["__type"] == "UnsupportedOperationException"
        && text == format!("The operation {operation} is not supported.")
}
