//! How much there may be of what an account or a key has several of.

use crate::limits::{ALIASES_PER_KEY, GRANTS_PER_KEY, KEYS_PER_ACCOUNT, TAGS_PER_KEY};
use crate::proto::{Command, ResourceQuotas, command::Operation};

/// The quotas that a command is decided by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quotas {
    /// Keys of an account, in whatever state, but for those that AWS manages.
    pub keys_per_account: usize,
    /// Aliases of a key.
    pub aliases_per_key: usize,
    /// Grants on a key.
    pub grants_per_key: usize,
    /// Tags of a key.
    pub tags_per_key: usize,
}

impl Default for Quotas {
    /// AWS's.
    fn default() -> Self {
        Self {
            keys_per_account: KEYS_PER_ACCOUNT,
            aliases_per_key: ALIASES_PER_KEY,
            grants_per_key: GRANTS_PER_KEY,
            tags_per_key: TAGS_PER_KEY,
        }
    }
}

impl Quotas {
    /// The cluster version that commands with quotas need: to apply one without them is to diverge.
    pub const VERSION: u32 = 2;

    /// Puts them into a command that adds to something they limit; other commands stay as they are.
    pub fn put_into(self, command: &mut Command) {
        let counted = matches!(
            command.operation,
            Some(
                Operation::CreateKey(_)
                    | Operation::CreateAlias(_)
                    | Operation::UpdateAlias(_)
                    | Operation::CreateGrant(_)
                    | Operation::TagKey(_)
            )
        );
        if counted {
            command.quotas = Some(self.into());
            command.version = command.version.max(Self::VERSION);
        }
    }

    /// Those that a command brings.
    pub(crate) fn of(command: &Command) -> Self {
        let aws = Self::default();
        let Some(given) = command.quotas else {
            return Self { keys_per_account: usize::MAX, ..aws };
        };
        let or = |given: u32, default| match usize::try_from(given) {
            Ok(0) | Err(_) => default,
            Ok(given) => given,
        };
        Self {
            keys_per_account: or(given.keys_per_account, aws.keys_per_account),
            aliases_per_key: or(given.aliases_per_key, aws.aliases_per_key),
            grants_per_key: or(given.grants_per_key, aws.grants_per_key),
            tags_per_key: or(given.tags_per_key, aws.tags_per_key),
        }
    }
}

impl From<Quotas> for ResourceQuotas {
    fn from(quotas: Quotas) -> Self {
        let number = |quota| u32::try_from(quota).unwrap_or(u32::MAX);
        Self {
            keys_per_account: number(quotas.keys_per_account),
            aliases_per_key: number(quotas.aliases_per_key),
            grants_per_key: number(quotas.grants_per_key),
            tags_per_key: number(quotas.tags_per_key),
        }
    }
}
