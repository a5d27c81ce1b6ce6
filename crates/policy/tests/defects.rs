//! Each planted defect must show in the comparison with the naive evaluator.

mod support;

use keystead_policy::{Defect, plant};
use support::{Compiled, cases, naive};

const MOST_CASES: u64 = 1_000_000;

#[test]
fn every_planted_defect_is_found() {
    let mut hidden: Vec<Defect> = Defect::ALL.to_vec();
    let mut found = vec![];
    for seed in 0..MOST_CASES {
        if hidden.is_empty() {
            break;
        }
        let case = cases::case(seed);
        let expected = naive::answer(&case);
        hidden.retain(|defect| {
            // Some are in the parser.
            plant(Some(*defect));
            let differs = Compiled::new(&case).answer(&case) != expected;
            plant(None);
            if differs {
                found.push((seed, *defect));
            }
            !differs
        });
    }
    for (seed, defect) in &found {
        println!("{defect:?}: case {seed}");
    }
    assert!(hidden.is_empty(), "not found: {hidden:?}");
}
