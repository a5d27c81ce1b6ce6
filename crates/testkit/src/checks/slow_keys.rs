//! How long Encrypt takes while keys that take long are made without a pause.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use serde_json::{Value, json};
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use super::bench::median;
use super::{Common, Outcome};
use crate::client::{Client, Target};
use crate::node::{Mode, Node};

/// So many callers create keys, so that one always waits.
const CREATORS: usize = 2;
/// Connections for the calls that are measured: as many as are ever under way.
const CONNECTIONS: usize = 64;

/// Arguments of `slow-keys`.
#[derive(Debug, Args)]
pub struct Options {
    #[command(flatten)]
    common: Common,
    /// Calls of Encrypt per second, begun whether or not earlier ones have ended.
    #[arg(long, default_value_t = 500)]
    rate: u32,
    /// How often both are measured in turn.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds of each measurement.
    #[arg(long, default_value_t = 3)]
    seconds: u64,
    /// The keys that are created meanwhile.
    #[arg(long, default_value = "RSA_4096")]
    spec: String,
    /// The greatest ratio of the 99th percentiles.
    #[arg(long, default_value_t = 2.0)]
    most: f64,
}

/// Measures Encrypt alone and beside the creation of keys, in turn.
///
/// # Errors
/// A call failed.
pub async fn run(options: &Options) -> Result<Outcome> {
    let node = Node::start(&options.common.binary, Mode::Ephemeral).await?;
    let load = Load::prepare(node.target(), options).await?;
    load.measure().await?;
    let (mut rounds, mut created) = (Vec::new(), 0);
    for _ in 0..options.rounds {
        let alone = load.measure().await?;
        let creators = Creators::start(node.target(), &options.spec);
        rounds.push((alone, load.measure().await?));
        created += creators.end().await?;
    }
    let middle = |of: fn(&(Times, Times)) -> f64| median(rounds.iter().map(of));
    let ratio = middle(|(alone, beside)| beside.p99 / alone.p99);
    let figures = format!(
        "Encrypt at {}/s, medians of {} rounds of {} calls each: p50/p99 {:.2}/{:.2} ms alone, \
         {:.2}/{:.2} ms while {created} {} keys were created without a pause (ratio of the p99 \
         {ratio:.2})",
        options.rate,
        options.rounds,
        load.calls,
        middle(|(alone, _)| alone.p50),
        middle(|(alone, _)| alone.p99),
        middle(|(_, beside)| beside.p50),
        middle(|(_, beside)| beside.p99),
        options.spec,
    );
    let mut outcome = Outcome { figures, violations: Vec::new() };
    outcome.require(created > 0, || "no key was created".into());
    outcome.require(ratio <= options.most, || format!("the ratio is above {}", options.most));
    Ok(outcome)
}

/// Calls at a fixed rate, however long they take.
struct Load {
    clients: Arc<Mutex<mpsc::Receiver<Client>>>,
    free: mpsc::Sender<Client>,
    input: Value,
    period: Duration,
    calls: u64,
}

impl Load {
    async fn prepare(target: &Target, options: &Options) -> Result<Self> {
        let mut client = Client::new(target.clone());
        let output = client.ok("CreateKey", &json!({})).await?;
        let key = output["KeyMetadata"]["KeyId"].as_str().context("a key without id")?;
        let (free, clients) = mpsc::channel(CONNECTIONS);
        for _ in 0..CONNECTIONS {
            free.send(Client::new(target.clone())).await?;
        }
        Ok(Self {
            clients: Arc::new(Mutex::new(clients)),
            free,
            input: json!({ "KeyId": key, "Plaintext": STANDARD.encode([7; 32]) }),
            period: Duration::from_secs(1) / options.rate,
            calls: u64::from(options.rate) * options.seconds,
        })
    }

    /// How long the calls took, each from the moment when it was due.
    async fn measure(&self) -> Result<Times> {
        let mut due = interval(self.period);
        due.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let mut calls = JoinSet::new();
        for _ in 0..self.calls {
            let due = due.tick().await;
            let (clients, free) = (Arc::clone(&self.clients), self.free.clone());
            let input = self.input.clone();
            calls.spawn(async move {
                let client = clients.lock().await.recv().await;
                let mut client = client.context("no connection is left")?;
                client.ok("Encrypt", &input).await?;
                let took = due.elapsed();
                free.send(client).await?;
                Ok(took.as_secs_f64() * 1000.0)
            });
        }
        let times: Result<_> = calls.join_all().await.into_iter().collect();
        Ok(Times::of(times?))
    }
}

/// Callers that create keys, each the next one as soon as it has one.
struct Creators {
    tasks: JoinSet<Result<u64>>,
    over: Arc<AtomicBool>,
}

impl Creators {
    fn start(target: &Target, spec: &str) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let mut tasks = JoinSet::new();
        for _ in 0..CREATORS {
            let (mut client, over) = (Client::new(target.clone()), Arc::clone(&over));
            let input = json!({ "KeySpec": spec, "KeyUsage": "SIGN_VERIFY" });
            tasks.spawn(async move {
                let mut created = 0;
                while !over.load(Ordering::Relaxed) {
                    client.ok("CreateKey", &input).await?;
                    created += 1;
                }
                Ok(created)
            });
        }
        Self { tasks, over }
    }

    /// How many keys were created.
    async fn end(self) -> Result<u64> {
        self.over.store(true, Ordering::Relaxed);
        let created: Result<Vec<u64>> = self.tasks.join_all().await.into_iter().collect();
        Ok(created?.into_iter().sum())
    }
}

/// Percentiles, in milliseconds.
struct Times {
    p50: f64,
    p99: f64,
}

impl Times {
    fn of(mut times: Vec<f64>) -> Self {
        times.sort_by(f64::total_cmp);
        let at = |percent: usize| times.get(times.len() * percent / 100).copied();
        Self { p50: at(50).unwrap_or(f64::NAN), p99: at(99).unwrap_or(f64::NAN) }
    }
}
