//! Grants that are made from grants give nothing that the first of them did not, and who may end
//! one. `KEYSTEAD_GRANT_TREES` sets how many lines of grants are tried, `KEYSTEAD_POLICY_SEED`
//! where to start.
#![allow(clippy::unwrap_used, reason = "a panic fails the test")]

use fastrand::Rng;
use keystead_policy::{
    Attached, Caller, Context, Document, Grant, Kind, Missing, NamedPrincipal, Policies, Query,
    Verdict, decide, may_retire,
};
use keystead_types::AccountId;

const HOME: &str = "111122223333";
const AWAY: &str = "444455556666";
const KEY: &str = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
const DEPTH: usize = 5;
const QUERIES: usize = 20;

const OPERATIONS: [&str; 7] =
    ["CreateGrant", "Encrypt", "Decrypt", "ReEncryptFrom", "Sign", "DescribeKey", "RetireGrant"];
const PAIRS: [(&str, &str); 6] =
    [("App", "a"), ("app", "a"), ("App", "b"), ("Tier", "x"), ("Tier", "y"), ("Zone", "a")];
const SOURCES: [&str; 2] = ["arn:aws:s3:::one", "arn:aws:s3:::two"];

type Pairs = Vec<(&'static str, &'static str)>;

/// A grant to the user of its place in the line.
#[derive(Debug, Clone, Default)]
struct Given {
    operations: Vec<&'static str>,
    equals: Option<Pairs>,
    subset: Option<Pairs>,
    source: Option<&'static str>,
}

impl Given {
    fn random(rng: &mut Rng) -> Self {
        let mut operations = OPERATIONS.to_vec();
        operations.retain(|_| rng.u8(..100) < 70);
        Self {
            operations,
            equals: (rng.u8(..100) < 15).then(|| pairs(rng)),
            subset: (rng.u8(..100) < 30).then(|| pairs(rng)),
            source: (rng.u8(..100) < 25).then(|| SOURCES[rng.usize(..2)]),
        }
    }

    /// What somebody might make of a grant: much like it, and in some way more or less.
    fn child(&self, rng: &mut Rng) -> Self {
        let (mut child, other) = (self.clone(), Self::random(rng));
        for _ in 0..rng.u8(..3) {
            match rng.u8(..8) {
                0 | 1 => child.operations.retain(|operation| other.operations.contains(operation)),
                2 => child.operations.clone_from(&other.operations),
                3 => child.equals.clone_from(&other.equals),
                4 => child.subset.clone_from(&other.subset),
                5 => child.source = other.source,
                // The other form of a constraint, and a stricter one.
                6 => (child.equals, child.subset) = (child.subset, child.equals),
                _ => child.subset.get_or_insert_default().push(PAIRS[rng.usize(..PAIRS.len())]),
            }
        }
        for pairs in [&mut child.equals, &mut child.subset].into_iter().flatten() {
            one_value_each(pairs);
        }
        child
    }

    fn grant<'a>(&'a self, grantee: &'a NamedPrincipal) -> Grant<'a> {
        Grant {
            id: "g",
            grantee,
            operations: &self.operations,
            encryption_context_equals: self.equals.as_deref(),
            encryption_context_subset: self.subset.as_deref(),
            source_arn: self.source,
        }
    }
}

/// An encryption context, as a map has it.
fn pairs(rng: &mut Rng) -> Pairs {
    let mut pairs = (0..rng.usize(..4)).map(|_| PAIRS[rng.usize(..PAIRS.len())]).collect();
    one_value_each(&mut pairs);
    pairs
}

fn one_value_each(pairs: &mut Pairs) {
    pairs.sort_unstable();
    pairs.dedup_by_key(|(key, _)| *key);
}

