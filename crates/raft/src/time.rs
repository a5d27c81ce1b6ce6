//! The replicated clock, on the side of whoever proposes.
//!
//! A leader proposes the greatest time that a majority of the voters' clocks have reached, but
//! never more than a second beyond the last proposed time plus what a monotonic clock measured
//! since. So neither a clock that is wrong nor one that jumps moves the region's time, be it the
//! leader's own.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use keystead_types::{NodeId, UnixMillis};
use tokio::time::Instant;

/// How far the proposed time may run ahead of the time that has passed.
const SLACK_MS: u64 = 1000;
/// For how long what a voter said about its clock counts.
const REPORT_COUNTS: Duration = Duration::from_secs(3);
/// A voter's clock that is off by more raises an alarm.
const ALARM_MS: u64 = 2000;

/// The time to propose.
#[derive(Debug, Default)]
pub(crate) struct ReplicatedTime {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The replicated clock as last seen, to notice when somebody moves it.
    seen: Option<UnixMillis>,
    /// A replicated time, and when it was the present. None before the first one in this life of
    /// the process: how much time has passed since the last one is not known then.
    anchor: Option<(UnixMillis, Instant)>,
    reports: BTreeMap<NodeId, (UnixMillis, Instant)>,
}

impl ReplicatedTime {
    /// Notes what a voter said about its wall clock.
    pub(crate) fn report(&self, id: NodeId, clock: UnixMillis, now: Instant) {
        self.lock().reports.insert(id, (clock, now));
    }

    /// Notes where the replicated clock stands, `shift` included.
    pub(crate) fn observe(&self, clock: UnixMillis, shift: u64, now: Instant) {
        self.lock().observe(clock, shift, now);
    }

    /// The time to propose now, given this node's wall clock and the sets of voters, whose
    /// members' reports count. Not before `floor`, the replicated clock as it stands.
    pub(crate) fn next(
        &self,
        own: (NodeId, UnixMillis),
        voters: &[BTreeSet<u64>],
        floor: UnixMillis,
        shift: u64,
        now: Instant,
    ) -> UnixMillis {
        let mut state = self.lock();
        state.reports.insert(own.0, (own.1, now));
        state.observe(floor, shift, now);
        let reached = state.reached_by_majorities(voters, now);
        let time = match (state.anchor, reached) {
            (None, None) => return floor,
            (None, Some(reached)) => reached,
            (Some((time, since)), reached) => {
                let passed = time.plus(millis(now.saturating_duration_since(since)));
                let limit = passed.plus(SLACK_MS);
                reached.map_or(passed, |reached| reached.min(limit)).max(time)
            }
        };
        state.anchor = Some((time, now));
        let proposed = time.plus(shift).max(floor);
        state.seen = Some(proposed);
        proposed
    }

    /// The time that a majority's clocks have reached, however far that is ahead of what may be
    /// proposed.
    pub(crate) fn reached(
        &self,
        own: (NodeId, UnixMillis),
        voters: &[BTreeSet<u64>],
        floor: UnixMillis,
        shift: u64,
        now: Instant,
    ) -> UnixMillis {
        let mut state = self.lock();
        state.reports.insert(own.0, (own.1, now));
        let reached = state.reached_by_majorities(voters, now);
        reached.map_or(floor, |time| time.plus(shift).max(floor))
    }

