//! IAM's part of the state against a naive model of it, written from IAM's rules alone.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeSet;

use common::iam::model::{
    Model, ModelGroup, ModelPermissions, ModelPolicy, ModelRole, ModelUser, time_at,
};
use common::iam::{self, Author, GROUPS, KEYS, NUMBERS, POLICIES, ROLES, USERS};
use common::*;
use keystead_state::proto::command::Operation;
use keystead_state::{Command, Group, ManagedPolicy, Permissions, PolicyUse, Role, User, View};
use keystead_types::UserName;
use proptest::prelude::*;

fn seen_permissions(permissions: &Permissions) -> ModelPermissions {
    let inline = permissions.inline.iter().map(|(n, p)| (n.to_string(), p.text.clone())).collect();
    let attached = permissions.attached.iter().map(ToString::to_string).collect();
    ModelPermissions { inline, attached }
}

fn seen_user(user: &User) -> ModelUser {
    ModelUser {
        id: user.id.to_string(),
        account: user.account.number(),
        path: user.path.to_string(),
        name: user.name.to_string(),
        created: user.created.0,
        tags: user.tags.clone(),
        permissions: seen_permissions(&user.permissions),
        boundary: user.boundary.map(|id| id.to_string()),
        groups: user.groups.iter().map(ToString::to_string).collect(),
    }
}

fn seen_group(group: &Group) -> ModelGroup {
    ModelGroup {
        id: group.id.to_string(),
        account: group.account.number(),
        path: group.path.to_string(),
        name: group.name.to_string(),
        created: group.created.0,
        permissions: seen_permissions(&group.permissions),
    }
}

fn seen_role(role: &Role) -> ModelRole {
    ModelRole {
        id: role.id.to_string(),
        account: role.account.number(),
        path: role.path.to_string(),
        name: role.name.to_string(),
        description: role.description.to_string(),
        seconds: role.max_session_seconds,
        trust: (
            role.trust_policy.text.clone(),
            role.trust_policy.principals.values().next().cloned(),
        ),
        created: role.created.0,
        tags: role.tags.clone(),
        permissions: seen_permissions(&role.permissions),
        boundary: role.boundary.map(|id| id.to_string()),
    }
}

fn seen_policy(policy: &ManagedPolicy) -> ModelPolicy {
    let version =
        |v: &keystead_state::PolicyVersion| (v.number, (v.policy.text.clone(), v.created.0));
    ModelPolicy {
        id: policy.id.to_string(),
        account: policy.account.number(),
        path: policy.path.to_string(),
        name: policy.name.to_string(),
        description: policy.description.to_string(),
        created: policy.created.0,
        updated: policy.updated.0,
        versions: policy.versions.iter().map(version).collect(),
        default: policy.default_version,
        latest: policy.latest_version,
        tags: policy.tags.clone(),
    }
}

/// All that can be looked up or listed is what the model says.
fn check(view: &View, model: &Model) {
    check_entities(view, model);
    for account_number in ACCOUNTS {
        check_lists(view, model, account_number);
        check_access_keys(view, model, account_number, None);
        let there = view.account(account(account_number)).unwrap();
        assert_eq!(there.suspended, model.suspended.contains(&account_number));
        assert_eq!(there.rights_removed_at, model.lost_at(&account_number.to_string()));
        let valid_after = model.valid_after.get(&account_number.to_string()).copied();
        assert_eq!(there.sessions_valid_after.0, valid_after.unwrap_or_default());
    }
    for user in model.users.values() {
        check_user(view, model, user);
    }
    assert_eq!(view.policy_count(), model.documents().len());
}

fn check_entities(view: &View, model: &Model) {
    for number in 0..NUMBERS {
        let user = view.user(&iam::user_id(number).parse().unwrap());
        let known = model.users.get(&iam::user_id(number));
        assert_eq!(user.map(|user| seen_user(user)).as_ref(), known);
        if let Some(user) = user {
            assert_eq!(user.rights_removed_at, model.lost_at(&user.id.to_string()));
            let valid_after = model.valid_after.get(&user.id.to_string()).copied();
            assert_eq!(user.sessions_valid_after.0, valid_after.unwrap_or_default());
        }
        let group = view.group(&iam::group_id(number).parse().unwrap());
        let known = model.groups.get(&iam::group_id(number));
        assert_eq!(group.map(|group| seen_group(group)).as_ref(), known);
        if let Some(group) = group {
            assert_eq!(group.rights_removed_at, model.lost_at(&group.id.to_string()));
            let members = view.members_of(&group.id).map(|user| user.id.to_string());
            let expected =
                model.users.values().filter(|u| u.groups.contains(&group.id.to_string()));
            assert!(members.eq(expected.map(|user| user.id.clone())));
        }
        check_role(view, model, number);
        check_policy(view, model, number);
    }
}

