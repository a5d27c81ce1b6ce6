//! Grants as they are stored and as a command brings them.

use std::collections::BTreeMap;

use keystead_policy::NamedPrincipal;
use keystead_types::{AccountId, GrantId, GrantOperation, KeyId, UnixMillis};
use prost::Message;

use super::code;
use crate::model::{Grant, GrantConstraints, GrantPrincipal};
use crate::proto;

pub(crate) fn grant(grant: &Grant) -> Vec<u8> {
    proto::GrantRecord {
        id: grant.id.bytes().to_vec(),
        key_id: grant.key.bytes().to_vec(),
        key_multi_region: grant.key.multi_region(),
        issuing_account: grant.issuing_account.number(),
        name: grant.name.to_string(),
        grantee: Some(principal(&grant.grantee)),
        retiring: grant.retiring.as_ref().map(principal),
        operations: grant.operations.iter().map(|operation| operation.code().into()).collect(),
        constraints: Some(constraints(&grant.constraints)),
        created_ms: grant.created.0,
    }
    .encode_to_vec()
}

/// A grant from its record, whose principals are taken for whom they say they are.
pub(crate) fn read_grant(record: proto::GrantRecord) -> Option<Grant> {
    let operations: Option<Vec<_>> =
        record.operations.iter().map(|&op| code(op, GrantOperation::from_code)).collect();
    let mut operations = operations?;
    operations.sort_unstable();
    operations.dedup();
    let retiring = match record.retiring {
        Some(record) => Some(read_principal(record)?),
        None => None,
    };
    Some(Grant {
        id: GrantId::new(record.id.try_into().ok()?),
        key: KeyId::new(record.key_id.try_into().ok()?, record.key_multi_region),
        issuing_account: AccountId::from_number(record.issuing_account)?,
        name: record.name.into(),
        grantee: read_principal(record.grantee?)?,
        retiring,
        operations: operations.into(),
        constraints: read_constraints(record.constraints.unwrap_or_default()),
        created: UnixMillis(record.created_ms),
    })
}

fn principal(principal: &GrantPrincipal) -> proto::GrantPrincipalRecord {
    let unique_id = match &principal.named {
        NamedPrincipal::UniqueId(id) => id.clone(),
        _ => String::new(),
    };
    proto::GrantPrincipalRecord { name: principal.name.to_string(), unique_id }
}

fn read_principal(record: proto::GrantPrincipalRecord) -> Option<GrantPrincipal> {
    let named = if !record.unique_id.is_empty() {
        NamedPrincipal::UniqueId(record.unique_id)
    } else if record.name.contains(':') {
        NamedPrincipal::parse_aws(&record.name).ok()?
    } else if record.name.is_empty() {
        return None;
    } else {
        NamedPrincipal::Service(record.name.clone())
    };
    Some(GrantPrincipal { name: record.name.into(), named })
}

fn constraints(constraints: &GrantConstraints) -> proto::GrantConstraintsRecord {
    let context =
        |pairs: &BTreeMap<String, String>| proto::EncryptionContextRecord { pairs: pairs.clone() };
    proto::GrantConstraintsRecord {
        equals: constraints.equals.as_ref().map(context),
        subset: constraints.subset.as_ref().map(context),
        source_arn: constraints.source_arn.as_deref().unwrap_or_default().to_owned(),
    }
}

fn read_constraints(record: proto::GrantConstraintsRecord) -> GrantConstraints {
    GrantConstraints {
        equals: record.equals.map(|context| context.pairs),
        subset: record.subset.map(|context| context.pairs),
        source_arn: Some(record.source_arn.into_boxed_str()).filter(|arn| !arn.is_empty()),
    }
}
