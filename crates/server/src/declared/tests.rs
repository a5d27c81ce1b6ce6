//! Plans that meet changes which others make meanwhile.

use std::sync::Arc;

use keystead_crypto::seal::MemorySeal;
use keystead_state::proto::command::Operation;
use keystead_state::proto::{self as state, EntityKind, EntityRef};
use keystead_types::AccountId;

use super::{
    DeclaredAccount, DeclaredInlinePolicy, DeclaredPermissions, DeclaredState, DeclaredUser, Plan,
    Run, StepError, apply_at_start,
};
use crate::audit::{AuditTrail, Operator};
use crate::boot::{self, Place, Setup};
use crate::region::RegionServer;

const ACCOUNT: &str = "111122223333";

/// Two users, each with an inline policy that allows an action.
fn declared(action: &str) -> DeclaredState {
    let document = format!(
        r#"{{"Version":"2012-10-17","Statement":{{"Effect":"Allow","Action":"{action}","Resource":"*"}}}}"#
    );
    let user = |name: &str| {
        let inline = vec![DeclaredInlinePolicy { name: "own".into(), document: document.clone() }];
        let permissions = Some(DeclaredPermissions { inline, attached: Vec::new() });
        DeclaredUser { name: name.into(), permissions, ..DeclaredUser::default() }
    };
    let users = vec![user("alice"), user("bob")];
    let account = DeclaredAccount { id: ACCOUNT.into(), users, ..DeclaredAccount::default() };
    DeclaredState { accounts: vec![account] }
}

struct World {
    region: Arc<RegionServer>,
    audit: Arc<AuditTrail>,
    _folder: tempfile::TempDir,
}

impl World {
    async fn new() -> Self {
        let (name, seal) = ("us-east-1".parse().unwrap(), MemorySeal::generate().unwrap());
        let setup = Setup::alone(&name, &Place::Memory, &seal);
        let region = Arc::new(setup.open_or_initialise().await.unwrap());
        let folder = tempfile::tempdir().unwrap();
        let audit = Arc::new(AuditTrail::file(&folder.path().join("audit.json")).unwrap());
        let created = apply_at_start(&region, &audit, &declared("kms:Encrypt")).await.unwrap();
        assert_eq!(created.len(), 1);
        Self { region, audit, _folder: folder }
    }

    fn plan(&self, action: &str) -> Plan {
        Plan::new(&self.region, &self.region.view(), &declared(action), false).unwrap()
    }

    fn run(&self, plan: Plan) -> Run {
        Run::new(plan, self.region.clone(), self.audit.clone(), Operator::this_process())
    }

    /// Somebody else changes a user.
    async fn tag(&self, name: &str) {
        let account = ACCOUNT.parse::<AccountId>().unwrap().number();
        let entity = EntityRef { kind: EntityKind::User.into(), account, name: name.into() };
        let tags = [("team".to_owned(), "x".to_owned())].into();
        let tag = state::TagEntity { entity: Some(entity), tags };
        boot::propose(&self.region, Operation::TagEntity(tag)).await.unwrap();
    }
}

#[tokio::test]
async fn what_is_applied_needs_no_steps() {
    let world = World::new().await;
    assert!(world.plan("kms:Encrypt").steps.is_empty());
}

#[tokio::test]
async fn a_step_that_meets_a_change_fails_and_the_next_plan_goes_on() {
    let world = World::new().await;
    let mut run = world.run(world.plan("kms:Decrypt"));
    world.tag("bob").await;
    assert_eq!(run.next().await.unwrap().unwrap().number, 1);
    let failed = run.next().await.map(drop).unwrap_err();
    assert!(matches!(failed, StepError::Changed(_)), "{failed}");
    assert!(failed.to_string().contains("user bob"), "{failed}");

    // What is left: bob's policy, and the tag that nobody declared.
    let plan = world.plan("kms:Decrypt");
    assert_eq!(plan.steps.len(), 2);
    let mut run = world.run(plan);
    while run.next().await.unwrap().is_some() {}
    assert!(world.plan("kms:Decrypt").steps.is_empty());
}

#[tokio::test]
async fn another_plan_has_another_fingerprint() {
    let world = World::new().await;
    let fingerprint = |action| world.plan(action).shown().fingerprint;
    let before = fingerprint("kms:Decrypt");
    assert_eq!(before, fingerprint("kms:Decrypt"));
    assert_ne!(before, fingerprint("kms:Sign"));
    world.tag("alice").await;
    assert_ne!(before, fingerprint("kms:Decrypt"));
}
