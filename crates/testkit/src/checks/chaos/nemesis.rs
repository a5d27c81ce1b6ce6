//! What is done to the cluster, as it follows from the seed.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use fastrand::Rng;

use super::probe::Probe;
use crate::cluster::{Cluster, Standing};

/// How long a cluster to which nothing is done any more may take until all nodes serve again.
const RECOVERY: Duration = Duration::from_secs(30);
/// Milliseconds that a fault lasts, at least and at most: longer than the longest election timeout,
/// which is 400, or not.
const NOTICED: (u64, u64) = (600, 4000);
const BRIEF: (u64, u64) = (100, 400);
/// The same for the time that a killed leader is away, and for the rest after each fault.
const DOWN: (u64, u64) = (0, 1500);
const REST: (u64, u64) = (600, 1200);
/// Leaders to be killed in a minute, at least: 20 in 5.
const KILLS_PER_MINUTE: u64 = 4;

/// What can be done to a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Deed {
    Kill,
    Pause,
    /// Nothing passes between it and the other nodes. Clients reach it.
    Isolate,
    /// The same, but what it sends arrives.
    Deafen,
    /// The same, but what is sent to it arrives.
    Mute,
    /// Clients do not reach it either.
    Unplug,
}

/// Which node it is done to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Victim {
    Leader,
    Follower,
}

/// A deed and its victim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Fault(Deed, Victim);

/// The ones between the kills of leaders. A run has to get through the first of them.
const FAULTS: [Fault; 11] = [
    Fault(Deed::Pause, Victim::Follower),
    Fault(Deed::Isolate, Victim::Leader),
    Fault(Deed::Isolate, Victim::Follower),
    Fault(Deed::Pause, Victim::Leader),
    Fault(Deed::Kill, Victim::Follower),
    Fault(Deed::Deafen, Victim::Leader),
    Fault(Deed::Deafen, Victim::Follower),
    Fault(Deed::Mute, Victim::Leader),
    Fault(Deed::Mute, Victim::Follower),
    Fault(Deed::Unplug, Victim::Leader),
    Fault(Deed::Unplug, Victim::Follower),
];
const REQUIRED: usize = 3;

/// What was done, and how the cluster took it.
#[derive(Debug, Default)]
pub(super) struct Report {
    /// Faults that lasted long enough to be noticed, and those too short for it.
    noticed: BTreeMap<Fault, usize>,
    brief: usize,
    /// From each kill of a leader to the first mutation after it.
    pub(super) outages: Vec<Duration>,
    /// Elections while nothing was done to the cluster, and for how long that was watched.
    pub(super) elections: u64,
    pub(super) calm: Duration,
    /// Why the cluster did not recover, if it did not.
    pub(super) failure: Option<String>,
}

pub(super) struct Nemesis<'a> {
    cluster: &'a mut Cluster,
    probe: Probe,
    rng: Rng,
    /// The faults to come, the next one last.
    agenda: Vec<Fault>,
    report: Report,
}

impl<'a> Nemesis<'a> {
    /// One that does what follows from this seed.
    ///
    /// # Errors
    /// The cluster does not serve.
    pub(super) async fn new(cluster: &'a mut Cluster, seed: u64) -> Result<Self> {
        let probe = Probe::new(cluster).await?;
        let rng = Rng::with_seed(seed ^ 0x6e65_6d65_7369_7300);
        let (mut agenda, report) = (FAULTS.to_vec(), Report::default());
        agenda.reverse();
        Ok(Self { cluster, probe, rng, agenda, report })
    }

    /// Kills leaders, and does something else after each, for so long or until the cluster does not
    /// recover. In the end nothing is done to it any more.
    pub(super) async fn torment(mut self, time: Duration) -> Report {
        let until = Instant::now() + time;
        while Instant::now() < until {
            if let Err(error) = self.round().await {
                self.report.failure = Some(format!("{error:#}"));
                break;
            }
        }
        self.finish()
    }

    /// Does nothing but watch, for so long.
    pub(super) async fn watch(mut self, time: Duration) -> Report {
        if let Err(error) = self.rest(time).await {
            self.report.failure = Some(format!("{error:#}"));
        }
        self.finish()
    }

    fn finish(mut self) -> Report {
        if let Err(error) = self.cluster.heal() {
            self.report.failure.get_or_insert(format!("{error:#}"));
        }
        self.report
    }

    async fn round(&mut self) -> Result<()> {
        let pause = self.milliseconds(REST);
        let standing = self.rest(pause).await?;
        self.kill_leader(standing).await?;
        let pause = self.milliseconds(REST);
        let standing = self.rest(pause).await?;
        if self.agenda.is_empty() {
            self.agenda = FAULTS.to_vec();
            self.rng.shuffle(&mut self.agenda);
        }
        match self.agenda.pop() {
            Some(fault) => self.inflict(fault, standing).await,
            None => Ok(()),
        }
    }

    /// Waits until all nodes serve, leaves them alone for so long, and counts the elections.
    async fn rest(&mut self, time: Duration) -> Result<Standing> {
        let before = self.cluster.settled(RECOVERY).await?;
        tokio::time::sleep(time).await;
        let after = self.cluster.settled(RECOVERY).await?;
        self.report.elections += after.term.saturating_sub(before.term);
        self.report.calm += time;
        Ok(after)
    }

