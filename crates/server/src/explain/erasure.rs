//! Where copies of material may still be that a key has lost.

use keystead_types::{KeyArn, KeyId};

use super::{Explainer, NoAnswer};
use crate::admin::proto;

impl Explainer<'_> {
    /// When a key lost material, and when each member had taken it off its disk.
    ///
    /// # Errors
    /// There is no such key, and none is known to have been there.
    pub(crate) fn erasure_status(
        &self,
        key: &str,
    ) -> Result<proto::ErasureStatusResponse, NoAnswer> {
        let id = self.key_id(key)?;
        let (present, lost) = (self.view.key(&id), self.view.erasures().of(&id));
        let account = present.map(|key| key.account).or(lost.map(|lost| lost.account));
        let account = account.ok_or_else(|| {
            let text =
                format!("There is no key {key}, and none lost its material in the last year.");
            NoAnswer::Absent(text)
        })?;
        let members = self.region.node().status().members.into_iter().map(|member| {
            let erased =
                lost.and_then(|lost| self.view.erasures().erased_at(member.id, lost.index));
            proto::NodeErasure {
                name: member.member.name,
                node_id: member.id.to_string(),
                erased_ms: erased.map(|at| at.0),
            }
        });
        Ok(proto::ErasureStatusResponse {
            key: KeyArn { region: self.region.name().clone(), account, id }.to_string(),
            lost_ms: lost.map(|lost| lost.at.0),
            lost_index: lost.map_or(0, |lost| lost.index),
            exists: present.is_some(),
            nodes: members.collect(),
        })
    }

    /// The key of an id or of an ARN of this Region.
    fn key_id(&self, text: &str) -> Result<KeyId, NoAnswer> {
        let invalid =
            || NoAnswer::Invalid(format!("{text:?} is neither a key id nor a key's ARN."));
        if !text.starts_with("arn:") {
            return text.parse().map_err(|_| invalid());
        }
        let arn: KeyArn = text.parse().map_err(|_| invalid())?;
        if arn.region != *self.region.name() {
            return Err(NoAnswer::Invalid(format!(
                "{text} is not a key of {}.",
                self.region.name()
            )));
        }
        Ok(arn.id)
    }
}
