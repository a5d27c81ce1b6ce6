//! Simulated regions, one per seed, that must keep their promises whatever goes wrong.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use anyhow::{Result, anyhow};
use clap::Args;

use super::Outcome;
use crate::sim::{self, Report};

/// What a run of many seeds must have seen. Else it has shown nothing.
const REQUIRED: [&str; 16] = [
    "clocks attacked",
    "commands acknowledged",
    "crashes",
    "crashes of a leader",
    "cuts",
    "cuts of a leader",
    "disks failed",
    "guests removed",
    "guests with a vote",
    "leaderships transferred",
    "members replaced",
    "one-way cuts",
    "power failures",
    "reads",
    "snapshots sent",
    "storms",
];
/// From so many seeds on all of that has to be there.
const MANY: u64 = 20;

/// Arguments of `sim`.
#[derive(Debug, Args)]
pub struct Options {
    /// How many seeds.
    #[arg(long, default_value_t = 20)]
    seeds: u64,
    /// The first of them.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many faults for each.
    #[arg(long, default_value_t = 30)]
    steps: usize,
    /// Print what happened, line by line.
    #[arg(long)]
    trace: bool,
}

/// Runs the seeds, as many at a time as there are processors.
///
/// # Errors
/// A simulation could not be carried out.
pub fn run(options: &Options) -> Result<Outcome> {
    let began = Instant::now();
    let reports = all(options)?;
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    let mut outcome = Outcome::default();
    for report in &reports {
        for (what, count) in &report.counts {
            *counts.entry(what).or_default() += count;
        }
        let again = format!("--seed {} --seeds 1 --steps {} --trace", report.seed, options.steps);
        for violation in &report.violations {
            outcome.violation(format!(
                "seed {}: {violation}. Again: keystead-harness sim {again}",
                report.seed
            ));
        }
    }
    for what in REQUIRED.into_iter().filter(|_| options.seeds >= MANY) {
        outcome.require(counts.contains_key(what), || format!("nothing shown: no {what}"));
    }
    let told: Vec<String> = counts.iter().map(|(what, count)| format!("{count} {what}")).collect();
    let (seeds, took) = (options.seeds, began.elapsed().as_secs());
    outcome.figures = format!("{seeds} seeds in {took} s: {}", told.join(", "));
    Ok(outcome)
}

fn all(options: &Options) -> Result<Vec<Report>> {
    let next = AtomicU64::new(0);
    let work = || {
        let take = || Some(next.fetch_add(1, Ordering::Relaxed)).filter(|at| *at < options.seeds);
        let run = |at| one(options.seed.wrapping_add(at), options);
        std::iter::from_fn(take).map(run).collect::<Result<Vec<_>>>()
    };
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let mut reports = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let joined = workers
            .into_iter()
            .map(|worker| worker.join().map_err(|_| anyhow!("a simulation panicked")).flatten());
        joined.collect::<Result<Vec<_>>>()
    })?
    .concat();
    reports.sort_by_key(|report| report.seed.wrapping_sub(options.seed));
    Ok(reports)
}

fn one(seed: u64, options: &Options) -> Result<Report> {
    let report = sim::run(seed, options.steps)?;
    if options.trace {
        let mut output = io::stdout().lock();
        for line in &report.trace {
            writeln!(output, "{line}")?;
        }
    }
    Ok(report)
}
