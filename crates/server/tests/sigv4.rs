//! SigV4 against the published suite, then each mistake with its own error.

// Everything here is a test; clippy's exception knows only the functions marked as one.
#![allow(clippy::unwrap_used)]

#[path = "sigv4/suite.rs"]
mod suite;

use http::header::HeaderValue;
use http::{HeaderMap, header};
use keystead_server::sigv4::{
    AmzDate, Authorization, Credentials, Expect, PathRule, Rejection, Request, SigningKey,
    canonical_request, parse, sign, string_to_sign, verify,
};
use keystead_types::UnixMillis;

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
/// 2015-08-30T12:36:00Z.
const SUITE_TIME: UnixMillis = UnixMillis(1_440_938_160_000);
const EMPTY_HASH: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// A request that owns its parts, so that a test can change them.
#[derive(Clone)]
struct Message {
    method: String,
    path: String,
    query: String,
    headers: HeaderMap,
    authority: Option<String>,
    body: Vec<u8>,
}

impl Message {
    /// A signed call of KMS by the client of this crate.
    fn kms() -> Self {
        let mut message = Self::unsigned();
        message.sign("AKIDEXAMPLE", None, "us-east-1", "kms", SUITE_TIME);
        message
    }

    fn unsigned() -> Self {
        let mut headers = HeaderMap::new();
        headers.insert("host", HeaderValue::from_static("localhost:9470"));
        headers.insert("content-type", HeaderValue::from_static("application/x-amz-json-1.1"));
        headers.insert("x-amz-target", HeaderValue::from_static("TrentService.Encrypt"));
        headers.insert("user-agent", HeaderValue::from_static("test"));
        Self {
            method: "POST".into(),
            path: "/".into(),
            query: String::new(),
            headers,
            authority: None,
            body: br#"{"KeyId":"alias/a"}"#.to_vec(),
        }
    }

    fn sign(
        &mut self,
        key: &str,
        token: Option<&str>,
        region: &str,
        service: &str,
        at: UnixMillis,
    ) {
        let credentials =
            Credentials { access_key_id: key, secret_access_key: SECRET, session_token: token };
        let added = sign(&self.request(), &credentials, region, service, at).unwrap();
        for (name, value) in &added {
            self.headers.insert(name, value.clone());
        }
    }

    fn request(&self) -> Request<'_> {
        Request {
            method: &self.method,
            path: &self.path,
            query: &self.query,
            headers: &self.headers,
            authority: self.authority.as_deref(),
            body: &self.body,
        }
    }

    fn replace(&mut self, name: &'static str, value: &str) {
        self.headers.insert(name, HeaderValue::from_str(value).unwrap());
    }

    fn set(&mut self, name: &'static str, value: &str) -> &mut Self {
        self.replace(name, value);
        self
    }

    /// Replaces a part of the `Authorization` header.
    fn edit(&mut self, from: &str, to: &str) -> &mut Self {
        let old = self.headers["authorization"].to_str().unwrap();
        assert!(old.contains(from), "{from} in {old}");
        let new = old.replace(from, to);
        self.set("authorization", &new)
    }

    /// What the verifier of KMS in us-east-1 says at the suite's time.
    fn verdict(&self) -> Result<(), Rejection> {
        self.verdict_at(SUITE_TIME)
    }

    fn verdict_at(&self, now: UnixMillis) -> Result<(), Rejection> {
        let authorization = parse(&self.request())?;
        let key = derive(&authorization, SECRET);
        verify(&self.request(), &authorization, &key, now, &Expect::new(&["us-east-1"], &["kms"]))
    }

    /// The rejection's JSON code and text.
    fn refusal(&self) -> (&'static str, String) {
        let rejection = self.verdict().unwrap_err();
        (rejection.codes().json, rejection.to_string())
    }
}

fn derive(authorization: &Authorization<'_>, secret: &str) -> SigningKey {
    let Authorization { scope_date, region, service, .. } = authorization;
    SigningKey::derive(secret, scope_date, region, service)
}

