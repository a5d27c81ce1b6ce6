//! What was measured, as one line and as a judgement.

use std::collections::BTreeMap;
use std::fmt;

use super::load::{Load, Percentiles};
use super::{Options, Side, Way};
use crate::checks::Outcome;
use crate::checks::bench::median;

/// One value per round of everything that was measured.
#[derive(Default)]
pub(super) struct Measured {
    /// Milliseconds.
    syncs: Vec<f64>,
    /// A confirmation of the leader and one of a follower while nothing else happens, milliseconds.
    barrier: Option<(f64, f64)>,
    /// Mutations per second.
    rates: BTreeMap<(Side, Way), Vec<f64>>,
    /// How long Encrypt took without writers (`false`) and beside them (`true`).
    latencies: BTreeMap<bool, Vec<Latency>>,
}

/// How long calls took on all nodes, on the leader, and on the others.
#[derive(Debug, Clone, Copy)]
pub(super) struct Latency {
    all: Percentiles,
    leader: Percentiles,
    followers: Percentiles,
}

impl Measured {
    /// Adds how long the disk took.
    pub(super) fn sync(&mut self, milliseconds: f64) {
        self.syncs.push(milliseconds);
    }

    /// Notes how long confirmations take.
    pub(super) fn barrier(&mut self, leader: f64, follower: f64) {
        self.barrier = Some((leader, follower));
    }

    /// Adds mutations per second.
    pub(super) fn rate(&mut self, side: Side, way: Way, rate: f64) {
        self.rates.entry((side, way)).or_default().push(rate);
    }

    /// Adds how long Encrypt took.
    pub(super) fn latency(&mut self, busy: bool, latency: Latency) {
        self.latencies.entry(busy).or_default().push(latency);
    }

    /// The medians of all rounds, and of their ratios.
    pub(super) fn figures(&self, options: &Options, etcd: Option<&str>) -> String {
        let Options { writers, connections, rounds, seconds, .. } = options;
        let mut parts = vec![format!(
            "mutations per second with {writers} writers, medians of {rounds} rounds of {seconds} \
             s, etcd {}",
            etcd.unwrap_or("not measured")
        )];
        parts.extend(Way::ALL.map(|way| self.way(way)));
        let sync = median(self.syncs.iter().copied());
        parts.push(format!("fdatasync of 4 KiB p50 {sync:.2} ms"));
        if let Some((leader, follower)) = self.barrier {
            parts.push(format!(
                "barrier at p50, idle: leader {leader:.3} ms, follower {follower:.3} ms, which is \
                 {:.2} round trips",
                follower / leader
            ));
        }
        let beside = format!("while {writers} write");
        for (busy, latencies) in &self.latencies {
            let when = if *busy { beside.as_str() } else { "idle" };
            let latency = Latency::median(latencies);
            parts.push(format!("Encrypt at {connections} connections, {when}: {latency} ms"));
        }
        parts.join("; ")
    }

    /// Holds the ratios against the least that they may be.
    pub(super) fn judge(&self, options: &Options, outcome: &mut Outcome) {
        for (way, least) in [(Way::Leader, options.least_leader), (Way::All, options.least_all)] {
            if let Some(ratio) = self.ratio(way, way) {
                outcome.require(ratio >= least, || {
                    format!(
                        "mutations through {} are {ratio:.2} of etcd's, below {least}",
                        way.name()
                    )
                });
            }
        }
    }

    fn way(&self, way: Way) -> String {
        let mut parts = Vec::new();
        for side in [Side::Keystead, Side::Etcd] {
            if let Some(rates) = self.rates.get(&(side, way)) {
                parts.push(format!("{} {:.0}", side.name(), median(rates.iter().copied())));
            }
        }
        parts.extend(self.ratio(way, way).map(|ratio| format!("ratio {ratio:.2}")));
        if way != Way::Leader {
            let ratio = self.ratio(way, Way::Leader);
            parts.extend(ratio.map(|ratio| format!("to etcd's leader {ratio:.2}")));
        }
        format!("through {}: {}", way.name(), parts.join(", "))
    }

    /// Keystead's rate one way to etcd's another, within the same rounds.
    fn ratio(&self, ours: Way, theirs: Way) -> Option<f64> {
        let ours = self.rates.get(&(Side::Keystead, ours))?;
        let theirs = self.rates.get(&(Side::Etcd, theirs))?;
        Some(median(ours.iter().zip(theirs).map(|(ours, theirs)| ours / theirs)))
    }
}

impl Latency {
    /// That of some calls, when one of the nodes led.
    pub(super) fn of(load: &Load, leader: usize) -> Self {
        Self {
            all: load.percentiles(|_| true),
            leader: load.percentiles(|node| node == leader),
            followers: load.percentiles(|node| node != leader),
        }
    }

    fn median(rounds: &[Self]) -> Self {
        let of = |part: fn(&Self) -> Percentiles| Percentiles {
            p50: median(rounds.iter().map(|round| part(round).p50)),
            p99: median(rounds.iter().map(|round| part(round).p99)),
        };
        Self {
            all: of(|round| round.all),
            leader: of(|round| round.leader),
            followers: of(|round| round.followers),
        }
    }
}

impl fmt::Display for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { all, leader, followers } = self;
        write!(f, "p50/p99 {all} (leader {leader}, followers {followers})")
    }
}

impl fmt::Display for Percentiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2}/{:.2}", self.p50, self.p99)
    }
}

#[cfg(test)]
mod tests {
    use clap::{Args, Command, FromArgMatches};

    use super::*;

    fn options() -> Options {
        let words = ["bench", "--binary", "keystead", "--folder", "."];
        let matches = Options::augment_args(Command::new("bench")).get_matches_from(words);
        Options::from_arg_matches(&matches).unwrap()
    }

    /// Three rounds, the same way through the leader and through all.
    fn measured(ours: [f64; 3], theirs: [f64; 3]) -> Measured {
        let mut measured = Measured::default();
        for way in [Way::Leader, Way::All] {
            for (ours, theirs) in ours.into_iter().zip(theirs) {
                measured.rate(Side::Keystead, way, ours);
                measured.rate(Side::Etcd, way, theirs);
            }
        }
        measured
    }

    fn violations(measured: &Measured) -> usize {
        let mut outcome = Outcome::default();
        measured.judge(&options(), &mut outcome);
        outcome.violations.len()
    }

    #[test]
    fn ratios_are_medians_of_those_of_each_round() {
        let measured = measured([100.0, 90.0, 20.0], [200.0, 100.0, 10.0]);
        let figures = measured.figures(&options(), Some("3"));
        let text = "through the leader: Keystead 90, etcd 100, ratio 0.90;";
        assert!(figures.contains(text), "{figures}");
    }

    #[test]
    fn what_is_slower_than_it_may_be_is_a_violation() {
        assert_eq!(violations(&measured([100.0; 3], [100.0; 3])), 0);
        assert_eq!(violations(&measured([99.0; 3], [100.0; 3])), 1);
        assert_eq!(violations(&measured([69.0; 3], [100.0; 3])), 2);
        assert_eq!(violations(&measured([0.0; 3], [0.0; 3])), 2);
    }

    #[test]
    fn one_side_alone_has_no_ratio() {
        let mut measured = Measured::default();
        measured.rate(Side::Etcd, Way::All, 7.0);
        assert_eq!(violations(&measured), 0);
        let figures = measured.figures(&options(), None);
        assert!(figures.contains("through all three: etcd 7;"), "{figures}");
        assert!(!figures.contains("ratio"), "{figures}");
    }
}
