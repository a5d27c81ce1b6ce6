//! Statements: who says what to whom, signed.

use std::sync::Arc;

use keystead_crypto::region::RegionKeys;
use keystead_state::{RegionPeer, View};

use super::ExchangeError;
use super::wire::{Between, Delivery, Greeting, Receipt, Signed, Welcome};
use crate::region::RegionServer;

/// A kind of statement.
pub(super) trait Statement: prost::Message + Default {
    /// What the signature is labelled with.
    const LABEL: &'static str;

    fn between(&self) -> Option<&Between>;
}

macro_rules! statements {
    ($($kind:ident: $label:literal),+) => {
        $(impl Statement for $kind {
            const LABEL: &'static str = $label;

            fn between(&self) -> Option<&Between> {
                self.between.as_ref()
            }
        })+
    };
}

statements!(Greeting: "greeting", Welcome: "welcome", Delivery: "delivery", Receipt: "receipt");

impl RegionServer {
    /// From this region to a peer.
    pub(super) fn between(&self, view: &View, peer: &RegionPeer) -> Result<Between, ExchangeError> {
        let from = view.cluster_id().ok_or(ExchangeError::NoIdentity)?;
        Ok(Between { from: from.bytes().to_vec(), to: peer.cluster.bytes().to_vec() })
    }

    /// Signs a statement of this region.
    pub(super) fn sign<S: Statement>(
        &self,
        view: &View,
        statement: &S,
    ) -> Result<Signed, ExchangeError> {
        let from = statement.between().map(|between| between.from.clone()).unwrap_or_default();
        let statement = statement.encode_to_vec();
        let signature = self
            .region_identity(view)?
            .sign(S::LABEL, &statement)
            .map_err(|_| ExchangeError::Crypto)?;
        Ok(Signed { from, statement, signature })
    }

    /// A statement that a peer made to this region, and the peer.
    pub(super) fn read_statement<S: Statement>(
        &self,
        view: &View,
        signed: &Signed,
    ) -> Result<(Arc<RegionPeer>, S), ExchangeError> {
        let is_from = |peer: &&Arc<RegionPeer>| peer.cluster.bytes()[..] == signed.from[..];
        let peer = view.region_peers().find(is_from).ok_or(ExchangeError::Stranger)?;
        let keys = RegionKeys::parse(&peer.identity).map_err(|_| ExchangeError::Crypto)?;
        keys.verify(S::LABEL, &signed.statement, &signed.signature)
            .map_err(|_| ExchangeError::Statement)?;
        let statement = S::decode(&*signed.statement).map_err(|_| ExchangeError::Statement)?;
        let own = view.cluster_id().ok_or(ExchangeError::NoIdentity)?;
        let between = statement.between().ok_or(ExchangeError::Statement)?;
        if between.from != signed.from || between.to != own.bytes() {
            return Err(ExchangeError::Statement);
        }
        Ok((Arc::clone(peer), statement))
    }
}
