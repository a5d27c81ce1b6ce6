//! Between what is told, with materials in it, and what is kept, with their wraps.

use keystead_crypto::material::{KeyMaterial, MaterialBinding};
use keystead_state::proto::region_message::Kind;
use keystead_state::proto::{RegionMessage, SharedKeyRecord};
use keystead_state::{Key, View};
use keystead_types::{KeyId, KeySpec, KeyUsage, MaterialId, Origin};

use super::ExchangeError;
use crate::region::RegionServer;

impl RegionServer {
    /// A message of the outbox as it stands in a letter.
    pub(super) fn open_message(
        &self,
        view: &View,
        message: &RegionMessage,
    ) -> Result<RegionMessage, ExchangeError> {
        let mut message = view.as_told(message);
        let key = key_of(view, &message);
        if let (Some(shared), Some(key)) = (shared(&mut message), key) {
            for record in &mut shared.materials {
                if record.wrapped.is_empty() {
                    continue;
                }
                let material = key.materials.iter().find(|one| one.id.bytes()[..] == record.id[..]);
                let material = material.ok_or(ExchangeError::Crypto)?;
                record.wrapped = self.material(view, key, material)?.encode().to_vec();
            }
        }
        Ok(message)
    }

    /// A message of a letter as the state has it: with wraps of this region's own. What it has
    /// already keeps its wrap.
    pub(super) fn wrap_message(
        &self,
        view: &View,
        mut message: RegionMessage,
    ) -> Result<RegionMessage, ExchangeError> {
        // Of a key that is not here nothing is taken but the word that it is not.
        let key = key_of(view, &message).cloned();
        let Some(shared) = shared(&mut message) else { return Ok(message) };
        let of = key.as_deref().and_then(|key| Some((key, kind(shared)?)));
        for record in &mut shared.materials {
            let plain = std::mem::take(&mut record.wrapped);
            let Some((key, (spec, usage, origin))) = of else { continue };
            if plain.is_empty() {
                continue;
            }
            let id = record.id.as_slice().try_into().map_err(|_| ExchangeError::Letter)?;
            let id = MaterialId::new(id);
            let own = key.materials.iter().find(|one| one.id == id && one.is_present());
            record.wrapped = match own {
                Some(own) => own.wrapped.to_vec(),
                None => {
                    let material =
                        KeyMaterial::decode(spec, &plain).map_err(|_| ExchangeError::Letter)?;
                    let binding = MaterialBinding {
                        account: key.account,
                        key_id: key.id,
                        material_id: id,
                        spec,
                        usage,
                        origin,
                    };
                    self.wrap_bound(view, &binding, &material)?
                }
            };
        }
        Ok(message)
    }
}

/// What a message tells of a key.
fn shared(message: &mut RegionMessage) -> Option<&mut SharedKeyRecord> {
    match message.kind.as_mut()? {
        Kind::Offer(offer) => offer.shared.as_mut(),
        Kind::Change(change) => change.shared.as_mut(),
        Kind::TakeOver(question) => question.shared.as_mut(),
        _ => None,
    }
}

fn key_of<'v>(view: &'v View, message: &RegionMessage) -> Option<&'v std::sync::Arc<Key>> {
    let id = message.key_id.as_slice().try_into().ok()?;
    view.key(&KeyId::new(id, true))
}

fn kind(shared: &SharedKeyRecord) -> Option<(KeySpec, KeyUsage, Origin)> {
    Some((
        KeySpec::from_code(u16::try_from(shared.spec).ok()?)?,
        KeyUsage::from_code(u16::try_from(shared.usage).ok()?)?,
        Origin::from_code(u16::try_from(shared.origin).ok()?)?,
    ))
}