#[test]
fn what_was_signed_is_accepted() {
    assert_eq!(Message::kms().verdict(), Ok(()));

    let mut commas_without_spaces = Message::kms();
    commas_without_spaces.edit(", ", ",");
    assert_eq!(commas_without_spaces.verdict(), Ok(()));

    let mut unsigned_headers_of_no_weight = Message::kms();
    unsigned_headers_of_no_weight
        .set("user-agent", "another")
        .set("x-amzn-trace-id", "Root=1")
        .set("amz-sdk-request", "attempt=2");
    assert_eq!(unsigned_headers_of_no_weight.verdict(), Ok(()));
}

#[test]
fn the_authority_of_http_2_stands_for_the_host() {
    let mut message = Message::kms();
    message.headers.remove("host");
    message.authority = Some("localhost:9470".into());
    assert_eq!(message.verdict(), Ok(()));
    message.set("host", "other.example");
    assert_eq!(message.verdict(), Ok(()));
    message.authority = Some("other.example".into());
    assert_eq!(message.verdict(), Err(Rejection::SignatureMismatch));
}

#[test]
fn an_http_date_does_when_it_is_signed() {
    let mut message = Message::unsigned();
    message.set("date", "Sun, 30 Aug 2015 12:36:00 GMT");
    let names = ["content-type", "date", "host", "x-amz-target"];
    let scope = "20150830/us-east-1/kms/aws4_request";
    let authorization = |names: &[&str], signature: &str| {
        format!(
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/{scope}, SignedHeaders={}, \
             Signature={signature}",
            names.join(";")
        )
    };
    message.body.clear();
    let canonical =
        canonical_request(&message.request(), &names, EMPTY_HASH, PathRule::Normalized).unwrap();
    let text = string_to_sign(&AmzDate::now(SUITE_TIME), scope, &canonical);
    let key = SigningKey::derive(SECRET, "20150830", "us-east-1", "kms");
    message.set("authorization", &authorization(&names, &key.sign(text.as_bytes())));
    assert_eq!(message.verdict(), Ok(()));

    message.set("authorization", &authorization(&["content-type", "host", "x-amz-target"], "0"));
    assert_eq!(message.verdict(), Err(Rejection::HeaderNotSigned("date".into())));
}

#[test]
fn clocks_may_differ_by_five_minutes() {
    let message = Message::kms();
    let minutes = |count: u64| count * 60_000;
    let (earliest, latest) = (SUITE_TIME.0 - minutes(5), SUITE_TIME.0 + minutes(5));
    for now in [earliest, latest, latest + 999] {
        assert_eq!(message.verdict_at(UnixMillis(now)), Ok(()), "{now}");
    }
    let refusal = |now: u64| {
        let rejection = message.verdict_at(UnixMillis(now)).unwrap_err();
        assert_eq!(rejection.codes().json, "InvalidSignatureException");
        assert_eq!(rejection.codes().query, "SignatureDoesNotMatch");
        rejection.to_string()
    };
    assert_eq!(
        refusal(SUITE_TIME.0 + minutes(6)),
        "Signature expired: 20150830T123600Z is now earlier than 20150830T123700Z \
         (20150830T124200Z - 5 min.)"
    );
    assert_eq!(
        refusal(SUITE_TIME.0 - minutes(6)),
        "Signature not yet current: 20150830T123600Z is still later than 20150830T123500Z \
         (20150830T123000Z + 5 min.)"
    );
    assert!(refusal(0).contains("19700101T000000Z + 5 min."));
    assert!(refusal(u64::MAX).contains("99991231T235959Z - 5 min."));
}

