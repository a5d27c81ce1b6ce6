//! Both wire forms: what is read, what is refused and in which words, what is written and shown.

#![allow(clippy::unwrap_used, reason = "a panic fails the test")]

use std::collections::BTreeMap;

use bytes::Bytes;
use keystead_api::{Error, ErrorCode, Message, Timestamp, Wire, decode, encode, kms};
use proptest::prelude::*;

fn json<M: Message>(body: &str) -> Result<M, Error> {
    decode(Wire::AwsJson, body.as_bytes())
}

fn proto<M: Message>(message: &M) -> Result<M, Error> {
    decode(Wire::Proto, &encode(Wire::Proto, message))
}

/// The text of a `ValidationException`.
#[track_caller]
fn violations<M: Message>(result: Result<M, Error>) -> String {
    let error = result.unwrap_err();
    assert_eq!(error.code(), ErrorCode::ValidationException, "{error}");
    error.message().unwrap().to_owned()
}

/// The text of a `SerializationException`.
#[track_caller]
fn unreadable<M: Message>(body: &str) -> String {
    let error = json::<M>(body).unwrap_err();
    assert_eq!(error.code(), ErrorCode::SerializationException, "{body}: {error}");
    error.message().unwrap().to_owned()
}

fn encrypt_request() -> kms::EncryptRequest {
    kms::EncryptRequest {
        key_id: Some("alias/a".to_owned()),
        plaintext: Some(Bytes::from_static(b"\x00secret\xff")),
        encryption_context: BTreeMap::from([("k".to_owned(), "v".to_owned())]),
        grant_tokens: vec!["tok".to_owned()],
        encryption_algorithm: Some(kms::EncryptionAlgorithmSpec::RsaesOaepSha1.into()),
        dry_run: Some(false),
    }
}

#[test]
fn encrypt_reads_and_writes_both_forms() {
    let body = [
        r#"{"KeyId":"alias/a","Plaintext":"AHNlY3JldP8=","EncryptionContext":{"k":"v"},"#,
        r#""GrantTokens":["tok"],"EncryptionAlgorithm":"RSAES_OAEP_SHA_1","DryRun":false}"#,
    ]
    .concat();
    let message = encrypt_request();
    assert_eq!(json::<kms::EncryptRequest>(&body).unwrap(), message);
    assert_eq!(encode(Wire::AwsJson, &message), body);
    assert_eq!(proto(&message).unwrap(), message);
}

#[test]
fn empty_bodies_and_messages_are_empty_objects() {
    let message: kms::ListKeysRequest = json("").unwrap();
    assert_eq!(message, kms::ListKeysRequest::default());
    assert_eq!(encode(Wire::AwsJson, &message), "{}");
    assert_eq!(json::<kms::ListKeysRequest>(" { } \n").unwrap(), message);
    assert_eq!(encode(Wire::AwsJson, &kms::EnableKeyResponse {}), "{}");
}