    /// The voters whose clocks are off by more than two seconds, and by how many milliseconds.
    pub(crate) fn astray(&self, voters: &BTreeSet<u64>, now: Instant) -> Vec<(NodeId, u64)> {
        let state = self.lock();
        let Some(reached) = state.reached_by_majority(voters, now) else { return Vec::new() };
        let off = |id: &u64| Some((NodeId(*id), state.clock_of(*id, now)?.0.abs_diff(reached.0)));
        voters.iter().filter_map(off).filter(|(_, off)| *off > ALARM_MS).collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic while holding the lock cannot leave a pair half written.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn observe(&mut self, clock: UnixMillis, shift: u64, now: Instant) {
        if self.seen.is_some_and(|seen| clock > seen) {
            self.anchor = Some((UnixMillis(clock.0.saturating_sub(shift)), now));
        }
        self.seen = self.seen.max(Some(clock));
    }

    /// What a voter's clock should say now.
    fn clock_of(&self, id: u64, now: Instant) -> Option<UnixMillis> {
        let (clock, at) = self.reports.get(&NodeId(id))?;
        let age = now.saturating_duration_since(*at);
        (age <= REPORT_COUNTS).then(|| clock.plus(millis(age)))
    }

    /// The greatest time that a majority of each set has reached.
    fn reached_by_majorities(&self, voters: &[BTreeSet<u64>], now: Instant) -> Option<UnixMillis> {
        voters.iter().map(|set| self.reached_by_majority(set, now)).min().flatten()
    }

    /// The greatest time that a majority has reached, if so many have said anything.
    fn reached_by_majority(&self, voters: &BTreeSet<u64>, now: Instant) -> Option<UnixMillis> {
        let mut clocks: Vec<_> = voters.iter().filter_map(|id| self.clock_of(*id, now)).collect();
        clocks.sort_unstable_by(|a, b| b.cmp(a));
        clocks.get(voters.len() / 2).copied()
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3_600_000;
    const START: UnixMillis = UnixMillis(1_800_000_000_000);
    const NOBODY_SHIFTS: u64 = 0;

    /// Three voters; the first is the node itself.
    struct Region {
        time: ReplicatedTime,
        began: Instant,
        clock: UnixMillis,
    }

    impl Region {
        fn new() -> Self {
            let (time, clock) = (ReplicatedTime::default(), UnixMillis(START.0 - HOUR));
            Self { time, began: Instant::now(), clock }
        }

        /// What is proposed `after` milliseconds, when the clocks are off by so much.
        fn propose(&mut self, after: u64, off: [i64; 3]) -> UnixMillis {
            let now = self.began + Duration::from_millis(after);
            let clock = |off: i64| START.plus(after).0.saturating_add_signed(off);
            for (id, off) in [(2, off[1]), (3, off[2])] {
                self.time.report(NodeId(id), UnixMillis(clock(off)), now);
            }
            let own = (NodeId(1), UnixMillis(clock(off[0])));
            let voters = [BTreeSet::from([1, 2, 3])];
            self.clock = self.time.next(own, &voters, self.clock, NOBODY_SHIFTS, now);
            self.clock
        }
    }

    #[test]
    fn one_wrong_clock_moves_nothing_not_even_the_leaders() {
        let hour = i64::try_from(HOUR).unwrap();
        for wrong in [hour, -hour] {
            for voter in 0..3 {
                let mut region = Region::new();
                let mut off = [0; 3];
                off[voter] = wrong;
                for after in [0, 500, 1000, 60_000] {
                    let proposed = region.propose(after, off);
                    assert_eq!(proposed, START.plus(after), "voter {voter} off by {wrong}");
                }
            }
        }
    }

    #[test]
    fn a_majority_that_jumps_is_followed_slowly() {
        let mut region = Region::new();
        region.propose(0, [0, 0, 0]);
        let jumped = region.propose(100, [3_600_000; 3]);
        assert_eq!(jumped, START.plus(100 + SLACK_MS));
        assert!(region.propose(200, [-3_600_000; 3]) >= jumped, "never back");
    }

    #[test]
    fn without_a_majority_the_measured_time_goes_on() {
        let mut region = Region::new();
        region.propose(0, [0, 0, 0]);
        let now = region.began + Duration::from_secs(60);
        let own = (NodeId(1), UnixMillis(START.0 + 5 * HOUR));
        let voters = [BTreeSet::from([1, 2, 3])];
        let time = region.time.next(own, &voters, region.clock, NOBODY_SHIFTS, now);
        assert_eq!(time, START.plus(60_000));
    }

    #[test]
    fn what_a_majority_has_reached_is_told_whatever_the_own_clock_says() {
        let hour = i64::try_from(HOUR).unwrap();
        for wrong in [hour, -hour] {
            let mut region = Region::new();
            region.propose(0, [wrong, 0, 0]);
            let own = (NodeId(1), UnixMillis(START.0.saturating_add_signed(wrong)));
            let voters = [BTreeSet::from([1, 2, 3])];
            let time = region.time.reached(own, &voters, region.clock, 500, region.began);
            assert_eq!(time, START.plus(500));
        }
    }

    #[test]
    fn a_clock_that_is_off_is_noticed() {
        let mut region = Region::new();
        region.propose(0, [0, 0, 2500]);
        let voters = BTreeSet::from([1, 2, 3]);
        assert_eq!(region.time.astray(&voters, region.began), [(NodeId(3), 2500)]);
    }
}
