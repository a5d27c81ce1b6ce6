//! Multi-Region keys: what a primary shares gets to its replicas, once and in order, and nothing
//! else does.
#![allow(clippy::unwrap_used)]

mod common;

use std::sync::atomic::{AtomicU8, Ordering};

use common::*;
use keystead_state::proto::command::Operation;
use keystead_state::proto::outcome::Result as OutcomeResult;
use keystead_state::proto::region_message::Kind;
use keystead_state::proto::{self, Reason, RegionMessage};
use keystead_state::{Key, MaterialState, View};
use keystead_types::{KeyState, Region};

const HERE: &str = "eu-central-1";
const THERE: &str = "eu-west-1";
/// A multi-Region key.
const KEY: u8 = 2;

/// Two regions that are connected, and key [`KEY`] in the first.
struct Regions {
    here: Replica,
    there: Replica,
}

fn region(name: &str) -> Region {
    name.parse().unwrap()
}

fn connect(name: &str, cluster: u8, stream: u8) -> Operation {
    Operation::AddRegionPeer(proto::AddRegionPeer {
        peer: Some(proto::RegionPeerRecord {
            region: name.into(),
            cluster_id: vec![cluster; 16],
            identity: vec![cluster; 20],
            authority: vec![cluster; 30],
            endpoints: vec!["kms.example.com:9474".into()],
            added_ms: 0,
        }),
        stream: vec![stream; 16],
    })
}

/// The name of stream `random` of a generation.
fn stream_name(generation: u64, random: u8) -> Vec<u8> {
    [generation.to_be_bytes(), [random; 8]].concat()
}

fn disconnect(name: &str) -> Operation {
    Operation::RemoveRegionPeer(proto::RemoveRegionPeer { region: name.into() })
}

fn replicate(name: &str) -> Operation {
    Operation::ReplicateKey(proto::ReplicateKey {
        key: key_ref(KEY),
        region: name.into(),
        description: "over there".into(),
        policy: keystead_policy::default_key_policy(account(ACCOUNTS[0])),
        tags: [("where".to_owned(), "there".to_owned())].into(),
        lockout_check: None,
    })
}

/// What is in the outbox for a region, as it goes on its way.
fn messages(from: &View, to: &str) -> (u64, Vec<RegionMessage>) {
    let first = from.outbox(&region(to)).next().map_or(0, |(sequence, _)| sequence);
    (first, from.outbox(&region(to)).map(|(_, message)| from.as_told(message)).collect())
}

/// Hands over what one region has for another one; `None` if it has nothing.
fn deliver(from: &mut Replica, to: &mut Replica) -> Option<proto::MessagesReceived> {
    let names = [from.view.region().unwrap().to_string(), to.view.region().unwrap().to_string()];
    let (first, messages) = messages(&from.view, &names[1]);
    if messages.is_empty() {
        return None;
    }
    let stream = from.view.region_stream(&region(&names[1])).unwrap().outgoing.to_vec();
    let receive = proto::ReceiveMessages {
        region: names[0].clone(),
        stream: stream.clone(),
        first,
        messages,
    };
    let OutcomeResult::MessagesReceived(received) = to.run(Operation::ReceiveMessages(receive))
    else {
        panic!("messages are refused");
    };
    let confirm =
        proto::ConfirmMessages { region: names[1].clone(), stream, through: received.through };
    assert_eq!(from.run(Operation::ConfirmMessages(confirm)), done());
    Some(received)
}

/// Sixteen bytes that nobody had before.
fn random() -> Vec<u8> {
    static NEXT: AtomicU8 = AtomicU8::new(20);
    vec![NEXT.fetch_add(1, Ordering::Relaxed); 16]
}

