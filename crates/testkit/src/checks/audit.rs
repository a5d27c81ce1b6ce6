//! Nodes killed at random: every reply has its audit line, and no line holds a secret.

use std::collections::{HashMap, HashSet};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use fastrand::Rng;
use serde_json::{Value, json};

use super::{Common, Outcome, worker_rng};
use crate::client::{Client, Reply, Target};
use crate::needles::Needles;
use crate::node::{Mode, Node};

const CONNECTIONS: usize = 16;
const ALIASES_PER_KEY: usize = 50;
/// How long a client waits for a node that was killed.
const PATIENCE: Duration = Duration::from_secs(120);
const SHOWN: usize = 10;

/// Arguments of `audit-under-kill`.
#[derive(Debug, Args)]
pub struct Options {
    #[command(flatten)]
    common: Common,
    /// How many replies to collect.
    #[arg(long, default_value_t = 100_000)]
    requests: usize,
    /// The longest time between two kills, in milliseconds.
    #[arg(long, default_value_t = 1000)]
    kill_every: u64,
}

/// Calls operations of all kinds while the node is killed again and again, then reads its trail.
///
/// # Errors
/// The node did not come back, or a call failed in a way that no kill explains.
pub async fn run(options: &Options) -> Result<Outcome> {
    let mut node = Node::start(&options.common.binary, Mode::Server).await?;
    let progress = Arc::new(Progress::default());
    let workers: Vec<_> = (0..CONNECTIONS)
        .map(|number| {
            let rng = worker_rng(options.common.seed, number);
            let worker = Worker::new(node.target().clone(), rng, number, progress.clone());
            tokio::spawn(worker.run(options.requests))
        })
        .collect();
    let kills = kill_at_random(&mut node, options, &progress).await?;
    let mut seen = Seen::default();
    for worker in workers {
        seen.add(worker.await??);
    }
    let mut outcome = Outcome::default();
    ledger(&node, &seen, &mut outcome).await?;
    node.kill()?;

    let needles = needles(&node, &seen)?;
    let trail = Trail::read(&node.audit(), &needles)?;
    outcome.figures = format!(
        "{} replies, {kills} kills, {} requests cut off; {} audit lines, {} cut short; {} secrets \
         searched for; {} data keys; {} aliases and {} ciphertexts kept",
        seen.replies.len(),
        seen.cut_off,
        trail.lines,
        trail.broken,
        needles.count(),
        seen.data_keys,
        seen.aliases.len(),
        seen.ciphertexts.len(),
    );
    trail.judge(&seen, &mut outcome);
    outcome.require(kills > 0, || "the node was never killed; ask for more requests".into());
    Ok(outcome)
}

/// What the workers share.
#[derive(Default)]
struct Progress {
    replies: AtomicUsize,
    /// Counts the node's lives: a call may fail only when it changed, or is about to.
    kills: AtomicU64,
    finished: AtomicUsize,
}

