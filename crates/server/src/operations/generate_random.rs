//! GenerateRandom: bytes from the service's random generator.

use keystead_api::{Error, ErrorCode, kms, messages};

use super::{Operation, refuse_members};
use crate::audit::Parameters;
use crate::pipeline::{Call, Failure};
use crate::resolve::Target;

pub(crate) struct GenerateRandom;

impl Operation for GenerateRandom {
    type Input = kms::GenerateRandomRequest;
    type Output = kms::GenerateRandomResponse;

    const NAME: &'static str = "GenerateRandom";
    const READ_ONLY: bool = true;

    fn refuse_unsupported(input: &Self::Input) -> Result<(), Error> {
        refuse_members(&[
            ("CustomKeyStoreId", input.custom_key_store_id.is_some()),
            ("Recipient", input.recipient.is_some()),
        ])
    }

    fn targets(_: &Self::Input) -> Result<Vec<Target<'_>>, Error> {
        Ok(vec![Target::account("kms:GenerateRandom")])
    }

    fn check(_: &Call<'_>, input: &Self::Input) -> Result<(), Error> {
        match input.number_of_bytes {
            Some(_) => Ok(()),
            None => Err(Error::new(ErrorCode::ValidationException, "NumberOfBytes is required.")),
        }
    }

    async fn execute(_: &Call<'_>, input: &Self::Input) -> Result<Self::Output, Failure> {
        let count = usize::try_from(input.number_of_bytes()).map_err(|_| messages::internal())?;
        let mut random = vec![0; count];
        keystead_crypto::random::fill(&mut random).map_err(|_| messages::internal())?;
        Ok(kms::GenerateRandomResponse { plaintext: Some(random.into()), ..Default::default() })
    }

    fn record(input: &Self::Input) -> Parameters {
        Parameters::new().number("numberOfBytes", input.number_of_bytes)
    }
}
