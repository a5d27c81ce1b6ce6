//! Clients use a cluster while its nodes are killed, paused and cut off; in the end nothing that
//! was acknowledged may be missing, and nothing may have been told that was not true.

mod caller;
mod nemesis;
mod probe;
mod reckoning;
mod workload;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::Args;
use tempfile::TempDir;

use self::caller::Seen;
use self::nemesis::{Nemesis, Report};
use self::reckoning::{Reckoner, Reckoning};
use self::workload::{CLIENTS, Workload};
use super::{Common, Outcome};
use crate::checkers::{Verdict, index, linear, revocation, survival};
use crate::cluster::{Cluster, NODES};
use crate::history::{self, Told};

/// How long three nodes that were killed together may take to serve again.
const RETURN: Duration = Duration::from_secs(30);
/// Violations of one kind that are shown.
const SHOWN: usize = 10;

/// Arguments of `chaos`.
#[derive(Debug, Args)]
pub struct Options {
    #[command(flatten)]
    common: Common,
    /// How long it lasts, the last reckoning not included.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..))]
    minutes: u64,
    /// The longest pause of a client between two operations, in milliseconds.
    #[arg(long, default_value_t = 10)]
    think: u64,
    /// Do nothing to the cluster: no election may happen then.
    #[arg(long)]
    calm: bool,
    /// Succeed only when the cluster broke a promise: for builds that do.
    #[arg(long)]
    expect_caught: bool,
    /// Leave the history and the nodes' folders where they are even if all is well.
    #[arg(long)]
    keep: bool,
}

/// Forms a cluster, torments it under load, and judges the history and what is left.
///
/// # Errors
/// The cluster did not form, or a client of the harness failed by itself.
pub async fn run(options: &Options) -> Result<Outcome> {
    let folder = tempfile::Builder::new().prefix("keystead-chaos-").tempdir()?;
    let mut cluster = Cluster::form(&options.common.binary, folder.path()).await?;
    let (seed, began) = (options.common.seed, Instant::now());
    let workload = Workload::start(&cluster, seed, options.think, began);
    let nemesis = Nemesis::new(&mut cluster, seed).await?;
    let time = Duration::from_secs(options.minutes * 60);
    let report = if options.calm { nemesis.watch(time).await } else { nemesis.torment(time).await };
    let seen = workload.finish().await?;

    let (back, reckoning) = match kill_all(&mut cluster).await {
        Ok(back) => {
            let reckoner = Reckoner { cluster: &cluster, began, next: CLIENTS };
            (Ok(back), reckoner.reckon(&seen).await?)
        }
        Err(error) => (Err(error), Reckoning::default()),
    };
    let end = End { seen, report, back, reckoning, panics: cluster.panics()? };
    drop(cluster);
    history::write(&folder.path().join("history.jsonl"), &end.history())?;
    let outcome = end.judge(options);
    Ok(told_where(outcome, folder, options.keep))
}

/// Kills all nodes at once and starts them again; what comes back is how long that took them.
async fn kill_all(cluster: &mut Cluster) -> Result<Duration> {
    for node in 0..NODES {
        cluster.kill(node)?;
    }
    let since = Instant::now();
    for node in 0..NODES {
        cluster.start(node)?;
    }
    cluster.settled(RETURN).await?;
    Ok(since.elapsed())
}

/// Leaves the folder where it is if somebody will want to look at it.
fn told_where(mut outcome: Outcome, folder: TempDir, keep: bool) -> Outcome {
    let clean = outcome.violations.is_empty();
    if clean && !keep {
        return outcome;
    }
    let text = format!("history and logs are in {}", folder.keep().display());
    if clean {
        outcome.figures += &format!("; {text}");
    } else {
        outcome.violation(text);
    }
    outcome
}

/// All that there is to judge.
struct End {
    seen: Seen,
    report: Report,
    /// How long the nodes took to return after the last kill.
    back: Result<Duration>,
    reckoning: Reckoning,
    panics: Vec<String>,
}

impl End {
    fn history(&self) -> Vec<history::Operation> {
        [&self.seen.history[..], &self.reckoning.seen.history].concat()
    }

