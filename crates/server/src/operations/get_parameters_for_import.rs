//! GetParametersForImport: a public key to wrap material with, and the token that it comes back
//! with.

use keystead_api::{Error, kms, messages};
use keystead_crypto::import::{WrappingAlgorithm, WrappingKey};
use keystead_state::Key;
use keystead_state::proto::{self, command};
use keystead_types::{KeySpec, UnixMillis};

use super::{Operation, StateRule};
use crate::audit::Parameters;
use crate::convert;
use crate::import_token::{self, ImportToken};
use crate::pipeline::{Call, Failure};
use crate::resolve::Target;

pub(crate) struct GetParametersForImport;

/// How far the replicated clock may be behind before it is moved, in milliseconds.
const BEHIND: u64 = 5000;

impl Operation for GetParametersForImport {
    type Input = kms::GetParametersForImportRequest;
    type Output = kms::GetParametersForImportResponse;

    const NAME: &'static str = "GetParametersForImport";
    const READ_ONLY: bool = true;
    const STATES: StateRule = StateRule::ImportPrepared;

    fn targets(input: &Self::Input) -> Result<Vec<Target<'_>>, Error> {
        Ok(vec![
            Target::id_or_arn(input.key_id(), "kms:GetParametersForImport")
                .fact("kms:WrappingAlgorithm", input.wrapping_algorithm().as_text())
                .fact("kms:WrappingKeySpec", input.wrapping_key_spec().as_text()),
        ])
    }

    fn suits(call: &Call<'_>, input: &Self::Input) -> Result<(), Error> {
        wrapping(call.key(0)?, input).map(|_| ())
    }

    async fn execute(call: &Call<'_>, input: &Self::Input) -> Result<Self::Output, Failure> {
        let key = call.key(0)?;
        let (algorithm, spec) = wrapping(key, input)?;
        let generate = move || WrappingKey::generate(spec);
        let wrapping = call.region.generation.run(generate).await?;
        let wrapping = wrapping.map_err(|_| messages::internal())?;
        let expires = agreed_time(call).await.plus(import_token::LIFETIME);
        let token = ImportToken { algorithm, spec, expires, wrapping };
        Ok(kms::GetParametersForImportResponse {
            key_id: Some(call.key_arn(key).to_string()),
            import_token: Some(token.seal(call.region, key)?.into()),
            public_key: Some(token.wrapping.public_key().to_vec().into()),
            parameters_valid_to: Some(convert::timestamp(expires)),
        })
    }

    fn record(input: &Self::Input) -> Parameters {
        Parameters::new()
            .text("keyId", &input.key_id)
            .name("wrappingAlgorithm", input.wrapping_algorithm().as_text())
            .name("wrappingKeySpec", input.wrapping_key_spec().as_text())
    }
}

/// The replicated clock, moved first where it stands: a node whose own clock runs ahead shall make no
/// tokens that last for longer.
async fn agreed_time(call: &Call<'_>) -> UnixMillis {
    let clock = call.view.clock();
    if call.now() <= clock.plus(BEHIND) {
        return clock;
    }
    let tick = command::Operation::Tick(proto::Tick {});
    match call.region.propose_system(tick).await {
        Ok(_) => call.region.view().clock(),
        Err(_) => clock,
    }
}

/// How the request wants material of the key to be wrapped, if it can be.
fn wrapping(
    key: &Key,
    input: &kms::GetParametersForImportRequest,
) -> Result<(WrappingAlgorithm, KeySpec), Error> {
    let name = input.wrapping_algorithm().as_text();
    let wrapping_spec = match input.wrapping_key_spec() {
        kms::WrappingKeySpec::Rsa2048 => Some(KeySpec::Rsa2048),
        kms::WrappingKeySpec::Rsa3072 => Some(KeySpec::Rsa3072),
        kms::WrappingKeySpec::Rsa4096 => Some(KeySpec::Rsa4096),
        kms::WrappingKeySpec::Sm2 | kms::WrappingKeySpec::Unspecified => None,
    };
    let algorithm: Option<WrappingAlgorithm> = name.parse().ok();
    let both = algorithm.zip(wrapping_spec);
    both.filter(|(algorithm, wrapping)| algorithm.takes(*wrapping, key.spec)).ok_or_else(|| {
        messages::wrapping_not_supported(name, input.wrapping_key_spec().as_text(), key.spec)
    })
}
