//! Statements that are open to everybody.

use crate::caller::Caller;
use crate::condition::Condition;
use crate::context::Context;
use crate::decide::{Source, StatementRef};
use crate::document::{Document, Effect, Statement};

/// Condition keys that tell who asks or from where, and whose values those who ask cannot choose.
/// What a foreign account says of itself, such as names and tags of its users, keeps nobody out.
const NARROWING: [&str; 22] = [
    "kms:calleraccount",
    "kms:viaservice",
    "aws:calledvia",
    "aws:calledviafirst",
    "aws:calledvialast",
    "aws:principalaccount",
    "aws:principalarn",
    "aws:principalisawsservice",
    "aws:principalorgid",
    "aws:principalorgpaths",
    "aws:principalservicename",
    "aws:principalservicenameslist",
    // Where a policy compares it with the caller's account.
    "aws:resourceaccount",
    "aws:sourceaccount",
    "aws:sourcearn",
    "aws:sourceip",
    "aws:sourceorgid",
    "aws:sourceorgpaths",
    "aws:sourcevpc",
    "aws:sourcevpce",
    "aws:userid",
    "aws:vpcsourceip",
];

impl Document {
    /// The statements of a key's policy that allow a stranger something in any of these contexts,
    /// as far as their conditions are about who that is or from where. Conditions about anything
    /// else narrow nothing: whoever asks can fulfil them. What denials take away again is not
    /// looked at.
    pub fn open_to(
        &self,
        stranger: &Caller,
        resource: &str,
        contexts: &[Context],
    ) -> Vec<StatementRef<'_>> {
        let statements = self.statements.iter().enumerate();
        let open = statements.filter(|(_, statement)| {
            contexts.iter().any(|context| statement.lets_in(stranger, resource, context))
        });
        open.map(|(index, statement)| {
            let sid = statement.sid.as_deref();
            StatementRef { source: Source::Key, document: "", index, sid }
        })
        .collect()
    }
}

impl Statement {
    fn lets_in(&self, stranger: &Caller, resource: &str, context: &Context) -> bool {
        let named = self.principals.as_ref().and_then(|principals| principals.names(stranger));
        let about = self.resources.as_ref().is_some_and(|r| r.apply(resource, context, false));
        let narrowing = |condition: &&Condition| {
            NARROWING.contains(&condition.key.to_ascii_lowercase().as_str())
        };
        self.effect == Effect::Allow
            && named.is_some()
            && self.actions.is_some()
            && about
            && self.conditions.iter().filter(narrowing).all(|condition| condition.holds(context))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::Kind;

    const KEY: &str = "arn:aws:kms:us-east-1:111122223333:key/k";

    /// Whether a statement of this principal and these conditions is open.
    fn is_open(principal: &str, conditions: &str) -> bool {
        let text = format!(
            r#"{{"Version": "2012-10-17", "Statement": [
                {{"Effect": "Deny", "Principal": "*", "Action": "kms:Sign", "Resource": "*"}},
                {{"Sid": "S", "Effect": "Allow", "Principal": {principal}, "Action": "kms:Encrypt",
                  "Resource": "*", "Condition": {{{conditions}}}}}
            ]}}"#
        );
        let document = Document::parse(Kind::Key, &text).unwrap();
        let stranger = "000000000001".parse().unwrap();
        let mut context = Context::new();
        context.add("aws:PrincipalAccount", "000000000001");
        context.add("kms:CallerAccount", "000000000001");
        context.add("aws:ResourceAccount", "111122223333");
        context.add("aws:SourceIp", "203.0.113.77");
        let open = document.open_to(&Caller::root(stranger), KEY, &[context]);
        assert!(open.iter().all(|found| (found.index, found.sid) == (1, Some("S"))));
        !open.is_empty()
    }

    #[test]
    fn everybody_is_everybody() {
        assert!(is_open(r#""*""#, ""));
        assert!(is_open(r#"{"AWS": ["111122223333", "*"]}"#, ""));
        assert!(!is_open(r#"{"AWS": "111122223333"}"#, ""));
        assert!(!is_open(r#"{"Service": "logs.amazonaws.com"}"#, ""));
    }

    #[test]
    fn a_condition_narrows_that_keeps_strangers_out() {
        for (condition, narrows) in [
            (r#""StringEquals": {"kms:CallerAccount": "111122223333"}"#, true),
            (r#""StringEquals": {"aws:PrincipalOrgID": "o-1"}"#, true),
            (r#""IpAddress": {"aws:SourceIp": "10.0.0.0/8"}"#, true),
            (r#""StringEquals": {"aws:ResourceAccount": "${aws:PrincipalAccount}"}"#, true),
            (r#""Bool": {"aws:PrincipalIsAWSService": "true"}"#, true),
            // Those that hold for about everybody.
            (r#""StringLike": {"kms:CallerAccount": "*"}"#, false),
            (r#""StringNotEquals": {"KMS:callerAccount": "111122223333"}"#, false),
            (r#""IpAddress": {"aws:SourceIp": "0.0.0.0/0"}"#, false),
            (r#""StringEqualsIfExists": {"aws:SourceVpc": "vpc-1"}"#, false),
            (r#""StringEquals": {"aws:ResourceAccount": "111122223333"}"#, false),
            // Those that whoever asks can fulfil.
            (r#""Bool": {"aws:SecureTransport": "true"}"#, false),
            (r#""StringEquals": {"kms:EncryptionContext:dept": "finance"}"#, false),
            (r#""StringEquals": {"aws:PrincipalTag/team": "x"}"#, false),
        ] {
            assert_eq!(is_open(r#""*""#, condition), !narrows, "{condition}");
        }
    }
}
