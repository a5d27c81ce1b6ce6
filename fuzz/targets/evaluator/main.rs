//! Decisions about requests, policies and grants of all kinds: both evaluators agree, and what
//! must hold of every decision holds.
#![no_main]
#![allow(clippy::unwrap_used, reason = "a panic is what the fuzzer looks for")]

mod stir;
#[path = "../../../crates/policy/tests/support/mod.rs"]
mod support;

use keystead_policy::{
    By, Document, Effect, Grant, Kind, Policies, Verdict, decide, explain, may_retire,
};
use libfuzzer_sys::arbitrary::Unstructured;
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};
use support::cases::{self, Draw};
use support::{Answer, Case, Compiled, naive};

/// Choices out of the fuzzer's bytes; when they are used up, always the first.
struct Bytes<'a>(Unstructured<'a>);

impl Draw for Bytes<'_> {
    fn below(&mut self, count: usize) -> usize {
        self.0.int_in_range(0..=count - 1).unwrap_or(0)
    }
}

fuzz_target!(|data: &[u8]| {
    let mut bytes = Bytes(Unstructured::new(data));
    let mut case = cases::drawn(&mut bytes);
    stir::texts(&mut case, &mut bytes);
    if !all_are_policies(&case) {
        return;
    }
    let answer = answer(&case);
    assert_eq!(answer, naive::answer(&case), "{case:#?}");
    explained(&case);
    order_does_not_matter(&case, answer, &mut bytes);
    nothing_beats_a_deny(&case, &mut bytes);
    limits_only_limit(&case, answer);
    context_matters_where_it_is_asked_for(&case, answer);
    grants_allow_their_operations_alone(&case);
    only_who_is_meant_retires(&case);
    grants_include_what_they_include(&mut case);
});

fn answer(case: &Case) -> Answer {
    Compiled::new(case).answer(case)
}

fn identity_policies(case: &Case) -> impl Iterator<Item = &Value> {
    case.identity.iter().chain(&case.boundary).chain(&case.session)
}

/// Texts that were stirred may not be.
fn all_are_policies(case: &Case) -> bool {
    let is = |kind| move |json: &Value| Document::parse(kind, &json.to_string()).is_ok();
    case.key.iter().all(is(Kind::Key)) && identity_policies(case).all(is(Kind::Identity))
}

/// The explanation is of the decision, looks at everything, and shows who denies.
fn explained(case: &Case) {
    let statements = |json: &Value| json["Statement"].as_array().map_or(1, Vec::len);
    let all = case.key.iter().chain(identity_policies(case)).map(statements).sum::<usize>();
    Compiled::new(case).with(case, |query, policies| {
        let (verdict, steps) = explain(query, policies);
        assert_eq!(verdict, decide(query, policies), "{case:#?}");
        assert_eq!(steps.len(), all + case.grants.len(), "{case:#?}");
        let denied = steps.iter().any(|step| step.effect == Effect::Deny && step.miss.is_none());
        assert_eq!(denied, matches!(verdict, Verdict::ExplicitDeny(_)), "{case:#?}");
    });
}

/// All policies of a case, with whether they are a key's.
fn policies(case: &mut Case) -> Vec<(bool, &mut Value)> {
    let others = case.identity.iter_mut().chain(&mut case.boundary).chain(&mut case.session);
    let others = others.map(|json| (false, json));
    case.key.iter_mut().map(|json| (true, json)).chain(others).collect()
}

/// The statements of a policy, as a list.
fn statements(policy: &mut Value) -> &mut Vec<Value> {
    let element = &mut policy["Statement"];
    if !element.is_array() {
        *element = json!([element.take()]);
    }
    element.as_array_mut().unwrap()
}

fn order_does_not_matter(case: &Case, expected: Answer, bytes: &mut Bytes<'_>) {
    let mut other = case.clone();
    for (_, policy) in policies(&mut other) {
        let statements = statements(policy);
        statements.reverse();
        let by = bytes.below(statements.len());
        statements.rotate_left(by);
    }
    other.identity.reverse();
    other.session.reverse();
    other.grants.reverse();
    assert_eq!(answer(&other), expected, "{case:#?}\n{other:#?}");
}

