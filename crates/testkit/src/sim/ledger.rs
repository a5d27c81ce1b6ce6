//! What was promised and what was seen, and whether they agree.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use keystead_raft::Status;
use keystead_state::View;
use keystead_types::{NodeId, UnixMillis};

use super::commands::created_at;
use super::network::{HostId, Life};

/// The digests of the state are compared at every so many indexes: often enough to meet.
const COMPARED_EVERY: u64 = 8;
/// How far the replicated clock may be from the true one.
const CLOCK_BOUND_MS: u64 = 2000;

/// All that is known about one run.
#[derive(Default)]
pub(super) struct Ledger {
    acknowledged: Vec<Acknowledged>,
    // The highest index that anybody was told of, by an acknowledgement or by a read.
    told: u64,
    // Where each account was created, by whichever View showed it first.
    created: BTreeMap<u64, u64>,
    digests: BTreeMap<u64, Digest>,
    snapshots: BTreeMap<u64, [u8; 32]>,
    terms: BTreeSet<u64>,
    followed: BTreeMap<HostId, (Life, Vote)>,
    sights: BTreeMap<HostId, Sight>,
    violations: Vec<String>,
}

/// A leader, by its term and its id. Openraft orders votes by both: in one term a node with a
/// greater id may be elected after another.
pub(super) type Vote = (u64, NodeId);

#[derive(Clone, Copy)]
struct Acknowledged {
    number: u64,
    index: u64,
}

struct Digest {
    host: HostId,
    value: u64,
}

/// How a node looked last.
struct Sight {
    life: Life,
    applied: u64,
    clock: UnixMillis,
}

/// What a read that begins now must include.
#[derive(Clone, Copy)]
pub(super) struct Before {
    acknowledged: usize,
    told: u64,
}

impl Ledger {
    /// What should not have been.
    pub(super) fn violations(&self) -> &[String] {
        &self.violations
    }

    pub(super) fn violation(&mut self, text: impl Into<String>) {
        self.violations.push(text.into());
    }

    /// How many terms had a leader.
    pub(super) fn terms(&self) -> usize {
        self.terms.len()
    }

    /// How many commands were acknowledged.
    pub(super) fn acknowledged(&self) -> usize {
        self.acknowledged.len()
    }

    /// A command was acknowledged by a node, whose View this is. `fresh`: the clocks that are
    /// true were at least here when it was proposed, and the replicated clock has to follow.
    pub(super) fn acknowledge(
        &mut self,
        number: u64,
        index: u64,
        view: &View,
        fresh: Option<UnixMillis>,
    ) {
        let acknowledged = Acknowledged { number, index };
        self.acknowledged.push(acknowledged);
        self.told = self.told.max(index);
        self.check_one(acknowledged, view, "its own node, at once");
        if let Some(at) = fresh
            && view.clock().plus(CLOCK_BOUND_MS) < at
        {
            let late = at.0 - view.clock().0;
            self.violation(format!("the replicated clock is {late} ms late at index {index}"));
        }
    }

    /// A read begins.
    pub(super) fn before(&self) -> Before {
        Before { acknowledged: self.acknowledged.len(), told: self.told }
    }

    /// A read ends: the View must include all that anybody was told of before it began.
    pub(super) fn read(&mut self, host: HostId, before: Before, view: &View) {
        if view.applied() < before.told {
            let (applied, told) = (view.applied(), before.told);
            self.violation(format!(
                "a stale read: host {host} gave index {applied} after {told} was known"
            ));
        }
        for at in 0..before.acknowledged {
            self.check_one(self.acknowledged[at], view, "a read");
        }
        self.told = self.told.max(view.applied());
    }

    /// A look at a node, which may come at any time. `now`: what true clocks say.
    pub(super) fn look(
        &mut self,
        host: HostId,
        life: Life,
        status: &Status,
        view: &View,
        now: UnixMillis,
    ) {
        self.check_leader(host, life, status);
        if let Some((index, digest)) = status.snapshot
            && *self.snapshots.entry(index).or_insert(digest) != digest
        {
            self.violation(format!("snapshots of index {index} differ; one is host {host}'s"));
        }
        let sight = Sight { life, applied: view.applied(), clock: view.clock() };
        let last = self.sights.insert(host, sight).filter(|last| last.life == life);
        if last.as_ref().is_some_and(|last| last.applied == view.applied()) {
            return;
        }
        if let Some(last) = last {
            self.check_progress(host, &last, view);
        }
        if view.clock() > now.plus(CLOCK_BOUND_MS) {
            let early = view.clock().0 - now.0;
            self.violation(format!("host {host}'s replicated clock is {early} ms early"));
        }
        if view.applied().is_multiple_of(COMPARED_EVERY) {
            self.compare(host, view);
        }
    }

    /// Everything that was acknowledged at or below the View's index is in it.
    pub(super) fn check_all(&mut self, view: &View, whose: &str) {
        for at in 0..self.acknowledged.len() {
            let acknowledged = self.acknowledged[at];
            if acknowledged.index <= view.applied() {
                self.check_one(acknowledged, view, whose);
            }
        }
    }

    /// Compares the state with that of others at the same index.
    pub(super) fn compare(&mut self, host: HostId, view: &View) {
        let (index, value) = (view.applied(), digest(view));
        let first = self.digests.entry(index).or_insert(Digest { host, value });
        if first.value != value {
            let other = first.host;
            self.violation(format!("hosts {other} and {host} differ at index {index}"));
        }
    }

    /// The command is in the View, and took effect where every View shows it, at or before the
    /// index of its acknowledgement: at, unless that was of a repetition.
    fn check_one(&mut self, acknowledged: Acknowledged, view: &View, whose: &str) {
        let Acknowledged { number, index } = acknowledged;
        let Some(at) = created_at(view, number) else {
            let applied = view.applied();
            return self.violation(format!(
                "lost: account {number} was acknowledged at index {index} and is not in the View \
                 of {whose} at index {applied}"
            ));
        };
        let first = *self.created.entry(number).or_insert(at);
        if first != at || at > index {
            self.violation(format!(
                "account {number}, acknowledged at index {index}, was created at {first} and at \
                 {at}; the latter says {whose}"
            ));
        }
    }

    /// A node that follows one vote never follows a lesser one again, not while it lives.
    fn check_leader(&mut self, host: HostId, life: Life, status: &Status) {
        let Some(leader) = status.leader else { return };
        let vote = (status.term, leader);
        self.terms.insert(status.term);
        if let Some((of, last)) = self.followed.insert(host, (life, vote))
            && of == life
            && last > vote
        {
            let ((term, leader), (newer, other)) = (vote, last);
            self.violation(format!(
                "host {host} follows {leader} of term {term} after {other} of term {newer}"
            ));
        }
    }

    fn check_progress(&mut self, host: HostId, last: &Sight, view: &View) {
        if view.applied() < last.applied {
            let (before, after) = (last.applied, view.applied());
            self.violation(format!("host {host} fell back from index {before} to {after}"));
        }
        if view.clock() < last.clock {
            let back = last.clock.0 - view.clock().0;
            self.violation(format!("host {host}'s replicated clock went back by {back} ms"));
        }
    }
}

/// A digest of all rows of the state.
fn digest(view: &View) -> u64 {
    let mut hasher = DefaultHasher::new();
    for row in view.rows() {
        row.hash(&mut hasher);
    }
    hasher.finish()
}
