//! The query protocol: what is read from forms and how it is refused, what is written as XML.

#![allow(clippy::unwrap_used, reason = "a panic fails the test")]

mod clients;
mod forms;
mod operations;

use keystead_api::query::{
    self, Fault, FaultCode, IAM_NAMESPACE, Params, encode, encode_document, parse,
};
use keystead_api::{Message, Timestamp, iam};

/// A form of these parameters.
fn params(pairs: &[(&str, &str)]) -> Params {
    let encoded: Vec<_> = pairs
        .iter()
        .map(|(name, value)| format!("{}={}", encode_document(name), encode_document(value)))
        .collect();
    parse(encoded.join("&").as_bytes()).unwrap()
}

fn read<M: Message>(pairs: &[(&str, &str)]) -> Result<M, Fault> {
    query::decode(&params(pairs))
}

/// The text of a `ValidationError`.
#[track_caller]
fn violations<M: Message>(pairs: &[(&str, &str)]) -> String {
    let fault = read::<M>(pairs).unwrap_err();
    assert_eq!(fault.code(), FaultCode::ValidationError, "{fault}");
    fault.message().to_owned()
}

/// The text of a `MalformedInput`.
#[track_caller]
fn malformed<M: Message>(pairs: &[(&str, &str)]) -> String {
    let fault = read::<M>(pairs).unwrap_err();
    assert_eq!(fault.code(), FaultCode::MalformedInput, "{pairs:?}: {fault}");
    fault.message().to_owned()
}

fn tag(key: &str, value: &str) -> iam::Tag {
    iam::Tag { key: Some(key.to_owned()), value: Some(value.to_owned()) }
}

#[test]
fn requests_are_read_with_their_lists_and_structures() {
    let request: iam::CreateUserRequest = read(&[
        ("Action", "CreateUser"),
        ("Version", "2010-05-08"),
        ("UserName", "bob"),
        ("Path", "/a+b/"),
        ("Tags.member.2.Key", "team"),
        ("Tags.member.2.Value", ""),
        ("Tags.member.1.Value", "é ü"),
        ("Tags.member.1.Key", "Größe"),
    ])
    .unwrap();
    assert_eq!(
        request,
        iam::CreateUserRequest {
            path: Some("/a+b/".to_owned()),
            user_name: Some("bob".to_owned()),
            permissions_boundary: None,
            tags: vec![tag("Größe", "é ü"), tag("team", "")],
        }
    );
}

#[test]
fn numbers_booleans_and_enumerations_are_read_from_texts() {
    let request: iam::ListPoliciesRequest =
        read(&[("MaxItems", "7"), ("OnlyAttached", "true"), ("Scope", "Local")]).unwrap();
    assert_eq!(request.max_items, Some(7));
    assert_eq!(request.only_attached, Some(true));
    assert_eq!(request.scope, Some(iam::PolicyScopeType::Local.into()));
    for (name, value, path) in [
        ("MaxItems", "seven", "maxItems"),
        ("MaxItems", "", "maxItems"),
        ("MaxItems", "7.0", "maxItems"),
        ("MaxItems", "2147483648", "maxItems"),
        ("OnlyAttached", "True", "onlyAttached"),
        ("OnlyAttached", "1", "onlyAttached"),
        ("OnlyAttached.member.1", "true", "onlyAttached"),
        ("Scope.x", "Local", "scope"),
    ] {
        let text = malformed::<iam::ListPoliciesRequest>(&[(name, value)]);
        assert_eq!(text, format!("Unexpected type of value at '{path}'."), "{name}={value}");
    }
}

#[test]
fn what_has_a_text_has_no_parts() {
    for [value, part] in [
        [("UserName", "bob"), ("UserName.x", "eve")],
        [("MaxItems", "7"), ("MaxItems.member.1", "8")],
        [("PathPrefix", ""), ("PathPrefix.", "")],
    ] {
        let text = malformed::<iam::ListAttachedUserPoliciesRequest>(&[value, part]);
        assert!(text.starts_with("Unexpected type of value at '"), "{text}");
    }
}

#[test]
fn long_lists_are_in_order() {
    let pairs: Vec<_> =
        (1..=50).map(|i| (format!("TagKeys.member.{i}"), format!("k{i}"))).collect();
    let mut pairs: Vec<_> = pairs.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    pairs.push(("UserName", "bob"));
    let request: iam::UntagUserRequest = read(&pairs).unwrap();
    let expected: Vec<_> = (1..=50).map(|i| format!("k{i}")).collect();
    assert_eq!(request.tag_keys, expected);
}

