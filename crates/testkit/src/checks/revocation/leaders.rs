//! Takes the leadership from one node after the other while the races run.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::Result;
use fastrand::Rng;
use tokio::sync::watch;

use super::clock::Clock;
use crate::cluster::{Cluster, Standing};

/// How long a cluster to which nothing is done any more may take until all nodes serve again.
const RECOVERY: Duration = Duration::from_secs(30);
/// Milliseconds between two changes, at least and at most.
const REST: (u64, u64) = (600, 2000);
/// The same for how long a killed leader is away, and one that stands still: longer than the
/// longest election timeout, which is 400.
const DOWN: (u64, u64) = (0, 1000);
const STILL: (u64, u64) = (600, 1500);
/// How long it takes at most until a new term begins, if one does.
const SUCCESSION: Duration = Duration::from_secs(3);
const POLL: Duration = Duration::from_millis(50);

/// How a leader loses its leadership.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Deed {
    Kill,
    Pause,
    Transfer,
}

const DEEDS: [Deed; 3] = [Deed::Kill, Deed::Transfer, Deed::Pause];

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// Deeds after which there was a new term.
    pub(super) done: BTreeMap<Deed, usize>,
    /// Elections while nothing was done.
    pub(super) unasked: u64,
    /// From when to when the leadership may have changed.
    spans: Vec<(u64, u64)>,
    /// Why the cluster did not recover, if it did not.
    pub(super) failure: Option<String>,
}

pub(super) struct Usurper<'a> {
    pub(super) cluster: &'a mut Cluster,
    pub(super) clock: Clock,
    pub(super) rng: Rng,
}

impl Usurper<'_> {
    /// Goes on until the races are over or the cluster does not recover. In the end nothing is done
    /// to it any more.
    pub(super) async fn run(mut self, mut over: watch::Receiver<bool>) -> Changes {
        let mut changes = Changes::default();
        let mut result = self.usurp(&mut changes, &mut over).await;
        if let Err(error) = self.cluster.heal() {
            result = result.and(Err(error));
        }
        changes.failure = result.err().map(|error| format!("{error:#}"));
        if changes.failure.is_some() {
            // Nobody knows what came after.
            changes.spans.push((0, u64::MAX));
        }
        changes
    }

    async fn usurp(
        &mut self,
        changes: &mut Changes,
        over: &mut watch::Receiver<bool>,
    ) -> Result<()> {
        let mut standing = self.cluster.settled(RECOVERY).await?;
        for deed in DEEDS.iter().cycle() {
            let began = self.clock.now();
            let rest = self.milliseconds(REST);
            let ended = tokio::time::timeout(rest, over.wait_for(|over| *over)).await.is_ok();
            let before = self.cluster.settled(RECOVERY).await?;
            if before.term != standing.term {
                changes.unasked += before.term - standing.term;
                changes.spans.push((began, self.clock.now()));
            }
            if ended {
                break;
            }
            let began = self.clock.now();
            self.carry_out(*deed, before).await?;
            standing = self.succession(before).await?;
            changes.spans.push((began, self.clock.now()));
            if standing.term != before.term {
                *changes.done.entry(*deed).or_default() += 1;
            }
        }
        Ok(())
    }

    /// Waits until all nodes serve again, after a new term has begun if one does soon.
    async fn succession(&mut self, before: Standing) -> Result<Standing> {
        let start = Instant::now();
        loop {
            let standing = self.cluster.settled(RECOVERY).await?;
            if standing.term != before.term || start.elapsed() > SUCCESSION {
                return Ok(standing);
            }
            tokio::time::sleep(POLL).await;
        }
    }

    async fn carry_out(&mut self, deed: Deed, Standing { leader, .. }: Standing) -> Result<()> {
        match deed {
            Deed::Kill => {
                self.cluster.kill(leader)?;
                tokio::time::sleep(self.milliseconds(DOWN)).await;
                self.cluster.start(leader)
            }
            Deed::Pause => {
                self.cluster.pause(leader)?;
                tokio::time::sleep(self.milliseconds(STILL)).await;
                self.cluster.heal()
            }
            Deed::Transfer => self.cluster.transfer_leadership(leader).await,
        }
    }

    fn milliseconds(&mut self, (least, most): (u64, u64)) -> Duration {
        Duration::from_millis(self.rng.u64(least..=most))
    }
}

impl Changes {
    /// How often the leadership changed because it was to.
    pub(super) fn count(&self) -> usize {
        self.done.values().sum()
    }

    /// Whether the leadership may have changed between two moments.
    pub(super) fn touch(&self, from: u64, to: u64) -> bool {
        self.spans.iter().any(|(began, ended)| *began <= to && from <= *ended)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_touches_what_overlaps_it() {
        let changes = Changes { spans: vec![(10, 20), (30, 40)], ..Changes::default() };
        let touched = [(0, 9), (0, 10), (15, 16), (20, 29), (21, 29), (5, 50), (41, 50)];
        let touched = touched.map(|(from, to)| changes.touch(from, to));
        assert_eq!(touched, [false, true, true, true, false, true, false]);
    }
}
