//! Keys that rotate by themselves.

use keystead_api::Error;
use keystead_state::proto::{self, command, outcome};
use keystead_state::{Key, Outcome, View};
use keystead_types::UnixMillis;

use crate::audit::{AuditTrail, KeyEvent};
use crate::propose;
use crate::region::RegionServer;

/// Keys rotated by one command at most.
const ROTATE_AT_ONCE: usize = 100;

impl RegionServer {
    /// New material for a key that has some.
    pub(crate) async fn next_material(
        &self,
        view: &View,
        key: &Key,
    ) -> Result<proto::MaterialRecord, Error> {
        self.new_material(view, key.account, key.id, key.spec, key.usage).await
    }

    /// The command that rotates what is due, if anything is.
    pub(crate) async fn due_rotations(
        &self,
        view: &View,
        now: UnixMillis,
    ) -> Result<Option<command::Operation>, Error> {
        let mut rotations = Vec::new();
        for key in view.rotations_due(now).take(ROTATE_AT_ONCE) {
            let material = Some(self.next_material(view, key).await?);
            rotations.push(proto::DueRotation { key: propose::key_ref(key), material });
        }
        let due = proto::RotateDueKeys { rotations };
        Ok((!due.rotations.is_empty()).then_some(command::Operation::RotateDueKeys(due)))
    }

    /// Writes down which keys rotated. Nobody waits for an answer that could be kept back when the
    /// trail cannot be written.
    pub(crate) fn record_rotations(&self, audit: &AuditTrail, outcome: &Outcome) {
        let Some(outcome::Result::KeysRotated(rotated)) = &outcome.result else { return };
        let view = self.view();
        let ids = rotated.keys.iter().filter_map(|key| propose::ref_id(Some(key)));
        for key in ids.filter_map(|id| view.key(&id)) {
            let written = KeyEvent::rotation(self.name(), key)
                .and_then(|event| audit.append(&event).map_err(|error| error.to_string()));
            if let Err(error) = written {
                tracing::error!(error, key = %key.id, "a rotation is not in the audit trail");
            }
        }
    }
}
