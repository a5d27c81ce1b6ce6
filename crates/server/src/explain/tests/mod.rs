//! What is told of random states, compared with an evaluator that is asked for everybody, one by
//! one, about everything that there is.

mod world;

use std::collections::{BTreeMap, BTreeSet};

use keystead_policy::{Attached, Caller, Context, Grant, Policies, Query, Verdict, decide};
use keystead_state::{NamedPolicy, User};
use keystead_types::Principal;

use super::*;
use crate::boot::{Place, Setup};
use crate::process::MemorySeal;
use world::{ACCOUNTS, Dice, REGION, SERVICE, World};

const STATES: u64 = 1000;

async fn region() -> RegionServer {
    let seal = MemorySeal::generate().unwrap();
    let setup = Setup::alone(&REGION.parse().unwrap(), &Place::Memory, &seal);
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
        (true, "sso.example.com"),
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
            if world.suspended.contains(&principal.account()) {
                continue;
            }
            assert_eq!(told_of, all, "seed {seed}, {principal}");
        }
    }
}
