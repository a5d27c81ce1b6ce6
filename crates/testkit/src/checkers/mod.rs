//! Whether a history is one that a correct service can have.
//!
//! Each checker is told what happened and nothing about the service. They overlap on purpose: the
//! simple ones find what they look for in any history, and [`linear`] trusts nothing but replies.

pub mod index;
pub mod linear;
pub mod race;
pub mod revocation;
pub mod survival;

#[cfg(test)]
pub(crate) mod example;

/// What a checker found.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// How much there was to judge; none makes the verdict worthless.
    pub judged: usize,
    /// What a correct service would not have done.
    pub violations: Vec<String>,
}

impl Verdict {
    fn judge(&mut self, holds: bool, violation: impl FnOnce() -> String) {
        self.judged += 1;
        if !holds {
            self.violations.push(violation());
        }
    }
}

/// The greatest value among those with an earlier time.
struct GreatestBefore(Vec<(u64, u64)>);

impl GreatestBefore {
    /// Of pairs of a time and a value.
    fn new(pairs: impl Iterator<Item = (u64, u64)>) -> Self {
        let mut pairs: Vec<_> = pairs.collect();
        pairs.sort_unstable();
        let mut greatest = 0;
        for (_, value) in &mut pairs {
            greatest = greatest.max(*value);
            *value = greatest;
        }
        Self(pairs)
    }

    fn at(&self, time: u64) -> Option<u64> {
        let earlier = self.0.partition_point(|(other, _)| *other < time);
        self.0[..earlier].last().map(|(_, value)| *value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_greatest_before_a_time_needs_not_be_the_latest() {
        let greatest = GreatestBefore::new([(30, 1), (10, 5), (20, 2), (40, 9)].into_iter());
        let at = [10, 11, 21, 31, 40, 41].map(|time| greatest.at(time));
        assert_eq!(at, [None, Some(5), Some(5), Some(5), Some(5), Some(9)]);
    }
}
