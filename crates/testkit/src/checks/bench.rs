//! Encrypt per second, beside a bare hyper server whose fixed reply is as long.

use std::convert::Infallible;
use std::io::Write;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use clap::Args;
use http::{HeaderValue, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use keystead_api::kms;
use serde_json::json;
use tokio::net::TcpListener;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Endpoint;
use tonic_prost::ProstCodec;

use super::{Common, Outcome, decision};
use crate::client::{self, Client, Reply, Target};
use crate::node::{Mode, Node};

const PLAINTEXT: usize = 32;
const GRPC_PATH: &str = "/keystead.kms.v1.KeyManagementService/Encrypt";

/// Arguments of `bench`.
#[derive(Debug, Args)]
pub struct Options {
    #[command(flatten)]
    common: Common,
    /// Connections at a time.
    #[arg(long, default_value_t = 32)]
    connections: usize,
    /// How often the three are measured in turn.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds of each measurement.
    #[arg(long, default_value_t = 3)]
    seconds: u64,
    /// The least ratio of AWS JSON to the bare server, as the median of the rounds.
    #[arg(long, default_value_t = 0.4)]
    least: f64,
}

/// Arguments of the bare server, which the benchmark starts by itself.
#[derive(Debug, Args)]
pub struct BareOptions {
    /// Bytes of its replies' bodies.
    #[arg(long)]
    body: usize,
    /// Bytes of a header that stands for those of a real reply.
    #[arg(long)]
    header: usize,
}

/// Measures the bare server, AWS JSON and gRPC in turn.
///
/// # Errors
/// A server or a call failed.
pub async fn run(options: &Options) -> Result<Outcome> {
    let node = Node::start(&options.common.binary, Mode::Ephemeral).await?;
    let encrypt = Encrypt::prepare(node.target()).await?;
    let bare = Bare::start(&encrypt.reply)?;
    let mut rounds = Vec::new();
    for _ in 0..options.rounds {
        let request = encrypt.request()?;
        rounds.push(Round {
            bare: http(bare.address, &request, options).await.context("the bare server")?,
            json: http(node.target().address, &request, options).await.context("AWS JSON")?,
            grpc: grpc(&encrypt, options).await.context("gRPC")?,
        });
    }
    let authorisation = authorisation(&node, &encrypt, options).await?;
    let json = median(rounds.iter().map(|round| round.json / round.bare));
    let grpc = median(rounds.iter().map(|round| round.grpc / round.bare));
    let rate = |of: fn(&Round) -> f64| median(rounds.iter().map(of)).round();
    let figures = format!(
        "Encrypt per second at {} connections, medians of {} rounds of {} s: bare hyper {}, AWS \
         JSON {} (ratio {json:.2}), gRPC {} (ratio {grpc:.2}); {authorisation}",
        options.connections,
        options.rounds,
        options.seconds,
        rate(|round| round.bare),
        rate(|round| round.json),
        rate(|round| round.grpc),
    );
    let mut outcome = Outcome { figures, violations: Vec::new() };
    outcome.require(json >= options.least, || format!("AWS JSON is below {}", options.least));
    Ok(outcome)
}

/// What a key policy of ten statements with conditions costs, beside the one that a key has by
/// default.
async fn authorisation(node: &Node, plain: &Encrypt, options: &Options) -> Result<String> {
    let guarded = Encrypt::prepare(node.target()).await?;
    let account = guarded.key.split(':').nth(4).context("a key without an account")?;
    let decision = decision::nanoseconds(account)?;
    let policy = decision::ten_statements(account).to_string();
    let input = json!({ "KeyId": guarded.key, "Policy": policy });
    Client::new(node.target().clone()).ok("PutKeyPolicy", &input).await?;
    let (mut with, mut without) = (Vec::new(), Vec::new());
    for _ in 0..options.rounds {
        with.push(processor_time(node, &guarded, options).await?);
        without.push(processor_time(node, plain, options).await?);
    }
    let (with, without) = (median(with.into_iter()), median(without.into_iter()));
    let share = 100.0 * (with - without + decision / 1000.0).max(0.0) / with;
    Ok(format!(
        "a decision by ten statements {decision:.0} ns; Encrypt takes {without:.1} µs of the node's \
         processors with the default policy, {with:.1} µs with ten statements that look at the \
         request, of which deciding is about {share:.0} %"
    ))
}

/// Microseconds of the node's processors for one Encrypt.
async fn processor_time(node: &Node, encrypt: &Encrypt, options: &Options) -> Result<f64> {
    let before = node.cpu_seconds()?;
    let rate = http(node.target().address, &encrypt.request()?, options).await?;
    let used = node.cpu_seconds()? - before;
    Ok(used * 1e6 / (rate * options.seconds as f64))
}

/// Serves a fixed reply for ever, on an address that is printed first.
///
/// # Errors
/// There is no free port.
pub async fn serve_bare(options: &BareOptions) -> Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    writeln!(std::io::stdout(), "{}", listener.local_addr()?)?;
    let mut response = Response::new(Full::new(Bytes::from(vec![b' '; options.body])));
    let header = HeaderValue::from_str(&"x".repeat(options.header))?;
    response.headers_mut().insert("x", header);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let response = response.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            let response = response.clone();
            async move {
                // A client that breaks off does not want the reply either.
                let _ = request.into_body().collect().await;
                Ok::<_, Infallible>(response)
            }
        });
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

