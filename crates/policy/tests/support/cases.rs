//! Random cases from small pools, so that everything meets everything else often.

use fastrand::Rng;
use serde_json::{Map, Value, json};

use super::{Case, GivenGrant, Who};

const HOME: &str = "111122223333";
const AWAY: &str = "444455556666";
const ACCOUNTS: [&str; 2] = [HOME, AWAY];
const NAMES: [&str; 2] = ["alice", "team/bob"];
const ROLES: [&str; 2] = ["app", "path/ops"];
const SESSIONS: [&str; 2] = ["one", "two"];
const SERVICES: [&str; 2] = ["logs.amazonaws.com", "s3.amazonaws.com"];
const PROVIDERS: [&str; 2] = ["accounts.google.com", "accounts.google.com.evil.com"];
const USER_ID: &str = "AIDAEXAMPLEUSER00001";
const ROLE_ID: &str = "AROAEXAMPLEROLE00001";

const ACTIONS: [&str; 6] = [
    "kms:Encrypt",
    "kms:Decrypt",
    "kms:ReEncryptFrom",
    "kms:DescribeKey",
    "kms:RetireGrant",
    "kms:PutKeyPolicy",
];
const ACTION_PATTERNS: [&str; 11] = [
    "kms:*",
    "*",
    "kms:Encrypt",
    "kms:encrypt",
    "KMS:Decrypt",
    "kms:ReEncrypt*",
    "kms:De*",
    "kms:?ecrypt",
    "s3:*",
    "kms:*crypt",
    "kms:DescribeKey",
];
const TRUST_ACTIONS: [&str; 3] =
    ["sts:AssumeRole", "sts:AssumeRoleWithWebIdentity", "sts:TagSession"];
const TRUST_PATTERNS: [&str; 6] =
    ["*", "sts:*", "sts:AssumeRole", "STS:assumerole", "sts:TagSession", "sts:Assume*Identity"];
const ROLE: &str = "arn:aws:iam::111122223333:role/app";
const RESOURCES: [&str; 5] = [
    "arn:aws:kms:us-east-1:111122223333:key/1234",
    "arn:aws:kms:us-east-1:111122223333:key/alice",
    "arn:aws:kms:us-east-1:111122223333:key/*",
    "arn:aws:kms:us-east-1:111122223333:alias/a:b",
    "*",
];
const RESOURCE_PATTERNS: [&str; 13] = [
    "*",
    "*",
    "*",
    "arn:aws:kms:us-east-1:111122223333:key/1234",
    "arn:aws:kms:*:111122223333:key/*",
    "arn:aws:kms:us-east-?:111122223333:key/12*",
    "arn:aws:kms",
    "arn:aws:kms:*",
    "arn:aws:kms:us-east-1:111122223333:key/${aws:username}",
    "arn:aws:kms:us-east-1:111122223333:${aws:PrincipalTag/team, 'alias'}*",
    "arn:aws:kms:us-east-1:111122223333:key/${*}",
    "arn:aws:s3:::bucket/*",
    "arn:aws:kms:us-*:b",
];

const TEXT_KEYS: [&str; 8] = [
    "aws:username",
    "aws:PrincipalTag/team",
    "kms:EncryptionContext:App",
    "kms:ViaService",
    "kms:ExpirationModel",
    "kms:EncryptionContextKeys",
    "kms:GrantOperations",
    "aws:TagKeys",
];
const TEXTS: [&str; 14] = [
    "a",
    "A",
    "ab",
    "a*",
    "*",
    "?",
    "a?b",
    "${aws:username}",
    "${aws:PrincipalTag/team, 'dflt'}",
    "${*}",
    "x",
    "${kms:ViaService}",
    "a${?}",
    "\u{e4}",
];
const GIVEN_TEXTS: [&str; 12] =
    ["a", "A", "ab", "a*", "x", "", "dflt", "*", "alice", "b:c", "\u{e4}", "\u{c4}"];
const NUMBERS: [&str; 6] = ["1", "2", "2.5", "10", "-1", "01"];
const DATES: [&str; 6] = [
    "2026-01-01",
    "2026-01-01T00:00:00Z",
    "1767225600",
    "2026-06-01T12:00:00+02:00",
    "2026-06-01T10:00:00Z",
    "2024-02-29",
];
const BOOLS: [&str; 4] = ["true", "false", "TRUE", "False"];
const BINARIES: [&str; 3] = ["QUJD", "qujd", "QQ=="];
const NETWORKS: [&str; 7] =
    ["10.0.0.0/8", "10.1.2.3", "2001:db8::/32", "::1", "0.0.0.0/0", "10.1.2.3/31", "2001:db8::5"];