async fn kill_at_random(node: &mut Node, options: &Options, progress: &Progress) -> Result<u64> {
    let mut rng = Rng::with_seed(options.common.seed ^ 0x6b69_6c6c);
    while progress.finished.load(Ordering::Relaxed) < CONNECTIONS {
        let pause = Duration::from_millis(rng.u64(options.kill_every / 20..=options.kill_every));
        let until = Instant::now() + pause;
        while Instant::now() < until && progress.finished.load(Ordering::Relaxed) < CONNECTIONS {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        if progress.replies.load(Ordering::Relaxed) >= options.requests {
            continue;
        }
        if !node.is_alive() {
            bail!("the node ended by itself:\n{}", node.last_lines());
        }
        progress.kills.fetch_add(1, Ordering::Relaxed);
        node.restart().await?;
    }
    Ok(progress.kills.load(Ordering::Relaxed))
}

/// What one or all workers saw.
#[derive(Default)]
struct Seen {
    replies: Vec<String>,
    cut_off: usize,
    secrets: Vec<Vec<u8>>,
    data_keys: usize,
    aliases: Vec<String>,
    /// Ciphertexts and what they must open to, both in base64.
    ciphertexts: Vec<(String, String)>,
}

impl Seen {
    fn add(&mut self, other: Self) {
        self.replies.extend(other.replies);
        self.cut_off += other.cut_off;
        self.secrets.extend(other.secrets);
        self.data_keys += other.data_keys;
        self.aliases.extend(other.aliases);
        self.ciphertexts.extend(other.ciphertexts);
    }
}

struct Worker {
    client: Client,
    rng: Rng,
    number: usize,
    progress: Arc<Progress>,
    key: String,
    names: usize,
    seen: Seen,
}

impl Worker {
    fn new(target: Target, rng: Rng, number: usize, progress: Arc<Progress>) -> Self {
        let (client, key, seen) = (Client::new(target), String::new(), Seen::default());
        Self { client, rng, number, progress, key, names: 0, seen }
    }

    async fn run(mut self, requests: usize) -> Result<Seen> {
        self.new_key().await?;
        while self.progress.replies.load(Ordering::Relaxed) < requests {
            match self.rng.u8(..20) {
                0..6 => self.encrypt().await?,
                6..11 => self.decrypt().await?,
                11..15 => self.data_key().await?,
                15..17 => self.alias().await?,
                17 => {
                    self.call("DescribeKey", json!({ "KeyId": self.key })).await?;
                }
                18 => {
                    self.call("ListAliases", json!({ "KeyId": self.key, "Limit": 10 })).await?;
                }
                _ => {
                    let input = json!({ "KeyId": self.key, "Plaintext": "not base64" });
                    self.call("Encrypt", input).await?;
                }
            }
        }
        self.progress.finished.fetch_add(1, Ordering::Relaxed);
        Ok(self.seen)
    }

    async fn new_key(&mut self) -> Result<()> {
        loop {
            let input = json!({ "Description": format!("worker {}", self.number) });
            if let Some(reply) = self.call("CreateKey", input).await? {
                let output = reply.ok()?;
                let id = output["KeyMetadata"]["KeyId"].as_str().context("a key without id")?;
                self.key = id.to_owned();
                return Ok(());
            }
        }
    }

    /// Half of the plaintexts are text, which JSON would carry as it is.
    async fn encrypt(&mut self) -> Result<()> {
        let mut plaintext: Vec<u8> = (0..32).map(|_| self.rng.u8(..)).collect();
        if self.rng.bool() {
            plaintext = hex::encode(plaintext).into_bytes();
        }
        let text = STANDARD.encode(&plaintext);
        self.seen.secrets.push(plaintext);
        let input = json!({ "KeyId": self.key, "Plaintext": text, "EncryptionContext": context() });
        let Some(reply) = self.call("Encrypt", input).await? else { return Ok(()) };
        let blob = reply.ok()?["CiphertextBlob"].as_str().context("no ciphertext")?.to_owned();
        self.seen.ciphertexts.push((blob, text));
        Ok(())
    }

    async fn decrypt(&mut self) -> Result<()> {
        let Some((blob, text)) = self.rng.choice(&self.seen.ciphertexts).cloned() else {
            return Ok(());
        };
        let input = json!({ "CiphertextBlob": blob, "EncryptionContext": context() });
        if let Some(reply) = self.call("Decrypt", input).await?
            && reply.ok()?["Plaintext"] != text.as_str()
        {
            bail!("a ciphertext opened to something else");
        }
        Ok(())
    }

    async fn data_key(&mut self) -> Result<()> {
        let input =
            json!({ "KeyId": self.key, "KeySpec": "AES_256", "EncryptionContext": context() });
        let Some(reply) = self.call("GenerateDataKey", input).await? else { return Ok(()) };
        let output = reply.ok()?;
        let text = |name: &str| output[name].as_str().map(str::to_owned).context("no data key");
        let (blob, plaintext) = (text("CiphertextBlob")?, text("Plaintext")?);
        self.seen.secrets.push(STANDARD.decode(&plaintext)?);
        self.seen.data_keys += 1;
        self.seen.ciphertexts.push((blob, plaintext));
        Ok(())
    }

    async fn alias(&mut self) -> Result<()> {
        if self.names % ALIASES_PER_KEY == ALIASES_PER_KEY - 1 {
            self.new_key().await?;
        }
        self.names += 1;
        let name = format!("alias/worker-{}/{}", self.number, self.names);
        let input = json!({ "AliasName": name, "TargetKeyId": self.key });
        if let Some(reply) = self.call("CreateAlias", input).await? {
            reply.ok()?;
            self.seen.aliases.push(name);
        }
        Ok(())
    }

    /// One request; none when a kill cut it off.
    async fn call(&mut self, operation: &str, input: Value) -> Result<Option<Reply>> {
        let deadline = Instant::now() + PATIENCE;
        match self.client.call(operation, &input).await {
            Ok(reply) => {
                let id = reply.request_id().context("a reply without its id")?.to_owned();
                self.seen.replies.push(id);
                self.progress.replies.fetch_add(1, Ordering::Relaxed);
                Ok(Some(reply))
            }
            Err(_) => {
                self.seen.cut_off += 1;
                let address = self.client.target().address;
                while tokio::net::TcpStream::connect(address).await.is_err() {
                    if Instant::now() > deadline {
                        bail!("the node did not come back within {PATIENCE:?}");
                    }
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                Ok(None)
            }
        }
    }
}

fn context() -> Value {
    json!({ "purpose": "audit" })
}

/// What was acknowledged is there, and a sample of the ciphertexts opens.
async fn ledger(node: &Node, seen: &Seen, outcome: &mut Outcome) -> Result<()> {
    let mut client = Client::new(node.target().clone());
    let (mut there, mut marker) = (HashSet::new(), Value::Null);
    loop {
        let output = client.ok("ListAliases", &json!({ "Limit": 1000, "Marker": marker })).await?;
        let page = output["Aliases"].as_array().context("no aliases told")?;
        there
            .extend(page.iter().filter_map(|alias| alias["AliasName"].as_str()).map(str::to_owned));
        marker = output["NextMarker"].clone();
        if marker.is_null() {
            break;
        }
    }
    let lost = seen.aliases.iter().filter(|alias| !there.contains(*alias)).count();
    outcome.require(lost == 0, || format!("{lost} acknowledged aliases are gone"));
    let step = seen.ciphertexts.len() / 1000 + 1;
    for (blob, text) in seen.ciphertexts.iter().step_by(step) {
        let input = json!({ "CiphertextBlob": blob, "EncryptionContext": context() });
        let opened = client.ok("Decrypt", &input).await?;
        outcome.require(opened["Plaintext"] == text.as_str(), || "a ciphertext is lost".into());
    }
    Ok(())
}

/// Everything that no audit line may hold.
fn needles(node: &Node, seen: &Seen) -> Result<Needles> {
    let mut needles = Needles::default();
    for secret in &seen.secrets {
        needles.add(secret);
    }
    needles.add(node.target().secret_access_key.as_bytes());
    needles.add(&std::fs::read(node.path("seal.key")).context("read the seal file")?);
    Ok(needles)
}

/// What the audit trail holds.
struct Trail {
    lines: usize,
    broken: usize,
    requests: HashMap<String, usize>,
    leaks: Vec<String>,
}

impl Trail {
    fn read(path: &Path, needles: &Needles) -> Result<Self> {
        let mut trail = Self { lines: 0, broken: 0, requests: HashMap::new(), leaks: Vec::new() };
        let file = std::fs::File::open(path).context("open the audit trail")?;
        for line in BufReader::new(file).split(b'\n') {
            let line = line?;
            trail.lines += 1;
            if needles.find(&line).is_some() {
                trail.leaks.push(String::from_utf8_lossy(&line).into_owned());
            }
            match serde_json::from_slice::<Value>(&line) {
                Ok(record) => {
                    let id = record["requestID"].as_str().unwrap_or_default().to_owned();
                    *trail.requests.entry(id).or_default() += 1;
                }
                Err(_) => trail.broken += 1,
            }
        }
        Ok(trail)
    }

    fn judge(&self, seen: &Seen, outcome: &mut Outcome) {
        let count = |id: &String| self.requests.get(id).copied().unwrap_or_default();
        let wrong: Vec<_> = seen.replies.iter().filter(|id| count(id) != 1).collect();
        for id in wrong.iter().take(SHOWN) {
            outcome.violation(format!("the reply {id} has {} audit lines", count(id)));
        }
        outcome.require(wrong.len() <= SHOWN, || format!("{} such replies in all", wrong.len()));
        for line in self.leaks.iter().take(SHOWN) {
            outcome.violation(format!("an audit line holds a secret: {line}"));
        }
        let distinct: HashSet<_> = seen.replies.iter().collect();
        outcome.require(distinct.len() == seen.replies.len(), || "two replies share an id".into());
    }
}