/// Requests per second.
struct Round {
    bare: f64,
    json: f64,
    grpc: f64,
}

/// The call that is measured.
struct Encrypt {
    target: Target,
    key: String,
    reply: Reply,
}

impl Encrypt {
    async fn prepare(target: &Target) -> Result<Self> {
        let mut client = Client::new(target.clone());
        let output = client.ok("CreateKey", &json!({})).await?;
        let key = output["KeyMetadata"]["Arn"].as_str().context("a key without ARN")?.to_owned();
        let target = target.clone();
        let input = json!({ "KeyId": key, "Plaintext": base64_plaintext() });
        let reply = client.call("Encrypt", &input).await?;
        reply.ok()?;
        Ok(Self { target, key, reply })
    }

    /// Signed once per round: the client's own work is the same for both servers.
    fn request(&self) -> Result<Request<Full<Bytes>>> {
        let input = json!({ "KeyId": self.key, "Plaintext": base64_plaintext() });
        self.target.signed("Encrypt", Bytes::from(serde_json::to_vec(&input)?), &[])
    }
}

fn base64_plaintext() -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode([7; PLAINTEXT])
}

/// The bare server, in a process of its own as the node is.
struct Bare {
    child: Child,
    address: SocketAddr,
}

impl Bare {
    fn start(like: &Reply) -> Result<Self> {
        let header: usize =
            like.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
        let mut child = Command::new(std::env::current_exe()?)
            .arg("bare-server")
            .args(["--body", &like.body.len().to_string(), "--header", &header.to_string()])
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        let output = child.stdout.take().context("no output")?;
        std::io::BufRead::read_line(&mut std::io::BufReader::new(output), &mut line)?;
        let address = line.trim().parse().context("the bare server told no address");
        match address {
            Ok(address) => Ok(Self { child, address }),
            Err(error) => {
                child.kill()?;
                Err(error)
            }
        }
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        // Nothing is left to be done about a process that cannot be killed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn http(
    address: SocketAddr,
    request: &Request<Full<Bytes>>,
    options: &Options,
) -> Result<f64> {
    let deadline = Instant::now() + Duration::from_secs(options.seconds);
    let start = Instant::now();
    let workers: Vec<_> = (0..options.connections)
        .map(|_| {
            let request = request.clone();
            tokio::spawn(async move {
                let mut sender = client::connect(address).await?;
                let mut count = 0_u32;
                while Instant::now() < deadline {
                    sender.ready().await?;
                    let response = sender.send_request(request.clone()).await?;
                    ensure!(response.status() == 200, "status {}", response.status());
                    response.into_body().collect().await?;
                    count += 1;
                }
                anyhow::Ok(count)
            })
        })
        .collect();
    total(workers, start).await
}

async fn grpc(encrypt: &Encrypt, options: &Options) -> Result<f64> {
    let target = &encrypt.target;
    let endpoint = Endpoint::from_shared(format!("http://{}", target.address))?;
    let token = format!("Bearer {}:{}", target.access_key_id, target.secret_access_key);
    let message = kms::EncryptRequest {
        key_id: Some(encrypt.key.clone()),
        plaintext: Some(vec![7; PLAINTEXT].into()),
        ..Default::default()
    };
    let deadline = Instant::now() + Duration::from_secs(options.seconds);
    let start = Instant::now();
    let workers: Vec<_> = (0..options.connections)
        .map(|_| {
            let (endpoint, token, message) = (endpoint.clone(), token.clone(), message.clone());
            tokio::spawn(async move {
                let mut client = Grpc::new(endpoint.connect().await?);
                let mut count = 0_u32;
                while Instant::now() < deadline {
                    client.ready().await?;
                    let mut request = tonic::Request::new(message.clone());
                    request.metadata_mut().insert("authorization", token.parse()?);
                    let codec = ProstCodec::<kms::EncryptRequest, kms::EncryptResponse>::default();
                    let path = PathAndQuery::from_static(GRPC_PATH);
                    client.unary(request, path, codec).await?;
                    count += 1;
                }
                anyhow::Ok(count)
            })
        })
        .collect();
    total(workers, start).await
}

async fn total(workers: Vec<tokio::task::JoinHandle<Result<u32>>>, start: Instant) -> Result<f64> {
    let mut count = 0;
    for worker in workers {
        count += worker.await??;
    }
    Ok(f64::from(count) / start.elapsed().as_secs_f64())
}

/// The middle one of some values; 0 of none.
pub(super) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