#[test]
fn the_credential_scope_must_be_ours() {
    let scoped = |region: &str, service: &str| {
        let mut message = Message::unsigned();
        message.sign("AKIDEXAMPLE", None, region, service, SUITE_TIME);
        message.refusal()
    };
    let invalid = |text: &str| ("InvalidSignatureException", text.to_owned());
    assert_eq!(
        scoped("eu-west-1", "kms"),
        invalid("Credential should be scoped to a valid region.")
    );
    assert_eq!(
        scoped("us-east-1", "s3"),
        invalid("Credential should be scoped to correct service: 'kms'.")
    );
    assert_eq!(
        Message::kms().edit("aws4_request", "aws5_request").refusal(),
        invalid("Credential should be scoped with a valid terminator: 'aws4_request'.")
    );
    assert_eq!(
        Message::kms().edit("/20150830/", "/20150829/").refusal(),
        invalid(
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from \
             HTTP: '20150829' != '20150830', from '20150830T123600Z'."
        )
    );
}

#[test]
fn any_change_after_signing_is_noticed() {
    let changes: [fn(&mut Message); 9] = [
        |message| message.body[0] ^= 1,
        |message| message.body.clear(),
        |message| message.method = "GET".into(),
        |message| message.path = "/other".into(),
        |message| message.query = "a=b".into(),
        |message| message.replace("host", "localhost:9471"),
        |message| message.replace("x-amz-target", "TrentService.Decrypt"),
        |message| message.replace("x-amz-date", "20150830T123601Z"),
        |message| {
            let second = HeaderValue::from_static("TrentService.Decrypt");
            message.headers.append("x-amz-target", second);
        },
    ];
    for (index, change) in changes.into_iter().enumerate() {
        let mut message = Message::kms();
        change(&mut message);
        assert_eq!(message.verdict(), Err(Rejection::SignatureMismatch), "change {index}");
    }
}

#[test]
fn another_secret_does_not_match() {
    let message = Message::kms();
    let request = message.request();
    let authorization = parse(&request).unwrap();
    let other = derive(&authorization, "another secret");
    let expect = Expect::new(&["us-east-1"], &["kms"]);
    let rejection = verify(&request, &authorization, &other, SUITE_TIME, &expect).unwrap_err();
    assert_eq!(rejection.codes().json, "InvalidSignatureException");
    assert_eq!(rejection.codes().query, "SignatureDoesNotMatch");
    assert_eq!(
        rejection.to_string(),
        "The request signature we calculated does not match the signature you provided. Check \
         your AWS Secret Access Key and signing method. Consult the service documentation for \
         details."
    );
}

#[test]
fn signatures_of_any_shape_are_compared_whole() {
    let message = Message::kms();
    let right = parse(&message.request()).unwrap().signature.to_owned();
    let longer = format!("{right}0");
    for wrong in ["0", &right[..63], &longer, &right.to_uppercase(), &"0".repeat(64)] {
        let mut changed = message.clone();
        changed.edit(&right, wrong);
        assert_eq!(changed.verdict(), Err(Rejection::SignatureMismatch), "{wrong}");
    }
    let mut unreadable = message;
    unreadable.headers.insert("authorization", HeaderValue::from_bytes(b"\xdc").unwrap());
    assert_eq!(unreadable.verdict(), Err(Rejection::UnreadableHeader("authorization")));
}

#[test]
fn what_matters_must_be_signed() {
    let without = |list: &str| {
        Message::kms().edit("content-type;host;x-amz-date;x-amz-target", list).refusal()
    };
    let invalid = |text: &str| ("InvalidSignatureException", text.to_owned());
    assert_eq!(
        without("content-type;x-amz-date;x-amz-target"),
        invalid("'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.")
    );
    assert_eq!(
        without("content-type;host;x-amz-target"),
        invalid("'x-amz-date' must be a 'SignedHeader' in the AWS Authorization.")
    );
    assert_eq!(
        without("content-type;host;x-amz-date"),
        invalid("'x-amz-target' must be a 'SignedHeader' in the AWS Authorization.")
    );
    assert_eq!(
        without("host;x-absent;x-amz-date;x-amz-target"),
        invalid("'x-absent' is a 'SignedHeader' in the AWS Authorization but not in the request.")
    );
}

