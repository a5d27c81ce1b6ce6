//! Whether a disabled key was used: a success invoked after an acknowledged DisableKey and returned
//! before the invocation of the next EnableKey.

use std::collections::BTreeMap;

use super::{GreatestBefore, Verdict};
use crate::history::{KeyState, Kind, Operation, Told};

/// Judges every successful use that an acknowledged DisableKey precedes.
pub fn check(history: &[Operation]) -> Verdict {
    let mut keys = BTreeMap::<&str, Vec<&Operation>>::new();
    for operation in history {
        keys.entry(&operation.key).or_default().push(operation);
    }
    let mut verdict = Verdict::default();
    for operations in keys.values() {
        check_key(operations, &mut verdict);
    }
    verdict
}

fn check_key(operations: &[&Operation], verdict: &mut Verdict) {
    // For each moment, the latest invocation of a DisableKey that had been acknowledged by then.
    let disabled = GreatestBefore::new(
        operations
            .iter()
            .filter(|operation| operation.effect() == Some(KeyState::Disabled))
            .map(|operation| (operation.returned, operation.invoked)),
    );
    // For each moment, how late an EnableKey that had been invoked by then can have taken effect.
    let enabled = GreatestBefore::new(
        operations
            .iter()
            .filter(|operation| operation.kind == Kind::Enable)
            .filter(|operation| operation.possible_effect().is_some())
            .map(|operation| (operation.invoked, operation.latest())),
    );
    for operation in operations {
        if !operation.kind.is_use() || operation.told != Told::Done {
            continue;
        }
        let Some(disabling) = disabled.at(operation.invoked) else { continue };
        // One that overlaps the DisableKey may come after it.
        let enabled_since = enabled.at(operation.returned).is_some_and(|latest| latest > disabling);
        verdict.judge(enabled_since, || {
            format!("{operation}, though the key was disabled and not enabled again")
        });
    }
}

#[cfg(test)]
mod tests {
    use super::super::example::{done, history, lost, saw};
    use super::*;
    use crate::history::Kind::{Decrypt, Disable, Enable, Encrypt};

    fn violations(operations: &[Operation]) -> usize {
        check(&history(operations)).violations.len()
    }

    #[test]
    fn a_use_after_the_acknowledgement_is_a_violation() {
        assert_eq!(violations(&[done(Disable, 10, 20), done(Encrypt, 21, 30)]), 1);
        assert_eq!(violations(&[done(Disable, 10, 20), done(Decrypt, 21, 30)]), 1);
        let twice = [done(Disable, 10, 20), done(Disable, 30, 40), done(Decrypt, 21, 30)];
        assert_eq!(violations(&twice), 1, "a second one changes nothing");
    }

    #[test]
    fn what_overlaps_is_not() {
        assert_eq!(violations(&[done(Disable, 10, 20), done(Encrypt, 20, 30)]), 0);
        assert_eq!(violations(&[lost(Disable, 10), done(Encrypt, 21, 30)]), 0);
        assert_eq!(
            violations(&[done(Disable, 10, 20), saw(Encrypt, 21, 30, KeyState::Disabled)]),
            0
        );
    }

    #[test]
    fn an_enabling_ends_it_only_if_it_can_come_between() {
        let with = |enable| violations(&[done(Disable, 10, 20), enable, done(Encrypt, 40, 50)]);
        assert_eq!(with(done(Enable, 25, 30)), 0);
        assert_eq!(with(done(Enable, 45, 60)), 0);
        assert_eq!(with(lost(Enable, 45)), 0);
        assert_eq!(with(lost(Enable, 5)), 0, "it may take effect at any time");
        assert_eq!(with(done(Enable, 5, 11)), 0, "it overlaps the DisableKey");
        assert_eq!(with(done(Enable, 5, 9)), 1, "it is older");
        assert_eq!(with(done(Enable, 51, 60)), 1, "it is younger than the use");
        assert_eq!(with(saw(Enable, 25, 30, KeyState::Absent)), 1, "it was refused");
    }

    #[test]
    fn keys_are_judged_one_by_one() {
        let mut other = done(Enable, 25, 30);
        other.key = "another".into();
        let operations = [done(Disable, 10, 20), other, done(Encrypt, 40, 50)];
        assert_eq!(violations(&operations), 1);
    }
}
