//! What is told of random states, compared with an evaluator that is asked for everybody, one by
//! one, about everything that there is.

mod world;

use std::collections::{BTreeMap, BTreeSet};

use keystead_policy::{Attached, Caller, Context, Grant, Policies, Query, Verdict, decide};
use keystead_state::proto as state;
use keystead_state::proto::command::Operation;
use keystead_state::{NamedPolicy, User};
use keystead_types::Principal;

use super::*;
use crate::boot::{Place, Setup};
use crate::process::MemorySeal;
use world::{ACCOUNTS, Dice, REGION, SERVICE, World};

const STATES: u64 = 1000;

async fn region() -> RegionServer {
    let (name, seal) = (REGION.parse().unwrap(), MemorySeal::generate().unwrap());
    let setup = Setup::alone(&name, &Place::Memory, &seal);
    setup.open_or_initialise().await.unwrap()
}

fn supposition(world: &World, action: &str, dept: Option<&str>) -> proto::Supposition {
    let context = dept.map(|value| proto::ConditionValue {
        key: "kms:EncryptionContext:dept".into(),
        value: value.into(),
    });
    proto::Supposition {
        action: action.into(),
        key: world.key.to_string(),
        account: ACCOUNTS[0].to_string(),
        context: context.into_iter().collect(),
    }
}

/// Who may, and by what, as the evaluator says of each.
struct Naive<'a> {
    world: &'a World,
    action: &'static str,
    dept: Option<&'static str>,
}

impl Naive<'_> {
    fn able(&self) -> BTreeMap<String, String> {
        let mut able = BTreeMap::new();
        for principal in &self.world.principals {
            let verdict = self.of(principal);
            if verdict.starts_with("allowed") {
                able.insert(principal.to_string(), verdict);
            }
        }
        for (name, caller) in [
            (SERVICE, Caller::service(SERVICE)),
            ("sso.example.com", Caller::federated_provider("sso.example.com")),
        ] {
            let mut context = Context::new();
            let service = if name == SERVICE { "true" } else { "false" };
            context.add("aws:PrincipalIsAWSService", service);
            let verdict = self.decide(&caller, None, context);
            if verdict.starts_with("allowed") {
                able.insert(name.to_owned(), verdict);
            }
        }
        able
    }

    /// The verdict on a principal, in words.
    fn of(&self, principal: &Principal) -> String {
        if self.world.suspended.contains(&principal.account()) {
            return format!("denied: account {} is suspended", principal.account());
        }
        let user =
            principal.user_id().map(|id| self.world.view.user(&id.parse().unwrap()).unwrap());
        let mut context = Context::new();
        context.add("aws:PrincipalIsAWSService", "false");
        context.add("aws:PrincipalAccount", principal.account().to_string());
        if let Some(user) = user {
            context.add("aws:username", user.name.as_str());
            for (name, value) in &user.tags {
                context.add(&format!("aws:PrincipalTag/{name}"), value);
            }
        }
        self.decide(&Caller::from(principal), user.map(|user| &**user), context)
    }

    fn decide(&self, caller: &Caller, user: Option<&User>, mut context: Context) -> String {
        let view = &self.world.view;
        let key = view.key(&self.world.key).unwrap();
        context.add("aws:ResourceAccount", key.account.to_string());
        context.add("kms:ResourceAliases", "alias/it");
        let pairs: Vec<_> = self.dept.map(|dept| ("dept", dept)).into_iter().collect();
        for (name, value) in &pairs {
            context.add(&format!("kms:EncryptionContext:{name}"), *value);
        }
        let own = user.map(|user| view.identity_policies(user)).unwrap_or_default();
        let boundary = user.and_then(|user| view.boundary_of(user));
        let attached: Vec<Attached<'_>> = own.iter().map(NamedPolicy::attached).collect();
        let grants: Vec<_> = view.grants_on(key.id, None).map(|g| PreparedGrant::new(g)).collect();
        let grants: Vec<Grant<'_>> = grants.iter().map(PreparedGrant::grant).collect();
        let query = Query {
            caller,
            action: self.action,
            resource: &format!("arn:aws:kms:{REGION}:{}:key/{}", key.account, key.id),
            owner: key.account,
            context: &context,
            encryption_context: &pairs,
        };
        let policies = Policies {
            key: Some(&key.policy.document),
            identity: &attached,
            boundary: boundary.as_ref().map(NamedPolicy::attached),
            session: &[],
            grants: &grants,
        };
        let verdict: Verdict<'_> = decide(&query, &policies);
        verdict.to_string()
    }
}

