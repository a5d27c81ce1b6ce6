use fastrand::Rng;

use super::super::example::{done, history, lost, saw};
use super::*;
use crate::history::KeyState::{Absent, Disabled, Enabled};
use crate::history::Kind::{Create, Decrypt, Describe, Disable, Enable, Encrypt};

fn fits(operations: &[Operation]) -> bool {
    check(&history(operations)).violations.is_empty()
}

#[test]
fn what_happens_in_turn_is_told_as_it_was() {
    assert!(fits(&[
        done(Encrypt, 10, 11),
        saw(Describe, 12, 13, Enabled),
        done(Disable, 20, 21),
        saw(Encrypt, 30, 31, Disabled),
        saw(Describe, 32, 33, Disabled),
        done(Enable, 40, 41),
        done(Decrypt, 50, 51),
    ]));
    assert!(!fits(&[done(Disable, 10, 11), done(Decrypt, 12, 13)]), "stale use");
    assert!(!fits(&[done(Disable, 10, 11), saw(Describe, 12, 13, Enabled)]), "stale reading");
    assert!(!fits(&[saw(Encrypt, 10, 11, Disabled)]), "nobody disabled it");
    assert!(!fits(&[saw(Describe, 10, 11, Absent)]), "lost");
    assert!(!fits(&[done(Disable, 10, 11), done(Enable, 12, 13), saw(Encrypt, 14, 15, Disabled)]));
}

#[test]
fn nothing_is_seen_before_the_key_is_made() {
    assert!(check(&[saw(Describe, 1, 2, Absent), done(Create, 3, 4)]).violations.is_empty());
    assert!(!check(&[done(Encrypt, 1, 2), done(Create, 3, 4)]).violations.is_empty());
    assert!(!check(&[done(Create, 1, 2), done(Create, 3, 4)]).violations.is_empty(), "twice");
}

#[test]
fn what_overlaps_comes_in_either_order() {
    let toggles = [done(Disable, 10, 20), done(Enable, 15, 25)];
    for end in [Enabled, Disabled] {
        assert!(fits(&[&toggles[..], &[saw(Describe, 30, 31, end)]].concat()));
    }
    // One order for all that is seen.
    let seen = |first, second| {
        fits(
            &[&toggles[..], &[saw(Describe, 30, 31, first), saw(Describe, 32, 33, second)]]
                .concat(),
        )
    };
    assert!(seen(Enabled, Enabled));
    assert!(!seen(Enabled, Disabled));
}

#[test]
fn a_reading_is_not_older_than_another_that_ended_before_it() {
    let disabling = done(Disable, 10, 100);
    let seen = |first, second| {
        let (first, second) = (saw(Describe, 20, 21, first), saw(Describe, 30, 31, second));
        fits(&[disabling.clone(), first, second])
    };
    assert!(seen(Enabled, Disabled));
    assert!(!seen(Disabled, Enabled));
}

#[test]
fn what_is_carried_out_twice_is_found() {
    // The client sent its DisableKey again, and that was carried out again.
    assert!(!fits(&[
        done(Disable, 10, 50),
        saw(Describe, 20, 21, Disabled),
        done(Enable, 22, 23),
        saw(Describe, 24, 25, Enabled),
        saw(Describe, 60, 61, Disabled),
    ]));
}

#[test]
fn a_lost_operation_takes_effect_later_or_never_and_once() {
    let disabling = lost(Disable, 10);
    assert!(fits(&[disabling.clone(), done(Encrypt, 20, 21), saw(Encrypt, 30, 31, Disabled)]));
    assert!(fits(&[disabling.clone(), done(Encrypt, 20, 21), done(Encrypt, 30, 31)]));
    assert!(!fits(&[saw(Encrypt, 8, 9, Disabled), disabling.clone()]), "before it was sent");
    let mut twice = vec![
        disabling,
        saw(Describe, 20, 21, Disabled),
        done(Enable, 22, 23),
        saw(Describe, 24, 25, Disabled),
    ];
    assert!(!fits(&twice));
    twice.push(lost(Disable, 11));
    assert!(fits(&twice), "there were two");
}