/// A region that was set back finds out by what its peer knows of the streams.
fn find_out(region: &mut Replica, peer: &Replica) {
    let (own, other) = (name(region), name(peer));
    let known = peer.view.stream_cursors(&own).unwrap();
    if let Some(after) = region.view.is_set_back(&other, &known) {
        let wanted = random();
        let stream = random();
        let region_name = other.to_string();
        let operation = proto::Resynchronise {
            region: region_name,
            stream,
            after,
            wanted,
            answered: Vec::new(),
        };
        assert_eq!(region.run(Operation::Resynchronise(operation)), done());
    }
}

/// A region tells its peer all, if that asks for it.
fn answer(region: &mut Replica, peer: &Replica) {
    let (own, other) = (name(region), name(peer));
    let wanted = peer.view.region_stream(&own).unwrap().wanted;
    let stream = region.view.region_stream(&other).unwrap();
    if let Some(wanted) = wanted.filter(|wanted| stream.answered != Some(*wanted)) {
        let operation = proto::Resynchronise {
            region: other.to_string(),
            stream: random(),
            after: 0,
            wanted: Vec::new(),
            answered: wanted.to_vec(),
        };
        assert_eq!(region.run(Operation::Resynchronise(operation)), done());
    }
}

fn name(of: &Replica) -> Region {
    of.view.region().unwrap().clone()
}

fn set_back(to: &View) -> Replica {
    Replica { view: to.clone(), changes: Vec::new() }
}

fn move_primary(to: &str) -> Operation {
    let (key, region) = (key_ref(KEY), to.into());
    Operation::UpdatePrimaryRegion(proto::UpdatePrimaryRegion { key, region })
}

impl Regions {
    fn connected() -> Self {
        let mut here = Replica::initialised();
        let mut there = Replica::default();
        let Operation::Initialise(initialise) = initialise() else { unreachable!() };
        let initialise =
            proto::Initialise { cluster_id: vec![8; 16], region: THERE.into(), ..initialise };
        there.send(&command(START, Operation::Initialise(initialise)));
        there.run(create_account(ACCOUNTS[0], ACCESS_KEYS[0]));
        assert_eq!(here.run(connect(THERE, 8, 1)), done());
        assert_eq!(there.run(connect(HERE, 7, 2)), done());
        assert_eq!(here.run(create_key(KEY)), created(KEY));
        Self { here, there }
    }

    /// The same, with a replica of the key in the second region.
    fn replicated() -> Self {
        let mut regions = Self::connected();
        assert_eq!(regions.here.run(replicate(THERE)), done());
        regions.settle();
        regions
    }

    /// Hands messages to and fro until there are none.
    fn settle(&mut self) {
        for _ in 0..20 {
            let to = deliver(&mut self.here, &mut self.there);
            let fro = deliver(&mut self.there, &mut self.here);
            if to.is_none() && fro.is_none() {
                return;
            }
        }
        panic!("the regions never stop talking");
    }

    /// Hands messages to and fro until there are none, and lets a region that was set back ask.
    fn reconcile(&mut self) {
        find_out(&mut self.here, &self.there);
        find_out(&mut self.there, &self.here);
        answer(&mut self.there, &self.here);
        answer(&mut self.here, &self.there);
        self.settle();
        for replica in [&self.here, &self.there] {
            let peer = replica.view.region_peers().next().unwrap().region.clone();
            assert_eq!(replica.view.region_stream(&peer).unwrap().wanted, None);
        }
    }

    fn replica(&self) -> &Key {
        self.there.view.key(&key_id(KEY)).unwrap()
    }

    fn primary(&self) -> &Key {
        self.here.view.key(&key_id(KEY)).unwrap()
    }
}

fn numbers(key: &Key) -> Vec<(u8, MaterialState)> {
    key.materials.iter().map(|one| (one.id.bytes()[0], one.state)).collect()
}