    async fn kill_leader(&mut self, Standing { leader, .. }: Standing) -> Result<()> {
        self.probe.warm_up().await;
        let since = Instant::now();
        self.cluster.kill(leader)?;
        let outage = self.probe.outage(leader, since).await;
        self.report.outages.push(outage.context("after a leader's death nobody took a change")?);
        let down = self.milliseconds(DOWN);
        tokio::time::sleep(down).await;
        self.cluster.start(leader)
    }

    async fn inflict(&mut self, fault: Fault, standing: Standing) -> Result<()> {
        let Fault(deed, victim) = fault;
        let others: Vec<_> = self.cluster.network().others(standing.leader).collect();
        let node = match victim {
            Victim::Leader => standing.leader,
            Victim::Follower => others[self.rng.usize(..others.len())],
        };
        match deed {
            Deed::Kill => self.cluster.kill(node)?,
            Deed::Pause => self.cluster.pause(node)?,
            Deed::Isolate => self.cut(node, true, true)?,
            Deed::Deafen => self.cut(node, true, false)?,
            Deed::Mute => self.cut(node, false, true)?,
            Deed::Unplug => self.cluster.network().unplug(node)?,
        }
        // The first time of each is not left to chance.
        let first = !self.report.noticed.contains_key(&fault);
        let brief = !first && self.rng.u8(..4) == 0;
        let lasts = self.milliseconds(if brief { BRIEF } else { NOTICED });
        tokio::time::sleep(lasts).await;
        if brief {
            self.report.brief += 1;
        } else {
            *self.report.noticed.entry(fault).or_default() += 1;
        }
        self.cluster.heal()
    }

    fn cut(&mut self, node: usize, to: bool, from: bool) -> Result<()> {
        for other in self.cluster.network().others(node) {
            if to {
                self.cluster.network().cut(other, node)?;
            }
            if from {
                self.cluster.network().cut(node, other)?;
            }
        }
        Ok(())
    }

    fn milliseconds(&mut self, (least, most): (u64, u64)) -> Duration {
        Duration::from_millis(self.rng.u64(least..=most))
    }
}

impl Report {
    /// What a run of so many minutes should have gone through and has not. It proves little then.
    pub(super) fn gaps(&self, minutes: u64) -> Vec<String> {
        let required = FAULTS[..REQUIRED].iter().filter(|fault| !self.noticed.contains_key(fault));
        let mut gaps: Vec<_> = required.map(|fault| format!("there was no {fault}")).collect();
        let (kills, least) = (self.outages.len() as u64, minutes * KILLS_PER_MINUTE);
        if kills < least {
            gaps.push(format!("only {kills} leaders were killed, not {least}"));
        }
        gaps
    }

    /// The time out of service that so many in a hundred kills of leaders did not exceed.
    fn percentile(&self, hundredths: usize) -> f64 {
        let mut outages = self.outages.clone();
        outages.sort_unstable();
        let rank = (outages.len() * hundredths).div_ceil(100);
        outages.get(rank.saturating_sub(1)).unwrap_or(&Duration::ZERO).as_secs_f64()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.outages.is_empty() {
            write!(f, "kill of the leader {}", self.outages.len())?;
            for (fault, times) in &self.noticed {
                write!(f, ", {fault} {times}")?;
            }
            write!(
                f,
                ", too short to be noticed {}; out of service after a leader's death: p50 {:.2} s, \
                 p99 {:.2} s, max {:.2} s; ",
                self.brief,
                self.percentile(50),
                self.percentile(99),
                self.percentile(100),
            )?;
        }
        let calm = self.calm.as_secs_f64();
        write!(f, "{} elections without a fault in {calm:.0} s", self.elections)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(deed, victim) = self;
        let deed = match deed {
            Deed::Kill => "kill",
            Deed::Pause => "pause",
            Deed::Isolate => "isolation",
            Deed::Deafen => "deafness",
            Deed::Mute => "muteness",
            Deed::Unplug => "unplugging",
        };
        let victim = match victim {
            Victim::Leader => "the leader",
            Victim::Follower => "a follower",
        };
        write!(f, "{deed} of {victim}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_times_that_occurred() {
        let report = |milliseconds: &[u64]| {
            let outages = milliseconds.iter().map(|time| Duration::from_millis(*time)).collect();
            Report { outages, ..Report::default() }
        };
        let some = report(&[300, 100, 200]);
        assert_eq!([50, 99, 100].map(|part| some.percentile(part)), [0.2, 0.3, 0.3]);
        assert_eq!(report(&[700]).percentile(50), 0.7);
        assert_eq!(report(&[]).percentile(50), 0.0);
    }

    #[test]
    fn a_run_without_the_faults_that_matter_has_gaps() {
        let outages = vec![Duration::from_millis(700); 19];
        let mut report = Report { outages, ..Report::default() };
        assert_eq!(
            report.gaps(5),
            [
                "there was no pause of a follower",
                "there was no isolation of the leader",
                "there was no isolation of a follower",
                "only 19 leaders were killed, not 20",
            ]
        );
        report.outages.push(Duration::ZERO);
        report.noticed.extend(FAULTS[..REQUIRED].iter().map(|fault| (*fault, 1)));
        assert_eq!(report.gaps(5), Vec::<String>::new());
    }
}
