//! Replicas agree: whatever way a state was reached, it is the same, byte for byte.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::actions::{Step, mixed_steps, steps};
use common::*;
use keystead_state::{Command, View};
use proptest::prelude::*;

type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

/// Commands before the region exists, its making, and what follows.
fn history() -> impl Strategy<Value = (Vec<Step>, Vec<Step>)> {
    (steps(4), mixed_steps(60))
}

/// Runs a history; between any two commands, `between` may do something to the replica.
fn run(
    (early, later): &(Vec<Step>, Vec<Step>),
    mut between: impl FnMut(usize, &mut Replica),
) -> Vec<Rows> {
    let mut replica = Replica::default();
    let mut rows = Rows::new();
    let mut seen = Vec::new();
    let birth = [initialise()]
        .into_iter()
        .chain(ACCOUNTS.into_iter().zip(ACCESS_KEYS).map(|(a, k)| create_account(a, k)));
    let commands = early
        .iter()
        .map(Planned::Step)
        .chain(birth.map(|operation| Planned::Command(Box::new(command(START, operation)))))
        .chain(later.iter().map(Planned::Step));
    for (at, planned) in commands.enumerate() {
        between(at, &mut replica);
        let command = match planned {
            Planned::Step(step) => step.command_for(&replica.view),
            Planned::Command(command) => *command,
        };
        replica.send(&command);
        write(&mut rows, &replica.changes);
        let all: Vec<_> = replica.view.rows().collect();
        assert!(all.is_sorted_by(|(a, _), (b, _)| a < b), "rows in order, each once");
        assert_eq!(rows, replica.rows(), "the changes make the rows");
        seen.push(rows.clone());
    }
    seen
}

enum Planned<'a> {
    Step(&'a Step),
    Command(Box<Command>),
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn a_replica_that_restarts_agrees_with_one_that_does_not(
        history in history(),
        restarts in proptest::collection::btree_set(0..80_usize, 1..4),
    ) {
        let steady = run(&history, |_, _| ());
        let restarted = run(&history, |at, replica| {
            if restarts.contains(&at) {
                replica.reload();
            }
        });
        assert_eq!(steady, restarted);
    }

    #[test]
    fn a_replica_that_opens_the_rows_of_an_earlier_version_agrees(
        history in history(),
        upgrades in proptest::collection::btree_set(0..68_usize, 1..4),
    ) {
        let steady = run(&history, |_, _| ());
        let upgraded = run(&history, |at, replica| {
            let remembered = replica.remembered();
            let ids: BTreeSet<_> = remembered.iter().map(|request| &request.request_id).collect();
            // An earlier version kept no forgotten request beside the same one that came later.
            if upgrades.contains(&at) && ids.len() == remembered.len() {
                let (mut rows, stored) = (replica.rows_with_single_requests(), replica.rows());
                let applied = replica.view.applied();
                let (view, changes) = View::from_stored_rows(rows.clone(), applied).unwrap();
                write(&mut rows, &changes);
                assert_eq!(rows, stored, "what is on disk is what the View is");
                replica.view = view;
            }
        });
        assert_eq!(steady, upgraded);
    }

    #[test]
    fn equal_states_have_equal_rows_whatever_order_built_them(
        numbers in Just((0..6_u8).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let mut straight = Replica::initialised();
        let mut shuffled = Replica::initialised();
        for number in 0..6 {
            straight.run(create_key(number));
        }
        for number in numbers {
            shuffled.run(create_key(number));
        }
        assert_eq!(straight.rows(), shuffled.rows());
    }
}

#[test]
fn a_refused_command_before_the_region_exists_leaves_no_trace() {
    let mut replica = Replica::default();
    let early = Command { request_id: request_id(1), ..command(START + DAY, tick()) };
    replica.send(&early);
    assert_eq!(replica.changes, []);
    assert_eq!(replica.view.clock().0, 0);
    assert_eq!(replica.view.applied(), 1);
    replica.send(&command(START, initialise()));
    assert_eq!(replica.view.clock().0, START);
    assert_eq!(replica.send(&early), done());
}
