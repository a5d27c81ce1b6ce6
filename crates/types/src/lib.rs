//! Identifiers, ARNs, principals and names that every other crate shares. No I/O, no clock.
//!
//! Every type here is parsed once, at the edge, and cannot hold a bad value afterwards.
#![forbid(unsafe_code)]

mod arn;
mod iam;
mod ids;
mod names;
mod network;
mod oidc;
mod principal;
mod service;
mod time;

pub use arn::{AliasArn, Arn, KeyArn, KmsArn, PARTITION};
pub use iam::{
    GroupId, GroupName, IamArn, IamPath, IamResource, OidcProviderId, PolicyId, PolicyName, RoleId,
    RoleName, UserId, UserName,
};
pub use ids::{
    AccessKeyId, AccountId, AliasName, ClusterId, GrantId, InvalidIdentifier, KeyId, MaterialId,
    NodeId, Region, RequestId, lower_hex,
};
pub use names::{
    CryptographicOperation, EncapsulationAlgorithm, EncryptionAlgorithm, GrantOperation,
    KeyAgreementAlgorithm, KeyManager, KeySpec, KeyState, KeyUsage, MacAlgorithm, MessageType,
    Origin, SigningAlgorithm,
};
pub use network::Network;
pub use oidc::{Issuer, OidcProviderArn};
pub use principal::{Principal, PrincipalArn, SessionArn, SessionName};
pub use service::ServiceName;
pub use time::UnixMillis;
