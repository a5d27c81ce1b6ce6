//! The condition keys that there are: names, types, and how many values they have.

use crate::document::Kind;
use crate::error::Reason;

/// What a condition key holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum KeyType {
    String,
    Bool,
    Numeric,
    Date,
    Arn,
    IpAddress,
}

/// A condition key, or with a name that ends in `:` or `/`, a family of them.
#[derive(Debug, Clone, Copy)]
pub struct ConditionKey {
    /// As written in documentation; compared without regard to case.
    pub name: &'static str,
    /// What its values are.
    pub kind: KeyType,
    /// Whether a request may have several values for it.
    pub multi_valued: bool,
}

use KeyType::{Arn, Bool, Date, IpAddress, Numeric, String};

const fn one(name: &'static str, kind: KeyType) -> ConditionKey {
    ConditionKey { name, kind, multi_valued: false }
}

const fn many(name: &'static str) -> ConditionKey {
    ConditionKey { name, kind: String, multi_valued: true }
}

/// The keys of this service, those of STS, and the global ones.
pub const CONDITION_KEYS: &[ConditionKey] = &[
    one("kms:BypassPolicyLockoutSafetyCheck", Bool),
    one("kms:CallerAccount", String),
    one("kms:CustomerMasterKeySpec", String),
    one("kms:CustomerMasterKeyUsage", String),
    one("kms:DataKeyPairSpec", String),
    one("kms:EncryptionAlgorithm", String),
    one("kms:EncryptionContext:", String),
    many("kms:EncryptionContextKeys"),
    one("kms:ExpirationModel", String),
    one("kms:GrantConstraintSourceArn", Arn),
    many("kms:GrantConstraintType"),
    one("kms:GrantIsForAWSResource", Bool),
    many("kms:GrantOperations"),
    one("kms:GranteePrincipal", String),
    one("kms:GranteeServicePrincipal", String),
    one("kms:KeyAgreementAlgorithm", String),
    one("kms:KeyOrigin", String),
    one("kms:KeySpec", String),
    one("kms:KeyUsage", String),
    one("kms:MacAlgorithm", String),
    one("kms:MessageType", String),
    one("kms:MultiRegion", Bool),
    one("kms:MultiRegionKeyType", String),
    one("kms:PolicyName", String),
    one("kms:PrimaryRegion", String),
    one("kms:ReEncryptOnSameKey", Bool),
    one("kms:RecipientAttestation:", String),
    one("kms:ReplicaRegion", String),
    one("kms:RequestAlias", String),
    many("kms:ResourceAliases"),
    one("kms:RetiringPrincipal", String),
    one("kms:RetiringServicePrincipal", String),
    one("kms:RotationPeriodInDays", Numeric),
    one("kms:ScheduleKeyDeletionPendingWindowInDays", Numeric),
    one("kms:SigningAlgorithm", String),
    one("kms:TrailingDaysWithoutKeyUsage", Numeric),
    one("kms:ValidTo", Date),
    one("kms:ViaService", String),
    one("kms:WrappingAlgorithm", String),
    one("kms:WrappingKeySpec", String),
    many("aws:CalledVia"),
    one("aws:CalledViaFirst", String),
    one("aws:CalledViaLast", String),
    one("aws:CurrentTime", Date),
    one("aws:EpochTime", Numeric),
    one("aws:FederatedProvider", String),
    one("aws:MultiFactorAuthAge", Numeric),
    one("aws:MultiFactorAuthPresent", Bool),
    one("aws:PrincipalAccount", String),
    one("aws:PrincipalArn", Arn),
    one("aws:PrincipalIsAWSService", Bool),
    one("aws:PrincipalOrgID", String),
    many("aws:PrincipalOrgPaths"),
    one("aws:PrincipalServiceName", String),
    many("aws:PrincipalServiceNamesList"),
    one("aws:PrincipalTag/", String),
    one("aws:PrincipalType", String),
    one("aws:RequestedRegion", String),
    one("aws:RequestTag/", String),
    one("aws:ResourceAccount", String),
    one("aws:ResourceOrgID", String),
    many("aws:ResourceOrgPaths"),
    one("aws:ResourceTag/", String),
    one("aws:SecureTransport", Bool),
    one("aws:SourceAccount", String),
    one("aws:SourceArn", Arn),
    one("aws:SourceIdentity", String),
    one("aws:SourceIp", IpAddress),
    one("aws:SourceOrgID", String),
    many("aws:SourceOrgPaths"),
    one("aws:SourceVpc", String),
    one("aws:SourceVpcArn", Arn),
    one("aws:SourceVpce", String),
    many("aws:TagKeys"),
    one("aws:TokenIssueTime", Date),
    one("aws:UserAgent", String),
    one("aws:ViaAWSService", Bool),
    one("aws:VpceAccount", String),
    one("aws:VpceOrgID", String),
    many("aws:VpceOrgPaths"),
    one("aws:VpcSourceIp", IpAddress),
    one("aws:referer", String),
    one("aws:userid", String),
    one("aws:username", String),
    one("sts:ExternalId", String),
    one("sts:RoleSessionName", String),
    one("sts:SourceIdentity", String),
    many("sts:TransitiveTagKeys"),
];

/// The key of this name, if it is one of ours.
pub fn condition_key(name: &str) -> Option<&'static ConditionKey> {
    CONDITION_KEYS.iter().find(|key| {
        let family = key.name.ends_with([':', '/']);
        let start = name.get(..key.name.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(key.name))
            && (name.len() > key.name.len()) == family
    })
}

/// Refuses what cannot be a key. The keys of other services are accepted: they are just never
/// there. A slip in one of ours would make a negated condition always true. In a trust policy those
/// of STS are ours, and those of identity providers begin with an issuer, which may have a path.
pub(crate) fn check(kind: Kind, name: &str) -> Result<(), Reason> {
    let bad = || Reason::text("a condition key", name);
    let (service, rest) = name.split_once(':').ok_or_else(bad)?;
    let well_formed = !service.is_empty()
        && !rest.is_empty()
        && service.bytes().all(|b| {
            let issuer = kind == Kind::Trust && b == b'/';
            b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_') || issuer
        });
    let services = ["kms", "aws", "sts"];
    let services = if kind == Kind::Trust { &services[..] } else { &services[..2] };
    let ours = services.iter().any(|ours| service.eq_ignore_ascii_case(ours));
    if well_formed && (!ours || condition_key(name).is_some()) { Ok(()) } else { Err(bad()) }
}

/// Keys for which `Null` does not see a default.
pub(crate) fn null_ignores_default(name: &str) -> bool {
    ["kms:BypassPolicyLockoutSafetyCheck", "kms:ExpirationModel"]
        .iter()
        .any(|key| key.eq_ignore_ascii_case(name))
}

/// Single-valued families for which `ForAllValues` is refused.
pub(crate) fn refuses_for_all(name: &str) -> bool {
    ["kms:EncryptionContext:", "aws:RequestTag/"].iter().any(|family| {
        name.get(..family.len()).is_some_and(|start| start.eq_ignore_ascii_case(family))
    })
}
