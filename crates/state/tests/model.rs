//! The state against a naive model of it, written from the meaning of the commands alone.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::actions::{
    self, ANY_ACCOUNT, Action, KEYS, KINDS, MANAGED, NAMES, NewKey, Step, steps,
};
use common::*;
use keystead_state::limits::{ALIASES_PER_KEY, TAGS_PER_KEY};
use keystead_state::proto::outcome::Result as OutcomeResult;
use keystead_state::proto::{self, Reason};
use keystead_state::{Key, Material, MaterialState, View};
use keystead_types::{KeyId, KeyManager, KeySpec, KeyState, KeyUsage, Origin, UnixMillis};
use proptest::prelude::*;

/// What a key looks like from outside.
#[derive(Debug, Clone, PartialEq)]
struct ModelKey {
    account: u64,
    manager: KeyManager,
    spec: KeySpec,
    usage: KeyUsage,
    origin: Origin,
    state: KeyState,
    description: String,
    created: u64,
    materials: Vec<ModelMaterial>,
    rotation: Option<(u32, u64)>,
    policy: String,
    tags: BTreeMap<String, String>,
    deletion: Option<u64>,
    rights_removed_at: u64,
}

/// Its number, when it came, and whether a rotation brought it: one on demand, or another one.
type ModelMaterial = (u8, u64, Option<bool>);

#[derive(Debug, Clone, PartialEq)]
struct ModelAlias {
    target: KeyId,
    created: u64,
    updated: u64,
}

/// The whole state, without a single index.
struct Model {
    index: u64,
    clock: u64,
    /// The number it was made of, and when.
    authority: Option<(u8, u64)>,
    accounts: BTreeMap<u64, u64>,
    /// And the index at which their secrets were set.
    access_keys: BTreeMap<&'static str, u64>,
    keys: BTreeMap<KeyId, ModelKey>,
    aliases: BTreeMap<(u64, &'static str), ModelAlias>,
    /// When each key was last used, and by which operation.
    uses: BTreeMap<KeyId, (u64, u32)>,
    uses_known_since: Option<u64>,
    requests: BTreeMap<u32, (u64, OutcomeResult)>,
}

type Answer = Result<OutcomeResult, OutcomeResult>;

impl Model {
    /// The model of `Replica::initialised`.
    fn initialised() -> Self {
        Self {
            index: 3,
            clock: START,
            authority: None,
            accounts: ACCOUNTS.into_iter().map(|account| (account, START)).collect(),
            access_keys: ACCESS_KEYS.into_iter().zip(2..).collect(),
            keys: BTreeMap::new(),
            aliases: BTreeMap::new(),
            uses: BTreeMap::new(),
            uses_known_since: None,
            requests: BTreeMap::new(),
        }
    }

    fn step(&mut self, step: &Step) -> OutcomeResult {
        let authorised_at = self.index.saturating_sub(step.lag);
        self.index += 1;
        self.clock = self.clock.max(self.clock.saturating_add_signed(step.time));
        let clock = self.clock;
        self.requests.retain(|_, (at, _)| *at + 10 * MINUTE >= clock);
        if let Some((_, first)) = step.request.and_then(|request| self.requests.get(&request)) {
            return first.clone();
        }
        let known = step.access_key.is_none_or(|key| {
            self.access_keys.get(key).is_some_and(|set_at| *set_at <= authorised_at)
        });
        let answer = if known { self.act(authorised_at, &step.action) } else { Err(stale()) };
        let outcome = answer.unwrap_or_else(|refusal| refusal);
        if let Some(request) = step.request.filter(|_| outcome != stale()) {
            self.requests.insert(request, (clock, outcome.clone()));
        }
        outcome
    }