#[test]
fn a_replica_is_creating_until_what_it_shares_comes() {
    let mut regions = Regions::connected();
    assert_eq!(regions.here.run(replicate(THERE)), done());
    assert_eq!(regions.here.run(replicate(THERE)), rejected(Reason::ReplicaExists));
    let received = deliver(&mut regions.here, &mut regions.there).unwrap();
    assert_eq!(received.created, [key_ref(KEY).unwrap()]);
    assert_eq!(regions.replica().state, KeyState::Creating);
    assert!(regions.replica().materials.is_empty(), "no material before the replica is taken");

    regions.settle();
    let (replica, primary) = (regions.replica(), regions.primary());
    assert_eq!(replica.state, KeyState::Enabled);
    assert_eq!(replica.materials, primary.materials);
    assert_eq!(replica.as_replica().unwrap().primary, region(HERE));
    assert_eq!(replica.as_replica().unwrap().replicas[0].region, region(THERE));
    assert_eq!((&*replica.description, &*primary.description), ("over there", ""));
    assert_eq!(replica.tags["where"], "there");
}

#[test]
fn a_refused_replica_is_no_relative_any_more() {
    let mut regions = Regions::connected();
    let foreign = proto::CreateKey { account: ACCOUNTS[1], ..symmetric_key(8) };
    regions.here.run(Operation::CreateKey(foreign));
    let Operation::ReplicateKey(offer) = replicate(THERE) else { unreachable!() };
    let offer = proto::ReplicateKey { key: key_ref(8), ..offer };
    assert_eq!(regions.here.run(Operation::ReplicateKey(offer)), done());
    assert_eq!(deliver(&mut regions.here, &mut regions.there).unwrap().created, []);
    let refused = deliver(&mut regions.there, &mut regions.here).unwrap().refused;
    assert_eq!(refused[0].reason(), Reason::AccountNotFound);
    let key = regions.here.view.key(&key_id(8)).unwrap();
    assert!(key.as_primary().unwrap().replicas.is_empty());
    assert!(regions.there.view.key(&key_id(8)).is_none());
}

#[test]
fn new_material_encrypts_once_every_replica_has_it() {
    let mut regions = Regions::replicated();
    assert_eq!(regions.there.run(rotate(KEY, 20)), rejected(Reason::KeyNotPrimary));
    assert_eq!(regions.here.run(rotate(KEY, 10)).clone(), done());
    use MaterialState::{Current, NonCurrent, Spreading};
    assert_eq!(numbers(regions.primary()), [(KEY, Current), (10, Spreading)]);
    assert_eq!(regions.here.run(rotate(KEY, 11)), rejected(Reason::MaterialSpreading));
    deliver(&mut regions.here, &mut regions.there);
    assert_eq!(numbers(regions.replica()), [(KEY, Current), (10, Spreading)]);
    assert_eq!(numbers(regions.primary()), [(KEY, NonCurrent), (10, Current)]);
    regions.settle();
    assert_eq!(numbers(regions.replica()), [(KEY, NonCurrent), (10, Current)]);
    assert_eq!(regions.replica().current().unwrap().id.bytes()[0], 10);
}

#[test]
fn a_replica_never_rotates_by_itself() {
    let mut regions = Regions::replicated();
    assert_eq!(regions.here.run(enable_rotation(KEY, 90)), done());
    regions.settle();
    assert_eq!(regions.replica().rotation, regions.primary().rotation);
    regions.there.wait(100 * DAY);
    regions.here.wait(100 * DAY);
    assert_eq!(regions.there.view.rotations_due(regions.there.view.clock()).count(), 0);
    assert_eq!(regions.there.run(rotate_due(&[(KEY, 30)])), rotated(&[]));
    assert_eq!(regions.there.run(disable_rotation(KEY)), rejected(Reason::KeyNotPrimary));
    assert_eq!(regions.here.run(rotate_due(&[(KEY, 30)])), rotated(&[KEY]));
    regions.settle();
    assert_eq!(regions.replica().current().unwrap().id.bytes()[0], 30);
}

