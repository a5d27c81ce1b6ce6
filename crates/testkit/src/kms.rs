//! A client of one node that speaks either wire with the API's own messages.

use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use keystead_api::{ErrorCode, Message, Wire};

use crate::client::{self, Target};
use crate::grpc;
use crate::node::AccessKey;

/// What marks the attempts of one call: a header of AWS's SDKs, and metadata of gRPC.
pub(crate) const INVOCATION_ID: HeaderName = HeaderName::from_static("amz-sdk-invocation-id");
const REQUEST_ID: HeaderName = HeaderName::from_static("keystead-request-id");
const INDEX: &str = "x-keystead-index";

/// A client over AWS JSON or over gRPC.
pub struct Kms(Over);

enum Over {
    Json(client::Client),
    Grpc(grpc::Client),
}

/// A reply.
#[derive(Debug)]
pub struct Answer<O> {
    /// What it says.
    pub result: Result<O, Refusal>,
    /// The log index at which the request was evaluated, where it is told.
    pub index: Option<u64>,
}

/// An error that the service answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// AWS's code, or what else the reply is; one that cannot be read is an error, too.
    pub code: String,
    /// Whether it is about the service and not about the request: the same call may succeed
    /// later, and a mutation may have taken effect.
    pub passing: bool,
}

impl Kms {
    /// A client that connects with its first call and waits so long for each reply.
    pub fn new(target: Target, wire: Wire, patience: Duration) -> Self {
        Self(match wire {
            Wire::AwsJson => Over::Json(client::Client::new(target).with_patience(patience)),
            Wire::Proto => Over::Grpc(grpc::Client::new(target).with_patience(patience)),
        })
    }

    /// Calls with another access key from now on. Over gRPC it is still the certificate that says
    /// who calls.
    pub(crate) fn act_as(&mut self, access_key: &AccessKey) {
        if let Over::Json(client) = &mut self.0 {
            client.act_as(access_key);
        }
    }

    /// Makes one attempt of a call: the operation is the one whose input this is. Attempts with
    /// the same invocation are carried out once.
    ///
    /// # Errors
    /// There was no whole reply; whether the operation took effect is not known.
    pub async fn call<I: Message, O: Message>(
        &mut self,
        input: &I,
        invocation: &str,
    ) -> Result<Answer<O>> {
        let operation = I::NAME.strip_suffix("Request").context("no input of an operation")?;
        let invocation = HeaderValue::from_str(invocation)?;
        match &mut self.0 {
            Over::Json(client) => call_json(client, operation, input, invocation).await,
            Over::Grpc(client) => call_grpc(client, operation, input, invocation).await,
        }
    }
}

async fn call_json<I: Message, O: Message>(
    client: &mut client::Client,
    operation: &str,
    input: &I,
    invocation: HeaderValue,
) -> Result<Answer<O>> {
    let body = keystead_api::encode(Wire::AwsJson, input);
    let request = client.target().signed(operation, body, &[(INVOCATION_ID, invocation)])?;
    let reply = client.send(request).await?;
    let result = match reply.status {
        200 => decode(Wire::AwsJson, &reply.body),
        status => Err(Refusal::new(reply.code(), status >= 500)),
    };
    Ok(Answer { result, index: index(&reply.headers) })
}

async fn call_grpc<I: Message, O: Message>(
    client: &mut grpc::Client,
    operation: &str,
    input: &I,
    invocation: HeaderValue,
) -> Result<Answer<O>> {
    let message = keystead_api::encode(Wire::Proto, input);
    let answer = client.call(operation, &message, &[(REQUEST_ID, invocation)]).await?;
    let result = match answer.code() {
        code if code == "OK" => decode(Wire::Proto, &answer.payload()),
        code => Err(Refusal::new(code, answer.is_failure())),
    };
    Ok(Answer { result, index: index(&answer.headers) })
}

fn decode<O: Message>(wire: Wire, body: &Bytes) -> Result<O, Refusal> {
    let unreadable = |error| Refusal::new(format!("no {}: {error:?}", O::NAME), false);
    keystead_api::decode(wire, body).map_err(unreadable)
}

fn index(headers: &HeaderMap) -> Option<u64> {
    headers.get(INDEX)?.to_str().ok()?.parse().ok()
}

impl Refusal {
    fn new(code: String, failure: bool) -> Self {
        let passing = failure || code == ErrorCode::ThrottlingException.as_str();
        Self { code, passing }
    }

    /// Whether it is this error.
    pub fn is(&self, code: ErrorCode) -> bool {
        self.code == code.as_str()
    }
}