fn check_role(view: &View, model: &Model, number: u8) {
    let role = view.role(&iam::role_id(number).parse().unwrap());
    let known = model.roles.get(&iam::role_id(number));
    assert_eq!(role.map(|role| seen_role(role)).as_ref(), known);
    let (Some(role), Some(known)) = (role, known) else { return };
    assert_eq!(role.rights_removed_at, model.lost_at(&known.id));
    let valid_after = model.valid_after.get(&known.id).copied().unwrap_or_default();
    assert_eq!(role.sessions_valid_after.0, valid_after);
    let named = |policy: keystead_state::NamedPolicy| (policy.name, policy.policy.text.clone());
    let own = view.own_policies(&known.id).unwrap();
    let inline = known.permissions.inline.iter();
    let mut expected: Vec<_> =
        inline.map(|(name, text)| (format!("role/{}/{name}", known.name), text.clone())).collect();
    expected.extend(known.permissions.attached.iter().map(|id| model.policies[id].in_force()));
    assert_eq!(own.identity.into_iter().map(named).collect::<Vec<_>>(), expected);
    let boundary = known.boundary.as_ref().map(|id| model.policies[id].in_force());
    assert_eq!(own.boundary.map(named), boundary);
    assert_eq!(view.principal_arn(&known.id), Some(role.arn()));
    assert_eq!(view.unique_id(&role.arn()), Some(known.id.clone()));
}

fn check_policy(view: &View, model: &Model, number: u8) {
    let policy = view.managed_policy(&iam::policy_id(number).parse().unwrap());
    let known = model.policies.get(&iam::policy_id(number));
    assert_eq!(policy.map(|policy| seen_policy(policy)).as_ref(), known);
    let Some(policy) = policy else { return };
    assert_eq!(policy.rights_removed_at, model.lost_at(&policy.id.to_string()));
    assert_eq!(view.managed_policy_at(&policy.arn()), Some(policy));
    let elsewhere =
        keystead_types::IamArn { path: "/else/where/".parse().unwrap(), ..policy.arn() };
    assert_eq!(view.managed_policy_at(&elsewhere), None);
    let uses = view.entities_of(&policy.id).map(|entity| match entity {
        PolicyUse::User(id) => format!("1 {id}"),
        PolicyUse::Group(id) => format!("2 {id}"),
        PolicyUse::Boundary(id) => format!("3 {id}"),
        PolicyUse::Role(id) => format!("4 {id}"),
        PolicyUse::RoleBoundary(id) => format!("5 {id}"),
    });
    assert_eq!(uses.collect::<Vec<_>>(), model.uses(&policy.id.to_string()));
}

fn check_lists(view: &View, model: &Model, owner: u64) {
    let of = account(owner);
    let names = |mut names: Vec<String>| {
        names.sort_by_key(|name| name.to_ascii_lowercase());
        names
    };
    let users = names(
        model.users.values().filter(|u| u.account == owner).map(|u| u.name.clone()).collect(),
    );
    let listed: Vec<_> = view.users_of(of, None).map(|user| user.name.to_string()).collect();
    assert_eq!(listed, users);
    for name in USERS {
        let parsed: UserName = name.parse().unwrap();
        let named = view.user_named(of, &parsed).map(|user| user.name.to_string());
        assert_eq!(named.as_ref(), users.iter().find(|user| user.eq_ignore_ascii_case(name)));
        let later = users.iter().filter(|u| u.to_ascii_lowercase() > name.to_ascii_lowercase());
        let listed = view.users_of(of, Some(&parsed)).map(|user| user.name.to_string());
        assert!(listed.eq(later.cloned()), "after {name}");
    }
    let groups = model.groups.values().filter(|g| g.account == owner).map(|g| g.name.clone());
    let groups = names(groups.collect());
    assert!(view.groups_of(of, None).map(|group| group.name.to_string()).eq(groups.clone()));
    for name in GROUPS {
        let named = view.group_named(of, &name.parse().unwrap()).map(|g| g.name.to_string());
        assert_eq!(named.as_ref(), groups.iter().find(|group| group.eq_ignore_ascii_case(name)));
    }
    let roles = model.roles.values().filter(|r| r.account == owner).map(|r| r.name.clone());
    let roles = names(roles.collect());
    assert!(view.roles_of(of, None).map(|role| role.name.to_string()).eq(roles.clone()));
    for name in ROLES {
        let named = view.role_named(of, &name.parse().unwrap()).map(|r| r.name.to_string());
        assert_eq!(named.as_ref(), roles.iter().find(|role| role.eq_ignore_ascii_case(name)));
    }
    let policies = model.policies.values().filter(|p| p.account == owner).map(|p| p.name.clone());
    let policies = names(policies.collect());
    let listed = view.managed_policies_of(of, None).map(|policy| policy.name.to_string());
    assert!(listed.eq(policies.clone()));
    for name in POLICIES {
        let named = view.managed_policy_named(of, &name.parse().unwrap());
        let expected = policies.iter().find(|policy| policy.eq_ignore_ascii_case(name));
        assert_eq!(named.map(|p| p.name.to_string()).as_ref(), expected);
    }
}

