//! What a request says about its signature: no request makes the parser panic, and what it lets
//! through has one meaning.
#![no_main]

use http::header::{HeaderMap, HeaderName, HeaderValue};
use keystead_api::sigv4::{
    Authorization, Expect, PathRule, Rejection, Request, canonical_request, parse, scoped_region,
    scoped_service, string_to_sign,
};
use keystead_types::UnixMillis;
use libfuzzer_sys::fuzz_target;

const HASH: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// A request in the form of the signature suite: `GET /path?query HTTP/1.1`, a line for each
/// header, an empty line, the body. The header `:authority` stands for that of HTTP/2.
struct Message<'a> {
    method: &'a str,
    path: &'a str,
    query: &'a str,
    headers: HeaderMap,
    authority: Option<&'a str>,
    body: &'a [u8],
}

impl<'a> Message<'a> {
    fn read(data: &'a [u8]) -> Option<Self> {
        let end = data.windows(2).position(|pair| pair == b"\n\n");
        let (head, body) = end.map_or((data, &data[..0]), |at| (&data[..at], &data[at + 2..]));
        let mut lines = head.split(|byte| *byte == b'\n');
        let first = str::from_utf8(lines.next()?).ok()?;
        let (method, target) = first.split_once(' ')?;
        http::Method::from_bytes(method.as_bytes()).ok()?;
        let target = target.strip_suffix(" HTTP/1.1").unwrap_or(target);
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut message =
            Self { method, path, query, headers: HeaderMap::new(), authority: None, body };
        for line in lines {
            let colon = 1 + line.iter().skip(1).position(|byte| *byte == b':')?;
            let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
            if name == b":authority" {
                let authority = str::from_utf8(value).ok()?;
                message.authority =
                    Some(authority.parse::<http::uri::Authority>().ok()?).and(Some(authority));
                continue;
            }
            let name = HeaderName::from_bytes(name).ok()?;
            message.headers.append(name, HeaderValue::from_bytes(value).ok()?);
        }
        Some(message)
    }

    fn request(&self) -> Request<'_> {
        Request {
            method: self.method,
            path: self.path,
            query: self.query,
            headers: &self.headers,
            authority: self.authority,
            body: self.body,
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let Some(message) = Message::read(data) else { return };
    let request = message.request();
    let _ = (scoped_region(&message.headers), scoped_service(&message.headers));
    match parse(&request) {
        Ok(authorization) => {
            one_meaning(&authorization);
            the_clock_decides(&authorization);
            the_date_can_be_sent_again(&message, &authorization);
            lines_stay_lines(&request, &authorization);
        }
        Err(rejection) => bounded(&rejection),
    }
});

fn bounded(rejection: &Rejection) {
    let text = rejection.to_string();
    assert!(text.len() < 2048, "{text}");
    assert!(!rejection.codes().json.is_empty());
}

fn one_meaning(authorization: &Authorization<'_>) {
    let names = &authorization.signed_headers;
    assert!(names.is_sorted_by(|one, next| one < next), "{names:?}");
    for name in names {
        assert!(authorization.signs(name), "{name}");
    }
    assert_eq!(authorization.scope().split('/').count(), 4);
    assert!(!authorization.access_key_id.is_empty() && !authorization.signature.is_empty());
    let date = &authorization.date;
    assert_eq!((date.text.len(), date.day().len()), (16, 8), "{date:?}");
}

/// With the right Region, service and day, a request is good for five minutes to either side.
fn the_clock_decides(authorization: &Authorization<'_>) {
    let (regions, services) = ([authorization.region], [authorization.service]);
    let expect = Expect::new(&regions, &services);
    let at = |seconds: i64| {
        let seconds = u64::try_from(seconds).expect("after 1970");
        authorization.check(UnixMillis(seconds * 1000), &expect)
    };
    let signed = authorization.date.seconds;
    if signed < 1000 {
        return;
    }
    let wrong_region = authorization.check(UnixMillis(0), &Expect::new(&[], &services));
    assert_eq!(wrong_region, Err(Rejection::WrongRegion));
    if authorization.scope_date != authorization.date.day() {
        assert!(matches!(at(signed), Err(Rejection::WrongScopeDate { .. })));
        return;
    }
    for seconds in [signed - 300, signed, signed + 300] {
        let answer = at(seconds);
        assert!(matches!(answer, Ok(()) | Err(Rejection::InvalidToken)), "{answer:?}");
    }
    assert!(matches!(at(signed + 301), Err(Rejection::Expired { .. })));
    assert!(matches!(at(signed - 301), Err(Rejection::NotYetCurrent { .. })));
}

/// The text that is signed is a date of the same instant.
fn the_date_can_be_sent_again(message: &Message<'_>, authorization: &Authorization<'_>) {
    let mut headers = message.headers.clone();
    let text = HeaderValue::from_str(&authorization.date.text).expect("a date is ASCII");
    headers.insert("x-amz-date", text);
    let request = Request { headers: &headers, ..message.request() };
    let again = parse(&request).expect("only the date has another form");
    assert_eq!(again.date.seconds, authorization.date.seconds);
    assert_eq!(again.date.text, authorization.date.text);
}

/// No value of a request can add a line to what is signed, nor leave the path's root.
fn lines_stay_lines(request: &Request<'_>, authorization: &Authorization<'_>) {
    let names = &authorization.signed_headers;
    for rule in [PathRule::Normalized, PathRule::AsSent] {
        let Ok(canonical) = canonical_request(request, names, HASH, rule) else { return };
        let lines: Vec<&[u8]> = canonical.split(|byte| *byte == b'\n').collect();
        assert_eq!(lines.len(), 6 + names.len());
        assert_eq!(lines[0], request.method.as_bytes());
        for (line, name) in lines[3..].iter().zip(names) {
            assert_eq!(line.split(|byte| *byte == b':').next(), Some(name.as_bytes()));
        }
        assert_eq!(lines[lines.len() - 1], HASH.as_bytes());
        if rule == PathRule::Normalized {
            let mut segments = lines[1].split(|byte| *byte == b'/');
            assert_eq!(segments.next(), Some(&b""[..]));
            assert!(segments.all(|segment| segment != b"." && segment != b".."));
        }
    }
    let text = string_to_sign(&authorization.date, &authorization.scope(), HASH);
    assert_eq!(text.split('\n').count(), 4);
}
