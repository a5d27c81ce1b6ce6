//! How long Encrypt takes for one account while another asks for many times what it may.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use super::bench::median;
use super::{Common, Outcome};
use crate::client::{Client, Target};
use crate::node::Node;

/// Connections of each account, which share its rate.
const CONNECTIONS: u32 = 16;
const ROUNDS: usize = 3;
/// The account that asks for too much.
const GREEDY: &str = "444455556666";

/// Arguments of `fairness`.
#[derive(Debug, Args)]
pub struct Options {
    #[command(flatten)]
    common: Common,
    /// Requests per second that the greedy account may make.
    #[arg(long, default_value_t = 50)]
    quota: u32,
    /// How many times that it makes.
    #[arg(long, default_value_t = 20)]
    times: u32,
    /// Requests per second of the other one.
    #[arg(long, default_value_t = 200)]
    rate: u32,
    /// Seconds of each measurement.
    #[arg(long, default_value_t = 5)]
    seconds: u32,
    /// The greatest ratio of the 99th percentiles.
    #[arg(long, default_value_t = 1.5)]
    most: f64,
}

/// Measures Encrypt alone and beside the greedy account, in turn.
///
/// # Errors
/// A call failed.
pub async fn run(options: &Options) -> Result<Outcome> {
    let (quota, asked) = (options.quota, options.quota * options.times);
    let more = format!("[[request_quota]]\naccount = {GREEDY:?}\nsymmetric = {quota}\n");
    let node = Node::start_with(&options.common.binary, &more).await?;
    let modest = Load::prepare(node.target(), options.rate, options.seconds).await?;
    let greedy = Load::prepare(&node.create_account(GREEDY)?, asked, options.seconds).await?;
    modest.run().await?;
    let (mut alone, mut beside) = (Vec::new(), Vec::new());
    let (mut done, mut refused) = (0, 0);
    for _ in 0..ROUNDS {
        alone.push(modest.run().await?.p99);
        let (measured, crowd) = tokio::try_join!(modest.run(), greedy.run())?;
        beside.push(measured.p99);
        (done, refused) = (done + crowd.done, refused + crowd.refused);
        if measured.refused > 0 {
            bail!("{} requests of the modest account were refused", measured.refused);
        }
    }
    let middle = |of: &[f64]| median(of.iter().copied());
    let ratio = middle(&beside) / middle(&alone);
    let figures = format!(
        "Encrypt at {}/s, medians of {ROUNDS} rounds: p99 {:.2} ms alone, {:.2} ms while another \
         account asked {asked}/s with a quota of {quota}/s (ratio {ratio:.2}); of its requests \
         {done} done, {refused} refused",
        options.rate,
        middle(&alone),
        middle(&beside),
    );
    let mut outcome = Outcome { figures, violations: Vec::new() };
    let rounds = u64::try_from(ROUNDS)?;
    // A second's worth at first, then what flows in; a busy machine takes longer than it should.
    let allowed = rounds * u64::from(quota) * u64::from(options.seconds + 3);
    outcome.require(done <= allowed && refused > 0, || "the quota did not hold".into());
    outcome.require(ratio <= options.most, || format!("the ratio is above {}", options.most));
    Ok(outcome)
}

/// Calls at a fixed rate, on connections that each have a part of it.
struct Load {
    target: Target,
    input: Value,
    rate: u32,
    seconds: u32,
}

/// What came of the calls.
struct Measured {
    p99: f64,
    done: u64,
    refused: u64,
}

impl Load {
    async fn prepare(target: &Target, rate: u32, seconds: u32) -> Result<Self> {
        let created = Client::new(target.clone()).ok("CreateKey", &json!({})).await?;
        let key = created["KeyMetadata"]["KeyId"].as_str().context("a key without id")?;
        let input = json!({ "KeyId": key, "Plaintext": "AAAA" });
        Ok(Self { target: target.clone(), input, rate, seconds })
    }

    async fn run(&self) -> Result<Measured> {
        let refused = Arc::new(AtomicU64::new(0));
        let period = Duration::from_secs(1) * CONNECTIONS / self.rate;
        let mut workers = JoinSet::new();
        for number in 0..CONNECTIONS {
            let (mut client, input) = (Client::new(self.target.clone()), self.input.clone());
            let (refused, calls) = (refused.clone(), self.rate * self.seconds / CONNECTIONS);
            let offset = period * number / CONNECTIONS;
            workers.spawn(async move {
                tokio::time::sleep(offset).await;
                let mut due = interval(period);
                due.set_missed_tick_behavior(MissedTickBehavior::Burst);
                let mut times = Vec::new();
                for _ in 0..calls {
                    // From when it was due, so that waiting for the call before counts.
                    let due = due.tick().await;
                    match client.call("Encrypt", &input).await?.code().as_str() {
                        "OK" => times.push(due.elapsed().as_secs_f64() * 1000.0),
                        "ThrottlingException" => _ = refused.fetch_add(1, Ordering::Relaxed),
                        code => bail!("Encrypt: {code}"),
                    }
                }
                Ok(times)
            });
        }
        let times: Result<Vec<_>> = workers.join_all().await.into_iter().collect();
        let mut times = times?.concat();
        times.sort_by(f64::total_cmp);
        let p99 = times.get(times.len() * 99 / 100).copied().unwrap_or(f64::NAN);
        Ok(Measured { p99, done: times.len() as u64, refused: refused.load(Ordering::Relaxed) })
    }
}