    fn judge(&self, options: &Options) -> Outcome {
        let history = self.history();
        let verdicts = [
            ("index", index::check(&history)),
            ("revocation", revocation::check(&history)),
            ("linearizability", linear::check(&history)),
            ("survival", survival::check(&self.seen.history, &self.reckoning.last, NODES)),
        ];
        let mut outcome = Outcome { figures: self.figures(&verdicts), ..Outcome::default() };
        if options.expect_caught {
            let caught = verdicts.iter().filter(|(_, verdict)| !verdict.violations.is_empty());
            let caught: Vec<_> =
                caught.map(|(by, found)| format!("{by} {}", found.violations.len())).collect();
            outcome.require(!caught.is_empty(), || "a broken build was not caught".into());
            outcome.figures += &format!("; violations: {}", caught.join(", "));
            return outcome;
        }
        for (by, what) in self.broken_promises(&verdicts) {
            for violation in what.iter().take(SHOWN) {
                outcome.violation(format!("{by}: {violation}"));
            }
            outcome.require(what.len() <= SHOWN, || format!("{by}: {} in all", what.len()));
        }
        self.judge_run(options, &verdicts, &mut outcome);
        outcome
    }

    /// What was promised and not kept, by who found it.
    fn broken_promises(&self, verdicts: &[(&'static str, Verdict)]) -> Vec<(&str, Vec<String>)> {
        let mut unexpected = BTreeMap::<&str, usize>::new();
        for (what, times) in self.seen.unexpected.iter().chain(&self.reckoning.seen.unexpected) {
            *unexpected.entry(what).or_default() += times;
        }
        let unexpected = unexpected.iter().map(|(what, times)| format!("{what}, {times} times"));
        let checkers = verdicts.iter().map(|(by, verdict)| (*by, verdict.violations.clone()));
        let others = [
            ("reckoning", self.reckoning.violations.clone()),
            ("unexpected reply", unexpected.collect()),
        ];
        checkers.chain(others).filter(|(_, what)| !what.is_empty()).collect()
    }

    /// Whether the cluster stayed alive, and whether the run was one that proves something.
    fn judge_run(&self, options: &Options, verdicts: &[(&str, Verdict)], outcome: &mut Outcome) {
        for panic in &self.panics {
            outcome.violation(format!("a panic: {panic}"));
        }
        if let Some(failure) = &self.report.failure {
            outcome.violation(format!("liveness: {failure}"));
        }
        if let Err(error) = &self.back {
            outcome.violation(format!("liveness, after all nodes were killed: {error:#}"));
        }
        for (by, verdict) in verdicts {
            outcome.require(verdict.judged > 0, || format!("{by}: there was nothing to judge"));
        }
        if options.calm {
            let elections = self.report.elections;
            outcome.require(elections == 0, || format!("{elections} elections without a fault"));
        } else {
            for gap in self.report.gaps(options.minutes) {
                outcome.violation(format!("coverage: {gap}"));
            }
        }
    }

    fn figures(&self, verdicts: &[(&str, Verdict)]) -> String {
        let all = &self.seen.history;
        let count = |of: fn(&history::Operation) -> bool| all.iter().filter(|op| of(op)).count();
        let judged: Vec<_> =
            verdicts.iter().map(|(by, verdict)| format!("{by} {}", verdict.judged)).collect();
        let back = match &self.back {
            Ok(back) => {
                format!("all killed at once served again after {:.2} s", back.as_secs_f64())
            }
            Err(_) => "all killed at once did not serve again".into(),
        };
        format!(
            "{} operations of {CLIENTS} clients ({} acknowledged mutations, {} of unknown outcome, \
             {} sent more than once); {}; {back}; {} keys and {} ciphertexts on {NODES} nodes, {} \
             opened; judged: {}",
            all.len(),
            count(|operation| operation.effect().is_some()),
            count(|operation| operation.told == Told::Nothing),
            count(|operation| operation.attempts > 1),
            self.report,
            self.reckoning.keys,
            self.seen.sealed.len(),
            self.reckoning.opened,
            judged.join(", "),
        )
    }
}