    fn act(&mut self, at: u64, action: &Action) -> Answer {
        match action {
            Action::CreateAccount(account, access_key) => {
                ensure(!self.accounts.contains_key(account), Reason::AccountExists)?;
                ensure(!self.access_keys.contains_key(access_key), Reason::AccessKeyExists)?;
                self.accounts.insert(*account, self.clock);
                self.access_keys.insert(access_key, self.index);
            }
            Action::CreateAuthority(number) => {
                ensure(self.authority.is_none(), Reason::AuthorityExists)?;
                self.authority = Some((*number, self.clock));
            }
            Action::CreateKey(new) => return self.create_key(new),
            Action::CreateManagedKey(account, name, number) => {
                return self.create_managed_key(*account, name, *number);
            }
            Action::Enable(key) => self.switch(at, *key, true)?,
            Action::Disable(key) => self.switch(at, *key, false)?,
            Action::Describe(key, text) => self.living(at, *key)?.description.clone_from(text),
            Action::Schedule(key, days) => {
                let deletion = self.clock + u64::from(*days) * DAY;
                let index = self.index;
                let key = self.living(at, *key)?;
                key.state = KeyState::PendingDeletion;
                key.deletion = Some(deletion);
                key.rights_removed_at = index;
                let scheduled = proto::DeletionScheduled { deletion_ms: deletion };
                return Ok(OutcomeResult::DeletionScheduled(scheduled));
            }
            Action::Cancel(key) => {
                let clock = self.clock;
                let key = self.fresh(at, key_id(*key))?;
                let deletion = key.deletion.ok_or(rejected(Reason::KeyNotPendingDeletion))?;
                ensure(deletion > clock, Reason::KeyNotFound)?;
                key.state = KeyState::Disabled;
                key.deletion = None;
            }
            Action::DeleteDue(keys) => keys.iter().for_each(|&key| self.delete_due(key_id(key))),
            Action::CreateAlias(account, name, key) => {
                ensure(!MANAGED.contains(name), Reason::AliasReserved)?;
                self.alias_target(at, *account, key_id(*key))?;
                ensure(!self.aliases.contains_key(&(*account, *name)), Reason::AliasExists)?;
                let (target, created) = (key_id(*key), self.clock);
                self.mark(target);
                let alias = ModelAlias { target, created, updated: created };
                self.aliases.insert((*account, name), alias);
            }
            Action::UpdateAlias(account, name, key) => {
                ensure(!MANAGED.contains(name), Reason::AliasReserved)?;
                self.update_alias(at, (*account, name), key_id(*key))?;
            }
            Action::DeleteAlias(account, name) => {
                ensure(!MANAGED.contains(name), Reason::AliasReserved)?;
                let target = self.alias(&(*account, *name))?.target;
                self.fresh(at, target)?;
                self.mark(target);
                self.aliases.remove(&(*account, *name));
            }
            Action::Tag(key, tags) => {
                let mut all = self.living(at, *key)?.tags.clone();
                all.extend(tags.clone());
                ensure(all.len() <= 50, Reason::TagLimit)?;
                self.living(at, *key)?.tags = all;
                self.mark(key_id(*key));
            }
            Action::Untag(key, names) => {
                self.living(at, *key)?.tags.retain(|name, _| !names.contains(name));
                self.mark(key_id(*key));
            }
            Action::EnableRotation(key, days) => {
                let clock = self.clock;
                let key = self.rotatable(at, *key)?;
                ensure((90..=2560).contains(days), Reason::Malformed)?;
                key.rotation = Some((*days, clock + u64::from(*days) * DAY));
            }
            Action::DisableRotation(key) => self.rotatable(at, *key)?.rotation = None,
            Action::Rotate(key, number) => {
                let clock = self.clock;
                let key = self.rotatable(at, *key)?;
                let on_demand = key.materials.iter().filter(|material| material.2 == Some(true));
                ensure(on_demand.count() < 25, Reason::RotationLimit)?;
                let far = key.rotation.is_none_or(|(_, next)| next > clock + 20 * MINUTE);
                ensure(far, Reason::RotationNear)?;
                let known = key.materials.iter().any(|material| material.0 == *number);
                ensure(!known, Reason::Malformed)?;
                key.materials.push((*number, clock, Some(true)));
            }
            Action::RotateDue(keys) => return self.rotate_due(keys),
            Action::Uses(uses) => {
                self.uses_known_since.get_or_insert(self.clock);
                for &(key, at, operation) in uses {
                    let (id, at) = (key_id(key), at.min(self.clock));
                    let known = self.uses.get(&id).is_some_and(|(last, _)| *last >= at);
                    if !known && self.keys.contains_key(&id) {
                        self.uses.insert(id, (at, operation));
                    }
                }
            }
            Action::Iam(operation) => panic!("not of this model: {operation:?}"),
            Action::Tick => {}
        }
        Ok(done())
    }