#[test]
fn a_declared_body_hash_must_be_the_bodys() {
    let declared = |hash: &str| {
        let mut message = Message::unsigned();
        message.body.clear();
        message.set("x-amz-content-sha256", hash);
        message.sign("AKIDEXAMPLE", None, "us-east-1", "kms", SUITE_TIME);
        message.verdict()
    };
    assert_eq!(declared(EMPTY_HASH), Ok(()));
    assert_eq!(declared(&EMPTY_HASH.replace('e', "f")), Err(Rejection::ContentHashMismatch));
    assert_eq!(declared("UNSIGNED-PAYLOAD"), Err(Rejection::PayloadNotSigned));
    let streaming = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD";
    assert_eq!(declared(streaming), Err(Rejection::PayloadNotSigned));
}

#[test]
fn session_tokens_belong_to_temporary_keys() {
    let refusal = Err(Rejection::InvalidToken);
    let signed = |key: &str, token: Option<&str>| {
        let mut message = Message::unsigned();
        message.sign(key, token, "us-east-1", "kms", SUITE_TIME);
        message
    };
    assert_eq!(signed("AKIAIOSFODNN7EXAMPLE", Some("token")).verdict(), refusal);
    assert_eq!(signed("ASIAIOSFODNN7EXAMPLE", None).verdict(), refusal);
    assert_eq!(signed("AKIAIOSFODNN7EXAMPLE", None).verdict(), Ok(()));

    let with_token = signed("ASIAIOSFODNN7EXAMPLE", Some("token"));
    assert_eq!(with_token.verdict(), Ok(()));
    let request = with_token.request();
    let authorization = parse(&request).unwrap();
    assert_eq!(authorization.session_token, Some("token"));

    let codes = Rejection::InvalidToken.codes();
    assert_eq!((codes.json, codes.query), ("UnrecognizedClientException", "InvalidClientTokenId"));
    assert_eq!(
        Rejection::InvalidToken.to_string(),
        "The security token included in the request is invalid."
    );
}

#[test]
fn requests_without_a_header_signature_are_refused() {
    assert_eq!(
        Message::unsigned().refusal(),
        ("MissingAuthenticationTokenException", "Missing Authentication Token".into())
    );
    let mut presigned = Message::unsigned();
    presigned.query = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=0".into();
    assert_eq!(presigned.verdict(), Err(Rejection::Presigned));
    let mut both = Message::kms();
    both.query = presigned.query;
    assert_eq!(both.verdict(), Err(Rejection::Presigned));
}

#[test]
fn a_garbled_authorization_says_what_is_wrong() {
    let refusal = |header: &str| Message::kms().set("authorization", header).refusal();
    let incomplete = |text: &str| ("IncompleteSignatureException", text.to_owned());
    assert_eq!(
        refusal("AWS4-HMAC-SHA256 Credential"),
        incomplete(
            "'Credential' not a valid key=value pair (missing equal-sign) in Authorization \
             header: 'AWS4-HMAC-SHA256 Credential'."
        )
    );
    assert_eq!(
        refusal("AWS4-HMAC-SHA256 SignedHeaders=host"),
        incomplete(
            "Authorization header requires 'Credential' parameter. \
             Authorization header requires 'Signature' parameter."
        )
    );
    assert_eq!(refusal("Bearer key:secret"), incomplete("Unsupported AWS 'algorithm': 'Bearer'."));
    assert_eq!(
        refusal("AWS4-HMAC-SHA256 Credential=a/b, SignedHeaders=host, Signature=0"),
        incomplete(
            "Credential must have exactly 5 slash-delimited elements, e.g. \
             keyid/date/region/service/term, got 'a/b'"
        )
    );
    let unexpected = "Authorization header has a repeated or unknown parameter: ";
    let edited = |from: &str, to: &str| Message::kms().edit(from, to).refusal();
    assert_eq!(
        edited("Signature=", "Signature=0, Signature="),
        incomplete(&format!("{unexpected}'Signature'."))
    );
    assert_eq!(
        edited("Signature=", "Signature=, Signature="),
        incomplete(&format!("{unexpected}'Signature'."))
    );
    assert_eq!(
        edited("Signature=", "Extra=0, Signature="),
        incomplete(&format!("{unexpected}'Extra'."))
    );
}