fn account(text: &str) -> AccountId {
    text.parse().unwrap()
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

/// The grantees of a line of grants, and a key policy that is about none of them.
struct World {
    callers: Vec<Caller>,
    names: Vec<NamedPrincipal>,
    key: Document,
}

impl World {
    fn new() -> Self {
        let names = 0..=DEPTH;
        let arn = |index| format!("arn:aws:iam::{HOME}:user/{index}");
        let policy = keystead_policy::default_key_policy(account(AWAY));
        Self {
            callers: names
                .clone()
                .map(|index| Caller::user(account(HOME), &index.to_string()))
                .collect(),
            names: names.map(|index| NamedPrincipal::parse_aws(&arn(index)).unwrap()).collect(),
            key: Document::parse(Kind::Key, &policy).unwrap(),
        }
    }

    /// Whether the grant at this place of the line lets its grantee do this.
    fn allows(&self, place: usize, given: &Given, asked: &Asked) -> bool {
        let action = format!("kms:{}", asked.operation);
        let query = Query {
            caller: &self.callers[place],
            action: &action,
            resource: KEY,
            owner: account(HOME),
            context: &asked.context,
            encryption_context: &asked.pairs,
        };
        let grants = [given.grant(&self.names[place])];
        let policies = Policies { key: Some(&self.key), grants: &grants, ..Policies::default() };
        decide(&query, &policies).is_allow()
    }
}

/// What is asked of a grant.
#[derive(Debug)]
struct Asked {
    operation: &'static str,
    pairs: Pairs,
    context: Context,
}

impl Asked {
    /// Half of the time with what the grant asks for.
    fn random(rng: &mut Rng, of: &Given) -> Self {
        let wanted = of.equals.as_ref().or(of.subset.as_ref());
        let mut context = Context::new();
        let source =
            of.source.filter(|_| rng.bool()).or(rng.bool().then(|| SOURCES[rng.usize(..2)]));
        if let Some(source) = source {
            context.add("aws:SourceArn", source);
        }
        Self {
            operation: OPERATIONS[rng.usize(..OPERATIONS.len())],
            pairs: wanted.filter(|_| rng.bool()).cloned().unwrap_or_else(|| pairs(rng)),
            context,
        }
    }
}

#[test]
fn grants_made_from_grants_allow_no_more() {
    let count = setting("KEYSTEAD_GRANT_TREES", 100_000);
    let first = setting("KEYSTEAD_POLICY_SEED", 0);
    let world = World::new();
    let (mut made, mut refused, mut deepest, mut allowed) = (0, 0, 0, 0_u64);
    for seed in first..first + count {
        let rng = &mut Rng::with_seed(seed);
        let mut line = vec![Given::random(rng)];
        for attempt in 0..3 * DEPTH {
            let (parent, place) = (&line[line.len() - 1], line.len());
            let child = parent.child(rng);
            let names = &world.names;
            let may = parent.operations.contains(&"CreateGrant")
                && parent.grant(&names[0]).includes(&child.grant(&names[attempt % DEPTH]));
            if may && place <= DEPTH {
                line.push(child);
                made += 1;
            } else {
                refused += 1;
            }
        }
        deepest += u64::from(line.len() > DEPTH);
        let leaf = line.len() - 1;
        for _ in 0..QUERIES {
            let asked = Asked::random(rng, &line[leaf]);
            if !world.allows(leaf, &line[leaf], &asked) {
                continue;
            }
            allowed += 1;
            for (place, ancestor) in line[..leaf].iter().enumerate() {
                let too = world.allows(place, ancestor, &asked);
                assert!(too, "seed {seed}: {place} does not allow {asked:?} of {line:#?}");
            }
        }
    }
    println!("{made} made, {refused} refused, {deepest} lines of {DEPTH}, {allowed} uses allowed");
    // Trees without branches, and leaves that allow nothing, would tell little.
    assert!(made > count && refused > count && deepest * 5 > count && allowed > count);
}

/// One row: who asks, what else says something, and what comes out.
struct Row {
    who: Caller,
    retiring: Option<String>,
    operations: &'static [&'static str],
    issuer: &'static str,
    policy: Option<&'static str>,
    /// The action that alone a boundary, and that alone a session policy allows.
    boundary: Option<&'static str>,
    session: Option<&'static str>,
    expected: Result<(), Option<Missing>>,
}

fn user(account: &str, name: &str) -> String {
    format!("arn:aws:iam::{account}:user/{name}")
}