fn nothing_beats_a_deny(case: &Case, bytes: &mut Bytes<'_>) {
    let mut denied = case.clone();
    let mut all = policies(&mut denied);
    if all.is_empty() {
        return;
    }
    let at = bytes.below(all.len());
    let (is_key, policy) = all.swap_remove(at);
    let mut deny = json!({"Effect": "Deny", "Action": "*", "Resource": "*"});
    if is_key {
        deny["Principal"] = json!("*");
    }
    statements(policy).push(deny);
    assert_eq!(answer(&denied), Answer::ExplicitDeny, "{denied:#?}");
}

/// Boundaries and session policies give nothing.
fn limits_only_limit(case: &Case, with: Answer) {
    let mut free = case.clone();
    free.boundary = None;
    free.session.clear();
    assert!(with != Answer::Allow || answer(&free) == Answer::Allow, "{case:#?}");
}

/// Policies that say they need no context decide the same without one.
fn context_matters_where_it_is_asked_for(case: &Case, expected: Answer) {
    let needs = |kind, json: &Value| support::parse(kind, json).needs_context();
    let asked = case.key.iter().any(|json| needs(Kind::Key, json))
        || identity_policies(case).any(|json| needs(Kind::Identity, json))
        || case.grants.iter().any(|grant| grant.source_arn.is_some());
    if !asked {
        let bare = Case { context: vec![], ..case.clone() };
        assert_eq!(answer(&bare), expected, "{case:#?}");
    }
}

/// The case with a key policy that is about somebody else, and nothing but grants.
fn with_grants_alone(case: &Case) -> Case {
    let elsewhere = json!({"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*",
        "Principal": {"AWS": "999999999999"}}});
    let (identity, session) = (vec![], vec![]);
    Case { key: Some(elsewhere), identity, boundary: None, session, ..case.clone() }
}

fn grants_allow_their_operations_alone(case: &Case) {
    let case = with_grants_alone(case);
    Compiled::new(&case).with(&case, |query, policies| {
        if let Verdict::Allow { by, .. } = decide(query, policies) {
            assert_eq!(by, By::Grant("g"), "{case:#?}");
            let operation = query.action.strip_prefix("kms:").unwrap();
            let mut grants = policies.grants.iter();
            assert!(grants.any(|grant| grant.operations.contains(&operation)), "{case:#?}");
        }
    });
}

/// Key policies have no say in who ends a grant, and of strangers only those whom it lets.
fn only_who_is_meant_retires(case: &Case) {
    Compiled::new(case).with(case, |query, policies| {
        for grant in policies.grants {
            let retire = |policies: &Policies<'_>, issuer| {
                may_retire(query, policies, grant, None, issuer).is_allow()
            };
            let (owner, stranger) = (query.owner, "999999999999".parse().unwrap());
            let bare = Policies { key: None, grants: &[], ..*policies };
            assert_eq!(retire(policies, owner), retire(&bare, owner), "{case:#?}");
            let lets = grant.operations.contains(&"RetireGrant");
            assert!(lets || !retire(policies, stranger), "{case:#?}");
        }
    });
}

/// Who may make a grant from a grant gets nothing by it.
fn grants_include_what_they_include(case: &mut Case) {
    // The same key twice does not come over the wire.
    let unique = |pairs: &mut Vec<(&str, &str)>| {
        pairs.sort_unstable();
        pairs.dedup_by_key(|(key, _)| *key);
    };
    unique(&mut case.encryption_context);
    for grant in &mut case.grants {
        grant.equals.as_mut().map(unique);
        grant.subset.as_mut().map(unique);
    }
    let mut case = with_grants_alone(case);
    if let [parent, child] = case.grants.as_mut_slice() {
        child.grantee.clone_from(&parent.grantee);
        Compiled::new(&case).with(&case, |query, policies| {
            let allows = |grant: &Grant<'_>| {
                let grants = [*grant];
                decide(query, &Policies { grants: &grants, ..*policies }).is_allow()
            };
            let [parent, child] = policies.grants else { unreachable!() };
            let escalates = parent.includes(child) && allows(child) && !allows(parent);
            assert!(!escalates, "{case:#?}");
        });
    }
}