const ADDRESSES: [&str; 7] =
    ["10.1.2.3", "10.1.2.2", "11.0.0.1", "2001:db8::5", "::1", "junk", "::ffff:10.1.2.3"];
const ARNS: [&str; 8] = [
    "arn:aws:iam::111122223333:user/*",
    "arn:aws:iam::*:role/app",
    "*",
    "arn:*:iam::111122223333:user/${aws:username}",
    "arn:aws:s3:::bucket?",
    "arn:aws:s3:::*",
    "arn:aws:iam::111122223333:user/b:c",
    "arn:aws:sns:*:1:t",
];
const GIVEN_ARNS: [&str; 8] = [
    "arn:aws:iam::111122223333:user/alice",
    "arn:aws:iam::111122223333:user/b:c",
    "arn:aws:iam::444455556666:role/app",
    "arn:aws:s3:::bucket1",
    "arn:aws:s3:::bucket?",
    "arn:aws:sns:us:1:t",
    "arn:aws:sns:us:x:1:t",
    "junk",
];

/// Where the choices come from.
pub trait Draw {
    /// One of as many numbers, from zero.
    fn below(&mut self, count: usize) -> usize;
}

impl Draw for Rng {
    fn below(&mut self, count: usize) -> usize {
        self.usize(..count)
    }
}

fn pick<T: Copy>(rng: &mut dyn Draw, pool: &[T]) -> T {
    pool[rng.below(pool.len())]
}

fn chance(rng: &mut dyn Draw, percent: usize) -> bool {
    rng.below(100) < percent
}

/// Half of the time what matches most, so that the rest of a statement comes to bear.
fn often(rng: &mut dyn Draw, likely: &'static str, pool: &[&'static str]) -> &'static str {
    if chance(rng, 50) { likely } else { pick(rng, pool) }
}

/// A case made of the bits of a seed.
pub fn case(seed: u64) -> Case {
    drawn(&mut Rng::with_seed(seed))
}

/// A case of what is drawn.
pub fn drawn(rng: &mut dyn Draw) -> Case {
    let who = who(rng);
    let unique_id = match who {
        Who::User(..) => Some(USER_ID),
        Who::Role(..) | Who::Session(..) => Some(ROLE_ID),
        _ => None,
    };
    let trust = chance(rng, 15);
    let (own, of_resource) = (Of { resource: false, trust }, Of { resource: true, trust });
    let identities = |rng: &mut dyn Draw, most: usize| {
        let count = rng.below(most + 1);
        (0..count).map(|_| document(rng, own)).collect::<Vec<_>>()
    };
    Case {
        unique_id: unique_id.filter(|_| chance(rng, 50)),
        action: if trust { pick(rng, &TRUST_ACTIONS) } else { pick(rng, &ACTIONS) },
        resource: if trust { ROLE } else { pick(rng, &RESOURCES) },
        trust,
        owner: if chance(rng, 85) { HOME } else { AWAY },
        context: context(rng),
        encryption_context: pairs(rng),
        key: (trust || chance(rng, 90)).then(|| document(rng, of_resource)),
        identity: identities(rng, 2),
        boundary: chance(rng, 25).then(|| document(rng, own)),
        session: if chance(rng, 25) { identities(rng, 2) } else { vec![] },
        grants: (0..rng.below(3)).map(|_| grant(rng)).collect(),
        who,
    }
}

fn who(rng: &mut dyn Draw) -> Who {
    let account = if chance(rng, 75) { HOME } else { AWAY };
    match rng.below(16) {
        0 | 1 => Who::Root(account),
        2..=6 => Who::User(account, pick(rng, &NAMES)),
        7 => Who::Role(account, pick(rng, &ROLES)),
        8..=12 => Who::Session(account, pick(rng, &ROLES), pick(rng, &SESSIONS)),
        13 => Who::Service(pick(rng, &SERVICES)),
        14 => Who::Provider(pick(rng, &PROVIDERS)),
        _ => Who::Nobody,
    }
}

fn pairs(rng: &mut dyn Draw) -> Vec<(&'static str, &'static str)> {
    let pool = [("App", "a"), ("app", "a"), ("App", "b"), ("Tier", "x")];
    (0..rng.below(3)).map(|_| pick(rng, &pool)).collect()
}

