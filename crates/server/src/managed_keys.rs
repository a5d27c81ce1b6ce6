//! AWS-managed keys: each account has one for each service, made when it is first asked for. Its
//! policy lets the account's principals use it through the service and look at it, and nothing else.

use std::sync::Arc;

use keystead_api::{Error, messages};
use keystead_state::Key;
use keystead_state::proto::{self, outcome};
use keystead_types::{AliasArn, AliasName, KeyId, PARTITION};

use crate::pipeline::{Call, Failure};
use crate::propose;
use crate::region::RegionServer;

/// A service that has keys in its customers' accounts, in AWS's words.
struct Service {
    /// The alias of its keys without `alias/aws/`.
    name: &'static str,
    /// How `kms:ViaService` names it, without Region and domain.
    via: &'static str,
    /// How key policies speak of it.
    title: &'static str,
    /// What its keys protect, as descriptions have it.
    protects: &'static str,
}

const fn service(name: &'static str, title: &'static str, protects: &'static str) -> Service {
    Service { name, via: name, title, protects }
}

/// The services whose keys there can be. One that comes needs no more than a line: a key keeps what
/// was said of its service when it was made. The texts are those of AWS's keys as far as these are
/// public, the names those of the AWS KMS developer guide, "kms:ViaService".
const SERVICES: &[Service] = &[
    service("acm", "ACM", "ACM private keys"),
    service("airflow", "Amazon MWAA", "MWAA data"),
    service("appflow", "Amazon AppFlow", "AppFlow data"),
    service("backup", "AWS Backup", "Backup data"),
    service("codeartifact", "AWS CodeArtifact", "CodeArtifact data"),
    service("codecommit", "AWS CodeCommit", "CodeCommit repositories"),
    service("connect", "Amazon Connect", "Connect data"),
    service("dms", "AWS DMS", "DMS data"),
    service("dynamodb", "Amazon DynamoDB", "DynamoDB data"),
    Service { via: "ec2", ..service("ebs", "EBS", "EBS volumes") },
    service("ecr", "Amazon ECR", "ECR repositories"),
    service("elasticache", "Amazon ElastiCache", "ElastiCache data"),
    service("elasticfilesystem", "EFS", "EFS filesystems"),
    service("es", "Amazon OpenSearch Service", "OpenSearch Service data"),
    service("fsx", "Amazon FSx", "FSx resources"),
    service("glue", "AWS Glue", "Glue data"),
    service("importexport", "AWS Snow Family", "Snow Family data"),
    service("kafka", "Amazon MSK", "MSK data"),
    service("kinesis", "Amazon Kinesis", "Kinesis data"),
    service("kinesisvideo", "Amazon Kinesis Video Streams", "Kinesis Video Streams data"),
    service("lambda", "AWS Lambda", "Lambda functions"),
    service("lightsail", "Amazon Lightsail", "Lightsail data"),
    service("mq", "Amazon MQ", "MQ data"),
    service("rds", "RDS", "RDS database volumes"),
    service("redshift", "Amazon Redshift", "Redshift clusters"),
    service("s3", "Amazon S3", "S3 objects"),
    service("secretsmanager", "AWS Secrets Manager", "Secrets Manager data"),
    service("ses", "Amazon SES", "SES data"),
    service("sns", "Amazon SNS", "SNS data"),
    service("sqs", "Amazon SQS", "SQS messages"),
    service("ssm", "AWS Systems Manager", "SSM parameters"),
    service("timestream", "Amazon Timestream", "Timestream data"),
    service("workmail", "Amazon WorkMail", "WorkMail data"),
    service("workspaces", "Amazon WorkSpaces", "WorkSpaces data"),
    service("xray", "AWS X-Ray", "X-Ray data"),
];