#[tokio::test]
async fn who_can_and_explain_say_what_the_evaluator_says_of_each() {
    let region = region().await;
    let mut seen = BTreeSet::new();
    for seed in 0..STATES {
        let mut dice = Dice::new(seed);
        let world = World::random(&mut dice);
        let (action, dept) = world::request(&mut dice);
        let naive = Naive { world: &world, action, dept };
        let explainer = Explainer { region: &region, view: &world.view };
        let asked = supposition(&world, action, dept);

        let told = explainer.who_can(&asked).unwrap();
        let reason = |able: proto::Able| (able.principal, able.decision.unwrap().reason);
        let listed = told.able.len();
        let told: BTreeMap<_, _> = told.able.into_iter().map(reason).collect();
        assert_eq!(told.len(), listed, "seed {seed}");
        assert_eq!(told, naive.able(), "seed {seed}");

        for principal in &world.principals {
            let told = explainer.explain(&principal.to_string(), &asked).unwrap();
            let decision = told.decision.unwrap();
            assert_eq!(decision.reason, naive.of(principal), "seed {seed}, {principal}");
            assert_eq!(decision.allowed, decision.reason.starts_with("allowed"));
            let kinds = decision.by.iter().map(|by| by.kind.clone());
            seen.insert((decision.allowed, kinds.collect::<Vec<_>>().join("+")));
        }
        let outsiders = told.keys().filter(|name| !name.starts_with("arn:")).cloned();
        seen.extend(outsiders.map(|name| (true, name)));
    }
    for (allowed, by) in [
        (true, "key policy"),
        (true, "key policy+identity-based policy"),
        (true, "key policy+root"),
        (true, "grant"),
        (true, "grant+identity-based policy"),
        (true, SERVICE),
        (false, ""),
        (false, "key policy"),
        (false, "identity-based policy"),
        (false, "permissions boundary"),
    ] {
        assert!(seen.contains(&(allowed, by.to_owned())), "{allowed} by {by}: {seen:?}");
    }
}

#[tokio::test]
async fn everything_that_has_a_say_is_told_of() {
    let region = region().await;
    for seed in 0..100 {
        let mut dice = Dice::new(seed);
        let world = World::random(&mut dice);
        let (action, dept) = world::request(&mut dice);
        let explainer = Explainer { region: &region, view: &world.view };
        let key = world.view.key(&world.key).unwrap();
        for principal in &world.principals {
            let asked = supposition(&world, action, dept);
            let told = explainer.explain(&principal.to_string(), &asked).unwrap();
            let decision = told.decision.unwrap();
            let deciding = decision.by.iter().cloned();
            let others = told.others.iter().map(|step| step.source.clone().unwrap());
            let mut told_of: Vec<_> = deciding
                .chain(others)
                .filter(|source| source.kind == "key policy" || source.kind == "grant")
                .map(|source| (source.kind, source.name, source.statement))
                .collect();
            told_of.sort();
            let statements = key.policy.text.matches("\"Effect\"").count();
            let statements = (1..=u32::try_from(statements).unwrap())
                .map(|number| ("key policy".to_owned(), String::new(), Some(number)));
            let grants = world.view.grants_on(key.id, None);
            let grants = grants.map(|grant| ("grant".to_owned(), grant.id.to_string(), None));
            let mut all: Vec<_> = statements.chain(grants).collect();
            all.sort();
            assert_eq!(told_of, all, "seed {seed}, {principal}");
        }
    }
}

