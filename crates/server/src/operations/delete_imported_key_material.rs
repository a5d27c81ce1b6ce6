//! DeleteImportedKeyMaterial: the key waits for the same material again.

use keystead_api::{Error, kms, messages};
use keystead_state::proto::{self, Reason, outcome};
use keystead_types::{KeySpec, MaterialId};

use super::{Operation, StateRule};
use crate::audit::Parameters;
use crate::pipeline::{Call, Failure};
use crate::propose;
use crate::resolve::Target;

pub(crate) struct DeleteImportedKeyMaterial;

impl Operation for DeleteImportedKeyMaterial {
    type Input = kms::DeleteImportedKeyMaterialRequest;
    type Output = kms::DeleteImportedKeyMaterialResponse;

    const NAME: &'static str = "DeleteImportedKeyMaterial";
    const READ_ONLY: bool = false;
    const STATES: StateRule = StateRule::ImportUndone;

    fn targets(input: &Self::Input) -> Result<Vec<Target<'_>>, Error> {
        Ok(vec![Target::id_or_arn(input.key_id(), "kms:DeleteImportedKeyMaterial")])
    }

    async fn execute(call: &Call<'_>, input: &Self::Input) -> Result<Self::Output, Failure> {
        let key = call.key(0)?;
        let named = input.key_material_id.as_deref();
        let arn = call.key_arn(key);
        // Which of the materials of a key that is not symmetric, nobody is told.
        let known = key.spec == KeySpec::SymmetricDefault;
        let not_found = || messages::material_not_found(named.unwrap_or_default(), &arn);
        let material_id = match named {
            Some(id) if known => hex::decode(id).map_err(|_| not_found())?,
            Some(_) => return Err(not_found().into()),
            None => Vec::new(),
        };
        let command = proto::DeleteMaterial { key: propose::key_ref(key), material_id };
        let deleted = match propose::attempt(call, command).await? {
            outcome::Result::MaterialDeleted(deleted) => deleted,
            outcome::Result::Rejected(rejected) => {
                return Err(match rejected.reason() {
                    Reason::MaterialNotFound => not_found(),
                    reason => propose::rejection(call, reason),
                }
                .into());
            }
            _ => return Err(messages::internal().into()),
        };
        let id = deleted.material_id.try_into().ok().map(MaterialId::new);
        if let Some(id) = id {
            call.region.forget_material(key.id, id);
        }
        Ok(kms::DeleteImportedKeyMaterialResponse {
            key_id: Some(arn.to_string()),
            key_material_id: id.filter(|_| known).map(|id| id.to_string()),
        })
    }

    fn record(input: &Self::Input) -> Parameters {
        Parameters::new().text("keyId", &input.key_id).text("keyMaterialId", &input.key_material_id)
    }
}
