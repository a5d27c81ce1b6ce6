//! What an account may have and may ask for.

use keystead_policy::MAX_KEY_POLICY_BYTES;

use crate::throttle::RequestQuotas;

/// The quotas of a Region, as this node is configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quotas {
    /// How much there may be of what the state holds.
    pub resources: keystead_state::Quotas,
    /// Bytes of a key policy. A policy is too large or not whatever the state holds, so that the
    /// node that takes the request decides.
    pub policy_size: usize,
    /// Requests per second.
    pub requests: RequestQuotas,
}

impl Default for Quotas {
    fn default() -> Self {
        Self {
            resources: keystead_state::Quotas::default(),
            policy_size: MAX_KEY_POLICY_BYTES,
            requests: RequestQuotas::default(),
        }
    }
}