    fn create_key(&mut self, new: &NewKey) -> Answer {
        let id = key_id(new.number);
        ensure(self.accounts.contains_key(&new.account), Reason::AccountNotFound)?;
        ensure(!self.keys.contains_key(&id), Reason::KeyExists)?;
        ensure(new.tags.len() <= 50, Reason::TagLimit)?;
        let key = ModelKey {
            account: new.account,
            manager: KeyManager::Customer,
            spec: new.kind.0,
            usage: new.kind.1,
            origin: new.origin(),
            state: if new.imported { KeyState::PendingImport } else { KeyState::Enabled },
            description: String::new(),
            created: self.clock,
            materials: if new.imported { vec![] } else { vec![(new.number, self.clock, None)] },
            rotation: None,
            policy: new.policy.into(),
            tags: new.tags.clone(),
            deletion: None,
            rights_removed_at: 0,
        };
        self.keys.insert(id, key);
        Ok(created(new.number))
    }

    fn create_managed_key(&mut self, account: u64, name: &'static str, number: u8) -> Answer {
        let (id, now) = (key_id(number), self.clock);
        ensure(!id.multi_region(), Reason::Malformed)?;
        ensure(self.accounts.contains_key(&account), Reason::AccountNotFound)?;
        if let Some(alias) = self.aliases.get(&(account, name)) {
            return Ok(created((0..KEYS).find(|n| key_id(*n) == alias.target).unwrap()));
        }
        ensure(!self.keys.contains_key(&id), Reason::KeyExists)?;
        let key = ModelKey {
            account,
            manager: KeyManager::Aws,
            spec: KeySpec::SymmetricDefault,
            usage: KeyUsage::EncryptDecrypt,
            origin: Origin::AwsKms,
            state: KeyState::Enabled,
            description: name.replace("alias/aws/", "protects "),
            created: now,
            materials: vec![(number, now, None)],
            rotation: Some((365, now + 365 * DAY)),
            policy: "{}".into(),
            tags: BTreeMap::new(),
            deletion: None,
            rights_removed_at: 0,
        };
        self.keys.insert(id, key);
        self.aliases.insert((account, name), ModelAlias { target: id, created: now, updated: now });
        Ok(created(number))
    }

    fn switch(&mut self, at: u64, key: u8, on: bool) -> Result<(), OutcomeResult> {
        let index = self.index;
        let key = self.living(at, key)?;
        ensure(key.state != KeyState::PendingImport, Reason::KeyPendingImport)?;
        if !on && key.state != KeyState::Disabled {
            key.rights_removed_at = index;
        }
        key.state = match (on, key.materials.is_empty()) {
            (false, _) => KeyState::Disabled,
            (true, false) => KeyState::Enabled,
            (true, true) => KeyState::PendingImport,
        };
        Ok(())
    }

