//! Whether every reply was evaluated against a state that includes all that had been acknowledged
//! before, by the log indices that replies name.

use std::collections::BTreeMap;

use super::{GreatestBefore, Verdict};
use crate::history::Operation;

/// Compares each reply's index with those acknowledged before it was asked for, and with those
/// that its own client was told before.
pub fn check(history: &[Operation]) -> Verdict {
    let mut verdict = Verdict::default();
    let mutations = history.iter().filter(|operation| operation.effect().is_some());
    let acknowledged = GreatestBefore::new(
        mutations.filter_map(|operation| Some((operation.returned, operation.index?))),
    );
    let mut sessions = BTreeMap::<usize, Vec<(&Operation, u64)>>::new();
    for operation in history {
        let Some(index) = operation.index else { continue };
        let least = acknowledged.at(operation.invoked).unwrap_or(0);
        verdict.judge(index >= least, || {
            format!("{operation}, though index {least} had been acknowledged before")
        });
        sessions.entry(operation.client).or_default().push((operation, index));
    }
    for session in sessions.values_mut() {
        session.sort_by_key(|(operation, _)| operation.invoked);
        let mut least = 0;
        for (operation, index) in session {
            verdict.judge(*index >= least, || {
                format!("{operation}, though the client had been told index {least} before")
            });
            least = least.max(*index);
        }
    }
    verdict
}

#[cfg(test)]
mod tests {
    use super::super::example::{done, saw};
    use super::*;
    use crate::history::{KeyState, Kind};

    fn at(client: usize, index: u64, operation: Operation) -> Operation {
        Operation { client, index: Some(index), ..operation }
    }

    fn violations(history: &[Operation]) -> usize {
        check(history).violations.len()
    }

    #[test]
    fn a_reply_includes_what_was_acknowledged_before_it_was_asked_for() {
        let disabled = at(1, 7, done(Kind::Disable, 10, 20));
        let encrypted = |index, invoked| at(2, index, done(Kind::Encrypt, invoked, 50));
        assert_eq!(violations(&[disabled.clone(), encrypted(7, 21)]), 0);
        assert_eq!(violations(&[disabled.clone(), encrypted(6, 20)]), 0, "at the same time");
        assert_eq!(violations(&[disabled.clone(), encrypted(6, 21)]), 1);
        let refused = at(2, 6, saw(Kind::Encrypt, 21, 50, KeyState::Disabled));
        assert_eq!(violations(&[disabled, refused]), 1, "an error has an index, too");
    }

    #[test]
    fn only_what_was_acknowledged_counts() {
        let lost = at(1, 7, super::super::example::lost(Kind::Disable, 10));
        let read = at(1, 7, done(Kind::Encrypt, 10, 20));
        let encrypted = at(2, 6, done(Kind::Encrypt, 30, 40));
        assert_eq!(violations(&[lost, encrypted.clone()]), 0);
        assert_eq!(violations(&[read, encrypted]), 0, "a read is acknowledged to its client");
    }

    #[test]
    fn a_client_never_goes_back() {
        let first = at(1, 7, done(Kind::Encrypt, 10, 20));
        let second = |client, index| at(client, index, done(Kind::Decrypt, 30, 40));
        assert_eq!(violations(&[second(1, 7), first.clone()]), 0);
        assert_eq!(violations(&[second(2, 6), first.clone()]), 0);
        assert_eq!(violations(&[second(1, 6), first]), 1);
    }

    #[test]
    fn judges_nothing_without_indices() {
        assert_eq!(check(&[done(Kind::Disable, 10, 20)]), Verdict::default());
    }
}