fn grant(rng: &mut dyn Draw) -> GivenGrant {
    let pool = ["Encrypt", "Decrypt", "ReEncryptFrom", "DescribeKey", "RetireGrant"];
    let account = if chance(rng, 75) { HOME } else { AWAY };
    let grantee = match rng.below(10) {
        0..=6 => aws_principal(rng, account),
        7 => account.to_owned(),
        _ => pick(rng, &SERVICES).to_owned(),
    };
    GivenGrant {
        grantee: if grantee == "*" { account.to_owned() } else { grantee },
        operations: (0..=rng.below(3)).map(|_| pick(rng, &pool)).collect(),
        equals: chance(rng, 30).then(|| pairs(rng)),
        subset: chance(rng, 30).then(|| pairs(rng)),
        source_arn: chance(rng, 25).then(|| pick(rng, &GIVEN_ARNS[3..5])),
    }
}

fn aws_principal(rng: &mut dyn Draw, account: &str) -> String {
    match rng.below(12) {
        0 => "*".to_owned(),
        1 => account.to_owned(),
        2 | 3 => format!("arn:aws:iam::{account}:root"),
        4 | 5 => format!("arn:aws:iam::{account}:user/{}", pick(rng, &NAMES)),
        6 | 7 => format!("arn:aws:iam::{account}:role/{}", pick(rng, &ROLES)),
        8 | 9 => {
            let role = pick(rng, &["app", "ops"]);
            format!("arn:aws:sts::{account}:assumed-role/{role}/{}", pick(rng, &SESSIONS))
        }
        10 => USER_ID.to_owned(),
        _ => ROLE_ID.to_owned(),
    }
}

/// One value alone, or several in a list.
fn one_or_many(rng: &mut dyn Draw, most: usize, make: impl Fn(&mut dyn Draw) -> Value) -> Value {
    if chance(rng, 50) {
        return make(rng);
    }
    let count = 1 + rng.below(most);
    Value::Array((0..count).map(|_| make(rng)).collect())
}

fn principal(rng: &mut dyn Draw) -> Value {
    if chance(rng, 15) {
        return json!("*");
    }
    let mut element = Map::new();
    if chance(rng, 85) {
        let make = |rng: &mut dyn Draw| {
            let account = if chance(rng, 75) { HOME } else { pick(rng, &ACCOUNTS) };
            json!(aws_principal(rng, account))
        };
        element.insert("AWS".to_owned(), one_or_many(rng, 5, make));
    }
    if element.is_empty() || chance(rng, 15) {
        let service = one_or_many(rng, 2, |rng| json!(pick(rng, &SERVICES)));
        element.insert("Service".to_owned(), service);
    }
    if chance(rng, 10) {
        let provider = one_or_many(rng, 2, |rng| json!(pick(rng, &PROVIDERS)));
        element.insert("Federated".to_owned(), provider);
    }
    Value::Object(element)
}

/// Those for whom a NotPrincipal makes sense: often all faces of one caller.
fn not_principal(rng: &mut dyn Draw) -> Value {
    if chance(rng, 30) {
        return principal(rng);
    }
    json!({"AWS": [
        HOME,
        format!("arn:aws:iam::{HOME}:user/alice"),
        format!("arn:aws:iam::{HOME}:role/app"),
        format!("arn:aws:sts::{HOME}:assumed-role/app/{}", pick(rng, &SESSIONS)),
    ]})
}

/// What a document belongs to.
#[derive(Clone, Copy)]
struct Of {
    /// The resource, whose policy names principals.
    resource: bool,
    /// The question is about a role.
    trust: bool,
}

fn document(rng: &mut dyn Draw, of: Of) -> Value {
    let mut document = Map::new();
    match rng.below(10) {
        0 => {}
        1 => {
            document.insert("Version".to_owned(), json!("2008-10-17"));
        }
        _ => {
            document.insert("Version".to_owned(), json!("2012-10-17"));
        }
    }
    let statements = one_or_many(rng, 3, |rng| statement(rng, of));
    document.insert("Statement".to_owned(), statements);
    Value::Object(document)
}

fn statement(rng: &mut dyn Draw, of: Of) -> Value {
    let key = of.resource;
    let mut statement = Map::new();
    let mut put = |name: &str, value| {
        statement.insert(name.to_owned(), value);
    };
    let deny = chance(rng, 15);
    put("Effect", json!(if deny { "Deny" } else { "Allow" }));
    if key && deny && chance(rng, 30) {
        put("NotPrincipal", not_principal(rng));
    } else if key {
        put("Principal", principal(rng));
    }
    if of.trust {
        put("Action", one_or_many(rng, 3, |rng| json!(often(rng, "sts:*", &TRUST_PATTERNS))));
    } else if !key || chance(rng, 95) {
        let name = if chance(rng, 88) { "Action" } else { "NotAction" };
        put(name, one_or_many(rng, 3, |rng| json!(often(rng, "kms:*", &ACTION_PATTERNS))));
    }
    if !key || (!of.trust && chance(rng, 95)) {
        let name = if chance(rng, 88) { "Resource" } else { "NotResource" };
        put(name, one_or_many(rng, 3, |rng| json!(often(rng, "*", &RESOURCE_PATTERNS))));
    }
    if chance(rng, 35) {
        put("Condition", conditions(rng));
    }
    Value::Object(statement)
}

