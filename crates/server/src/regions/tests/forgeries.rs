//! Nothing is taken that the peer did not just say.

use std::sync::{Arc, Mutex};

use fastrand::Rng;
use keystead_state::{RegionPeer, View};
use keystead_types::KeyId;
use prost::Message;

use super::world::{Heard, Kind, Recorder, THERE, World, peer_of, region, replicate, rotate};
use crate::regions::wire::{Between, Delivery, Greeting, Receipt, Signed, Welcome};
use crate::regions::{Courier, ExchangeError};

/// How many are tried; `KEYSTEAD_FORGERIES` says otherwise.
const FORGERIES: usize = 3_000;

/// What of a region a message could change.
fn shared_of(view: &View, peer: &str, id: KeyId) -> impl PartialEq + std::fmt::Debug + use<> {
    let peer = peer.parse().unwrap();
    (view.region_stream(&peer).copied(), view.key(&id).cloned(), view.outbox_len(&peer))
}

/// Another one than what was said: a bit flipped, a part cut off, parts of two put together.
fn altered(random: &mut Rng, said: &[(Kind, Signed)], of: &Signed) -> Signed {
    let mut forged = of.clone();
    let other = &said[random.usize(0..said.len())].1;
    match random.usize(0..8) {
        0 => flip(random, &mut forged.from),
        1 | 2 => flip(random, &mut forged.statement),
        3 => flip(random, &mut forged.signature),
        4 => forged.statement.clone_from(&other.statement),
        5 => forged.signature.clone_from(&other.signature),
        6 => forged.from.clone_from(&other.from),
        _ => {
            let length = random.usize(0..forged.statement.len());
            forged.statement.truncate(length);
        }
    }
    forged
}

fn flip(random: &mut Rng, bytes: &mut [u8]) {
    let at = random.usize(0..bytes.len());
    bytes[at] ^= 1 << random.usize(0..8);
}

/// Answers what it was told to answer, once.
struct Liar {
    honest: Recorder,
    welcome: Mutex<Option<Signed>>,
    receipt: Mutex<Option<Signed>>,
}

#[async_trait::async_trait]
impl Courier for Liar {
    async fn greet(&self, peer: &RegionPeer, greeting: Signed) -> Result<Signed, ExchangeError> {
        let lie = self.welcome.lock().unwrap().take();
        match lie {
            Some(lie) => Ok(lie),
            None => self.honest.greet(peer, greeting).await,
        }
    }

    async fn deliver(&self, peer: &RegionPeer, delivery: Signed) -> Result<Signed, ExchangeError> {
        let lie = self.receipt.lock().unwrap().take();
        match lie {
            // The delivery is lost on its way.
            Some(lie) => Ok(lie),
            None => self.honest.deliver(peer, delivery).await,
        }
    }
}

fn count() -> usize {
    std::env::var("KEYSTEAD_FORGERIES").map_or(FORGERIES, |count| count.parse().unwrap())
}

fn seeded() -> Rng {
    let seed = std::env::var("KEYSTEAD_SEED").map_or(1, |seed| seed.parse().unwrap());
    Rng::with_seed(seed)
}

#[tokio::test]
async fn nothing_altered_or_said_before_is_taken() {
    let heard = Arc::new(Heard::default());
    let world = World::new(|inner| Arc::new(Recorder { inner, heard: Arc::clone(&heard) })).await;
    let id = replicate(&world.here, THERE).await;
    world.settle().await;
    for _ in 0..5 {
        assert!(rotate(&world.here, id).await);
        world.settle().await;
    }
    assert!(rotate(&world.here, id).await);
    let said = heard.all();
    let before = shared_of(&world.there.view(), "us-east-1", id);
    let mut random = seeded();
    let (mut tried, mut taken) = (0, 0);
    while tried < count() {
        let (kind, signed) = &said[random.usize(0..said.len())];
        let replayed = random.usize(0..4) == 0;
        let forged = if replayed { signed.clone() } else { altered(&mut random, &said, signed) };
        let is_said = |kind: Kind| said.iter().any(|(known, one)| *known == kind && *one == forged);
        // A greeting that comes again is answered with keys for a letter that nobody can sign.
        if !is_said(Kind::Greeting) {
            tried += 1;
            taken += usize::from(world.there.welcome(&forged).await.is_ok());
        }
        if *kind != Kind::Greeting {
            tried += 1;
            taken += usize::from(world.there.take_delivery(&forged).await.is_ok());
        }
    }
    println!("{tried} altered or replayed: {taken} taken");
    assert_eq!(taken, 0);
    assert_eq!(shared_of(&world.there.view(), "us-east-1", id), before);
    world.settle().await;
    assert_eq!(world.there.view().key(&id).unwrap().materials.len(), 7);
}

