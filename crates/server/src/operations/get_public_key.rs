//! GetPublicKey: the public key of an asymmetric key, and what it is for.

use bytes::Bytes;
use keystead_api::{Error, ErrorCode, kms, messages};
use keystead_crypto::spec;

use super::metadata::{Algorithms, customer_master_key_spec};
use super::{Operation, StateRule, private_key};
use crate::audit::Parameters;
use crate::convert;
use crate::pipeline::{Call, Failure};
use crate::resolve::Target;

pub(crate) struct GetPublicKey;

impl Operation for GetPublicKey {
    type Input = kms::GetPublicKeyRequest;
    type Output = kms::GetPublicKeyResponse;

    const NAME: &'static str = "GetPublicKey";
    const READ_ONLY: bool = true;
    const STATES: StateRule = StateRule::Usable;

    fn targets(input: &Self::Input) -> Result<Vec<Target<'_>>, Error> {
        Ok(vec![Target::any_name(input.key_id(), "kms:GetPublicKey")])
    }

    fn grant_tokens(input: &Self::Input) -> &[String] {
        &input.grant_tokens
    }

    fn suits(call: &Call<'_>, _: &Self::Input) -> Result<(), Error> {
        if spec::of(call.key(0)?.spec).public_key {
            Ok(())
        } else {
            Err(Error::bare(ErrorCode::UnsupportedOperationException))
        }
    }

    async fn execute(call: &Call<'_>, _: &Self::Input) -> Result<Self::Output, Failure> {
        let key = call.key(0)?;
        let material = private_key::material(call, key)?;
        let public_key = material.public_key().ok_or_else(messages::internal)?;
        let algorithms = Algorithms::of(key);
        Ok(kms::GetPublicKeyResponse {
            key_id: Some(call.key_arn(key).to_string()),
            public_key: Some(Bytes::copy_from_slice(public_key.der())),
            customer_master_key_spec: customer_master_key_spec(key),
            key_spec: convert::member(kms::KeySpec::from_text(key.spec.as_str())),
            key_usage: convert::member(kms::KeyUsageType::from_text(key.usage.as_str())),
            encryption_algorithms: algorithms.encryption,
            signing_algorithms: algorithms.signing,
            key_agreement_algorithms: algorithms.agreement,
            encapsulation_algorithms: algorithms.encapsulation,
        })
    }

    fn record(input: &Self::Input) -> Parameters {
        Parameters::new().text("keyId", &input.key_id)
    }
}
