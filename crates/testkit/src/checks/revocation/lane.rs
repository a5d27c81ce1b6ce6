//! Races, one after the other. Several lanes run at a time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use fastrand::Rng;
use futures::future::{join, join_all};
use keystead_api::Wire;
use tokio::sync::watch;

use super::clock::Clock;
use super::household::Household;
use super::owner::{Acknowledged, Owner};
use super::right::{KINDS, Kind, People, Right};
use super::worker::{Seen, Worker};
use crate::checkers::race::{self, Found, Race, Told};
use crate::checks::worker_rng;
use crate::cluster::{Cluster, NODES};
use crate::kms::Kms;
use crate::node::AccessKey;

/// How long a user waits for a reply: longer than most elections take.
const PATIENCE: Duration = Duration::from_millis(1500);
/// How long a right that was given may take to be used for the first time.
const FIRST_USE: Duration = Duration::from_secs(30);
/// Milliseconds from the first use to the revocation, at most.
const LEAD: u64 = 60;

pub(super) struct Lane {
    clock: Clock,
    rng: Rng,
    number: usize,
    owner: Owner,
    users: Vec<Kms>,
    tenant: AccessKey,
    left: Arc<AtomicUsize>,
    results: Results,
}

/// What a lane's races showed.
#[derive(Default)]
pub(super) struct Results {
    pub(super) races: BTreeMap<Kind, usize>,
    pub(super) found: Found,
    pub(super) unexpected: BTreeMap<String, usize>,
    /// Revocations and the like of which a second attempt was told that there is nothing to end.
    pub(super) gone: usize,
    /// Races that did not come to an end, and why.
    pub(super) failed: Vec<String>,
}

impl Lane {
    /// A lane with a number of its own, which runs races as long as there are some left.
    pub(super) fn new(
        cluster: &Cluster,
        number: usize,
        seed: u64,
        clock: Clock,
        tenant: AccessKey,
        left: Arc<AtomicUsize>,
    ) -> Self {
        let mut rng = worker_rng(seed, number);
        let wire = if number.is_multiple_of(2) { Wire::AwsJson } else { Wire::Proto };
        let owner = Owner::new(cluster, wire, clock, rng.fork());
        // Rights belong to access keys, which gRPC has not.
        let user = |node| Kms::new(cluster.target(node, Wire::AwsJson), Wire::AwsJson, PATIENCE);
        let users = (0..NODES).map(user).collect();
        Self { clock, rng, number, owner, users, tenant, left, results: Results::default() }
    }

    pub(super) async fn run(mut self) -> Results {
        match Household::found(&mut self.owner, self.number).await {
            Ok(household) => {
                let tenant = self.tenant.clone();
                self.races(&People { tenant, household }).await;
            }
            Err(error) => self.results.failed.push(format!("before the races: {error:#}")),
        }
        self.results.gone = self.owner.gone;
        self.results
    }

    async fn races(&mut self, people: &People) {
        let take = |left: usize| left.checked_sub(1);
        while let Ok(left) = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take) {
            let kind = KINDS[left % KINDS.len()];
            match self.race(kind, people).await {
                Ok(found) => {
                    *self.results.races.entry(kind).or_default() += 1;
                    self.results.found.add(found);
                }
                Err(error) => self.results.failed.push(format!("{}: {error:#}", kind.name())),
            }
        }
    }

    async fn race(&mut self, kind: Kind, people: &People) -> Result<Found> {
        let right = kind.give(&mut self.owner, people).await?;
        for user in &mut self.users {
            user.act_as(&right.holder);
        }
        let first = self.first_use(&right).await?;
        let sealed = first.sealed;
        let (told, heard) = watch::channel(false);
        let workers: Vec<_> = workers(&mut self.users, &mut self.rng, self.clock, &right)
            .map(|mut worker| {
                worker.sealed.clone_from(&sealed);
                worker.work(heard.clone())
            })
            .collect();
        let revoking = revoke(&mut self.owner, &right, &told);
        let (revoked, seen) = join(revoking, join_all(workers)).await;
        let mut all = first.seen;
        seen.into_iter().for_each(|seen| all.add(seen));
        for (what, times) in all.unexpected {
            *self.results.unexpected.entry(what).or_default() += times;
        }
        let Acknowledged { invoked, acknowledged, index, .. } = revoked?;
        let kind = kind.name();
        Ok(race::check(&Race { kind, invoked, acknowledged, index, uses: all.uses }))
    }

    /// Shows that the right is there, through any node.
    async fn first_use(&mut self, right: &Right) -> Result<First> {
        let start = Instant::now();
        let mut seen = Seen::default();
        loop {
            let node = self.rng.usize(..NODES);
            let worker = workers(&mut self.users, &mut self.rng, self.clock, right).nth(node);
            let mut worker = worker.context("there is no such node")?;
            worker.encrypt().await;
            let (sealed, new) = (worker.sealed, worker.seen);
            let told = new.uses.last().map(|one| one.told);
            seen.add(new);
            if sealed.is_some() {
                return Ok(First { sealed, seen });
            }
            ensure!(told != Some(Told::Refused), "a right that was given is not there");
            ensure!(start.elapsed() < FIRST_USE, "no use succeeded in {FIRST_USE:?}");
        }
    }
}

struct First {
    sealed: Option<bytes::Bytes>,
    seen: Seen,
}

/// A user of the right for each node.
fn workers<'a>(
    users: &'a mut [Kms],
    rng: &'a mut Rng,
    clock: Clock,
    right: &'a Right,
) -> impl Iterator<Item = Worker<'a>> {
    users.iter_mut().enumerate().map(move |(node, client)| Worker {
        node,
        client,
        clock,
        rng: rng.fork(),
        key: &right.key,
        sealed: None,
        mutation: right.mutation,
        seen: Seen::default(),
    })
}

/// Revokes a right at some moment and tells its users when that is acknowledged, or cannot be done.
async fn revoke(
    owner: &mut Owner,
    right: &Right,
    told: &watch::Sender<bool>,
) -> Result<Acknowledged<()>> {
    let lead = Duration::from_millis(owner.rng().u64(..=LEAD));
    tokio::time::sleep(lead).await;
    let revoked = right.revoke(owner).await;
    told.send_replace(true);
    revoked
}

impl Results {
    pub(super) fn add(&mut self, other: Self) {
        for (kind, times) in other.races {
            *self.races.entry(kind).or_default() += times;
        }
        self.found.add(other.found);
        for (what, times) in other.unexpected {
            *self.unexpected.entry(what).or_default() += times;
        }
        self.gone += other.gone;
        self.failed.extend(other.failed);
    }
}