#[tokio::test]
async fn no_altered_answer_is_believed() {
    let heard = Arc::new(Heard::default());
    let liars = Mutex::new(Vec::new());
    let world = World::new(|inner| {
        let honest = Recorder { inner, heard: Arc::clone(&heard) };
        let (welcome, receipt) = (Mutex::default(), Mutex::default());
        let liar = Arc::new(Liar { honest, welcome, receipt });
        liars.lock().unwrap().push(Arc::clone(&liar));
        liar
    })
    .await;
    let id = replicate(&world.here, THERE).await;
    world.settle().await;
    let said = heard.all();
    let liar = Arc::clone(&liars.lock().unwrap()[0]);
    assert!(rotate(&world.here, id).await);
    let peer = peer_of(&world.here, &world.there);
    let before = shared_of(&world.here.view(), THERE, id);
    let mut random = seeded();
    let mut believed = 0;
    for _ in 0..count() / 10 {
        let answers: Vec<_> =
            said.iter().filter(|(kind, _)| matches!(kind, Kind::Welcome | Kind::Receipt)).collect();
        let signed = &answers[random.usize(0..answers.len())].1;
        let replayed = random.usize(0..4) == 0;
        let lie = if replayed { signed.clone() } else { altered(&mut random, &said, signed) };
        let place = if random.bool() { &liar.welcome } else { &liar.receipt };
        *place.lock().unwrap() = Some(lie);
        believed += usize::from(world.here.exchange(&peer).await.is_ok());
    }
    assert_eq!(believed, 0);
    assert_eq!(shared_of(&world.here.view(), THERE, id), before);
    world.settle().await;
    assert_eq!(world.there.view().key(&id).unwrap().materials.len(), 2);
}

/// What one that is no peer signs, or a peer of another one, is nothing to anybody.
#[tokio::test]
async fn a_stranger_is_not_heard() {
    let world = World::new(|inner| Arc::new(inner)).await;
    let stranger = region("ap-south-1").await;
    stranger.ensure_region_identity().await.unwrap();
    let view = stranger.view();
    let to = world.there.view().cluster_id().unwrap().bytes().to_vec();
    let own = view.cluster_id().unwrap().bytes().to_vec();
    let peers = world.here.view().cluster_id().unwrap().bytes().to_vec();
    for from in [own, peers] {
        let between = Some(Between { from, to: to.clone() });
        let greeting = Greeting { between: between.clone(), nonce: vec![7; 32] };
        let delivery = Delivery { between: between.clone(), ..Delivery::default() };
        let forged = stranger.sign(&view, &greeting).unwrap();
        assert!(world.there.welcome(&forged).await.is_err());
        let forged = stranger.sign(&view, &delivery).unwrap();
        assert!(world.there.take_delivery(&forged).await.is_err());
    }
}

/// A statement of one kind is none of another, even if it could be read as one.
#[tokio::test]
async fn a_statement_is_of_one_kind() {
    let world = World::new(|inner| Arc::new(inner)).await;
    let view = world.here.view();
    let between = world.here.between(&view, &peer_of(&world.here, &world.there)).unwrap();
    let (between, session) = (Some(between), vec![7; 16]);
    let receipt = Receipt { between: between.clone(), session: session.clone(), through: 0 };
    let delivery = Delivery { between: between.clone(), session, letter: Vec::new() };
    let [receipt, delivery] =
        [world.here.sign(&view, &receipt).unwrap(), world.here.sign(&view, &delivery).unwrap()];
    assert_eq!(receipt.statement, delivery.statement);
    let there = world.there.view();
    assert!(world.there.read_statement::<Delivery>(&there, &delivery).is_ok());
    assert!(world.there.read_statement::<Delivery>(&there, &receipt).is_err());
    assert!(world.there.read_statement::<Welcome>(&there, &delivery).is_err());
    assert!(Signed::decode(&*delivery.encode_to_vec()).is_ok());
}