fn check_user(view: &View, model: &Model, user: &ModelUser) {
    check_access_keys(view, model, user.account, Some(&user.id));
    let there = view.user(&user.id.parse().unwrap()).unwrap();
    let named = |policy: keystead_state::NamedPolicy| (policy.name, policy.policy.text.clone());
    let policies: Vec<_> = view.identity_policies(there).into_iter().map(named).collect();
    assert_eq!(policies, model.identity_policies(user));
    let boundary = user.boundary.as_ref().map(|id| model.policies[id].in_force());
    assert_eq!(view.boundary_of(there).map(named), boundary);
}

fn check_access_keys(view: &View, model: &Model, owner: u64, user: Option<&str>) {
    let id = user.map(|id| id.parse().unwrap());
    let listed: Vec<_> = view
        .access_keys_of(account(owner), id.as_ref())
        .map(|key| (key.id.to_string(), key.active, key.rights_removed_at))
        .collect();
    let expected =
        model.keys.iter().filter(|(_, key)| key.account == owner && key.user.as_deref() == user);
    let expected: Vec<_> =
        expected.map(|(id, key)| (id.clone(), key.active, key.deactivated_at)).collect();
    assert_eq!(listed, expected);
    for (id, active, _) in listed {
        assert_eq!(view.credential(&id.parse().unwrap()).unwrap().active, active);
    }
}

/// What to do, who does it, and how many entries ago it was authorised.
type Step = (Operation, Author, u64);

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let lag = prop_oneof![8 => Just(0_u64), 1 => 1..6_u64];
    proptest::collection::vec((iam::operation(), iam::author(), lag), 0..100).prop_map(|steps| {
        let beginning = iam::beginning().into_iter().map(|first| (first, Author::System, 0));
        beginning.chain(steps).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]

    #[test]
    fn iam_is_what_the_model_says(steps in steps()) {
        let mut replica = Replica::initialised();
        let mut model = Model::initialised();
        check(&replica.view, &model);
        for (operation, author, lag) in steps {
            let authorised_at = replica.view.applied().saturating_sub(lag);
            let command = author.sends(authorised_at, operation.clone());
            let time_ms = time_at(replica.view.applied() + 1);
            let outcome = replica.send(&Command { time_ms, ..command });
            let expected = model.step(authorised_at, &author, &operation);
            assert_eq!(outcome, expected, "{author:?} {operation:?}");
            check(&replica.view, &model);
        }
        replica.reload();
        check(&replica.view, &model);
    }
}

#[test]
fn random_commands_reach_every_outcome() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let mut seen = BTreeSet::new();
    for _ in 0..400 {
        let mut replica = Replica::initialised();
        for (operation, author, lag) in steps().new_tree(&mut runner).unwrap().current() {
            let authorised_at = replica.view.applied().saturating_sub(lag);
            let outcome = replica.send(&author.sends(authorised_at, operation));
            seen.insert(format!("{outcome:?}"));
        }
    }
    // What takes more entities than the small world has is tested one by one.
    let unreachable = ["UserLimit", "GroupLimit", "ManagedPolicyLimit", "AttachmentLimit"];
    let unreachable = unreachable.into_iter().chain(["GroupsPerUserLimit", "RoleLimit"]);
    let unreachable: BTreeSet<_> = unreachable.collect();
    for number in (60..63).chain(64..) {
        let Ok(reason) = keystead_state::proto::Reason::try_from(number) else { break };
        let expected = format!("{:?}", rejected(reason));
        let reachable = !unreachable.contains(format!("{reason:?}").as_str());
        assert_eq!(seen.contains(&expected), reachable, "{reason:?}");
    }
    assert!(KEYS.len() > 4 && seen.contains("Stale(Stale)"));
}
