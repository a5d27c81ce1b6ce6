//! Texts that may be policies: none makes the parser panic, and every policy that it accepts can
//! be evaluated, whoever asks.
//!
//! What begins like JSON is a policy. Anything else is four lines, from which one is made: an
//! element or an operator, a key, a value for it, and what the request has for the key.
#![no_main]

use keystead_policy::{
    Attached, Caller, Context, Document, Kind, Policies, PolicyError, Query, Verdict,
    can_put_key_policy, decide, explain,
};
use keystead_types::AccountId;
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};

const KEY: &str = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";

fuzz_target!(|data: &[u8]| {
    let Ok(text) = str::from_utf8(data) else { return };
    match text.as_bytes().first() {
        Some(b'{' | b'[' | b'"' | b' ' | b'\n') => read(text, &[Context::new(), words_of(text)]),
        _ => {
            let mut lines = text.splitn(4, '\n');
            let mut line = || lines.next().unwrap_or_default();
            let (element, key, value, given) = (line(), line(), line(), line());
            let mut context = Context::new();
            context.add(key, given);
            context.add("aws:username", given);
            let contexts = [Context::new(), context];
            for principal in [true, false] {
                read(&policy_of(principal, element, key, value).to_string(), &contexts);
            }
        }
    }
});

/// A policy that is right but for this value.
fn policy_of(principal: bool, element: &str, key: &str, value: &str) -> Value {
    let mut statement = json!({"Effect": "Allow", "Action": "kms:*", "Resource": "*"});
    if principal {
        statement["Principal"] = json!("*");
    }
    match element {
        "Action" | "Resource" => statement[element] = json!([value]),
        "Principal" if principal => statement[element] = json!({ key: value }),
        operator => statement["Condition"] = json!({ operator: { key: value } }),
    }
    json!({"Version": "2012-10-17", "Statement": statement})
}

fn read(text: &str, contexts: &[Context]) {
    for kind in [Kind::Key, Kind::Identity, Kind::Trust] {
        match Document::parse(kind, text) {
            Ok(document) => accepted(kind, text, &document, contexts),
            Err(error) => refused(&error),
        }
    }
}

/// Errors show the culprit, never all of it.
fn refused(error: &PolicyError) {
    let text = error.to_string();
    assert!(text.len() < 8192, "{} bytes: {text}", text.len());
}

fn accepted(kind: Kind, text: &str, document: &Document, contexts: &[Context]) {
    assert!(serde_json::from_str::<Value>(text).is_ok(), "not JSON: {text}");
    assert_eq!(document.kind(), kind);
    assert_eq!(document.clone().bound(|_| None), *document);
    for caller in callers() {
        for context in contexts {
            evaluated(document, &caller, context);
        }
    }
}

fn callers() -> [Caller; 5] {
    let account = account();
    [
        Caller::root(account),
        Caller::user(account, "alice").with_unique_id("AIDAEXAMPLEUSER00001"),
        Caller::session(account, "app", "one"),
        Caller::service("logs.amazonaws.com"),
        Caller::anonymous(),
    ]
}

fn account() -> AccountId {
    "111122223333".parse().expect("twelve digits")
}

/// Values that come from the text meet their patterns.
fn words_of(text: &str) -> Context {
    let mut context = Context::new();
    let words = text.split('"').filter(|word| (1..64).contains(&word.len()));
    for (word, next) in words.clone().zip(words.skip(2)).take(64) {
        if word.contains(':') {
            context.add(word, next);
        }
    }
    context.add("aws:username", "alice");
    context
}

fn evaluated(document: &Document, caller: &Caller, context: &Context) {
    let attached = [Attached { name: "p", document }];
    let policies = match document.kind() {
        Kind::Key | Kind::Trust => Policies { key: Some(document), ..Policies::default() },
        Kind::Identity => Policies { identity: &attached, ..Policies::default() },
    };
    for (action, resource) in [("kms:Decrypt", KEY), ("kms:CreateKey", "*")] {
        let query =
            Query { caller, action, resource, owner: account(), context, encryption_context: &[] };
        let verdict = decide(&query, &policies);
        assert_eq!(explain(&query, &policies).0, verdict);
        can_put_key_policy(&query, &policies);
        // A policy limits itself as a boundary: it allows no more than without one.
        if document.kind() == Kind::Identity {
            let bounded = Policies { boundary: Some(attached[0]), ..policies };
            let limited = decide(&query, &bounded);
            let root_or_same = caller.is_root() || verdict == limited;
            assert!(root_or_same || matches!(limited, Verdict::ExplicitDeny(_)), "{limited:?}");
        }
    }
}
