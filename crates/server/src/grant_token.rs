//! Grant tokens: what CreateGrant hands out besides the grant's id.
//!
//! base64url of the sealed ids of grant and key (purpose "token", `docs/cryptography.md`). A token is
//! no secret and allows nothing by itself: grants count at once on every node, so that a token only
//! names one. Sealing keeps others from making them up.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use keystead_api::{Error, messages};
use keystead_crypto::keyring::Purpose;
use keystead_types::{GrantId, KeyId};

use crate::region::RegionServer;

/// What the sealed ids are bound to.
const BINDING: &[u8] = b"grant token";
const LENGTH: usize = 1 + 16 + 32;

/// What a token names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) key: KeyId,
    pub(crate) grant: GrantId,
}

/// A new token for a grant; no two are alike.
pub(crate) fn make(region: &RegionServer, key: KeyId, grant: GrantId) -> Result<String, Error> {
    let mut ids = Vec::with_capacity(LENGTH);
    ids.push(u8::from(key.multi_region()));
    ids.extend_from_slice(key.bytes());
    ids.extend_from_slice(grant.bytes());
    let sealed = region
        .keyring()
        .seal_value(Purpose::Token, BINDING, &ids)
        .map_err(|_| messages::internal())?;
    Ok(URL_SAFE_NO_PAD.encode(sealed))
}

/// What a token names, whether or not there is such a grant still.
///
/// # Errors
/// `InvalidGrantTokenException` for what this region did not make.
pub(crate) fn read(region: &RegionServer, token: &str) -> Result<Named, Error> {
    let named = || {
        let sealed = URL_SAFE_NO_PAD.decode(token).ok()?;
        let ids = region.keyring().open_value(Purpose::Token, BINDING, &sealed).ok()?;
        let (flag, ids) = ids.split_first()?;
        let (key, grant) = ids.split_at_checked(16)?;
        let key = KeyId::new(key.try_into().ok()?, *flag == 1);
        Some(Named { key, grant: GrantId::new(grant.try_into().ok()?) })
    };
    named().ok_or_else(messages::invalid_grant_token)
}

/// Refuses tokens that are none. Whether their grants exist makes no difference.
pub(crate) fn check_all(region: &RegionServer, tokens: &[String]) -> Result<(), Error> {
    tokens.iter().try_for_each(|token| read(region, token).map(|_| ()))
}
