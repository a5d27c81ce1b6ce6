//! Being a member: the authority that signs certificates, this node's own, and how a node comes
//! to belong.
//!
//! ```text
//! empty folder ─► assemble: ask the seeds ─► join (a member signs) or found (nobody is there)
//!              ─► formatted, with a certificate ─► start ─► enrol: learner ─► voter
//! ```

mod assemble;
mod authority;
mod enrol;
mod host;
mod identity;

pub use assemble::{AssembleError, Assembly, IssuedAdmission, admit_self, join};
pub use authority::{Authority, AuthorityError};
pub use enrol::enrol;
pub use host::{MemberHost, admission};
pub(crate) use identity::ensure_authority;
pub use identity::{Credentials, IdentityFileError, ensure_identity, has_identity};