#[test]
fn what_is_independent_stays_where_it_is() {
    let mut regions = Regions::replicated();
    for operation in [describe(KEY, "here"), tag(KEY, &[("a", "b")]), disable(KEY)] {
        assert_eq!(regions.here.run(operation), done());
    }
    assert_eq!(regions.here.view.outbox(&region(THERE)).count(), 0);
    regions.settle();
    assert_eq!(regions.replica().state, KeyState::Enabled);
    assert_eq!(&*regions.replica().description, "over there");
}

#[test]
fn a_primary_waits_for_its_last_replica_to_be_gone() {
    let mut regions = Regions::replicated();
    assert_eq!(regions.here.run(schedule(KEY, 8)), done());
    assert_eq!(regions.primary().state, KeyState::PendingReplicaDeletion);
    assert_eq!(regions.primary().deletion, None);
    assert_eq!(regions.here.run(cancel(KEY)), done());
    assert_eq!(regions.primary().state, KeyState::Disabled);
    regions.here.run(schedule(KEY, 8));

    regions.there.run(schedule(KEY, 7));
    regions.there.wait(7 * DAY);
    regions.here.wait(7 * DAY);
    regions.there.run(delete_due(&[KEY]));
    assert!(regions.there.view.key(&key_id(KEY)).is_none());
    regions.settle();
    assert_eq!(regions.primary().state, KeyState::PendingDeletion);
    let window = regions.here.view.clock().plus(8 * DAY);
    assert_eq!(regions.primary().deletion, Some(window));
    assert!(regions.primary().as_primary().unwrap().replicas.is_empty());
}

#[test]
fn messages_that_come_again_or_too_early_change_nothing() {
    let mut regions = Regions::replicated();
    regions.here.run(rotate(KEY, 10));
    let stream = regions.here.view.region_stream(&region(THERE)).unwrap().outgoing.to_vec();
    let (first, sent) = messages(&regions.here.view, THERE);
    let receive = |first, stream: &[u8]| {
        Operation::ReceiveMessages(proto::ReceiveMessages {
            region: HERE.into(),
            stream: stream.to_vec(),
            first,
            messages: sent.clone(),
        })
    };
    let missing = rejected(Reason::MessagesMissing);
    assert_eq!(regions.there.run(receive(first + 1, &stream)), missing);
    assert_eq!(regions.there.run(receive(0, &stream)), missing);
    assert_eq!(regions.there.run(receive(first, &stream_name(2, 9))), missing, "of a newer stream");
    assert_eq!(regions.there.run(receive(1, &stream_name(1, 9))), missing, "of an older stream");
    let through = |outcome| match outcome {
        OutcomeResult::MessagesReceived(received) => received.through,
        other => panic!("{other:?}"),
    };
    assert_eq!(through(regions.there.run(receive(first, &stream))), first);
    let before = regions.there.rows();
    assert_eq!(through(regions.there.run(receive(first, &stream))), first);
    assert_eq!(regions.there.rows(), before);
}

#[test]
fn only_the_primary_changes_what_is_shared() {
    let mut regions = Regions::replicated();
    let mut shared = regions.primary().shared().unwrap();
    shared.revision = Some(proto::RevisionRecord { epoch: 9, number: 9 });
    shared.current_material = None;
    let forged = |from: &str, shared: &proto::SharedKeyRecord| RegionMessage {
        key_id: key_id(KEY).bytes().to_vec(),
        kind: Some(Kind::Change(proto::SharedChange {
            revision: shared.revision,
            shared: Some(proto::SharedKeyRecord { primary_region: from.into(), ..shared.clone() }),
            since: None,
        })),
        told_ms: 0,
    };
    let third = "us-east-1";
    regions.there.run(connect(third, 9, 3));
    regions.here.run(connect(third, 9, 4));
    for replica in [&mut regions.there, &mut regions.here] {
        let before = replica.view.key(&key_id(KEY)).unwrap().clone();
        let messages = vec![forged(third, &shared), forged(HERE, &shared)];
        replica.run(Operation::ReceiveMessages(proto::ReceiveMessages {
            region: third.into(),
            stream: stream_name(1, 5),
            first: 1,
            messages,
        }));
        assert_eq!(*replica.view.key(&key_id(KEY)).unwrap(), before);
    }
}

