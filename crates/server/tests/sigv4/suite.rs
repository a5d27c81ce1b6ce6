//! The 40 cases of the suite that the crate `aws-sigv4` ships, in their header form.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};
use keystead_server::sigv4::{
    AmzDate, Credentials, Expect, PathRule, Rejection, canonical_request, parse, sign,
    string_to_sign, verify,
};
use keystead_types::UnixMillis;

use super::{EMPTY_HASH, Message, SECRET, derive};

/// One case of the suite, in its header form.
struct Case {
    name: String,
    folder: PathBuf,
    message: Message,
    path_rule: PathRule,
    secret: &'static str,
}

impl Case {
    fn read(folder: &Path) -> Self {
        let name = folder.file_name().unwrap().to_str().unwrap().to_owned();
        let text = fs::read_to_string(folder.join("header-signed-request.txt")).unwrap();
        let context = fs::read_to_string(folder.join("context.json")).ok();
        let context: serde_json::Value =
            context.map_or_else(Default::default, |text| serde_json::from_str(&text).unwrap());
        let path_rule = match context["normalize"].as_bool() {
            Some(false) => PathRule::AsSent,
            _ => PathRule::Normalized,
        };
        // The two cases without a context were signed with credentials of their own.
        let secret = match name.as_str() {
            "double-encode-path" => "notrealrnrELgWzOk3IfjzDKtFBhDby",
            _ => SECRET,
        };
        Self { name, folder: folder.to_owned(), message: message(&text), path_rule, secret }
    }

    fn file(&self, name: &str) -> Option<String> {
        let text = fs::read_to_string(self.folder.join(name)).ok()?;
        Some(text.trim_end().to_owned())
    }
}

/// Reads a request as the suite writes it: the path may hold raw spaces, and a line that
/// begins with a space continues the header before it.
fn message(text: &str) -> Message {
    let (head, body) = text.split_once("\n\n").unwrap_or((text, ""));
    let mut lines = head.lines();
    let (method, target) = lines.next().unwrap().split_once(' ').unwrap();
    let target = target.strip_suffix(" HTTP/1.1").unwrap_or(target);
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut pairs: Vec<(String, String)> = Vec::new();
    for line in lines {
        match line.strip_prefix(' ') {
            Some(more) => {
                let (_, value) = pairs.last_mut().unwrap();
                value.push(' ');
                value.push_str(more);
            }
            None => {
                let (name, value) = line.split_once(':').unwrap();
                pairs.push((name.to_owned(), value.to_owned()));
            }
        }
    }
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(
            HeaderName::from_bytes(name.as_bytes()).unwrap(),
            HeaderValue::from_str(value.trim()).unwrap(),
        );
    }
    Message {
        method: method.into(),
        path: path.into(),
        query: query.into(),
        headers,
        authority: None,
        body: body.as_bytes().to_vec(),
    }
}

fn cases() -> Vec<Case> {
    let root = PathBuf::from("tests/data/sigv4");
    let mut folders: Vec<PathBuf> = fs::read_dir(root)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .collect();
    folders.sort();
    assert_eq!(folders.len(), 40);
    folders.iter().map(|folder| Case::read(folder)).collect()
}

fn body_hash(case: &Case) -> String {
    match case.message.body.is_empty() {
        true => EMPTY_HASH.to_owned(),
        false => case.message.headers["x-amz-content-sha256"].to_str().unwrap().to_owned(),
    }
}

fn canonical(case: &Case, message: &Message) -> String {
    let request = message.request();
    let authorization = parse(&request).unwrap();
    let names = &authorization.signed_headers;
    let bytes = canonical_request(&request, names, &body_hash(case), case.path_rule).unwrap();
    String::from_utf8(bytes).unwrap()
}

#[test]
fn canonical_requests_are_equal() {
    for case in cases() {
        let mut message = case.message.clone();
        if case.name == "double-encode-path" {
            // The suite's canonical request and signature of this case differ in their date.
            message.set(AmzDate::HEADER, "20210511T154045Z");
        }
        let expected = case.file("header-canonical-request.txt").unwrap();
        assert_eq!(canonical(&case, &message), expected, "{}", case.name);
    }
}

#[test]
fn strings_to_sign_and_signatures_are_equal() {
    let mut compared = BTreeMap::from([("strings", 0), ("signatures", 0), ("files", 0)]);
    for case in cases() {
        let request = case.message.request();
        let authorization = parse(&request).unwrap();
        let canonical = canonical(&case, &case.message);
        let text =
            string_to_sign(&authorization.date, &authorization.scope(), canonical.as_bytes());
        if let Some(expected) = case.file("header-string-to-sign.txt") {
            assert_eq!(text, expected, "{}", case.name);
            *compared.get_mut("strings").unwrap() += 1;
        }
        let signature = derive(&authorization, case.secret).sign(text.as_bytes());
        assert_eq!(signature, authorization.signature, "{}", case.name);
        *compared.get_mut("signatures").unwrap() += 1;
        if let Some(expected) = case.file("header-signature.txt") {
            assert_eq!(signature, expected, "{}", case.name);
            *compared.get_mut("files").unwrap() += 1;
        }
    }
    assert_eq!(compared, [("files", 38), ("signatures", 40), ("strings", 39)].into());
}

#[test]
fn the_verifier_accepts_all_that_sign_what_must_be_signed() {
    for case in cases() {
        let request = case.message.request();
        let authorization = parse(&request).unwrap();
        let regions = [authorization.region];
        let services = [authorization.service];
        let mut expect = Expect::new(&regions, &services);
        expect.path = case.path_rule;
        let key = derive(&authorization, case.secret);
        let now = UnixMillis(u64::try_from(authorization.date.seconds).unwrap() * 1000);
        let verdict = verify(&request, &authorization, &key, now, &expect);
        let expected = match case.name.as_str() {
            // Its session token is added after signing.
            "post-sts-header-after" => {
                Err(Rejection::HeaderNotSigned("x-amz-security-token".into()))
            }
            _ => Ok(()),
        };
        assert_eq!(verdict, expected, "{}", case.name);
    }
}

#[test]
fn the_signer_makes_the_same_headers() {
    for case in cases() {
        if case.path_rule == PathRule::AsSent || case.name == "post-sts-header-after" {
            continue;
        }
        let mut message = case.message.clone();
        let request = case.message.request();
        let expected = parse(&request).unwrap();
        message.headers.remove("authorization");
        message.headers.remove("x-amz-date");
        message.headers.remove("x-amz-security-token");
        let credentials = Credentials {
            access_key_id: expected.access_key_id,
            secret_access_key: case.secret,
            session_token: expected.session_token,
        };
        let now = UnixMillis(u64::try_from(expected.date.seconds).unwrap() * 1000);
        let (region, service) = (expected.region, expected.service);
        let added = sign(&message.request(), &credentials, region, service, now).unwrap();
        for (name, value) in &added {
            assert_eq!(value, case.message.headers[name], "{}: {name}", case.name);
        }
    }
}
