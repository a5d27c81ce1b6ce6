//! What is lost, doubled or late on its way is neither lost nor done twice.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fastrand::Rng;
use keystead_state::{Key, RegionPeer};
use keystead_types::{KeyId, KeyState};

use super::world::{HERE, THERE, World, promote, replicate, rotate};
use crate::region::RegionServer;
use crate::regions::wire::Signed;
use crate::regions::{Courier, ExchangeError, LocalCourier};

/// How many worlds there are; `KEYSTEAD_WORLDS` says otherwise.
const WORLDS: u64 = 3;
/// What is done in each of them.
const STEPS: usize = 60;
const KEYS: usize = 4;

/// Loses, doubles and delays what it carries, for as long as it does not have to be good.
struct Careless {
    honest: LocalCourier,
    random: Mutex<Rng>,
    good: Arc<AtomicBool>,
}

enum Fate {
    Lost,
    Unanswered,
    Doubled,
    Late(u64),
    Carried,
}

impl Careless {
    fn fate(&self) -> Fate {
        if self.good.load(Ordering::Relaxed) {
            return Fate::Carried;
        }
        let mut random = self.random.lock().unwrap();
        match random.usize(0..10) {
            0 | 1 => Fate::Lost,
            2 | 3 => Fate::Unanswered,
            4 | 5 => Fate::Doubled,
            6 => Fate::Late(random.u64(1..30)),
            _ => Fate::Carried,
        }
    }
}

fn lost() -> ExchangeError {
    ExchangeError::Peer("it is lost".to_owned())
}

#[async_trait::async_trait]
impl Courier for Careless {
    async fn greet(&self, peer: &RegionPeer, greeting: Signed) -> Result<Signed, ExchangeError> {
        match self.fate() {
            Fate::Lost | Fate::Unanswered => return Err(lost()),
            Fate::Late(ms) => tokio::time::sleep(Duration::from_millis(ms)).await,
            Fate::Doubled => drop(self.honest.greet(peer, greeting.clone()).await),
            Fate::Carried => {}
        }
        self.honest.greet(peer, greeting).await
    }

    async fn deliver(&self, peer: &RegionPeer, delivery: Signed) -> Result<Signed, ExchangeError> {
        match self.fate() {
            Fate::Lost => return Err(lost()),
            Fate::Late(ms) => tokio::time::sleep(Duration::from_millis(ms)).await,
            Fate::Carried => {}
            Fate::Unanswered => {
                let _ = self.honest.deliver(peer, delivery).await;
                return Err(lost());
            }
            Fate::Doubled => {
                let first = self.honest.deliver(peer, delivery.clone()).await;
                assert!(self.honest.deliver(peer, delivery).await.is_err(), "taken twice");
                return first;
            }
        }
        self.honest.deliver(peer, delivery).await
    }
}

/// The one that is the primary of a key now; the other one never is.
fn primary(world: &World, id: KeyId) -> Option<&Arc<RegionServer>> {
    let is_primary = |region: &RegionServer| {
        region.view().key(&id).is_some_and(|key| key.as_primary().is_some())
    };
    let (here, there) = (is_primary(&world.here), is_primary(&world.there));
    match (here, there) {
        (true, false) => Some(&world.here),
        (false, true) => Some(&world.there),
        _ => None,
    }
}

/// What a key has in both regions.
fn shared(key: &Key) -> impl PartialEq + std::fmt::Debug + use<> {
    let materials: Vec<_> = key.materials.iter().map(|one| (one.id, one.state)).collect();
    let relatives = key.multi_region.as_deref().unwrap();
    (materials, key.current_material, key.rotation.clone(), relatives.primary.clone())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_and_there_is_one_primary() {
    let worlds = std::env::var("KEYSTEAD_WORLDS").map_or(WORLDS, |worlds| worlds.parse().unwrap());
    let first = std::env::var("KEYSTEAD_SEED").map_or(1, |seed| seed.parse().unwrap());
    let (mut rotations, mut promotions) = (0, 0);
    for seed in first..first + worlds {
        let done = one_world(seed).await;
        (rotations, promotions) = (rotations + done.0, promotions + done.1);
    }
    println!("{worlds} worlds: {rotations} rotations, {promotions} promotions; 0 lost");
    assert!(rotations > 0 && promotions > 0);
}

async fn one_world(seed: u64) -> (usize, usize) {
    let good = Arc::new(AtomicBool::new(false));
    let world = World::new(|honest| {
        let random = Mutex::new(Rng::with_seed(seed));
        Arc::new(Careless { honest, random, good: Arc::clone(&good) })
    })
    .await;
    world.speak();
    let mut keys = Vec::new();
    for _ in 0..KEYS {
        keys.push((replicate(&world.here, THERE).await, 1));
    }
    let mut random = Rng::with_seed(seed);
    let mut promotions = 0;
    for _ in 0..STEPS {
        let (id, materials) = &mut keys[random.usize(0..KEYS)];
        let Some(region) = primary(&world, *id) else { continue };
        if random.usize(0..3) == 0 {
            let to = if region.name() == world.here.name() { THERE } else { HERE };
            promotions += usize::from(promote(region, *id, &to.parse().unwrap()).await);
        } else {
            *materials += usize::from(rotate(region, *id).await);
        }
        tokio::time::sleep(Duration::from_millis(random.u64(0..40))).await;
    }
    good.store(true, Ordering::Relaxed);
    world.agree().await;
    let mut rotations = 0;
    for (id, materials) in keys {
        assert!(primary(&world, id).is_some(), "seed {seed}: {id} has no one primary");
        let views = [world.here.view(), world.there.view()];
        let [here, there] = views.each_ref().map(|view| view.key(&id).unwrap());
        assert_eq!(shared(here), shared(there), "seed {seed}: {id}");
        assert_eq!([here.state, there.state], [KeyState::Enabled; 2]);
        assert_eq!(here.materials.len(), materials, "seed {seed}: rotations of {id}");
        rotations += materials - 1;
    }
    (rotations, promotions)
}
