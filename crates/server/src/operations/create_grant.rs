//! CreateGrant: lets a principal use a key for the operations named.

use keystead_api::{Error, ErrorCode, kms, messages};
use keystead_crypto::random;
use keystead_state::proto::{self, outcome};
use keystead_state::{Grant, Key};
use keystead_types::{GrantId, GrantOperation, KeySpec, KeyUsage};

use super::private_key::named;
use super::{Operation, StateRule, grants};
use crate::audit::Parameters;
use crate::grant_token;
use crate::pipeline::{Call, Failure};
use crate::propose;
use crate::question::PreparedGrant;
use crate::resolve::Target;

pub(crate) struct CreateGrant;

impl Operation for CreateGrant {
    type Input = kms::CreateGrantRequest;
    type Output = kms::CreateGrantResponse;

    const NAME: &'static str = "CreateGrant";
    const READ_ONLY: bool = false;
    const STATES: StateRule = StateRule::Usable;

    fn targets(input: &Self::Input) -> Result<Vec<Target<'_>>, Error> {
        let mut target = Target::id_or_arn(input.key_id(), "kms:CreateGrant")
            .flag("kms:GrantIsForAWSResource", Some(false))
            .fact("kms:GranteePrincipal", input.grantee_principal())
            .fact("kms:GranteeServicePrincipal", input.grantee_service_principal())
            .fact("kms:RetiringPrincipal", input.retiring_principal())
            .fact("kms:RetiringServicePrincipal", input.retiring_service_principal());
        for operation in input.operations() {
            target = target.fact("kms:GrantOperations", operation.as_text());
        }
        if let Some(constraints) = &input.constraints {
            let (equals, subset) =
                (&constraints.encryption_context_equals, &constraints.encryption_context_subset);
            target = target.fact("kms:GrantConstraintSourceArn", constraints.source_arn());
            for (name, given) in [
                ("EncryptionContextEquals", !equals.is_empty()),
                ("EncryptionContextSubset", !subset.is_empty()),
                ("SourceArn", constraints.source_arn.is_some()),
            ] {
                target = target.fact("kms:GrantConstraintType", if given { name } else { "" });
            }
            target = target.context(if equals.is_empty() { subset } else { equals });
        }
        Ok(vec![target])
    }

    fn grant_tokens(input: &Self::Input) -> &[String] {
        &input.grant_tokens
    }

    fn check(call: &Call<'_>, input: &Self::Input) -> Result<(), Error> {
        principals(input)?;
        let symmetric = call.key(0)?.spec == KeySpec::SymmetricDefault;
        grants::check_constraints(input.constraints.as_ref(), symmetric)
    }

    fn suits(call: &Call<'_>, input: &Self::Input) -> Result<(), Error> {
        let key = call.key(0)?;
        for operation in operations(input)? {
            if !suits(key, operation) {
                let text = format!(
                    "The operation {operation} is not valid for a grant on a key of spec {} and \
                     usage {}.",
                    key.spec, key.usage
                );
                return Err(Error::new(ErrorCode::ValidationException, text));
            }
        }
        refuse_more_than_the_caller_has(call, input)
    }

    fn dry_run(input: &Self::Input) -> bool {
        input.dry_run()
    }

    async fn execute(call: &Call<'_>, input: &Self::Input) -> Result<Self::Output, Failure> {
        let grant = Some(record(call, input)?);
        let result = propose::result(call, proto::CreateGrant { grant }).await?;
        Ok(Self::again(call, input, &result).ok_or_else(messages::internal)?)
    }

    fn again(call: &Call<'_>, _: &Self::Input, first: &outcome::Result) -> Option<Self::Output> {
        let outcome::Result::GrantCreated(created) = first else { return None };
        let id = GrantId::new(created.grant_id.as_slice().try_into().ok()?);
        // The token only names the grant, which somebody may have ended already.
        let token = grant_token::make(call.region, call.key(0).ok()?.id, id).ok()?;
        Some(kms::CreateGrantResponse { grant_token: Some(token), grant_id: Some(id.to_string()) })
    }

    fn record(input: &Self::Input) -> Parameters {
        let operations = input.operations().map(|op| op.as_text().to_owned());
        let operations: Vec<String> = operations.collect();
        Parameters::new()
            .text("keyId", &input.key_id)
            .text("granteePrincipal", &input.grantee_principal)
            .text("granteeServicePrincipal", &input.grantee_service_principal)
            .text("retiringPrincipal", &input.retiring_principal)
            .text("retiringServicePrincipal", &input.retiring_service_principal)
            .texts("operations", &operations)
            .message("constraints", input.constraints.as_ref())
            .text("name", &input.name)
            .flag("dryRun", input.dry_run)
    }

    fn record_response(_: &Call<'_>, output: &Self::Output) -> Parameters {
        Parameters::new().text("grantId", &output.grant_id)
    }
}