#[test]
fn headers_that_decide_may_come_once_only() {
    for name in ["authorization", "host", "x-amz-date", "x-amz-security-token"] {
        let mut message = Message::unsigned();
        message.sign("ASIAEXAMPLE", Some("token"), "us-east-1", "kms", SUITE_TIME);
        let copy = message.headers[name].clone();
        message.headers.append(name, copy);
        assert_eq!(message.verdict(), Err(Rejection::RepeatedHeader(name)));
        assert_eq!(message.refusal().0, "IncompleteSignatureException");
    }
}

#[test]
fn dates_must_be_there_and_readable() {
    let mut message = Message::kms();
    message.set("x-amz-date", "2015-08-30T12:36:00Z");
    assert_eq!(
        message.refusal(),
        (
            "IncompleteSignatureException",
            "Date must be in ISO-8601 'basic format'. Got '2015-08-30T12:36:00Z'. \
             See http://en.wikipedia.org/wiki/ISO_8601"
                .into()
        )
    );
    message.headers.remove("x-amz-date");
    message.headers.insert(header::DATE, HeaderValue::from_static("yesterday"));
    assert_eq!(message.verdict(), Err(Rejection::MalformedDate("yesterday".into())));
    message.headers.remove("date");
    assert_eq!(
        message.refusal().1,
        "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header."
    );
}

#[test]
fn lists_of_signed_headers_are_canonical_and_bounded() {
    let signed = |list: &str| {
        Message::kms().edit("content-type;host;x-amz-date;x-amz-target", list).verdict()
    };
    let malformed = Err(Rejection::MalformedSignedHeaders);
    assert_eq!(signed("host;content-type;x-amz-date;x-amz-target"), malformed);
    assert_eq!(signed("content-type;host;host;x-amz-date;x-amz-target"), malformed);
    assert_eq!(signed("Content-Type;host;x-amz-date;x-amz-target"), malformed);
    assert_eq!(signed(";host"), malformed);
    let names = |count: usize| {
        let mut names: Vec<String> = (0..count).map(|i| format!("a{i:03}")).collect();
        names.extend(["host", "x-amz-date", "x-amz-target"].map(str::to_owned));
        names.join(";")
    };
    assert_eq!(signed(&names(97)), Err(Rejection::SignedHeaderAbsent("a000".into())));
    assert_eq!(signed(&names(98)), malformed);
    let long = Err(Rejection::UnreadableHeader("authorization"));
    assert_eq!(signed(&"a".repeat(10_000)), long);
}

#[test]
fn mistakes_are_told_in_order() {
    let mut message = Message::unsigned();
    message.sign("AKIAEXAMPLE", Some("token"), "eu-west-1", "s3", UnixMillis(0));
    message.body.clear();
    assert_eq!(message.verdict(), Err(Rejection::WrongRegion));
    message.edit("eu-west-1", "us-east-1");
    assert_eq!(message.verdict(), Err(Rejection::WrongService(vec!["kms".into()])));
    message.edit("/s3/", "/kms/");
    assert!(matches!(message.verdict(), Err(Rejection::Expired { .. })));
    message.set("x-amz-date", "20150830T123600Z").edit("/19700101/", "/20150830/");
    assert_eq!(message.verdict(), Err(Rejection::InvalidToken));
    message.edit("AKIA", "ASIA");
    assert_eq!(message.verdict(), Err(Rejection::SignatureMismatch));
}