fn conditions(rng: &mut dyn Draw) -> Value {
    let mut operators = Map::new();
    for _ in 0..=rng.below(2) {
        let (operator, key, values) = condition(rng);
        let block = operators.entry(operator).or_insert_with(|| json!({}));
        block.as_object_mut().unwrap().insert(key, values);
    }
    Value::Object(operators)
}

fn condition(rng: &mut dyn Draw) -> (String, String, Value) {
    let not = if chance(rng, 35) { "Not" } else { "" };
    let order =
        pick(rng, &["Equals", "LessThan", "LessThanEquals", "GreaterThan", "GreaterThanEquals"]);
    let order = if chance(rng, 15) { "NotEquals" } else { order };
    let (operator, keys, pool): (String, &[&str], &[&str]) = match rng.below(14) {
        0 | 1 => (format!("String{not}Equals"), &TEXT_KEYS, &TEXTS),
        2 => (format!("String{not}EqualsIgnoreCase"), &TEXT_KEYS, &TEXTS),
        3 | 4 => (format!("String{not}Like"), &TEXT_KEYS, &TEXTS),
        5 => (format!("Numeric{order}"), &["kms:RotationPeriodInDays"], &NUMBERS),
        6 => (format!("Date{order}"), &["aws:CurrentTime"], &DATES),
        7 => ("Bool".to_owned(), &["aws:SecureTransport"], &BOOLS),
        8 => ("BinaryEquals".to_owned(), &["aws:userid"], &BINARIES),
        9 => (format!("{not}IpAddress"), &["aws:SourceIp"], &NETWORKS),
        10 => (format!("Arn{not}Equals"), &["aws:SourceArn", "aws:PrincipalArn"], &ARNS),
        11 => (format!("Arn{not}Like"), &["aws:SourceArn", "aws:PrincipalArn"], &ARNS),
        _ => ("Null".to_owned(), &TEXT_KEYS, &BOOLS),
    };
    let key = pick(rng, keys);
    let operator = decorate(rng, operator, key);
    let key = if chance(rng, 20) { key.to_uppercase() } else { key.to_owned() };
    let values = one_or_many(rng, 3, |rng| {
        let text = pick(rng, pool);
        match text {
            "true" if chance(rng, 50) => json!(true),
            "1" | "2" | "10" if chance(rng, 30) => json!(text.parse::<i64>().unwrap()),
            text => json!(text),
        }
    });
    (operator, key, values)
}

fn decorate(rng: &mut dyn Draw, operator: String, key: &str) -> String {
    if operator == "Null" {
        return operator;
    }
    let prefix = match rng.below(10) {
        0 | 1 if !key.starts_with("kms:EncryptionContext:") => "ForAllValues:",
        2 | 3 => "ForAnyValue:",
        _ => "",
    };
    let suffix = if chance(rng, 20) { "IfExists" } else { "" };
    format!("{prefix}{operator}{suffix}")
}

fn context(rng: &mut dyn Draw) -> Vec<(String, Vec<String>, bool)> {
    let mut context = vec![];
    let mut put = |rng: &mut dyn Draw, key: &str, pool: &[&str], most: usize, default: bool| {
        if chance(rng, 60) {
            let count = rng.below(most + 1);
            let values = (0..count).map(|_| pick(rng, pool).to_owned()).collect();
            context.push((key.to_owned(), values, default));
        }
    };
    for key in TEXT_KEYS {
        let multi =
            matches!(key, "kms:EncryptionContextKeys" | "kms:GrantOperations" | "aws:TagKeys");
        let default = key == "kms:ExpirationModel" && chance(rng, 50);
        put(rng, key, &GIVEN_TEXTS, if multi { 3 } else { 1 }, default);
    }
    let mut numbers = NUMBERS.to_vec();
    numbers.push("abc");
    put(rng, "kms:RotationPeriodInDays", &numbers, 1, false);
    put(rng, "aws:CurrentTime", &DATES, 1, false);
    put(rng, "aws:SecureTransport", &["true", "false", "True", "x"], 1, false);
    put(rng, "aws:userid", &BINARIES, 2, false);
    put(rng, "aws:SourceIp", &ADDRESSES, 1, false);
    put(rng, "aws:SourceArn", &GIVEN_ARNS, 1, false);
    put(rng, "aws:PrincipalArn", &GIVEN_ARNS, 1, false);
    context
}
