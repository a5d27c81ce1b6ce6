//! Races between uses of a key and the revocation of the right to use it, through all nodes of a
//! cluster whose leader changes again and again: no use that is invoked after the acknowledgement
//! may succeed, and no mutation may be applied after the revocation.

mod clock;
mod household;
mod lane;
mod leaders;
mod owner;
mod right;
mod session;
mod worker;

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use anyhow::Result;
use clap::Args;
use fastrand::Rng;
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use self::clock::Clock;
use self::lane::{Lane, Results};
use self::leaders::{Changes, Usurper};
use self::right::{KINDS, TENANT};
use super::{Common, Outcome};
use crate::checkers::race::{Counts, Suspect};
use crate::cluster::Cluster;

/// Violations of one sort that are shown.
const SHOWN: usize = 10;
/// The leadership changes at least once in so many seconds, or the run proves little.
const SECONDS_PER_CHANGE: f64 = 15.0;
/// How long a node waits for a leader's answer to a command before it sends it again.
const SENT_AGAIN: u64 = 2_000_000_000;

/// Arguments of `revocation`.
#[derive(Debug, Args)]
pub struct Options {
    #[command(flatten)]
    common: Common,
    /// How many races.
    #[arg(long, default_value_t = 2000)]
    races: usize,
    /// Races at a time.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..))]
    lanes: u16,
    /// Succeed only when a right outlived its revocation: for builds that let it.
    #[arg(long)]
    expect_caught: bool,
    /// Leave the nodes' folders where they are.
    #[arg(long)]
    keep: bool,
}

/// Forms a cluster, runs the races while the leadership changes, and judges them.
///
/// # Errors
/// The cluster did not form, or a client of the harness panicked.
pub async fn run(options: &Options) -> Result<Outcome> {
    let folder = tempfile::Builder::new().prefix("keystead-revocation-").tempdir()?;
    let mut cluster = Cluster::form(&options.common.binary, folder.path()).await?;
    let tenant = cluster.add_account(TENANT).await?;
    let (seed, clock) = (options.common.seed, Clock::start());
    let left = Arc::new(AtomicUsize::new(options.races));
    let lane = |number: u16| {
        let (tenant, left) = (tenant.clone(), left.clone());
        tokio::spawn(Lane::new(&cluster, number.into(), seed, clock, tenant, left).run())
    };
    let lanes: Vec<_> = (0..options.lanes).map(lane).collect();
    let (over, heard) = watch::channel(false);
    let rng = Rng::with_seed(seed ^ 0x7573_7572_7065_7200);
    let usurper = Usurper { cluster: &mut cluster, clock, rng };
    let (results, changes) = tokio::join!(finish(lanes, over), usurper.run(heard));
    let end = End { results: results?, changes, seconds: clock.seconds() };
    let outcome = end.judge(options, &cluster.panics()?);
    drop(cluster);
    Ok(told_where(outcome, folder, options.keep))
}

/// Waits for the races and tells when they are over.
async fn finish(lanes: Vec<JoinHandle<Results>>, over: watch::Sender<bool>) -> Result<Results> {
    let mut results = Results::default();
    let mut failure = None;
    for lane in lanes {
        match lane.await {
            Ok(more) => results.add(more),
            Err(error) => failure = Some(error),
        }
    }
    over.send_replace(true);
    failure.map_or(Ok(results), |error| Err(error.into()))
}

/// Leaves the folder where it is if somebody will want to look at it.
fn told_where(mut outcome: Outcome, folder: TempDir, keep: bool) -> Outcome {
    if keep || !outcome.violations.is_empty() {
        let text = format!("the nodes' folders are in {}", folder.keep().display());
        if outcome.violations.is_empty() {
            outcome.figures += &format!("; {text}");
        } else {
            outcome.violation(text);
        }
    }
    outcome
}

/// All that there is to judge.
struct End {
    results: Results,
    changes: Changes,
    seconds: f64,
}

impl End {
    fn judge(mut self, options: &Options, panics: &[String]) -> Outcome {
        let changes = &self.changes;
        let explained = |suspect: &Suspect| {
            let Suspect { invoked, returned, .. } = *suspect;
            changes.touch(invoked, returned) || returned.saturating_sub(invoked) >= SENT_AGAIN
        };
        let open = self.results.found.resolve(explained);
        let mut outcome = Outcome { figures: self.figures(open), ..Outcome::default() };
        let caught = &self.results.found.violations;
        if options.expect_caught {
            let outlived = self.results.found.counts.after_done > 0;
            outcome.require(outlived, || "no right outlived its revocation".into());
            outcome.figures += &format!("; violations: {}", caught.len());
            return outcome;
        }
        let unexpected = self.results.unexpected.iter();
        let unexpected: Vec<_> =
            unexpected.map(|(what, times)| format!("{what}, {times} times")).collect();
        for (sort, what) in [
            ("revocation", caught),
            ("race", &self.results.failed),
            ("unexpected reply", &unexpected),
            ("panic", &panics.to_vec()),
        ] {
            for violation in what.iter().take(SHOWN) {
                outcome.violation(format!("{sort}: {violation}"));
            }
            outcome.require(what.len() <= SHOWN, || format!("{sort}: {} in all", what.len()));
        }
        if let Some(failure) = &self.changes.failure {
            outcome.violation(format!("liveness: {failure}"));
        }
        self.judge_coverage(options.races, &mut outcome);
        outcome
    }

    /// Whether the run was one that proves something.
    fn judge_coverage(&self, races: usize, outcome: &mut Outcome) {
        let Counts { overlapping, after_refused, mutations_done, mutations_refused, .. } =
            self.results.found.counts;
        for kind in KINDS {
            let times = self.results.races.get(&kind).copied().unwrap_or_default();
            let least = races / KINDS.len();
            outcome.require(times >= least.max(1), || {
                format!("coverage: {times} races of {}, not {least}", kind.name())
            });
        }
        for (what, times, least) in [
            ("uses refused after an acknowledgement", after_refused, races * 3),
            ("uses that overlap a revocation", overlapping, races),
            ("mutations done", mutations_done, races / 4),
            ("mutations refused", mutations_refused, races / 4),
            (
                "changes of leadership",
                self.changes.count(),
                ((self.seconds / SECONDS_PER_CHANGE) as usize).max(1),
            ),
        ] {
            outcome.require(times >= least, || format!("coverage: {times} {what}, not {least}"));
        }
    }

    fn figures(&self, open: usize) -> String {
        let Results { races, found, gone, .. } = &self.results;
        let counts = &found.counts;
        let mut text = format!("{} races in {:.0} s", races.values().sum::<usize>(), self.seconds);
        for (at, (kind, times)) in races.iter().enumerate() {
            let before = if at == 0 { " (" } else { ", " };
            text += &format!("{before}{} {times}", kind.name());
        }
        let _ = write!(
            text,
            "); {} uses invoked before an acknowledgement, {} of them during the revocation ({} \
             refused), {} after it: {} refused, {} without a reply that tells, {} done; mutations \
             done {}, refused {}, possibly sent to two leaders {open}; found gone by a second attempt \
             {gone}; leadership taken {} times",
            counts.before,
            counts.overlapping,
            counts.overlapping_refused,
            counts.after,
            counts.after_refused,
            counts.after - counts.after_refused - counts.after_done,
            counts.after_done,
            counts.mutations_done,
            counts.mutations_refused,
            self.changes.count(),
        );
        for (deed, times) in &self.changes.done {
            text += &format!(", by {deed:?} {times}").to_lowercase();
        }
        text += &format!("; {} elections besides", self.changes.unasked);
        text
    }
}
