//! The evaluator against the naive one, on random cases.
//! `KEYSTEAD_POLICY_CASES` sets how many, `KEYSTEAD_POLICY_SEED` where to start.

mod support;

use std::collections::HashMap;

use support::{Answer, Compiled, cases, naive};

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

#[test]
fn both_evaluators_agree() {
    let count = setting("KEYSTEAD_POLICY_CASES", 200_000);
    let first = setting("KEYSTEAD_POLICY_SEED", 0);
    let mut answers: HashMap<Answer, u64> = HashMap::new();
    for seed in first..first + count {
        let case = cases::case(seed);
        let expected = naive::answer(&case);
        let got = Compiled::new(&case).answer(&case);
        assert_eq!(got, expected, "seed {seed}: {case:#?}");
        *answers.entry(got).or_default() += 1;
    }
    println!("{answers:?}");
    // Cases that mostly come out the same way would tell little.
    for answer in [Answer::Allow, Answer::ExplicitDeny, Answer::ImplicitDeny] {
        assert!(answers[&answer] * 10 > count, "{answers:?}");
    }
}
