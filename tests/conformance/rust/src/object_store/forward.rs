//! What a service does with a request of its user: it shows the node the signature, and is given
//! credentials to act with for whoever made it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_config::BehaviorVersion;
use aws_credential_types::Credentials;
use aws_sdk_kms::Client;
use aws_sdk_kms::config::Region;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use aws_smithy_http_client::Builder;
use aws_smithy_runtime_api::client::identity::Identity;
use bytes::Bytes;
use http::request::Parts;
use http::{Request, Uri};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::Failure;

/// Longest answer, in bytes.
const MAX_ANSWER: usize = 64 << 10;

/// A header that is signed along and tells calls of one second apart.
const ONCE: &str = "amz-sdk-invocation-id";

/// Asks a node for the authority of users.
pub struct Forwarder {
    endpoint: String,
    address: String,
    region: String,
    own: Identity,
    started: Duration,
    calls: AtomicU64,
}

/// What the store may do for the user of one request.
#[derive(Clone)]
pub struct Authority {
    /// A client of KMS that acts for the user.
    pub kms: Client,
}

impl Forwarder {
    /// A service with its own access key, at the node of this endpoint.
    pub fn new(
        endpoint: String,
        region: String,
        access_key: String,
        secret: String,
    ) -> Result<Self, Failure> {
        let uri: Uri = endpoint.parse()?;
        let address = uri.authority().ok_or("the endpoint has no address")?.to_string();
        let own = Credentials::new(access_key, secret, None, None, "environment").into();
        let started = SystemTime::now().duration_since(UNIX_EPOCH)?;
        Ok(Self { endpoint, address, region, own, started, calls: AtomicU64::new(0) })
    }

    /// The authority of whoever signed a request.
    pub async fn forward(&self, parts: &Parts) -> Result<Authority, Failure> {
        let answer = self.ask(form(parts)?).await?;
        let given = |name| element(&answer, name).ok_or_else(|| refused(&answer));
        let credentials = Credentials::new(
            given("AccessKeyId")?,
            given("SecretAccessKey")?,
            Some(given("SessionToken")?.to_owned()),
            None,
            "forwarded",
        );
        let config = aws_config::defaults(BehaviorVersion::latest())
            .http_client(Builder::new().build_http())
            .region(Region::new(self.region.clone()))
            .endpoint_url(&self.endpoint)
            .credentials_provider(credentials)
            .load()
            .await;
        Ok(Authority { kms: Client::new(&config) })
    }

    /// What makes each call another one, however alike two requests of users are: calls count once.
    fn unlike_any_other(&self) -> String {
        let number = self.calls.fetch_add(1, Ordering::Relaxed);
        format!("{}-{:?}-{number}", std::process::id(), self.started)
    }

    /// Sends a form, signed with the service's own access key.
    async fn ask(&self, form: String) -> Result<String, Failure> {
        let kind = "application/x-www-form-urlencoded";
        let url = format!("http://{}/", self.address);
        let params = v4::SigningParams::builder()
            .identity(&self.own)
            .region(&self.region)
            .name("sts")
            .time(SystemTime::now())
            .settings(SigningSettings::default())
            .build()?;
        let once = self.unlike_any_other();
        let headers = [("host", self.address.as_str()), ("content-type", kind), (ONCE, &once)];
        let body = SignableBody::Bytes(form.as_bytes());
        let signable = SignableRequest::new("POST", &url, headers.into_iter(), body)?;
        let (signature, _) = sign(signable, &params.into())?.into_parts();
        let mut request = Request::post("/").header("host", &self.address);
        request = request.header("content-type", kind).header(ONCE, &once);
        for (name, value) in signature.headers() {
            request = request.header(name, value);
        }
        let stream = TcpStream::connect(&self.address).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        let response = sender.send_request(request.body(Full::new(Bytes::from(form)))?).await?;
        let body = http_body_util::Limited::new(response.into_body(), MAX_ANSWER).collect().await?;
        Ok(String::from_utf8(body.to_bytes().into())?)
    }
}

/// What the node is asked with: the head of a request as it came.
fn form(parts: &Parts) -> Result<String, Failure> {
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("Action", "GetForwardAccessToken")
        .append_pair("Version", "2011-06-15")
        .append_pair("Method", parts.method.as_str())
        .append_pair("Path", path);
    for (number, (name, value)) in (1..).zip(&parts.headers) {
        form.append_pair(&format!("Headers.member.{number}.Name"), name.as_str())
            .append_pair(&format!("Headers.member.{number}.Value"), value.to_str()?);
    }
    Ok(form.finish())
}

fn refused(answer: &str) -> Failure {
    element(answer, "Message").unwrap_or("the node refused it").to_owned().into()
}

/// The text of the first element of this name.
fn element<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    Some(rest.split_once(&format!("</{name}>"))?.0)
}