#[test]
fn a_region_that_is_no_peer_is_told_nothing_and_waited_for_by_nobody() {
    let mut regions = Regions::replicated();
    regions.here.run(rotate(KEY, 10));
    assert_eq!(regions.here.run(disconnect(THERE)), done());
    assert_eq!(regions.here.run(disconnect(THERE)), rejected(Reason::RegionPeerNotFound));
    assert_eq!(regions.here.view.outbox(&region(THERE)).count(), 0);
    assert_eq!(regions.primary().current().unwrap().id.bytes()[0], 10);
    assert_eq!(regions.here.run(replicate("us-east-1")), rejected(Reason::RegionPeerNotFound));

    assert_eq!(regions.here.run(rotate(KEY, 11)).clone(), done());
    assert_eq!(regions.primary().current().unwrap().id.bytes()[0], 11);

    // Connected anew, it hears of what it missed.
    assert_eq!(regions.here.run(connect(THERE, 8, 6)), done());
    regions.reconcile();
    assert_eq!(regions.replica().current().unwrap().id.bytes()[0], 11);
}

#[test]
fn what_is_known_of_regions_is_stored() {
    let mut regions = Regions::replicated();
    regions.here.run(Operation::CreateRegionIdentity(proto::CreateRegionIdentity {
        public: vec![1; 9],
        sealed_private: vec![2; 9],
    }));
    regions.here.run(rotate(KEY, 10));
    for replica in [&regions.here, &regions.there] {
        let loaded = View::from_rows(replica.rows(), replica.view.applied()).unwrap();
        assert_eq!(loaded.rows().collect::<Vec<_>>(), replica.view.rows().collect::<Vec<_>>());
        assert_eq!(loaded.multi_region_keys().count(), 1);
    }
}

#[test]
fn a_primary_moves_and_moves_back() {
    let mut regions = Regions::replicated();
    assert_eq!(regions.there.run(move_primary(HERE)), rejected(Reason::KeyNotPrimary));
    assert_eq!(regions.here.run(move_primary("us-east-1")), rejected(Reason::ReplicaNotFound));
    assert_eq!(regions.here.run(move_primary(THERE)), done());
    assert_eq!(regions.primary().state, KeyState::Updating);
    assert_eq!(regions.here.run(rotate(KEY, 10)), rejected(Reason::KeyUpdating));
    assert_eq!(regions.here.run(disconnect(THERE)), rejected(Reason::PrimaryMoving));

    deliver(&mut regions.here, &mut regions.there);
    assert_eq!(regions.replica().state, KeyState::Updating);
    assert!(regions.replica().as_primary().is_some());
    regions.settle();
    for (key, primary) in [(regions.replica(), true), (regions.primary(), false)] {
        assert_eq!(key.state, KeyState::Enabled);
        assert_eq!(key.as_primary().is_some(), primary);
        let relatives = key.multi_region.as_deref().unwrap();
        assert_eq!(relatives.primary, region(THERE));
        assert_eq!(relatives.replicas[0].region, region(HERE));
    }
    assert_eq!(regions.there.run(rotate(KEY, 10)), done());
    regions.settle();
    assert_eq!(regions.primary().current().unwrap().id.bytes()[0], 10);

    assert_eq!(regions.there.run(move_primary(HERE)), done());
    regions.settle();
    assert_eq!(regions.primary().as_primary().unwrap().revision.epoch, 3);
    assert_eq!(regions.replica().as_replica().unwrap().primary, region(HERE));
}