/// The key that an account would have for a service. It is decided about as if it were there, and
/// made for whoever is allowed what it is wanted for.
#[derive(Debug)]
pub(crate) struct Unmade {
    /// As it will be, but for its material and its time.
    pub(crate) key: Arc<Key>,
    /// The alias that it will have.
    pub(crate) alias: AliasName,
    command: proto::CreateManagedKey,
}

impl Unmade {
    /// The key that this alias will stand for; `None` if it is that of no service's key.
    ///
    /// # Errors
    /// The random generator failed.
    pub(crate) fn named(region: &RegionServer, alias: &AliasArn) -> Result<Option<Self>, Error> {
        let name = alias.name.as_str().strip_prefix(AliasName::RESERVED_PREFIX);
        let service = SERVICES.iter().find(|service| Some(service.name) == name);
        let Some(service) = service else { return Ok(None) };
        let command = proto::CreateManagedKey {
            key: propose::id_ref(KeyId::from_random(region.entropy()?, false)),
            account: alias.account.number(),
            service: service.name.to_owned(),
            description: format!(
                "Default key that protects my {} when no other key is defined",
                service.protects
            ),
            policy: policy(service, alias),
            material: None,
        };
        let key = Key::managed(&command).ok_or_else(messages::internal)?;
        Ok(Some(Self { key: Arc::new(key), alias: alias.name.clone(), command }))
    }
}

/// Makes a key, unless somebody else was first: then the account has that one.
///
/// # Errors
/// [`Failure::Stale`] when the call has to be authorised once more; else no key could be made.
pub(crate) async fn make(call: &Call<'_>, unmade: &Unmade) -> Result<Arc<Key>, Failure> {
    let Unmade { key, command, .. } = unmade;
    let material = call.region.next_material(&call.view, key).await?;
    let command = proto::CreateManagedKey { material: Some(material), ..command.clone() };
    let outcome::Result::KeyCreated(created) = propose::result(call, command).await? else {
        return Err(messages::internal().into());
    };
    let id = propose::ref_id(created.key.as_ref()).ok_or_else(messages::internal)?;
    let view = call.region.view();
    Ok(view.key(&id).ok_or_else(messages::internal)?.clone())
}

/// The policy of a service's key in the account and Region of its alias.
fn policy(service: &Service, alias: &AliasArn) -> String {
    let (account, region, Service { name, via, title, .. }) =
        (alias.account, &alias.region, service);
    format!(
        r#"{{
  "Version" : "2012-10-17",
  "Id" : "auto-{name}-1",
  "Statement" : [ {{
    "Sid" : "Allow access through {title} for all principals in the account that are authorized to use {title}",
    "Effect" : "Allow",
    "Principal" : {{
      "AWS" : "*"
    }},
    "Action" : [ "kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:CreateGrant", "kms:DescribeKey" ],
    "Resource" : "*",
    "Condition" : {{
      "StringEquals" : {{
        "kms:CallerAccount" : "{account}",
        "kms:ViaService" : "{via}.{region}.amazonaws.com"
      }}
    }}
  }}, {{
    "Sid" : "Allow direct access to key metadata to the account",
    "Effect" : "Allow",
    "Principal" : {{
      "AWS" : "arn:{PARTITION}:iam::{account}:root"
    }},
    "Action" : [ "kms:Describe*", "kms:Get*", "kms:List*", "kms:RevokeGrant" ],
    "Resource" : "*"
  }} ]
}}"#
    )
}

#[cfg(test)]
mod tests {
    use keystead_policy::{Document, Kind};

    use super::*;

    #[test]
    fn services_are_named_once_and_have_policies() {
        assert!(SERVICES.is_sorted_by(|a, b| a.name < b.name), "in order, each once");
        for service in SERVICES {
            let alias = AliasArn {
                region: "eu-central-1".parse().unwrap(),
                account: "111122223333".parse().unwrap(),
                name: format!("{}{}", AliasName::RESERVED_PREFIX, service.name).parse().unwrap(),
            };
            Document::parse(Kind::Key, &policy(service, &alias)).unwrap();
        }
    }
}
