//! gRPC: the same operations by the same pipeline; the messages are the protos' own.
//!
//! Every operation is unary: one frame in, one frame out, and the status in the trailers. The
//! frames are read here, so that what is wrong with one is told like any other mistake of a
//! caller, and recorded. Reflection and health are services of their own, for tonic to serve.

use std::net::IpAddr;
use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Response, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use keystead_api::{Error, Wire, messages};
use keystead_types::RequestId;
use tonic::body::Body;
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::service::Routes;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};
use tower::ServiceExt;

use super::{
    Authentication, Front, Secured, WireRequest, health, note_state, read, refuse, serialization,
};
use crate::authenticate;
use crate::pipeline::{self, Handling, Reply};
use crate::readiness::Readiness;

/// The service that is ours.
pub(super) const SERVICE: &str = "keystead.kms.v1.KeyManagementService";
/// The services that are not ours.
const OTHER_SERVICES: [&str; 2] = ["/grpc.health.", "/grpc.reflection."];
/// `ErrorInfo.domain` of every error.
const ERROR_DOMAIN: &str = "keystead";
/// Metadata that names the Region, where there are several.
const REGION: &str = "keystead-region";
const ENCODING: &str = "grpc-encoding";
/// The most bytes of an error's text. It travels in headers twice, percent-encoded and in base64, and
/// clients take 16 KiB of headers by default.
const MAX_TEXT: usize = 2400;
/// A flag for compression and the length of the message, before each message.
const FRAME_HEADER: usize = 5;

/// Reflection and health.
#[derive(Clone)]
pub(super) struct Services(Routes);

impl Services {
    pub(super) fn new(readiness: Arc<Readiness>) -> Self {
        let routes = Routes::new(health::service(readiness));
        let reflection = tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(keystead_api::FILE_DESCRIPTOR_SET)
            .build_v1();
        Self(match reflection {
            Ok(reflection) => routes.add_service(reflection).prepare(),
            Err(error) => {
                tracing::error!(%error, "gRPC reflection is not available");
                routes.prepare()
            }
        })
    }
}

pub(super) async fn serve(
    front: &Front,
    request: http::Request<Incoming>,
    source: IpAddr,
    tls: Option<Secured>,
) -> Response<Body> {
    if OTHER_SERVICES.iter().any(|service| request.uri().path().starts_with(service)) {
        let Services(routes) = front.grpc.clone();
        return routes.oneshot(request.map(Body::new)).await.unwrap_or_else(|never| match never {});
    }
    let authentication = match &tls {
        Some(Secured { certified: Some(_), .. }) => Authentication::Certificate,
        _ if front.options.bearer_tokens => Authentication::AccessKeyOrToken,
        Some(_) if request.headers().contains_key(header::AUTHORIZATION) => Authentication::Token,
        _ => return status(&authenticate::grpc_refused(), None).into_http(),
    };
    let (parts, body) = request.into_parts();
    let message = match refuse_compression(&parts.headers) {
        Ok(()) => read(body).await.and_then(unframe),
        Err(error) => Err(error),
    };
    let request = match WireRequest::new(parts, message, source, tls) {
        Ok(request) => request.with(authentication),
        Err(error) => return status(&error, None).into_http(),
    };
    respond(answer(front, request).await)
}

async fn answer(front: &Front, mut request: WireRequest) -> Reply {
    let Some(default) = front.default_region() else {
        return Reply::unevaluated(messages::internal(), request.request_id);
    };
    let broken = request.broken.take();
    let found = || {
        let method = method(request.uri.path()).unwrap_or_default();
        let (operation, handler) = front.registry.find(method)?;
        let region = match request.header(REGION) {
            None => default,
            Some(name) => front.region(name).ok_or_else(|| messages::other_region(name))?,
        };
        broken.map_or_else(|| Ok((operation, handler, region.clone())), Err)
    };
    match found() {
        Err(error) => refuse(front, &request, default.name(), error),
        Ok((operation, handler, region)) => {
            let audit = front.audit.clone();
            let handling = Handling { region, audit, request, wire: Wire::Proto, operation };
            handler.unwrap_or(pipeline::handle_unbuilt)(handling).await
        }
    }
}

