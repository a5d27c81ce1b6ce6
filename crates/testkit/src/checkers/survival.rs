//! Whether every acknowledged mutation is there in the end, on every node.

use std::collections::{BTreeMap, BTreeSet};

use super::Verdict;
use crate::history::{KeyState, Operation, Told};

/// Compares what each node tells at the end with what was acknowledged before. The last readings
/// must have been invoked after everything in the history had returned.
pub fn check(history: &[Operation], last: &[Operation], nodes: usize) -> Verdict {
    let mut keys = BTreeMap::<&str, Life>::new();
    for operation in history {
        keys.entry(&operation.key).or_default().note(operation);
    }
    let mut told = BTreeMap::<(&str, usize), KeyState>::new();
    for reading in last {
        if let Told::State(state) = reading.told {
            told.insert((&reading.key, reading.node), state);
        }
    }
    let mut verdict = Verdict::default();
    for (key, life) in keys {
        if !life.acknowledged {
            continue;
        }
        let states: Vec<_> = (0..nodes).map(|node| told.get(&(key, node)).copied()).collect();
        for (node, state) in states.iter().enumerate() {
            let lost = state.and_then(|state| life.contradicts(state));
            verdict.judge(state.is_some() && lost.is_none(), || match lost {
                Some(what) => format!("node {node} has lost {what} of {key}"),
                None => format!("node {node} tells nothing about {key}"),
            });
        }
        let distinct: BTreeSet<_> = states.iter().collect();
        verdict.judge(distinct.len() == 1, || format!("the nodes differ about {key}: {states:?}"));
    }
    verdict
}

/// What is known about the last mutations of a key.
#[derive(Default)]
struct Life {
    acknowledged: bool,
    enabling: Last,
    disabling: Last,
}

/// The last mutations of one kind.
#[derive(Default)]
struct Last {
    /// The latest moment at which one of them can have taken effect.
    possible: Option<u64>,
    /// The latest invocation among those that were acknowledged.
    certain: Option<u64>,
}

impl Life {
    fn note(&mut self, operation: &Operation) {
        let last = match operation.possible_effect() {
            Some(KeyState::Enabled) => &mut self.enabling,
            Some(KeyState::Disabled) => &mut self.disabling,
            _ => return,
        };
        last.possible = last.possible.max(Some(operation.latest()));
        if operation.effect().is_some() {
            last.certain = last.certain.max(Some(operation.invoked));
            self.acknowledged = true;
        }
    }

    /// What was acknowledged and cannot be true if the key ended in this state.
    fn contradicts(&self, state: KeyState) -> Option<&'static str> {
        let (this, other, what) = match state {
            KeyState::Absent => return Some("the creation"),
            KeyState::Enabled => (&self.enabling, &self.disabling, "a DisableKey"),
            KeyState::Disabled => (&self.disabling, &self.enabling, "an EnableKey"),
        };
        // Nothing that leads to this state can have come after the other.
        (this.possible < other.certain).then_some(what)
    }
}

#[cfg(test)]
mod tests {
    use super::super::example::{done, history, lost, saw};
    use super::*;
    use crate::history::Kind::{Create, Describe, Disable, Enable};

    /// The violations if both nodes tell the same.
    fn violations(operations: &[Operation], end: KeyState) -> Vec<String> {
        check(&history(operations), &[told(0, end), told(1, end)], 2).violations
    }

    fn told(node: usize, state: KeyState) -> Operation {
        Operation { node, ..saw(Describe, 1000, 1001, state) }
    }

    #[test]
    fn the_last_acknowledged_mutation_is_visible() {
        assert!(violations(&[], KeyState::Enabled).is_empty());
        assert_eq!(violations(&[], KeyState::Disabled).len(), 2, "nobody disabled it");
        let disabled = [done(Disable, 10, 20)];
        assert!(violations(&disabled, KeyState::Disabled).is_empty());
        let lost = violations(&disabled, KeyState::Enabled);
        assert_eq!(lost[0], "node 0 has lost a DisableKey of key");
        let enabled = [done(Disable, 10, 20), done(Enable, 30, 40)];
        assert!(violations(&enabled, KeyState::Enabled).is_empty());
        assert_eq!(violations(&enabled, KeyState::Disabled).len(), 2);
        assert_eq!(violations(&[], KeyState::Absent)[0], "node 0 has lost the creation of key");
    }

    #[test]
    fn what_overlaps_or_is_unknown_may_have_been_last() {
        let overlapping = [done(Disable, 10, 30), done(Enable, 20, 40)];
        let unknown = [lost(Disable, 10), done(Enable, 20, 40)];
        for end in [KeyState::Enabled, KeyState::Disabled] {
            assert!(violations(&overlapping, end).is_empty());
            assert!(violations(&unknown, end).is_empty());
        }
    }

    #[test]
    fn every_node_tells_the_same() {
        let operations = history(&[lost(Disable, 10)]);
        let (enabled, disabled) = (told(0, KeyState::Enabled), told(1, KeyState::Disabled));
        assert_eq!(check(&operations, &[enabled.clone(), disabled], 2).violations.len(), 1);
        let silent = check(&operations, &[enabled], 2).violations;
        assert_eq!(silent[0], "node 1 tells nothing about key");
    }

    #[test]
    fn a_key_that_nobody_was_told_of_may_be_missing() {
        let verdict = check(&[lost(Create, 10)], &[], 2);
        assert_eq!(verdict, Verdict::default());
    }
}