#[test]
fn items_are_numbered_from_one_without_gaps() {
    for names in [
        &["TagKeys.member.0"][..],
        &["TagKeys.member.2"],
        &["TagKeys.member.1", "TagKeys.member.3"],
        &["TagKeys.member.1", "TagKeys.member.01"],
        &["TagKeys.member.+1"],
        &["TagKeys.member.-1"],
        &["TagKeys.member."],
        &["TagKeys.member.1", "TagKeys.member.x"],
        &["TagKeys.member.1", "TagKeys.member.18446744073709551617"],
        &["TagKeys.member.99999999999999999999999999999999"],
        &["TagKeys.1"],
        &["TagKeys.1", "TagKeys.member.1"],
        &["TagKeys.member"],
        &["TagKeys.entry.1"],
        &["TagKeys."],
    ] {
        let mut pairs: Vec<_> = names.iter().map(|name| (*name, "a")).collect();
        pairs.push(("UserName", "bob"));
        assert_eq!(
            malformed::<iam::UntagUserRequest>(&pairs),
            "Lists have the items member.1, member.2 and so on at 'tagKeys'.",
            "{names:?}"
        );
    }
    for names in [&["TagKeys"][..], &["TagKeys", "TagKeys.member.1"]] {
        let mut pairs: Vec<_> = names.iter().map(|name| (*name, "a")).collect();
        pairs.push(("UserName", "bob"));
        let text = malformed::<iam::UntagUserRequest>(&pairs);
        assert_eq!(text, "Unexpected type of value at 'tagKeys'.", "{names:?}");
    }
}

#[test]
fn an_item_that_is_no_structure_is_named() {
    for pair in [("Tags.member.2", "a"), ("Tags.member.2.Key.member.1", "a")] {
        let pairs = [("UserName", "bob"), ("Tags.member.1.Key", "a"), pair];
        let text = malformed::<iam::TagUserRequest>(&pairs);
        assert!(text.starts_with("Unexpected type of value at 'tags.2.member"), "{text}");
    }
    let both = [("Tags.member.1", ""), ("Tags.member.1.Key", "a"), ("Tags.member.1.Value", "a")];
    malformed::<iam::CreatePolicyRequest>(&both);
}

#[test]
fn an_empty_list_is_written_as_nothing() {
    let request: iam::CreateUserRequest = read(&[("UserName", "bob"), ("Tags", "")]).unwrap();
    assert_eq!(request.tags, []);
    let text = violations::<iam::TagUserRequest>(&[("UserName", "bob"), ("Tags", "")]);
    assert!(text.contains("Value null at 'tags'"), "{text}");
}

#[test]
fn unknown_parameters_are_ignored_however_they_look() {
    let deep = "X".to_owned() + &".member.1".repeat(27);
    let request: iam::GetUserRequest = read(&[
        ("UserName", "bob"),
        ("username", "eve"),
        ("userName", "eve"),
        ("Other.member.7", "x"),
        ("..", "x"),
        (".UserName", "eve"),
        (&deep, "x"),
    ])
    .unwrap();
    assert_eq!(request.user_name.as_deref(), Some("bob"));
}

#[test]
fn all_violations_are_reported_at_once_in_iams_words() {
    assert_eq!(
        violations::<iam::CreateUserRequest>(&[]),
        "1 validation error detected: Value null at 'userName' failed to satisfy constraint: \
         Member must not be null"
    );
    assert_eq!(
        violations::<iam::UpdateAccessKeyRequest>(&[("AccessKeyId", "short"), ("Status", "On")]),
        "2 validation errors detected: \
         Value 'On' at 'status' failed to satisfy constraint: \
         Member must satisfy enum value set: [Active, Inactive, Expired]; \
         Value 'short' at 'accessKeyId' failed to satisfy constraint: \
         Member must have length greater than or equal to 16"
    );
    let long = "u".repeat(65);
    let text = violations::<iam::CreateUserRequest>(&[
        ("UserName", &long),
        ("Path", "no slash"),
        ("Tags.member.1.Key", "a"),
        ("Tags.member.1.Value", "a\u{7}"),
    ]);
    assert!(text.starts_with("3 validation errors detected: "), "{text}");
    assert!(text.contains(&format!("Value '{long}' at 'userName'")), "{text}");
    assert!(text.contains(r"pattern: (\u002F)|(\u002F[\u0021-\u007E]+\u002F)"), "{text}");
    assert!(text.contains("at 'tags.1.member.value'"), "{text}");
    let fifty_one: Vec<_> = (1..=51).map(|i| format!("TagKeys.member.{i}")).collect();
    let mut pairs: Vec<_> = fifty_one.iter().map(|name| (name.as_str(), "k")).collect();
    pairs.push(("UserName", "bob"));
    let text = violations::<iam::UntagUserRequest>(&pairs);
    assert!(text.ends_with("Member must have length less than or equal to 50"), "{text}");
}