/// The method of our service that a path names.
fn method(path: &str) -> Option<&str> {
    path.strip_prefix('/')?.strip_prefix(SERVICE)?.strip_prefix('/')
}

/// Compression would let a small request become a large one.
fn refuse_compression(headers: &HeaderMap) -> Result<(), Error> {
    match headers.get(ENCODING) {
        Some(encoding) if encoding != "identity" => {
            Err(serialization("Compressed messages are not supported."))
        }
        _ => Ok(()),
    }
}

/// The one message of a body: flag, length, message (the gRPC protocol's Length-Prefixed-Message).
fn unframe(mut body: Bytes) -> Result<Bytes, Error> {
    if body.len() < FRAME_HEADER {
        return Err(serialization("The request holds no message."));
    }
    if body.get_u8() != 0 {
        return Err(serialization("Compressed messages are not supported."));
    }
    match usize::try_from(body.get_u32()) {
        Ok(length) if length == body.len() => Ok(body),
        _ => Err(serialization("The request is not one whole message.")),
    }
}

fn frame(message: &Bytes) -> Result<Bytes, Error> {
    let length = u32::try_from(message.len()).map_err(|_| messages::internal())?;
    let mut framed = BytesMut::with_capacity(FRAME_HEADER + message.len());
    framed.put_u8(0);
    framed.put_u32(length);
    framed.put_slice(message);
    Ok(framed.freeze())
}

fn respond(reply: Reply) -> Response<Body> {
    let Reply { result, index, leader, request_id } = reply;
    let mut response = match result.and_then(|message| frame(&message)) {
        Ok(framed) => message(framed, request_id),
        Err(error) => status(&error, Some(request_id)).into_http(),
    };
    note_state(response.headers_mut(), index, leader.as_deref());
    response
}

fn message(framed: Bytes, request_id: RequestId) -> Response<Body> {
    let ok = HeaderMap::from_iter([(Status::GRPC_STATUS, HeaderValue::from_static("0"))]);
    let body = Full::new(framed).with_trailers(std::future::ready(Some(Ok(ok))));
    let mut response = Response::new(Body::new(body));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    if let Ok(id) = HeaderValue::from_str(&request_id.to_string()) {
        headers.insert("x-amzn-requestid", id);
    }
    response
}

/// An error as a status with `google.rpc.ErrorInfo`: the reason is AWS's code.
fn status(error: &Error, request_id: Option<RequestId>) -> Status {
    let id = request_id.map(|id| id.to_string()).unwrap_or_default();
    let metadata = std::collections::HashMap::from([("request_id".to_owned(), id.clone())]);
    let details = ErrorDetails::with_error_info(error.code().as_str(), ERROR_DOMAIN, metadata);
    let text = error.message().unwrap_or_default();
    let text = &text[..text.floor_char_boundary(MAX_TEXT)];
    let mut status = Status::with_error_details(Code::from(error.grpc_code()), text, details);
    note(status.metadata_mut(), "x-amzn-requestid", &id);
    status
}

fn note(metadata: &mut MetadataMap, name: &'static str, value: &str) {
    if let Ok(value) = MetadataValue::try_from(value) {
        metadata.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_one_whole_message() {
        let message = Bytes::from_static(b"message");
        assert_eq!(unframe(frame(&message).unwrap()).unwrap(), message);
        assert_eq!(unframe(frame(&Bytes::new()).unwrap()).unwrap(), "");
        for body in [
            &b""[..],
            b"\0\0\0\0",
            b"\x01\0\0\0\x01x",
            b"\0\0\0\0\x02x",
            b"\0\0\0\0\x01xy",
            b"\0\xff\xff\xff\xffx",
        ] {
            assert!(unframe(Bytes::copy_from_slice(body)).is_err(), "{body:?}");
        }
    }
}