#[test]
fn null_is_absent_and_unknown_members_are_ignored() {
    let body = r#"{"Limit":null,"ResourceOwners":null,"Marker":"m","Other":{"a":[1,{"b":null}]}}"#;
    let message: kms::ListKeysRequest = json(body).unwrap();
    assert_eq!((message.limit, message.marker.as_deref()), (None, Some("m")));
    assert!(message.resource_owners.is_empty());
    let text = violations(json::<kms::DescribeKeyRequest>(r#"{"KeyId":null}"#));
    assert!(text.contains("Value null at 'keyId'"), "{text}");
    // Names are case-sensitive.
    assert!(json::<kms::DescribeKeyRequest>(r#"{"keyId":"x"}"#).is_err());
}

#[test]
fn lists_of_pages_are_written_even_if_empty() {
    let page = kms::ListAliasesResponse { truncated: Some(false), ..Default::default() };
    assert_eq!(encode(Wire::AwsJson, &page), r#"{"Aliases":[],"Truncated":false}"#);
    let alias = kms::AliasListEntry {
        alias_name: Some("alias/a".to_owned()),
        creation_date: Some(Timestamp { seconds: 1_700_000_000, nanos: 123_000_000 }),
        last_updated_date: Some(Timestamp { seconds: 1_700_000_000, nanos: 0 }),
        ..Default::default()
    };
    let page = kms::ListAliasesResponse { aliases: vec![alias], ..Default::default() };
    assert_eq!(
        encode(Wire::AwsJson, &page),
        [
            r#"{"Aliases":[{"AliasName":"alias/a","CreationDate":1700000000.123,"#,
            r#""LastUpdatedDate":1700000000}]}"#,
        ]
        .concat()
    );
    let lone = kms::MultiRegionConfiguration::default();
    assert_eq!(encode(Wire::AwsJson, &lone), r#"{"ReplicaKeys":[]}"#);
    // Other empty lists are left out.
    assert_eq!(encode(Wire::AwsJson, &kms::GetPublicKeyResponse::default()), "{}");
}

#[test]
fn an_empty_structure_is_written() {
    let usage = kms::GetKeyLastUsageResponse {
        key_last_usage: Some(kms::KeyLastUsageData::default()),
        ..Default::default()
    };
    assert_eq!(encode(Wire::AwsJson, &usage), r#"{"KeyLastUsage":{}}"#);
}

#[test]
fn a_missing_member_is_named_as_aws_does() {
    assert_eq!(
        violations(json::<kms::DescribeKeyRequest>("{}")),
        "1 validation error detected: Value null at 'keyId' failed to satisfy constraint: \
         Member must not be null"
    );
    assert_eq!(
        violations(proto(&kms::DescribeKeyRequest::default())),
        "1 validation error detected: Value null at 'keyId' failed to satisfy constraint: \
         Member must not be null"
    );
}

#[test]
fn all_violations_are_reported_at_once() {
    let body = r#"{"KeyId":"","NumberOfBytes":1025,"KeySpec":"AES_512"}"#;
    assert_eq!(
        violations(json::<kms::GenerateDataKeyRequest>(body)),
        "3 validation errors detected: \
         Value 'AES_512' at 'keySpec' failed to satisfy constraint: \
         Member must satisfy enum value set: [AES_256, AES_128]; \
         Value '' at 'keyId' failed to satisfy constraint: \
         Member must have length greater than or equal to 1; \
         Value '1025' at 'numberOfBytes' failed to satisfy constraint: \
         Member must have value less than or equal to 1024"
    );
}

#[test]
fn items_of_lists_are_named_by_place() {
    let long = "k".repeat(129);
    let body =
        format!(r#"{{"KeyId":"k","Tags":[{{"TagKey":"a","TagValue":""}},{{"TagKey":"{long}"}}]}}"#);
    assert_eq!(
        violations(json::<kms::TagResourceRequest>(&body)),
        format!(
            "2 validation errors detected: Value '{long}' at 'tags.2.member.tagKey' failed to \
             satisfy constraint: Member must have length less than or equal to 128; \
             Value null at 'tags.2.member.tagValue' failed to satisfy constraint: Member must \
             not be null"
        )
    );
    let body = r#"{"KeyId":"k","GranteePrincipal":"p","Operations":["Decrypt","Fly"]}"#;
    let text = violations(json::<kms::CreateGrantRequest>(body));
    assert!(text.contains("Value 'Fly' at 'operations.2.member' failed"), "{text}");
    assert!(text.starts_with("1 validation error detected"), "{text}");
}

#[test]
fn patterns_hold_for_whole_texts() {
    let body = r#"{"AliasName":"alias/a b","TargetKeyId":"k"}"#;
    assert_eq!(
        violations(json::<kms::CreateAliasRequest>(body)),
        "1 validation error detected: Value 'alias/a b' at 'aliasName' failed to satisfy \
         constraint: Member must satisfy regular expression pattern: ^[a-zA-Z0-9:/_-]+$"
    );
    for (policy, valid) in [("{}\\t\\n\\u00ff", true), ("\\u0100", false), ("\\u0000", false)] {
        let body = format!(r#"{{"KeyId":"k","Policy":"{policy}"}}"#);
        assert_eq!(json::<kms::PutKeyPolicyRequest>(&body).is_ok(), valid, "{policy}");
    }
}

#[test]
fn lengths_are_of_characters_and_of_bytes() {
    let description = |count| format!(r#"{{"KeyId":"k","Description":"{}"}}"#, "é".repeat(count));
    assert!(json::<kms::UpdateKeyDescriptionRequest>(&description(8192)).is_ok());
    assert!(json::<kms::UpdateKeyDescriptionRequest>(&description(8193)).is_err());
    let request = |length| kms::EncryptRequest {
        plaintext: Some(vec![7; length].into()),
        ..encrypt_request()
    };
    assert!(proto(&request(4096)).is_ok());
    assert_eq!(
        violations(proto(&request(4097))),
        "1 validation error detected: Value at 'plaintext' failed to satisfy constraint: \
         Member must have length less than or equal to 4096"
    );
    let body = encode(Wire::AwsJson, &request(0));
    let text = violations(decode::<kms::EncryptRequest>(Wire::AwsJson, &body));
    assert!(text.contains("Value at 'plaintext'"), "{text}");
    assert!(text.ends_with("greater than or equal to 1"), "{text}");
    let tokens = kms::EncryptRequest {
        grant_tokens: vec!["secret-token".to_owned(); 11],
        ..encrypt_request()
    };
    let text = violations(proto(&tokens));
    assert!(text.ends_with("Member must have length less than or equal to 10"), "{text}");
}

#[test]
fn secrets_are_in_no_text() {
    let body = r#"{"CustomKeyStoreName":"s","KeyStorePassword":"hunter"}"#;
    assert_eq!(
        violations(json::<kms::CreateCustomKeyStoreRequest>(body)),
        "1 validation error detected: Value at 'keyStorePassword' failed to satisfy constraint: \
         Member must have length greater than or equal to 7"
    );
    let shown = format!("{:?}", encrypt_request());
    assert_eq!(
        shown,
        "EncryptRequest { KeyId: \"alias/a\", Plaintext: ***, EncryptionContext: {\"k\": \"v\"}, \
         GrantTokens: ***, EncryptionAlgorithm: RSAES_OAEP_SHA_1, DryRun: false }"
    );
    let nested = kms::CreateCustomKeyStoreRequest {
        key_store_password: Some("hunter22".to_owned()),
        xks_proxy_authentication_credential: Some(kms::XksProxyAuthenticationCredentialType {
            access_key_id: Some("AKID".to_owned()),
            raw_secret_access_key: Some("SECRET".to_owned()),
        }),
        ..Default::default()
    };
    let shown = format!("{nested:#?}");
    assert!(!["hunter22", "AKID", "SECRET"].iter().any(|s| shown.contains(s)), "{shown}");
}

#[test]
fn long_and_unprintable_values_are_shown_bearably() {
    let body = format!(r#"{{"KeyId":"\u0007\n{}"}}"#, "x".repeat(3000));
    let text = violations(json::<kms::DescribeKeyRequest>(&body));
    assert!(text.contains(r"Value '\u{7}\nx"), "{text}");
    assert!(text.contains("x...' at 'keyId'"), "{text}");
    assert!(text.len() < 500, "{text}");
    let many = vec![r#"{"TagKey":""}"#; 1000].join(",");
    let body = format!(r#"{{"KeyId":"k","Tags":[{many}]}}"#);
    let text = violations(json::<kms::TagResourceRequest>(&body));
    assert!(text.starts_with("2000 validation errors detected: "), "{text}");
    assert!(text.len() < 10_000, "{}", text.len());
}

#[test]
fn what_is_not_such_an_object_is_refused() {
    for body in [" ", "{", "{}{}", "{\"KeyId\":\"\\ud800\"}", "nul", "{\"KeyId\":\"a\",}"] {
        let text = unreadable::<kms::EncryptRequest>(body);
        assert!(text.starts_with("The request body is not valid JSON: line 1"), "{text}");
    }
    for body in ["[]", "null", "1", "\"KeyId\""] {
        let text = unreadable::<kms::EncryptRequest>(body);
        assert_eq!(text, "The request body must be one JSON object.", "{body}");
    }
    assert!(decode::<kms::EncryptRequest>(Wire::AwsJson, b"{\"KeyId\":\"\xff\"}").is_err());
    let error = decode::<kms::EncryptRequest>(Wire::Proto, b"\x0a\xff").unwrap_err();
    assert_eq!(error.code(), ErrorCode::SerializationException);
}

#[test]
fn depth_takes_no_stack() {
    let deep = format!(r#"{{"Other":{}1{}}}"#, "[".repeat(500_000), "]".repeat(500_000));
    assert!(json::<kms::ListKeysRequest>(&deep).is_ok());
    let open = format!(r#"{{"Tags":{}"#, "[".repeat(500_000));
    assert!(json::<kms::CreateKeyRequest>(&open).is_err());
}

#[test]
fn wrong_types_are_refused_with_their_place() {
    for (body, place) in [
        (r#"{"KeyId":5}"#, "keyId"),
        (r#"{"KeyId":"k","Plaintext":[1]}"#, "plaintext"),
        (r#"{"DryRun":"true"}"#, "dryRun"),
        (r#"{"EncryptionContext":{"a":1}}"#, "encryptionContext"),
        (r#"{"EncryptionContext":{"a":null}}"#, "encryptionContext"),
        (r#"{"GrantTokens":["a",{}]}"#, "grantTokens.2.member"),
        (r#"{"GrantTokens":[null]}"#, "grantTokens.1.member"),
        (r#"{"EncryptionAlgorithm":1}"#, "encryptionAlgorithm"),
    ] {
        let text = unreadable::<kms::EncryptRequest>(body);
        assert_eq!(text, format!("Unexpected type of value at '{place}'."));
    }
    for number in ["2147483648", "1.5", "1e3", "\"1\""] {
        let body = format!(r#"{{"NumberOfBytes":{number}}}"#);
        let text = unreadable::<kms::GenerateRandomRequest>(&body);
        assert_eq!(text, "Unexpected type of value at 'numberOfBytes'.");
    }
}

#[test]
fn base64_is_strict() {
    for blob in ["YQ", "YQ==\\n", "YR==", "YQ=", "Y Q==", "YQ-_", "===="] {
        let body = format!(r#"{{"KeyId":"k","Plaintext":"{blob}"}}"#);
        let text = unreadable::<kms::EncryptRequest>(&body);
        assert_eq!(text, "Invalid base64 at 'plaintext'.", "{blob}");
    }
}

#[test]
fn nothing_may_be_said_twice() {
    let text = unreadable::<kms::EncryptRequest>(r#"{"KeyId":"a","KeyId":"a"}"#);
    assert_eq!(text, "Duplicate member at 'keyId'.");
    let text = unreadable::<kms::EncryptRequest>(r#"{"KeyId":null,"KeyId":"a"}"#);
    assert_eq!(text, "Duplicate member at 'keyId'.");
    let body = r#"{"EncryptionContext":{"a":"1","\u0061":"2"}}"#;
    let text = unreadable::<kms::EncryptRequest>(body);
    assert_eq!(text, "Duplicate key at 'encryptionContext'.");
    let body = r#"{"KeyId":"k","Tags":[{"TagKey":"a","TagKey":"b","TagValue":""}]}"#;
    let text = unreadable::<kms::TagResourceRequest>(body);
    assert_eq!(text, "Duplicate member at 'tags.1.member.tagKey'.");
}

#[test]
fn timestamps_are_read_in_every_form_of_a_number() {
    let request = |number: &str| {
        let required = r#""KeyId":"k","ImportToken":"YQ==","EncryptedKeyMaterial":"YQ==""#;
        let body = format!(r#"{{{required},"ValidTo":{number}}}"#);
        json::<kms::ImportKeyMaterialRequest>(&body).map(|request| request.valid_to.unwrap())
    };
    for (number, seconds, nanos) in [
        ("1700000000", 1_700_000_000, 0),
        ("1.499288695918E9", 1_499_288_695, 918_000_000),
        ("1.7e9", 1_700_000_000, 0),
        ("1700000000.1239", 1_700_000_000, 124_000_000),
        ("-0.5", -1, 500_000_000),
    ] {
        assert_eq!(request(number).unwrap(), Timestamp { seconds, nanos }, "{number}");
    }
    for number in ["1e300", "-1e300", "253402300800", "9223372036854775807"] {
        let text = request(number).unwrap_err();
        assert_eq!(text.message(), Some("Timestamp out of range at 'validTo'."), "{number}");
    }
    assert!(request("\"2026-01-01T00:00:00Z\"").is_err());
    let bad = kms::ImportKeyMaterialRequest {
        key_id: Some("k".to_owned()),
        import_token: Some(Bytes::from_static(b"t")),
        encrypted_key_material: Some(Bytes::from_static(b"m")),
        valid_to: Some(Timestamp { seconds: 0, nanos: -1 }),
        ..Default::default()
    };
    assert!(violations(proto(&bad)).contains("at 'validTo'"));
}

#[test]
fn enums_of_protobuf_are_absent_at_zero_and_else_known() {
    let request = |number| kms::CreateKeyRequest { key_spec: Some(number), ..Default::default() };
    assert_eq!(proto(&request(0)).unwrap(), kms::CreateKeyRequest::default());
    let known = request(kms::KeySpec::SymmetricDefault.into());
    assert_eq!(proto(&known).unwrap(), known);
    for unknown in [-1, 99] {
        let text = violations(proto(&request(unknown)));
        let expected = format!("Value '{unknown}' at 'keySpec' failed to satisfy constraint");
        assert!(text.contains(&expected), "{text}");
        assert!(text.contains("enum value set: [RSA_2048, RSA_3072, "), "{text}");
    }
    let grant = kms::CreateGrantRequest {
        key_id: Some("k".to_owned()),
        operations: vec![0],
        ..Default::default()
    };
    assert!(violations(proto(&grant)).contains("Value '0' at 'operations.1.member'"));
    let sign = kms::SignRequest {
        key_id: Some("k".to_owned()),
        message: Some(Bytes::from_static(b"m")),
        signing_algorithm: Some(0),
        ..Default::default()
    };
    assert!(violations(proto(&sign)).contains("Value null at 'signingAlgorithm'"));
}

#[test]
fn enums_have_their_texts() {
    assert_eq!(kms::KeySpec::from_text("RSA_2048"), Some(kms::KeySpec::Rsa2048));
    assert_eq!(kms::KeySpec::from_text("UNSPECIFIED"), None);
    assert_eq!(kms::KeySpec::from_text(""), None);
    assert_eq!(kms::KeyState::PendingReplicaDeletion.as_text(), "PendingReplicaDeletion");
    assert_eq!(kms::GrantOperation::ReEncryptFrom.as_text(), "ReEncryptFrom");
    assert_eq!(kms::KeySpec::Unspecified.as_text(), "");
}

prop_compose! {
    fn create_key()(
        policy in proptest::option::of("[\t\n\r -ÿ]{1,40}"),
        description in proptest::option::of(any::<String>()),
        key_spec in proptest::option::of(1..=20_i32),
        multi_region in any::<Option<bool>>(),
        tags in proptest::collection::vec((".{1,20}", ".{0,20}"), 0..5),
    ) -> kms::CreateKeyRequest {
        kms::CreateKeyRequest {
            policy,
            description,
            key_spec,
            multi_region,
            tags: tags
                .into_iter()
                .map(|(key, value)| kms::Tag { tag_key: Some(key), tag_value: Some(value) })
                .collect(),
            ..Default::default()
        }
    }
}

prop_compose! {
    fn import()(
        token in proptest::collection::vec(any::<u8>(), 1..200),
        material in proptest::collection::vec(any::<u8>(), 1..200),
        millis in proptest::option::of(-62_135_596_800_000..=253_402_300_799_999_i64),
        expiration_model in proptest::option::of(1..=2_i32),
    ) -> kms::ImportKeyMaterialRequest {
        kms::ImportKeyMaterialRequest {
            key_id: Some("k".to_owned()),
            import_token: Some(token.into()),
            encrypted_key_material: Some(material.into()),
            valid_to: millis.map(|millis| Timestamp {
                seconds: millis.div_euclid(1000),
                nanos: i32::try_from(millis.rem_euclid(1000)).unwrap() * 1_000_000,
            }),
            expiration_model,
            ..Default::default()
        }
    }
}

fn survives_both_wires<M: Message + PartialEq>(message: &M) {
    for wire in [Wire::AwsJson, Wire::Proto] {
        let bytes = encode(wire, message);
        assert_eq!(decode::<M>(wire, &bytes).as_ref(), Ok(message), "{bytes:?}");
    }
}

proptest! {
    #[test]
    fn messages_survive_both_wires(key in create_key(), import in import()) {
        survives_both_wires(&key);
        survives_both_wires(&import);
    }

    #[test]
    fn encryption_contexts_survive_both_wires(
        context in proptest::collection::btree_map(any::<String>(), any::<String>(), 0..5),
    ) {
        survives_both_wires(&kms::EncryptRequest {
            encryption_context: context,
            ..encrypt_request()
        });
    }

    #[test]
    fn no_body_panics(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode::<kms::CreateGrantRequest>(Wire::AwsJson, &body);
        let _ = decode::<kms::CreateGrantRequest>(Wire::Proto, &body);
    }
}