#[test]
fn gives_up_where_too_much_is_under_way() {
    let all: Vec<_> = (0..=SLOTS as u64).map(|number| done(Enable, 10 + number, 1000)).collect();
    let verdict = check(&history(&all));
    assert!(verdict.violations[0].contains("not decided"), "{verdict:?}");
    assert!(fits(&all[..SLOTS]));
}

/// Every order there is, one after the other.
fn brute_force(operations: &[Operation], order: &mut Vec<usize>, state: KeyState) -> bool {
    let left = || (0..operations.len()).filter(|number| !order.contains(number));
    if left().all(|number| operations[number].told == Told::Nothing) {
        return true;
    }
    let candidates: Vec<_> = left()
        .filter(|next| left().all(|other| operations[other].latest() >= operations[*next].invoked))
        .collect();
    candidates.into_iter().any(|next| {
        let Some(state) = step(state, &operations[next]) else { return false };
        order.push(next);
        let found = brute_force(operations, order, state);
        order.pop();
        found
    })
}

fn random_operation(rng: &mut Rng) -> Operation {
    let kinds = [Enable, Disable, Enable, Disable, Encrypt, Describe, Create];
    let kind = kinds[rng.usize(..kinds.len())];
    let invoked = rng.u64(2..14);
    let returned = invoked + rng.u64(..6);
    let state = if rng.bool() { Enabled } else { Disabled };
    match kind {
        Describe => saw(kind, invoked, returned, state),
        Encrypt if rng.bool() => saw(kind, invoked, returned, Disabled),
        kind if kind.effect().is_some() && rng.u8(..3) == 0 => lost(kind, invoked),
        kind => done(kind, invoked, returned),
    }
}

#[test]
fn decides_as_trying_every_order_does() {
    let mut counts = [0, 0];
    for seed in 0..20_000 {
        let mut rng = Rng::with_seed(seed);
        let some: Vec<_> = (0..rng.usize(1..7)).map(|_| random_operation(&mut rng)).collect();
        let all = history(&some);
        let expected = brute_force(&all, &mut Vec::new(), Absent);
        let found = check(&all).violations.is_empty();
        assert_eq!(found, expected, "seed {seed}: {all:#?}");
        counts[usize::from(found)] += 1;
    }
    assert!(counts.iter().all(|count| *count > 2000), "both answers are common: {counts:?}");
}

/// What 16 clients are told by a key that takes effect at one moment within each operation.
fn true_history(rng: &mut Rng, operations: usize) -> Vec<Operation> {
    let mut clients = [100; 16];
    let (mut state, mut all) = (Enabled, Vec::new());
    for moment in (0..operations as u64).map(|number| 110 + number * 10) {
        let free: Vec<_> = (0..clients.len()).filter(|number| clients[*number] < moment).collect();
        let Some(client) = rng.choice(free) else { continue };
        let invoked = rng.u64(clients[client]..moment);
        let returned = moment + rng.u64(1..200);
        clients[client] = returned;
        let kind = [Enable, Disable, Encrypt, Decrypt, Describe][rng.usize(..5)];
        let is_lost = kind.effect().is_some() && rng.u8(..20) == 0;
        if !is_lost || rng.bool() {
            state = kind.effect().unwrap_or(state);
        }
        all.push(match kind {
            kind if is_lost => lost(kind, invoked),
            Encrypt | Decrypt if state == Enabled => done(kind, invoked, returned),
            Encrypt | Decrypt | Describe => saw(kind, invoked, returned, state),
            kind => done(kind, invoked, returned),
        });
    }
    history(&all)
}

#[test]
fn accepts_whatever_a_true_register_tells() {
    for seed in 0..10 {
        let history = true_history(&mut Rng::with_seed(seed), 500);
        let verdict = check(&history);
        assert_eq!(verdict.violations, Vec::<String>::new(), "seed {seed}");
    }
}
