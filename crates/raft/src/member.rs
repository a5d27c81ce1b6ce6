//! A member of a cluster, as the membership in the log has it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What is known of a member besides its node id.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Member {
    /// The name its operators gave it. A member that lost its disk comes back as another node of
    /// the same name.
    pub name: String,
    /// Where other members reach it: host and port.
    pub address: String,
}

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.name, self.address)
    }
}
