//! gRPC: the same operations by the same pipeline; the messages are the protos' own.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes};
use futures::FutureExt;
use futures::future::BoxFuture;
use http::Response;
use hyper::body::Incoming;
use keystead_api::{Error, Wire, messages};
use keystead_types::RequestId;
use tonic::body::Body;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::server::{Grpc, UnaryService};
use tonic::service::Routes;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};
use tower::ServiceExt;

use super::{Authentication, Front, MAX_BODY, WireRequest};
use crate::audit::TlsDetails;
use crate::authenticate;
use crate::pipeline::{self, Handling, Reply};

const SERVICE_PREFIX: &str = "/keystead.kms.v1.KeyManagementService/";
/// `ErrorInfo.domain` of every error.
const ERROR_DOMAIN: &str = "keystead";
/// Metadata that names the Region, where there are several.
const REGION: &str = "keystead-region";

/// Reflection and health, which are services of their own.
#[derive(Clone)]
pub(super) struct Services(Routes);

impl Services {
    pub(super) fn new() -> Self {
        let (reporter, health) = tonic_health::server::health_reporter();
        drop(reporter); // The empty service name is SERVING from the start and stays so.
        let routes = Routes::new(health);
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
    front: Arc<Front>,
    request: http::Request<Incoming>,
    peer: SocketAddr,
    tls: Option<TlsDetails>,
) -> Response<Body> {
    if !front.options.bearer_tokens {
        let error = authenticate::grpc_refused();
        return status(&error, None).into_http();
    }
    let Some(name) = request.uri().path().strip_prefix(SERVICE_PREFIX) else {
        let Services(routes) = front.grpc.clone();
        return routes.oneshot(request.map(Body::new)).await.unwrap_or_else(|never| match never {});
    };
    let (operation, handler) = match front.registry.find(name) {
        Ok(found) => found,
        Err(_) => {
            return Status::unimplemented(format!("There is no operation {name:?}.")).into_http();
        }
    };
    let handler = handler.unwrap_or(pipeline::handle_unbuilt);
    let (parts, body) = request.into_parts();
    let method =
        Method { front: front.clone(), parts: parts.clone(), peer, tls, operation, handler };
    let mut grpc = Grpc::new(RawCodec).apply_max_message_size_config(Some(MAX_BODY), None);
    grpc.unary(method, http::Request::from_parts(parts, Body::new(body))).await
}

/// One call of one operation.
struct Method {
    front: Arc<Front>,
    parts: http::request::Parts,
    peer: SocketAddr,
    tls: Option<TlsDetails>,
    operation: &'static str,
    handler: crate::operations::Handler,
}

impl UnaryService<Bytes> for Method {
    type Response = Bytes;
    type Future = BoxFuture<'static, Result<tonic::Response<Bytes>, Status>>;

    fn call(&mut self, request: tonic::Request<Bytes>) -> Self::Future {
        let handling = self.handling(request.into_inner());
        let handler = self.handler;
        async move {
            match handling {
                Ok(handling) => respond(handler(handling).await),
                Err(error) => Err(status(&error, None)),
            }
        }
        .boxed()
    }
}

impl Method {
    fn handling(&self, body: Bytes) -> Result<Handling, Error> {
        let mut request =
            WireRequest::new(self.parts.clone(), Ok(body), self.peer, self.tls.clone())?;
        request.authentication = Authentication::BearerToken;
        let region = match request.header(REGION) {
            Some(name) => self.front.region(name),
            None => self.front.default_region(),
        };
        let region = region
            .cloned()
            .ok_or_else(|| messages::other_region(request.header(REGION).unwrap_or_default()))?;
        let audit = self.front.audit.clone();
        Ok(Handling { region, audit, request, wire: Wire::Proto, operation: self.operation })
    }
}

fn respond(reply: Reply) -> Result<tonic::Response<Bytes>, Status> {
    let body = reply.result.map_err(|error| status(&error, Some(reply.request_id)))?;
    let mut response = tonic::Response::new(body);
    note(response.metadata_mut(), "x-amzn-requestid", &reply.request_id.to_string());
    if let Some(index) = reply.index {
        note(response.metadata_mut(), "x-keystead-index", &index.to_string());
    }
    Ok(response)
}

/// An error as a status with `google.rpc.ErrorInfo`: the reason is AWS's code.
fn status(error: &Error, request_id: Option<RequestId>) -> Status {
    let id = request_id.map(|id| id.to_string()).unwrap_or_default();
    let metadata = std::collections::HashMap::from([("request_id".to_owned(), id.clone())]);
    let details = ErrorDetails::with_error_info(error.code().as_str(), ERROR_DOMAIN, metadata);
    let text = error.message().unwrap_or_default();
    let mut status = Status::with_error_details(Code::from(error.grpc_code()), text, details);
    note(status.metadata_mut(), "x-amzn-requestid", &id);
    status
}

fn note(metadata: &mut MetadataMap, name: &'static str, value: &str) {
    if let Ok(value) = MetadataValue::try_from(value) {
        metadata.insert(name, value);
    }
}

/// Messages as bytes: the pipeline decodes and encodes.
#[derive(Debug, Clone, Copy)]
struct RawCodec;

impl Codec for RawCodec {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for RawCodec {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(item);
        Ok(())
    }
}

impl Decoder for RawCodec {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}
