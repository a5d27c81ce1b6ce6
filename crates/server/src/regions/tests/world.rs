//! Regions that are connected, and their keys.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use keystead_crypto::random;
use keystead_state::proto::{self, command, outcome};
use keystead_state::{Key, RegionPeer};
use keystead_types::{AccountId, KeyId, KeySpec, KeyState, KeyUsage, Origin, Region};

use crate::audit::AuditTrail;
use crate::boot::{self, NewAccount, Place, Setup};
use crate::process::MemorySeal;
use crate::propose;
use crate::region::RegionServer;
use crate::regions::wire::Signed;
use crate::regions::{Courier, ExchangeError, LocalCourier};

pub(super) const HERE: &str = "us-east-1";
pub(super) const THERE: &str = "eu-west-1";
const ACCOUNT: &str = "000000000000";
/// Regions that are left alone have agreed by then.
const PATIENCE: Duration = Duration::from_secs(30);

/// Two regions, `here` and `there`.
pub(super) struct World {
    pub(super) here: Arc<RegionServer>,
    pub(super) there: Arc<RegionServer>,
}

/// What was said, in the order in which it was.
#[derive(Default)]
pub(super) struct Heard(Mutex<Vec<(Kind, Signed)>>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Greeting,
    Welcome,
    Delivery,
    Receipt,
}

impl Heard {
    pub(super) fn all(&self) -> Vec<(Kind, Signed)> {
        self.0.lock().unwrap().clone()
    }

    fn note(&self, kind: Kind, signed: &Signed) {
        self.0.lock().unwrap().push((kind, signed.clone()));
    }
}

/// Carries everything, and keeps it.
pub(super) struct Recorder {
    pub(super) inner: LocalCourier,
    pub(super) heard: Arc<Heard>,
}

#[async_trait::async_trait]
impl Courier for Recorder {
    async fn greet(&self, peer: &RegionPeer, greeting: Signed) -> Result<Signed, ExchangeError> {
        self.heard.note(Kind::Greeting, &greeting);
        let welcome = self.inner.greet(peer, greeting).await?;
        self.heard.note(Kind::Welcome, &welcome);
        Ok(welcome)
    }

    async fn deliver(&self, peer: &RegionPeer, delivery: Signed) -> Result<Signed, ExchangeError> {
        self.heard.note(Kind::Delivery, &delivery);
        let receipt = self.inner.deliver(peer, delivery).await?;
        self.heard.note(Kind::Receipt, &receipt);
        Ok(receipt)
    }
}

fn trail() -> Arc<AuditTrail> {
    Arc::new(AuditTrail::file("/dev/null".as_ref()).unwrap())
}

pub(super) async fn region(name: &str) -> Arc<RegionServer> {
    let (name, seal) = (name.parse().unwrap(), MemorySeal::generate().unwrap());
    let setup = Setup::alone(&name, &Place::Memory, &seal);
    let region = Arc::new(setup.open_or_initialise().await.unwrap());
    let account = NewAccount {
        account: ACCOUNT.parse().unwrap(),
        access_key_id: "test".parse().unwrap(),
        secret: "test".to_owned().into(),
        service: None,
    };
    boot::ensure_account(&region, &account).await.unwrap();
    region
}

impl World {
    /// Two regions, of which each is what `courier` makes of the way between them. They say nothing
    /// before they are told to.
    pub(super) async fn new(courier: impl Fn(LocalCourier) -> Arc<dyn Courier>) -> Self {
        let regions = [region(HERE).await, region(THERE).await];
        for region in &regions {
            // The first courier that a region is given counts.
            region.set_courier(courier(LocalCourier::new(&regions)));
            let _ = region.peer_regions.audit.set(trail());
        }
        LocalCourier::connect(&regions).await.unwrap();
        let [here, there] = regions;
        Self { here, there }
    }

    /// Lets both speak, for ever.
    pub(super) fn speak(&self) {
        for region in [&self.here, &self.there] {
            tokio::spawn(Arc::clone(region).run_region_exchange(trail()));
        }
    }

    /// Both tell each other everything, once.
    pub(super) async fn settle(&self) {
        for _ in 0..6 {
            for (from, to) in [(&self.here, &self.there), (&self.there, &self.here)] {
                let peer = peer_of(from, to);
                from.exchange(&peer).await.unwrap();
            }
        }
    }

    /// Waits until nothing waits.
    pub(super) async fn agree(&self) {
        let agreed = async {
            while !self.is_settled() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(PATIENCE, agreed).await.expect("they agree");
    }

    fn is_settled(&self) -> bool {
        [(&self.here, THERE), (&self.there, HERE)].into_iter().all(|(region, peer)| {
            let view = region.view();
            let settled = |key: &Arc<Key>| {
                !matches!(key.state, KeyState::Creating | KeyState::Updating) && !key.spreads()
            };
            view.outbox_len(&peer.parse().unwrap()) == 0
                && view.multi_region_keys().filter_map(|id| view.key(&id)).all(settled)
        })
    }
}

pub(super) fn peer_of(region: &RegionServer, peer: &RegionServer) -> RegionPeer {
    let view = region.view();
    RegionPeer::clone(view.region_peer(peer.name()).unwrap())
}

/// Makes a key. Its material stays in the region, unless it gets replicas.
pub(super) async fn create_key(region: &RegionServer, multi_region: bool) -> KeyId {
    let id = KeyId::from_random(random::bytes().unwrap(), multi_region);
    let account: AccountId = ACCOUNT.parse().unwrap();
    let (spec, usage) = (KeySpec::SymmetricDefault, KeyUsage::EncryptDecrypt);
    let material = region.new_material(&region.view(), account, id, spec, usage).await.unwrap();
    let command = proto::CreateKey {
        key: propose::id_ref(id),
        account: account.number(),
        spec: spec.code().into(),
        usage: usage.code().into(),
        origin: Origin::AwsKms.code().into(),
        description: format!("the description of {id}"),
        material: Some(material),
        policy: keystead_policy::default_key_policy(account),
        ..proto::CreateKey::default()
    };
    assert!(propose(region, command::Operation::CreateKey(command)).await);
    id
}

/// Makes a key with a replica in another region.
pub(super) async fn replicate(from: &RegionServer, to: &str) -> KeyId {
    let id = create_key(from, true).await;
    let command = proto::ReplicateKey {
        key: propose::id_ref(id),
        region: to.to_owned(),
        policy: keystead_policy::default_key_policy(ACCOUNT.parse().unwrap()),
        ..proto::ReplicateKey::default()
    };
    assert!(propose(from, command::Operation::ReplicateKey(command)).await);
    id
}

/// Rotates a key. Whether that is acknowledged.
pub(super) async fn rotate(region: &RegionServer, id: KeyId) -> bool {
    let view = region.view();
    let Some(key) = view.key(&id) else { return false };
    let material = region.next_material(&view, key).await.unwrap();
    let command = proto::RotateKey { key: propose::id_ref(id), material: Some(material) };
    propose(region, command::Operation::RotateKey(command)).await
}

/// Asks another region to become the primary. Whether that is acknowledged.
pub(super) async fn promote(region: &RegionServer, id: KeyId, to: &Region) -> bool {
    let command = proto::UpdatePrimaryRegion { key: propose::id_ref(id), region: to.to_string() };
    propose(region, command::Operation::UpdatePrimaryRegion(command)).await
}

async fn propose(region: &RegionServer, operation: command::Operation) -> bool {
    let applied = region.propose_system(operation).await.unwrap();
    !matches!(applied.outcome.result, Some(outcome::Result::Rejected(_)) | None)
}
