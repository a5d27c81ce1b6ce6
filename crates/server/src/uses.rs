//! When keys were last used. Every use is noted in memory; the state is told in batches, so that
//! what this costs the region does not grow with the uses.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use keystead_state::limits::KEY_USES_AT_ONCE;
use keystead_state::{KeyUse, View};
use keystead_types::KeyId;

/// Parts of the notes, each under a lock of its own, which is held for as long as a map takes.
const SHARDS: usize = 64;

type Shard = HashMap<KeyId, KeyUse>;

/// The last use that this node saw of each key, until the state knows it or a later one.
pub(crate) struct KeyUses {
    shards: [Mutex<Shard>; SHARDS],
}

impl KeyUses {
    pub(crate) fn new() -> Self {
        Self { shards: std::array::from_fn(|_| Mutex::default()) }
    }

    /// Notes a use.
    pub(crate) fn note(&self, key_use: KeyUse) {
        let mut shard = self.shard(&key_use.key);
        let last = shard.entry(key_use.key).or_insert(key_use);
        if last.at <= key_use.at {
            *last = key_use;
        }
    }

    /// The last use of a key that is noted.
    pub(crate) fn of(&self, key: &KeyId) -> Option<KeyUse> {
        self.shard(key).get(key).copied()
    }

    /// The uses to tell the state of: at most so many as a command takes, of keys whose last use it
    /// has at least `least_ms` too early. Those come first that it has most wrong. What a View
    /// knows already, or has no key for any more, is forgotten.
    pub(crate) fn worth_telling(&self, view: &View, least_ms: u64) -> Vec<KeyUse> {
        let mut uses = Vec::new();
        for shard in &self.shards {
            lock(shard).retain(|key, noted| {
                let known = view.last_use(key).map_or(0, |known| known.at.0);
                let change = noted.at.0.saturating_sub(known);
                let stays = change > 0 && view.key(key).is_some();
                if stays && change >= least_ms {
                    uses.push((change, *noted));
                }
                stays
            });
        }
        if uses.len() > KEY_USES_AT_ONCE {
            uses.select_nth_unstable_by_key(KEY_USES_AT_ONCE, |(change, _)| Reverse(*change));
            uses.truncate(KEY_USES_AT_ONCE);
        }
        uses.into_iter().map(|(_, noted)| noted).collect()
    }

    /// Forgets uses that the state was told of; not later ones of the same keys.
    pub(crate) fn forget(&self, told: &[KeyUse]) {
        for key_use in told {
            let mut shard = self.shard(&key_use.key);
            if shard.get(&key_use.key) == Some(key_use) {
                shard.remove(&key_use.key);
            }
        }
    }

    fn shard(&self, key: &KeyId) -> MutexGuard<'_, Shard> {
        lock(&self.shards[usize::from(key.bytes()[15]) % SHARDS])
    }
}

fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    // A panic while holding the lock cannot leave a use half noted.
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use keystead_state::proto::command::Operation;
    use keystead_state::proto::{self, Command};
    use keystead_types::{
        CryptographicOperation, KeySpec, KeyUsage, Origin, RequestId, UnixMillis,
    };

    use super::*;

    const ACCOUNT: u64 = 111_122_223_333;
    const MINUTE: u64 = 60_000;

    fn id(number: u16) -> KeyId {
        let mut bytes = [0; 16];
        bytes[..2].copy_from_slice(&number.to_be_bytes());
        KeyId::new(bytes, false)
    }

    fn used(number: u16, at: u64) -> KeyUse {
        let request_id = RequestId::new([7; 16]);
        let (key, at, operation) = (id(number), UnixMillis(at), CryptographicOperation::Encrypt);
        KeyUse { key, at, operation, request_id, event_id: request_id }
    }

    fn run(view: &mut View, operation: Operation) {
        let time_ms = 1000 * MINUTE;
        let command =
            Command { time_ms, version: 1, operation: Some(operation), ..Command::default() };
        let index = view.applied() + 1;
        let outcome = keystead_state::apply(view, index, &command).unwrap().outcome;
        assert!(!matches!(outcome.result, Some(proto::outcome::Result::Rejected(_))));
    }

    /// A region with keys of these numbers.
    fn region(keys: std::ops::Range<u16>) -> View {
        let mut view = View::empty();
        let domain_key = Some(proto::DomainKeyRecord { epoch: 1, ..Default::default() });
        run(
            &mut view,
            Operation::Initialise(proto::Initialise {
                cluster_id: vec![7; 16],
                region: "eu-central-1".into(),
                sealed_roots: Vec::new(),
                domain_key,
            }),
        );
        let access_key_id = "ACCESS".into();
        let account =
            proto::CreateAccount { account: ACCOUNT, access_key_id, ..Default::default() };
        run(&mut view, Operation::CreateAccount(account));
        for number in keys {
            run(
                &mut view,
                Operation::CreateKey(proto::CreateKey {
                    key: crate::propose::id_ref(id(number)),
                    account: ACCOUNT,
                    spec: KeySpec::SymmetricDefault.code().into(),
                    usage: KeyUsage::EncryptDecrypt.code().into(),
                    origin: Origin::External.code().into(),
                    ..Default::default()
                }),
            );
        }
        view
    }

    fn tell(view: &mut View, uses: &[KeyUse]) {
        let uses = uses.iter().map(KeyUse::record).collect();
        run(view, Operation::RecordKeyUses(proto::RecordKeyUses { uses, ahead_ms: 0 }));
    }

    #[test]
    fn the_latest_use_is_noted_and_told_until_the_state_knows_it() {
        let (uses, mut view) = (KeyUses::new(), region(0..1));
        for at in [2 * MINUTE, 3 * MINUTE, MINUTE] {
            uses.note(used(0, at));
        }
        assert_eq!(uses.of(&id(0)), Some(used(0, 3 * MINUTE)));
        let told = uses.worth_telling(&view, MINUTE);
        assert_eq!(told, [used(0, 3 * MINUTE)]);
        tell(&mut view, &told);
        uses.note(used(0, 5 * MINUTE));
        uses.forget(&told);
        assert_eq!(uses.of(&id(0)), Some(used(0, 5 * MINUTE)), "a later one was not told");
        let told = uses.worth_telling(&view, MINUTE);
        uses.forget(&told);
        assert_eq!(uses.of(&id(0)), None);
    }

    #[test]
    fn a_use_that_changes_little_waits() {
        let (uses, mut view) = (KeyUses::new(), region(0..1));
        tell(&mut view, &[used(0, 10 * MINUTE)]);
        uses.note(used(0, 11 * MINUTE - 1));
        assert_eq!(uses.worth_telling(&view, MINUTE), []);
        assert_eq!(uses.worth_telling(&view, 0).len(), 1, "a node that stops tells it");
        uses.note(used(0, 11 * MINUTE));
        assert_eq!(uses.worth_telling(&view, MINUTE), [used(0, 11 * MINUTE)]);
    }

    #[test]
    fn what_the_state_knows_or_has_no_key_for_is_forgotten() {
        let (uses, mut view) = (KeyUses::new(), region(0..1));
        tell(&mut view, &[used(0, 10 * MINUTE)]);
        uses.note(used(0, 10 * MINUTE));
        uses.note(used(1, 10 * MINUTE));
        assert_eq!(uses.worth_telling(&view, 0), []);
        assert_eq!((uses.of(&id(0)), uses.of(&id(1))), (None, None));
    }

    #[test]
    fn a_command_has_as_many_uses_as_it_takes_and_the_most_wrong_first() {
        let all = u16::try_from(KEY_USES_AT_ONCE).unwrap() + 10;
        let (uses, view) = (KeyUses::new(), region(0..all));
        for number in 0..all {
            uses.note(used(number, u64::from(all - number) * MINUTE));
        }
        let told = uses.worth_telling(&view, MINUTE);
        assert_eq!(told.len(), KEY_USES_AT_ONCE);
        assert!((0..10).all(|late| !told.iter().any(|key_use| key_use.key == id(all - 1 - late))));
        uses.forget(&told);
        assert_eq!(uses.worth_telling(&view, MINUTE).len(), 10);
    }
}