#[test]
fn who_may_retire_a_grant() {
    let alice = || Caller::user(account(HOME), "alice");
    let root = |of| Caller::root(account(of));
    let nobody = None;
    let (plain, retires) = (&["Decrypt"][..], &["Decrypt", "RetireGrant"][..]);
    let (allow, deny) = (Some("Allow"), Some("Deny"));
    let no = |missing| Err(Some(missing));
    let row = |who, retiring, operations, issuer, policy, expected| Row {
        who,
        retiring,
        operations,
        issuer,
        policy,
        boundary: None,
        session: None,
        expected,
    };
    let bounded = |row, action| Row { boundary: Some(action), ..row };
    let in_session = |row, action| Row { session: Some(action), ..row };
    let named = || Some(user(HOME, "alice"));
    let by_account = || Some(HOME.to_owned());
    let rows = [
        // The retiring principal needs nothing else, but for no one to deny it.
        row(alice(), named(), plain, AWAY, None, Ok(())),
        row(alice(), named(), plain, AWAY, deny, Err(None)),
        row(Caller::user(account(HOME), "bob"), named(), plain, AWAY, allow, no(Missing::Key)),
        row(Caller::user(account(AWAY), "alice"), named(), plain, HOME, allow, no(Missing::Key)),
        // An account as retiring principal is its root, and whomever its policies let.
        row(root(HOME), by_account(), plain, AWAY, None, Ok(())),
        row(alice(), by_account(), plain, AWAY, None, no(Missing::Identity)),
        row(alice(), by_account(), plain, AWAY, allow, Ok(())),
        row(alice(), by_account(), plain, AWAY, deny, Err(None)),
        // The grantee only if the grant says so.
        row(Caller::user(account(HOME), "grantee"), nobody.clone(), retires, AWAY, None, Ok(())),
        row(
            Caller::user(account(HOME), "grantee"),
            nobody.clone(),
            plain,
            AWAY,
            allow,
            no(Missing::Key),
        ),
        // The account that issued it, again as far as its policies let.
        row(root(HOME), nobody.clone(), plain, HOME, None, Ok(())),
        row(alice(), nobody.clone(), plain, HOME, None, no(Missing::Identity)),
        row(alice(), nobody.clone(), plain, HOME, allow, Ok(())),
        row(alice(), nobody.clone(), plain, HOME, deny, Err(None)),
        // Nobody else, not even the account that owns the key.
        row(root(HOME), nobody.clone(), plain, AWAY, None, no(Missing::Key)),
        row(root(AWAY), nobody.clone(), retires, HOME, None, no(Missing::Key)),
        // What limits the caller limits it here as well.
        bounded(row(alice(), named(), plain, AWAY, None, Ok(())), "kms:RetireGrant"),
        bounded(row(alice(), named(), plain, AWAY, None, no(Missing::Boundary)), "kms:Decrypt"),
        in_session(row(alice(), named(), plain, AWAY, None, Ok(())), "kms:RetireGrant"),
        in_session(row(alice(), named(), plain, AWAY, None, no(Missing::Session)), "kms:Decrypt"),
        in_session(row(alice(), nobody, plain, HOME, allow, no(Missing::Identity)), "kms:Decrypt"),
    ];
    for (index, row) in rows.iter().enumerate() {
        assert_eq!(retire(row), row.expected, "row {index}");
    }
}

/// Lets the caller of a row retire a grant to a user `grantee` on a key of `HOME`.
fn retire(row: &Row) -> Result<(), Option<Missing>> {
    let grantee = NamedPrincipal::parse_aws(&user(HOME, "grantee")).unwrap();
    let retiring = row.retiring.as_ref().map(|name| NamedPrincipal::parse_aws(name).unwrap());
    let given = Given { operations: row.operations.to_vec(), ..Given::default() };
    let document = |effect: &str, action: &str| {
        let statement =
            format!(r#"{{"Effect": "{effect}", "Action": "{action}", "Resource": "*"}}"#);
        let text = format!(r#"{{"Version": "2012-10-17", "Statement": [{statement}]}}"#);
        Document::parse(Kind::Identity, &text).unwrap()
    };
    let attached = |document| Attached { name: "p", document };
    let policy = row.policy.map(|effect| document(effect, "kms:RetireGrant"));
    let identity: Vec<_> = policy.iter().map(attached).collect();
    let boundary = row.boundary.map(|action| document("Allow", action));
    let session = row.session.map(|action| document("Allow", action));
    let session: Vec<_> = session.iter().map(attached).collect();
    // Of the owner's account, and without any say.
    let key = keystead_policy::default_key_policy(account(HOME));
    let key = Document::parse(Kind::Key, &key).unwrap();
    let policies = Policies {
        key: Some(&key),
        identity: &identity,
        boundary: boundary.as_ref().map(attached),
        session: &session,
        ..Policies::default()
    };
    let query = Query {
        caller: &row.who,
        action: "kms:RetireGrant",
        resource: KEY,
        owner: account(HOME),
        context: &Context::new(),
        encryption_context: &[],
    };
    let grant = given.grant(&grantee);
    match may_retire(&query, &policies, &grant, retiring.as_ref(), account(row.issuer)) {
        Verdict::Allow { .. } => Ok(()),
        Verdict::ExplicitDeny(_) => Err(None),
        Verdict::ImplicitDeny(missing) => Err(Some(missing)),
    }
}
