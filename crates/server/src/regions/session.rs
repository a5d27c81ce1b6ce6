//! Sessions that were offered to peers: each for one delivery, within a minute.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use keystead_crypto::region::Receiver;
use keystead_types::Region;

/// For so long a session waits for its delivery.
const VALID: Duration = Duration::from_secs(60);
/// Sessions that wait at most; the oldest goes first.
const MAX: usize = 256;

/// A session that waits.
pub(super) struct Session {
    pub(super) peer: Region,
    pub(super) receiver: Receiver,
    /// What the letter is bound to.
    pub(super) bound: Vec<u8>,
    since: Instant,
}

impl Session {
    pub(super) fn new(peer: Region, receiver: Receiver, bound: Vec<u8>) -> Self {
        Self { peer, receiver, bound, since: Instant::now() }
    }
}

#[derive(Default)]
pub(super) struct Sessions(Mutex<BTreeMap<[u8; 16], Session>>);

impl Sessions {
    pub(super) fn add(&self, id: [u8; 16], session: Session) {
        let mut sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.retain(|_, session| session.since.elapsed() < VALID);
        if sessions.len() >= MAX {
            let oldest = sessions.iter().min_by_key(|(_, session)| session.since);
            if let Some(oldest) = oldest.map(|(id, _)| *id) {
                sessions.remove(&oldest);
            }
        }
        sessions.insert(id, session);
    }

    /// The session of a peer, which is gone then.
    pub(super) fn take(&self, id: &[u8], peer: &Region) -> Option<Session> {
        let id: [u8; 16] = id.try_into().ok()?;
        let mut sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if sessions.get(&id).is_none_or(|session| session.peer != *peer) {
            return None;
        }
        sessions.remove(&id).filter(|session| session.since.elapsed() < VALID)
    }
}