    fn update_alias(
        &mut self,
        at: u64,
        name: (u64, &'static str),
        target: KeyId,
    ) -> Result<(), OutcomeResult> {
        let old_target = self.alias(&name)?.target;
        let old = self.fresh(at, old_target)?.clone();
        if old_target == target {
            ensure(old.deletion.is_none(), Reason::KeyPendingDeletion)?;
        } else {
            let new = self.alias_target(at, name.0, target)?;
            let same = class(&old) == class(&new) && old.usage == new.usage;
            ensure(same, Reason::AliasTargetMismatch)?;
            self.mark(old_target);
            self.mark(target);
        }
        let updated = self.clock;
        let alias = self.aliases.get_mut(&name).unwrap();
        *alias = ModelAlias { target, updated, created: alias.created };
        Ok(())
    }

    fn alias_target(
        &mut self,
        at: u64,
        account: u64,
        id: KeyId,
    ) -> Result<ModelKey, OutcomeResult> {
        let key = self.fresh(at, id)?.clone();
        ensure(key.account == account, Reason::KeyNotFound)?;
        ensure(key.deletion.is_none(), Reason::KeyPendingDeletion)?;
        Ok(key)
    }

    fn alias(&self, name: &(u64, &'static str)) -> Result<&ModelAlias, OutcomeResult> {
        self.aliases.get(name).ok_or(rejected(Reason::AliasNotFound))
    }

    fn fresh(&mut self, at: u64, id: KeyId) -> Result<&mut ModelKey, OutcomeResult> {
        let key = self.keys.get_mut(&id).ok_or(rejected(Reason::KeyNotFound))?;
        if key.rights_removed_at > at {
            return Err(stale());
        }
        ensure(key.manager == KeyManager::Customer, Reason::KeyAwsManaged)?;
        Ok(key)
    }

    fn living(&mut self, at: u64, key: u8) -> Result<&mut ModelKey, OutcomeResult> {
        let key = self.fresh(at, key_id(key))?;
        ensure(key.deletion.is_none(), Reason::KeyPendingDeletion)?;
        Ok(key)
    }

    fn rotatable(&mut self, at: u64, key: u8) -> Result<&mut ModelKey, OutcomeResult> {
        let key = self.living(at, key)?;
        ensure(key.state != KeyState::Disabled, Reason::KeyDisabled)?;
        ensure(key.state != KeyState::PendingImport, Reason::KeyPendingImport)?;
        ensure(key.spec == KeySpec::SymmetricDefault, Reason::Malformed)?;
        Ok(key)
    }

    fn rotate_due(&mut self, keys: &[(u8, u8)]) -> Answer {
        let (mut rotated, mut next) = (Vec::new(), self.keys.clone());
        for (number, material) in keys {
            let Some(key) = next.get_mut(&key_id(*number)) else { continue };
            let due = key.rotation.filter(|(_, due)| *due <= self.clock);
            let Some((days, _)) = due.filter(|_| key.state == KeyState::Enabled) else { continue };
            let known = key.materials.iter().any(|(known, ..)| known == material);
            ensure(!known, Reason::Malformed)?;
            key.materials.push((*material, self.clock, Some(false)));
            key.rotation = Some((days, self.clock + u64::from(days) * DAY));
            rotated.push(*number);
        }
        self.keys = next;
        Ok(common::rotated(&rotated))
    }

    fn mark(&mut self, id: KeyId) {
        self.keys.get_mut(&id).unwrap().rights_removed_at = self.index;
    }

    fn delete_due(&mut self, id: KeyId) {
        let due = |key: &ModelKey| key.deletion.is_some_and(|deletion| deletion <= self.clock);
        if self.keys.get(&id).is_some_and(due) {
            self.keys.remove(&id);
            self.uses.remove(&id);
            self.aliases.retain(|_, alias| alias.target != id);
        }
    }
}

fn ensure(holds: bool, reason: Reason) -> Result<(), OutcomeResult> {
    if holds { Ok(()) } else { Err(rejected(reason)) }
}

fn class(key: &ModelKey) -> u8 {
    KINDS.iter().find(|(spec, _, _)| *spec == key.spec).unwrap().2
}

fn seen(key: &Key) -> ModelKey {
    assert_eq!(key.multi_region.is_some(), key.id.multi_region());
    assert_eq!(key.current(), key.materials.last());
    for material in &key.materials {
        let current = key.current().is_some_and(|current| current.id == material.id);
        assert_eq!(material.state == MaterialState::Current, current);
    }
    ModelKey {
        account: key.account.number(),
        manager: key.manager,
        spec: key.spec,
        usage: key.usage,
        origin: key.origin,
        state: key.state,
        description: key.description.to_string(),
        created: key.created.0,
        materials: key.materials.iter().map(seen_material).collect(),
        rotation: key.rotation.as_ref().map(|rotation| (rotation.period_days, rotation.next.0)),
        policy: key.policy.text.clone(),
        tags: key.tags.clone(),
        deletion: key.deletion.map(|deletion| deletion.0),
        rights_removed_at: key.rights_removed_at,
    }
}

fn seen_material(material: &Material) -> ModelMaterial {
    let number = material.id.bytes()[0];
    assert_eq!(material.wrapped[..], common::material(number).wrapped[..]);
    if let Some(rotation) = material.rotation {
        assert_eq!(rotation.at, material.created);
    }
    (number, material.created.0, material.rotation.map(|rotation| rotation.on_demand))
}

/// All that can be looked up or listed is what the model says.
fn check(view: &View, model: &Model) {
    assert_eq!((view.applied(), view.clock().0), (model.index, model.clock));
    let authority = view.authority().map(|made| {
        assert_eq!(made.certificate, made.sealed_key);
        (made.certificate[0], made.created.0)
    });
    assert_eq!(authority, model.authority);
    let accounts: BTreeMap<_, _> = view.accounts().map(|a| (a.id.number(), a.created.0)).collect();
    assert_eq!(accounts, model.accounts);
    for name in actions::ANY_ACCESS_KEY {
        let there = view.credential(&name.parse().unwrap()).is_some();
        assert_eq!(there, model.access_keys.contains_key(name), "{name}");
    }
    assert_eq!(view.uses_known_since().map(|since| since.0), model.uses_known_since);
    check_keys(view, model);
    check_aliases(view, model);
    check_deletions(view, model);
    check_rotations(view, model);
    let policies: BTreeSet<_> = model.keys.values().map(|key| &key.policy).collect();
    assert_eq!(view.policy_count(), policies.len());
}

fn check_keys(view: &View, model: &Model) {
    assert_eq!(view.key_count(), model.keys.len());
    for number in 0..KEYS {
        let id = key_id(number);
        assert_eq!(view.key(&id).map(|key| seen(key)).as_ref(), model.keys.get(&id));
        let last = view.last_use(&id).map(|last| (last.at.0, last.operation.code().into()));
        assert_eq!(last.as_ref(), model.uses.get(&id));
    }
    for owner in ANY_ACCOUNT {
        let of_owner = model.keys.iter().filter(|(_, key)| key.account == owner);
        let expected: Vec<KeyId> = of_owner.map(|(id, _)| *id).collect();
        let listed = |after| -> Vec<KeyId> {
            view.keys_of(account(owner), after).map(|key| key.id).collect()
        };
        assert_eq!(listed(None), expected);
        let counted = model.keys.values().filter(|key| key.account == owner);
        let counted = counted.filter(|key| key.manager == KeyManager::Customer).count();
        assert_eq!(view.key_count_of(account(owner)), counted);
        for after in (0..KEYS).map(key_id) {
            let later: Vec<_> = expected.iter().copied().filter(|id| *id > after).collect();
            assert_eq!(listed(Some(after)), later);
        }
    }
}

fn check_aliases(view: &View, model: &Model) {
    for owner in ANY_ACCOUNT {
        let mut expected: Vec<_> = model
            .aliases
            .iter()
            .filter(|((account, _), _)| *account == owner)
            .map(|((_, name), alias)| (name.to_string(), alias.clone()))
            .collect();
        expected.sort_by(|(a, _), (b, _)| a.cmp(b));
        let listed = |after: Option<&str>| -> Vec<(String, ModelAlias)> {
            let after = after.map(alias_name);
            let aliases = view.aliases_of(account(owner), after.as_ref());
            aliases.map(|alias| (alias.name.to_string(), seen_alias(alias))).collect()
        };
        assert_eq!(listed(None), expected);
        for name in NAMES {
            let later = expected.iter().filter(|(other, _)| other.as_str() > name);
            assert_eq!(listed(Some(name)), later.cloned().collect::<Vec<_>>());
            let one = view.alias(account(owner), &alias_name(name)).map(seen_alias);
            assert_eq!(one.as_ref(), model.aliases.get(&(owner, name)));
        }
    }
    for id in (0..KEYS).map(key_id) {
        let to_key = model.aliases.iter().filter(|(_, alias)| alias.target == id);
        let expected: BTreeSet<_> = to_key.map(|((_, name), _)| *name).collect();
        let listed: Vec<_> = view.aliases_to(id).map(|name| name.as_str()).collect();
        assert_eq!(listed, expected.into_iter().collect::<Vec<_>>());
    }
}

fn seen_alias(alias: &keystead_state::Alias) -> ModelAlias {
    let (created, updated) = (alias.created.0, alias.updated.0);
    ModelAlias { target: alias.target, created, updated }
}

fn check_rotations(view: &View, model: &Model) {
    let enabled = model.keys.iter().filter(|(_, key)| key.state == KeyState::Enabled);
    let dates = enabled.filter_map(|(id, key)| Some((key.rotation?.1, *id)));
    let dates: BTreeSet<_> = dates.collect();
    let edges = dates.iter().flat_map(|(due, _)| [due.saturating_sub(1), *due]);
    for clock in edges.chain([0, model.clock, u64::MAX]) {
        let due: Vec<_> = view.rotations_due(UnixMillis(clock)).map(|key| key.id).collect();
        let expected = dates.iter().filter(|(due, _)| *due <= clock);
        assert_eq!(due, expected.map(|(_, id)| *id).collect::<Vec<_>>());
    }
}

fn check_deletions(view: &View, model: &Model) {
    let deletions: BTreeSet<_> =
        model.keys.iter().filter_map(|(id, key)| Some((key.deletion?, *id))).collect();
    assert_eq!(view.next_due().map(|due| due.0), deletions.first().map(|(due, _)| *due));
    let edges = deletions.iter().flat_map(|(due, _)| [due.saturating_sub(1), *due]);
    for clock in edges.chain([0, model.clock, u64::MAX]) {
        let due: Vec<_> = view.keys_due(UnixMillis(clock)).collect();
        let expected = deletions.iter().filter(|(deletion, _)| *deletion <= clock);
        assert_eq!(due, expected.map(|(_, id)| *id).collect::<Vec<_>>());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]

    #[test]
    fn the_state_is_what_the_model_says(steps in steps(60)) {
        let mut replica = Replica::initialised();
        let mut model = Model::initialised();
        check(&replica.view, &model);
        for step in &steps {
            let outcome = replica.send(&step.command(model.clock, model.index));
            assert_eq!(outcome, model.step(step), "{step:?}");
            check(&replica.view, &model);
        }
        replica.reload();
        check(&replica.view, &model);
    }
}

#[test]
fn a_key_has_fifty_aliases_at_most() {
    let mut replica = Replica::initialised();
    for key in [0, 1] {
        assert!(matches!(replica.run(create_key(key)), OutcomeResult::KeyCreated(_)));
    }
    for n in 0..ALIASES_PER_KEY {
        assert_eq!(replica.run(create_alias(ACCOUNTS[0], &format!("alias/{n}"), 0)), done());
    }
    let limit = rejected(Reason::AliasLimit);
    assert_eq!(replica.run(create_alias(ACCOUNTS[0], "alias/more", 0)), limit);
    assert_eq!(replica.run(create_alias(ACCOUNTS[0], "alias/more", 1)), done());
    assert_eq!(replica.run(update_alias(ACCOUNTS[0], "alias/more", 0)), limit);
    // An alias that is already counted may be pointed at its key again.
    assert_eq!(replica.run(update_alias(ACCOUNTS[0], "alias/0", 0)), done());
    assert_eq!(replica.run(delete_alias(ACCOUNTS[0], "alias/0")), done());
    assert_eq!(replica.run(update_alias(ACCOUNTS[0], "alias/more", 0)), done());
    assert_eq!(replica.view.aliases_to(key_id(0)).count(), ALIASES_PER_KEY);
}

#[test]
fn a_key_has_fifty_tags_at_most() {
    let mut replica = Replica::initialised();
    replica.run(create_key(0));
    let names: Vec<String> = (0..=TAGS_PER_KEY).map(|n| format!("tag{n}")).collect();
    let tags: Vec<_> = names.iter().map(|name| (name.as_str(), "")).collect();
    assert_eq!(replica.run(tag(0, &tags)), rejected(Reason::TagLimit));
    assert_eq!(replica.run(tag(0, &tags[..TAGS_PER_KEY])), done());
    assert_eq!(replica.run(tag(0, &tags[TAGS_PER_KEY..])), rejected(Reason::TagLimit));
    // A tag that is there already takes no more room.
    assert_eq!(replica.run(tag(0, &[("tag0", "new")])), done());
    assert_eq!(replica.run(untag(0, &["tag1", "absent"])), done());
    assert_eq!(replica.run(tag(0, &tags[TAGS_PER_KEY..])), done());
    assert_eq!(replica.view.key(&key_id(0)).unwrap().tags.len(), TAGS_PER_KEY);
}
