//! Whether some order of each key's operations explains everything that was told about the key.
//!
//! This is the search of Wing and Gong with Lowe's memo. Each key is a register of its own, so a
//! history is linearizable if it is for every key. The search follows the invocations and returns
//! in the order of time. Instead of one order after the other it keeps all *configurations* that
//! any order leads to: the key's state, and which of the operations under way are in the order
//! already. Equal ones are kept once.
//!
//! - An operation enters the order no sooner than something's return asks for it.
//! - A reading enters as soon as it fits: it changes nothing, so that nothing is lost by it.
//! - An operation of which nothing was told never returns: it may enter at any later time, or
//!   never.

use std::collections::{BTreeMap, HashSet};

use super::Verdict;
use crate::history::{KeyState, Kind, Operation, Told};

/// Configurations beyond which the search gives up.
const MOST: usize = 1 << 20;
/// Operations under way at a time at most: the bits of [`Configuration::placed`].
const SLOTS: usize = 128;
/// Completed operations that are shown with a violation.
const SHOWN: usize = 8;

/// Searches an order for each key.
pub fn check(history: &[Operation]) -> Verdict {
    let mut keys = BTreeMap::<&str, Vec<&Operation>>::new();
    for operation in history {
        // What changes nothing and tells nothing can be anywhere.
        if operation.kind.effect().is_some() || operation.told != Told::Nothing {
            keys.entry(&operation.key).or_default().push(operation);
        }
    }
    let mut verdict = Verdict::default();
    for (key, operations) in keys {
        let explained = explain(&operations);
        verdict.judged += 1;
        verdict.violations.extend(explained.err().map(|why| format!("{key}: {why}")));
    }
    verdict
}

/// The state that an operation with what it told leaves a key in; none if it does not fit.
fn step(state: KeyState, operation: &Operation) -> Option<KeyState> {
    match (operation.told, operation.kind) {
        (Told::State(told), _) => (told == state).then_some(state),
        (_, Kind::Create) => (state == KeyState::Absent).then_some(KeyState::Enabled),
        (_, Kind::Enable) => (state != KeyState::Absent).then_some(KeyState::Enabled),
        (_, Kind::Disable) => (state != KeyState::Absent).then_some(KeyState::Disabled),
        (_, Kind::Encrypt | Kind::Decrypt) => (state == KeyState::Enabled).then_some(state),
        (_, Kind::Describe) => Some(state),
    }
}

/// Searches an order for the operations of one key.
fn explain(operations: &[&Operation]) -> Result<(), String> {
    let mut events = Vec::new();
    for (number, operation) in operations.iter().enumerate() {
        events.push((operation.invoked, false, number));
        if operation.told != Told::Nothing {
            events.push((operation.returned, true, number));
        }
    }
    // At one moment, invocations come first: then the operations overlap, and more is allowed.
    events.sort_unstable();
    let mut search = Search::new();
    let mut slots = vec![0; operations.len()];
    for (_, is_return, number) in events {
        if is_return {
            search.complete(slots[number])?;
        } else {
            slots[number] = search.begin(operations[number])?;
        }
    }
    Ok(())
}

/// Where an order of the operations so far can have led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Configuration {
    state: KeyState,
    /// A bit for each operation under way that is in the order.
    placed: u128,
}

impl Configuration {
    fn has(self, slot: usize) -> bool {
        self.placed & bit(slot) != 0
    }

    fn with(self, slot: usize, state: KeyState) -> Self {
        Self { state, placed: self.placed | bit(slot) }
    }

    fn without(self, slot: usize) -> Self {
        Self { placed: self.placed & !bit(slot), ..self }
    }
}

fn bit(slot: usize) -> u128 {
    1 << slot
}

struct Search<'a> {
    /// The operations under way.
    open: Vec<Option<&'a Operation>>,
    configurations: HashSet<Configuration>,
    last: Vec<&'a Operation>,
}

impl<'a> Search<'a> {
    fn new() -> Self {
        let start = Configuration { state: KeyState::Absent, placed: 0 };
        Self { open: Vec::new(), configurations: HashSet::from([start]), last: Vec::new() }
    }

    /// An operation is under way; what comes back is its slot.
    fn begin(&mut self, operation: &'a Operation) -> Result<usize, String> {
        let free = self.open.iter().position(Option::is_none).unwrap_or(self.open.len());
        if free == SLOTS {
            return Err(format!("not decided: more than {SLOTS} operations are under way"));
        }
        self.open.resize(self.open.len().max(free + 1), None);
        self.open[free] = Some(operation);
        if operation.kind.effect().is_none() {
            let known = std::mem::take(&mut self.configurations);
            self.configurations =
                known.into_iter().map(|known| self.with_readings(known)).collect();
        }
        Ok(free)
    }

    /// An operation has returned: only configurations that have it in their order remain.
    fn complete(&mut self, slot: usize) -> Result<(), String> {
        let mut todo: Vec<_> = self.configurations.drain().collect();
        let (mut seen, mut remaining) = (HashSet::new(), HashSet::new());
        while let Some(configuration) = todo.pop() {
            if configuration.has(slot) {
                remaining.insert(configuration.without(slot));
            } else if seen.insert(configuration) {
                self.extend(configuration, &mut todo);
            }
            if seen.len() > MOST {
                return Err("not decided: there are too many orders".into());
            }
        }
        let operation = self.open[slot].take();
        self.configurations = remaining;
        match operation {
            Some(operation) if self.configurations.is_empty() => Err(self.unexplained(operation)),
            operation => {
                self.last.extend(operation);
                Ok(())
            }
        }
    }

    /// Adds every configuration in which one more mutation is in the order. Of those that do the
    /// same each may stand for the other, so that only the one that is due first is tried.
    fn extend(&self, configuration: Configuration, to: &mut Vec<Configuration>) {
        let does = |operation: &Operation| (operation.kind, operation.possible_effect());
        let mut next = Vec::<(usize, &Operation)>::new();
        for (slot, operation) in self.under_way() {
            if operation.kind.effect().is_none() || configuration.has(slot) {
                continue;
            }
            match next.iter_mut().find(|(_, other)| does(other) == does(operation)) {
                None => next.push((slot, operation)),
                Some(twin) if operation.latest() < twin.1.latest() => *twin = (slot, operation),
                Some(_) => {}
            }
        }
        for (slot, operation) in next {
            if let Some(state) = step(configuration.state, operation) {
                to.push(self.with_readings(configuration.with(slot, state)));
            }
        }
    }

    /// The same configuration with every reading in the order that fits.
    fn with_readings(&self, configuration: Configuration) -> Configuration {
        let fitting = self.under_way().filter(|(_, operation)| {
            operation.kind.effect().is_none() && step(configuration.state, operation).is_some()
        });
        fitting.fold(configuration, |so_far, (slot, _)| so_far.with(slot, configuration.state))
    }

    fn under_way(&self) -> impl Iterator<Item = (usize, &'a Operation)> {
        let slots = self.open.iter().enumerate();
        slots.filter_map(|(slot, operation)| operation.map(|operation| (slot, operation)))
    }

    fn unexplained(&self, operation: &Operation) -> String {
        let before = self.last.iter().rev().take(SHOWN).rev().map(|before| format!("\n  {before}"));
        let under_way = self.under_way().map(|(_, other)| format!("\n  {other}"));
        format!(
            "no order explains {operation}; completed before:{}\nunder way:{}",
            before.collect::<String>(),
            under_way.collect::<String>(),
        )
    }
}

#[cfg(test)]
mod tests;