#[test]
fn replies_have_the_documented_shape() {
    let user = iam::User {
        path: Some("/".to_owned()),
        user_name: Some("bob".to_owned()),
        user_id: Some("AIDAAAAAAAAAAAAAAAAA".to_owned()),
        arn: Some("arn:aws:iam::111122223333:user/bob".to_owned()),
        create_date: Some(Timestamp { seconds: 1_795_525_200, nanos: 999_000_000 }),
        tags: vec![tag("a", "<1> & \"2\""), tag("b", "")],
        ..Default::default()
    };
    let reply = iam::CreateUserResponse { user: Some(user) };
    assert_eq!(
        encode("CreateUser", IAM_NAMESPACE, "id-1", &reply),
        [
            r#"<CreateUserResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/">"#,
            "<CreateUserResult><User><Path>/</Path><UserName>bob</UserName>",
            "<UserId>AIDAAAAAAAAAAAAAAAAA</UserId>",
            "<Arn>arn:aws:iam::111122223333:user/bob</Arn>",
            "<CreateDate>2026-11-24T13:00:00Z</CreateDate>",
            "<Tags><member><Key>a</Key><Value>&lt;1&gt; &amp; &quot;2&quot;</Value></member>",
            "<member><Key>b</Key><Value></Value></member></Tags></User></CreateUserResult>",
            "<ResponseMetadata><RequestId>id-1</RequestId></ResponseMetadata>",
            "</CreateUserResponse>",
        ]
        .concat()
    );
}

#[test]
fn replies_without_members_have_no_result() {
    assert_eq!(
        encode("DeleteUser", "urn:x", "id-1", &iam::DeleteUserResponse {}),
        "<DeleteUserResponse xmlns=\"urn:x\"><ResponseMetadata><RequestId>id-1</RequestId>\
         </ResponseMetadata></DeleteUserResponse>"
    );
}

#[test]
fn pages_have_their_lists_even_if_empty_and_other_values_their_texts() {
    let page = iam::ListPoliciesResponse { is_truncated: Some(false), ..Default::default() };
    let xml = encode("ListPolicies", "urn:x", "id-1", &page);
    let expected = "<Policies></Policies><IsTruncated>false</IsTruncated></ListPoliciesResult>";
    assert!(xml.contains(expected), "{xml}");
    let policy =
        iam::Policy { attachment_count: Some(0), is_attachable: Some(true), ..Default::default() };
    let reply = iam::GetPolicyResponse { policy: Some(policy) };
    let xml = encode("GetPolicy", "urn:x", "id-1", &reply);
    let expected =
        "<Policy><AttachmentCount>0</AttachmentCount><IsAttachable>true</IsAttachable></Policy>";
    assert!(xml.contains(expected), "{xml}");
    let key = iam::AccessKeyMetadata {
        status: Some(iam::StatusType::Inactive.into()),
        ..Default::default()
    };
    let reply =
        iam::ListAccessKeysResponse { access_key_metadata: vec![key], ..Default::default() };
    let xml = encode("ListAccessKeys", "urn:x", "id-1", &reply);
    assert!(xml.contains("<member><Status>Inactive</Status></member>"), "{xml}");
}

#[test]
fn secrets_are_written_and_not_shown() {
    let key = iam::AccessKey { secret_access_key: Some("hush".to_owned()), ..Default::default() };
    let reply = iam::CreateAccessKeyResponse { access_key: Some(key) };
    assert!(encode("CreateAccessKey", "urn:x", "id-1", &reply).contains(">hush</"));
    assert!(!format!("{reply:?}").contains("hush"), "{reply:?}");
}