#[tokio::test]
async fn access_keys_are_told_by_age_state_and_owner() {
    let region = region().await;
    let mut dice = Dice::new(1);
    let mut world = World::random(&mut dice);
    let is_user = |principal: &&Principal| principal.user_id().is_some();
    let user = world.principals.iter().find(is_user).unwrap().clone();
    let (account, name) = (user.account().number(), user.user_name().unwrap().to_owned());
    for (id, active) in [("AKIANEW", true), ("AKIAOFF", false)] {
        world.must(Operation::CreateAccessKey(state::CreateAccessKey {
            account,
            user: name.clone(),
            access_key_id: id.into(),
            sealed_secret: vec![5; 60],
        }));
        world.must(Operation::UpdateAccessKey(state::UpdateAccessKey {
            account,
            user: name.clone(),
            access_key_id: id.into(),
            active,
        }));
    }
    let explainer = Explainer { region: &region, view: &world.view };
    let told = |keys: &[proto::AccessKey]| -> BTreeSet<_> {
        keys.iter().map(|key| (key.id.clone(), key.owner.clone(), key.active, key.root)).collect()
    };
    let roots: BTreeSet<_> = ACCOUNTS
        .map(|id| (format!("ACCESS{id}"), format!("arn:aws:iam::{id}:root"), true, true))
        .into();
    let users = [("AKIANEW", true), ("AKIAOFF", false)];
    let users = users.map(|(id, active)| (id.to_owned(), user.to_string(), active, false));
    let all: BTreeSet<_> = roots.iter().cloned().chain(users).collect();

    // The state's clock stands years before the test's.
    let report = explainer.report(365 * 24 * 60 * 60 * 1000);
    assert_eq!(told(&report.old_access_keys), all);
    assert_eq!(told(&report.root_access_keys), roots);
    let age = report.old_access_keys.iter().map(|key| key.age_ms).max().unwrap();
    let report = explainer.report(2 * age);
    assert_eq!((told(&report.old_access_keys), told(&report.root_access_keys)), ([].into(), roots));
}

#[tokio::test]
async fn what_cannot_be_asked_is_told() {
    let region = region().await;
    let world = World::random(&mut Dice::new(2));
    let explainer = Explainer { region: &region, view: &world.view };
    let root = world.principals[0].to_string();
    let asked = supposition(&world, "kms:Encrypt", None);
    let with = |key: &str, value: &str| proto::Supposition {
        context: vec![
            proto::ConditionValue { key: key.into(), value: value.into() },
            proto::ConditionValue { key: key.to_uppercase(), value: value.into() },
        ],
        ..asked.clone()
    };
    for (principal, asked, sentence) in [
        ("arn:aws:iam::111122223333:user/nobody", asked.clone(), "There is no user"),
        ("arn:aws:iam::111122223333:role/r", asked.clone(), "is not the ARN"),
        ("arn:aws:iam::999999999999:root", asked.clone(), "There is no account 999999999999"),
        (&root, with("aws:SourceIp", "1.2.3.4"), "aws:SourceIp has one value only"),
        (&root, with("aws:Source", "x"), "is no condition key"),
        (&root, with("team", "x"), "is no condition key"),
        (&root, proto::Supposition { account: "12".into(), ..asked.clone() }, "no account id"),
        (&root, proto::Supposition { key: "alias/no".into(), ..asked.clone() }, "is not found"),
        (&root, proto::Supposition { key: "?".into(), ..asked.clone() }, "?"),
        (&root, proto::Supposition { action: "kms:*".into(), ..asked.clone() }, "is no action"),
    ] {
        let error = explainer.explain(principal, &asked).unwrap_err().to_string();
        assert!(error.contains(sentence), "{error}");
    }
    for several in [with("kms:ResourceAliases", "alias/x"), with("example:Key", "x")] {
        explainer.explain(&root, &several).unwrap();
    }
}