#[test]
fn a_primary_that_moves_is_neither_deleted_nor_disabled() {
    let mut regions = Regions::replicated();
    assert_eq!(regions.here.run(move_primary(THERE)), done());
    assert_eq!(regions.here.run(schedule(KEY, 7)), rejected(Reason::KeyUpdating));
    assert_eq!(regions.here.run(disable(KEY)), rejected(Reason::KeyUpdating));
    regions.settle();
    assert!(regions.replica().as_primary().is_some());
}

#[test]
fn a_replica_that_cannot_be_the_primary_says_so() {
    let mut regions = Regions::replicated();
    regions.there.run(disable(KEY));
    assert_eq!(regions.here.run(move_primary(THERE)), done());
    regions.settle();
    assert_eq!(regions.primary().state, KeyState::Enabled);
    assert_eq!(regions.primary().as_primary().unwrap().revision.epoch, 3);
    assert_eq!(regions.replica().as_replica().unwrap().revision.epoch, 3);
}

#[test]
fn a_primary_that_was_set_back_takes_back_what_it_shared() {
    let mut regions = Regions::replicated();
    let earlier = regions.here.view.clone();
    regions.here.run(rotate(KEY, 10));
    regions.here.run(enable_rotation(KEY, 100));
    regions.settle();
    regions.here = set_back(&earlier);
    // Alone for a while, it goes its own way.
    assert_eq!(regions.here.run(rotate(KEY, 11)), done());
    regions.reconcile();
    for key in [regions.primary(), regions.replica()] {
        assert_eq!(key.current().unwrap().id.bytes()[0], 10);
        let mut ids: Vec<_> = numbers(key).into_iter().map(|(id, _)| id).collect();
        ids.sort_unstable();
        assert_eq!(ids, [KEY, 10, 11], "what may have been used stays");
        assert_eq!(key.rotation.as_ref().unwrap().period_days, 100);
    }
    assert_eq!(regions.primary().materials, regions.replica().materials);
}

#[test]
fn a_region_that_was_set_back_to_before_its_replica_was_made_knows_it_again() {
    let mut regions = Regions::connected();
    let earlier = regions.here.view.clone();
    regions.here.run(replicate(THERE));
    regions.settle();
    regions.here = set_back(&earlier);
    regions.reconcile();
    assert_eq!(regions.primary().as_primary().unwrap().replicas[0].region, region(THERE));
    regions.here.run(rotate(KEY, 10));
    regions.settle();
    assert_eq!(regions.replica().current().unwrap().id.bytes()[0], 10);
}

#[test]
fn a_replica_that_was_set_back_catches_up_and_a_lost_one_is_given_up() {
    let mut regions = Regions::connected();
    let before_it = regions.there.view.clone();
    regions.here.run(replicate(THERE));
    regions.settle();
    let with_it = regions.there.view.clone();
    regions.here.run(rotate(KEY, 10));
    regions.settle();
    regions.there = set_back(&with_it);
    regions.reconcile();
    assert_eq!(regions.replica().current().unwrap().id.bytes()[0], 10);

    regions.there = set_back(&before_it);
    regions.reconcile();
    assert!(regions.there.view.key(&key_id(KEY)).is_none());
    assert!(regions.primary().as_primary().unwrap().replicas.is_empty());
}

#[test]
fn a_primary_that_was_set_back_to_before_it_moved_is_none() {
    let mut regions = Regions::replicated();
    let earlier = regions.here.view.clone();
    regions.here.run(move_primary(THERE));
    let asked = regions.here.view.clone();
    regions.settle();
    regions.there.run(rotate(KEY, 10));
    regions.settle();
    for moment in [earlier, asked] {
        regions.here = set_back(&moment);
        assert!(regions.primary().as_primary().is_some());
        regions.reconcile();
        assert!(regions.primary().as_primary().is_none());
        assert!(regions.replica().as_primary().is_some());
        assert_eq!(regions.primary().state, KeyState::Enabled);
        assert_eq!(regions.primary().current().unwrap().id.bytes()[0], 10);
    }
}
