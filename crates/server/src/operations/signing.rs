//! What Sign and Verify have in common.

use keystead_api::{Error, kms, messages};
use keystead_crypto::spec;
use keystead_state::Key;
use keystead_types::{MessageType, SigningAlgorithm};

use super::private_key::named;
use crate::audit::Parameters;

/// How a message is signed.
#[derive(Clone, Copy)]
pub(super) struct Scheme {
    pub(super) algorithm: SigningAlgorithm,
    pub(super) message_type: MessageType,
}

impl Scheme {
    /// The scheme that a request names; a whole message unless stated.
    pub(super) fn of(
        algorithm: kms::SigningAlgorithmSpec,
        message_type: kms::MessageType,
    ) -> Result<Self, Error> {
        let message_type = match message_type {
            kms::MessageType::Unspecified => MessageType::Raw,
            stated => named(stated.as_text())?,
        };
        Ok(Self { algorithm: named(algorithm.as_text())?, message_type })
    }

    /// Refuses what the key cannot sign in this way.
    pub(super) fn suits(self, key: &Key, message: &[u8]) -> Result<(), Error> {
        let Self { algorithm, message_type } = self;
        let signing = spec::of(key.spec)
            .signing(algorithm)
            .ok_or_else(|| messages::algorithm_incompatible(algorithm, key.spec))?;
        let taken = signing
            .message(message_type)
            .ok_or_else(|| messages::message_type_not_taken(algorithm, message_type))?;
        match taken.length {
            Some(length) if length != message.len() => Err(messages::digest_length(algorithm)),
            _ => Ok(()),
        }
    }
}

/// What a message is said to be; a whole one unless stated.
pub(super) fn message_type(message_type: kms::MessageType) -> &'static str {
    match message_type {
        kms::MessageType::Unspecified => MessageType::Raw.as_str(),
        stated => stated.as_text(),
    }
}

/// The audit record of both.
pub(super) fn record(
    key_id: &Option<String>,
    algorithm: kms::SigningAlgorithmSpec,
    message_type: kms::MessageType,
    dry_run: Option<bool>,
) -> Parameters {
    Parameters::new()
        .text("keyId", key_id)
        .name("messageType", self::message_type(message_type))
        .name("signingAlgorithm", algorithm.as_text())
        .flag("dryRun", dry_run)
}