/// Grantee and retiring principal, each with whether it is a service.
type Principals = ((String, bool), Option<(String, bool)>);

fn principals(input: &kms::CreateGrantRequest) -> Result<Principals, Error> {
    let choose = |one: &Option<String>, service: &Option<String>, names: [&str; 2]| {
        let given = grants::one_of(one.as_deref(), service.as_deref(), names[0], names[1])?;
        let is_service = service.is_some();
        let named = given.map(|name| grants::principal(name, is_service)).transpose()?;
        Ok::<_, Error>(named.map(|name| (name, is_service)))
    };
    let grantee = choose(
        &input.grantee_principal,
        &input.grantee_service_principal,
        ["GranteePrincipal", "GranteeServicePrincipal"],
    )?
    .ok_or_else(|| messages::required_member("granteePrincipal"))?;
    let retiring = choose(
        &input.retiring_principal,
        &input.retiring_service_principal,
        ["RetiringPrincipal", "RetiringServicePrincipal"],
    )?;
    let source = input.constraints.as_ref().and_then(|c| c.source_arn.as_ref());
    if grantee.1 && (source.is_none() || retiring.is_none()) {
        let text = "A grant to a service principal needs a SourceArn constraint and a retiring \
                    principal.";
        return Err(Error::new(ErrorCode::ValidationException, text));
    }
    Ok((grantee, retiring))
}

fn operations(input: &kms::CreateGrantRequest) -> Result<Vec<GrantOperation>, Error> {
    input.operations().map(|operation| named(operation.as_text())).collect()
}

/// Whether a grant on this key may have the operation.
fn suits(key: &Key, operation: GrantOperation) -> bool {
    use GrantOperation as Op;
    let symmetric = key.spec == KeySpec::SymmetricDefault;
    match operation {
        Op::CreateGrant | Op::RetireGrant | Op::DescribeKey => true,
        Op::Encrypt | Op::Decrypt | Op::ReEncryptFrom | Op::ReEncryptTo => {
            key.usage == KeyUsage::EncryptDecrypt
        }
        Op::GenerateDataKey
        | Op::GenerateDataKeyWithoutPlaintext
        | Op::GenerateDataKeyPair
        | Op::GenerateDataKeyPairWithoutPlaintext => symmetric,
        Op::Sign | Op::Verify => key.usage == KeyUsage::SignVerify,
        Op::GenerateMac | Op::VerifyMac => key.usage == KeyUsage::GenerateVerifyMac,
        Op::DeriveSharedSecret => key.usage == KeyUsage::KeyAgreement,
        Op::Encapsulate | Op::Decapsulate => key.usage == KeyUsage::EncapsulateDecapsulate,
        Op::GetPublicKey => !symmetric && key.usage != KeyUsage::GenerateVerifyMac,
    }
}

/// Whoever may make grants by a grant alone makes none that allows more than it.
fn refuse_more_than_the_caller_has(
    call: &Call<'_>,
    input: &kms::CreateGrantRequest,
) -> Result<(), Error> {
    if call.by_grant(0).is_none() {
        return Ok(());
    }
    let child = Grant::from_record(record(call, input)?).ok_or_else(messages::internal)?;
    let child = PreparedGrant::new(&child);
    let included = call
        .own_grants(0, GrantOperation::CreateGrant)
        .iter()
        .any(|parent: &&Grant| PreparedGrant::new(parent).grant().includes(&child.grant()));
    if included {
        return Ok(());
    }
    let arn = call.key_arn(call.key(0)?);
    Err(messages::access_denied(&call.caller.principal, "kms:CreateGrant", arn))
}

fn record(call: &Call<'_>, input: &kms::CreateGrantRequest) -> Result<proto::GrantRecord, Error> {
    let key = call.key(0)?.id;
    let ((grantee, _), retiring) = principals(input)?;
    let name = |name: String| proto::GrantPrincipalRecord { name, unique_id: String::new() };
    let constraints = input.constraints.as_ref();
    Ok(proto::GrantRecord {
        id: random::bytes::<32>().map_err(|_| messages::internal())?.to_vec(),
        key_id: key.bytes().to_vec(),
        key_multi_region: key.multi_region(),
        issuing_account: call.account().number(),
        name: input.name().to_owned(),
        grantee: Some(name(grantee)),
        retiring: retiring.map(|(retiring, _)| name(retiring)),
        operations: operations(input)?.into_iter().map(|op| op.code().into()).collect(),
        constraints: constraints.map(|constraints| proto::GrantConstraintsRecord {
            equals: grants::context(&constraints.encryption_context_equals),
            subset: grants::context(&constraints.encryption_context_subset),
            source_arn: constraints.source_arn().to_owned(),
        }),
        created_ms: 0,
    })
}
