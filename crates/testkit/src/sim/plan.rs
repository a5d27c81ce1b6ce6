//! What goes wrong and when, as a seed has it.

use std::fmt;
use std::time::Duration;

use fastrand::Rng;

use super::mix;
use super::network::HostId;

/// The hosts that are members from the beginning.
pub(super) const MEMBERS: usize = 3;
/// The host whose node comes and goes.
pub(super) const GUEST: HostId = MEMBERS;

/// Whom a fault hits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    /// Whoever leads at that moment.
    Leader,
    /// A certain host.
    Host(HostId),
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// Power failure of one host, which comes back.
    Crash(Target),
    /// Power failure of all of them.
    PowerFailure,
    /// A disk fails to sync. The node stops; its host is repaired.
    FailDisk(Target),
    /// A disk is lost for good. A new node replaces the old one.
    LoseDisk(Target),
    /// Nothing gets to a host or from it.
    Isolate(Target),
    /// Nothing gets to a host; what it sends arrives.
    Deafen(Target),
    /// Nothing gets from a host; what others send to it arrives.
    Mute(Target),
    /// Nothing gets from the one to the other.
    CutOneWay(Target, HostId),
    /// Messages are slow and get lost, everywhere.
    Storm,
    /// A clock is off by so many milliseconds.
    SetClock(Target, i64),
    /// The leadership is moved.
    TransferLeader(Option<HostId>),
    /// A snapshot is made now, and the log purged behind it.
    Snapshot(Target),
    /// A fourth node joins, gets a vote, and is removed.
    Guest,
}

/// One fault, `after` the one before, for some time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) after: Duration,
    pub(super) fault: Fault,
    pub(super) lasts: Duration,
}

/// So many faults. They overlap.
pub(super) fn plan(seed: u64, steps: usize) -> Vec<Step> {
    let mut rng = Rng::with_seed(mix(seed, &[1]));
    (0..steps)
        .map(|_| Step {
            after: Duration::from_millis(rng.u64(150..1200)),
            fault: fault(&mut rng),
            lasts: Duration::from_millis(rng.u64(200..3000)),
        })
        .collect()
}

/// How far off an attacked clock is.
pub(super) fn clock_offset(rng: &mut Rng) -> i64 {
    const SECOND: i64 = 1000;
    const HOUR: i64 = 3600 * SECOND;
    let by = [3 * SECOND, HOUR, 24 * HOUR][rng.usize(0..3)];
    if rng.bool() { by } else { -by }
}

fn fault(rng: &mut Rng) -> Fault {
    let target = target(rng);
    match rng.u32(0..100) {
        0..20 => Fault::Crash(target),
        20..25 => Fault::PowerFailure,
        25..30 => Fault::FailDisk(target),
        30..36 => Fault::LoseDisk(target),
        36..46 => Fault::Isolate(target),
        46..52 => Fault::Deafen(target),
        52..58 => Fault::Mute(target),
        58..66 => Fault::CutOneWay(target, rng.usize(0..MEMBERS)),
        66..72 => Fault::Storm,
        72..78 => Fault::SetClock(target, clock_offset(rng)),
        78..88 => {
            let to = rng.usize(0..=MEMBERS);
            Fault::TransferLeader(Some(to).filter(|to| *to < MEMBERS))
        }
        88..94 => Fault::Snapshot(target),
        _ => Fault::Guest,
    }
}

fn target(rng: &mut Rng) -> Target {
    if rng.bool() { Target::Leader } else { Target::Host(rng.usize(0..MEMBERS)) }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} for {} ms", self.fault, self.lasts.as_millis())
    }
}
