//! The device authorization grant (RFC 8628): the person signs in with a browser, anywhere, and this
//! program asks the issuer until that is done.

use std::io::Write;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use http::{Request, Uri};
use http_body_util::Full;
use serde_json::Value;
use tokio::time::Instant;
use zeroize::Zeroizing;

use crate::client::{exchange, form, text};
use crate::output::printed;

const GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";
/// Between two questions, where the issuer says nothing (RFC 8628, section 3.2), and by how much
/// longer when it is asked too often (section 3.5).
const INTERVAL: Duration = Duration::from_secs(5);
/// The longest wait between two questions, whatever the issuer says.
const LONGEST: Duration = Duration::from_secs(60);
/// How long the person may take, at the longest, whatever the issuer says.
const PATIENCE: Duration = Duration::from_secs(30 * 60);

/// An issuer, by its discovery document.
pub struct Issuer {
    name: String,
    device_authorization: Uri,
    token: Uri,
}

/// What the issuer answered when it was asked whether the person has signed in.
enum Answer {
    SignedIn(Zeroizing<String>),
    NotYet,
    AskedTooOften,
}

impl Issuer {
    /// Reads the discovery document of an issuer (OpenID Connect Discovery 1.0, section 4).
    pub async fn discover(url: &str) -> Result<Self> {
        let at = format!("{}/.well-known/openid-configuration", url.trim_end_matches('/'));
        let at = secure(&at)?;
        let request = Request::get(path(&at)).header("host", host(&at)?);
        let request = request.header("accept", "application/json").body(Full::default())?;
        let (status, body) = exchange(&at, request).await?;
        ensure!(status == 200, "{at} answered {status}; is {url} an issuer?");
        let document: Value =
            serde_json::from_slice(&body).with_context(|| format!("read {at}"))?;
        let issuer = text(&document, "issuer");
        ensure!(issuer == url, "{at} is of another issuer: {:?}, not {url:?}", printed(issuer));
        let endpoint = |name: &str| {
            let Some(endpoint) = document[name].as_str() else {
                bail!(
                    "the issuer {url} has no {name}, so that nobody can sign in by a device code"
                );
            };
            secure(endpoint)
        };
        Ok(Self {
            name: url.to_owned(),
            device_authorization: endpoint("device_authorization_endpoint")?,
            token: endpoint("token_endpoint")?,
        })
    }

    /// Has a person sign in, which takes as long as it takes them, and gives the ID token.
    pub async fn sign_in(
        &self,
        client_id: &str,
        secret: Option<Zeroizing<String>>,
        scope: &str,
    ) -> Result<Zeroizing<String>> {
        let client = [("client_id", client_id)];
        let secret = secret.as_ref().map(|secret| ("client_secret", secret.as_str()));
        let client = || client.into_iter().chain(secret);
        let asked = client().chain([("scope", scope)]);
        let (status, device) = post(&self.device_authorization, asked).await?;
        ensure!(status == 200, "{} refuses: {}", self.name, told(&device));
        let code = Zeroizing::new(required(&device, "device_code")?.to_owned());
        announce(&device)?;
        let seconds = |name: &str| device[name].as_u64().map(Duration::from_secs);
        let mut interval = seconds("interval").unwrap_or(INTERVAL);
        let until = Instant::now() + seconds("expires_in").unwrap_or(PATIENCE).min(PATIENCE);
        loop {
            tokio::time::sleep(interval.min(LONGEST)).await;
            ensure!(Instant::now() < until, "nobody signed in in time; run the command again");
            let asked = client().chain([("grant_type", GRANT), ("device_code", &code)]);
            match post(&self.token, asked).await {
                Ok((status, answer)) => match self.answer(status, &answer)? {
                    Answer::SignedIn(token) => return Ok(token),
                    Answer::NotYet => {}
                    Answer::AskedTooOften => interval += INTERVAL,
                },
                // Section 3.5: ask less often where connections fail.
                Err(_) => interval = interval.max(INTERVAL) * 2,
            }
        }
    }

    fn answer(&self, status: u16, answer: &Value) -> Result<Answer> {
        if status == 200 {
            let token = required(answer, "id_token").context(
                "the issuer gives no ID token; does --scope have openid, and the client it?",
            )?;
            return Ok(Answer::SignedIn(Zeroizing::new(token.to_owned())));
        }
        match text(answer, "error") {
            "authorization_pending" => Ok(Answer::NotYet),
            "slow_down" => Ok(Answer::AskedTooOften),
            "access_denied" => bail!("the sign-in was refused at {}", self.name),
            "expired_token" => bail!("nobody signed in in time; run the command again"),
            _ => bail!("{} refuses: {}", self.name, told(answer)),
        }
    }
}

/// Says on standard error where to sign in and with which code.
fn announce(device: &Value) -> Result<()> {
    let (at, code) = (required(device, "verification_uri")?, required(device, "user_code")?);
    let mut to = std::io::stderr();
    writeln!(to, "To sign in, open {} and enter the code {}.", printed(at), printed(code))?;
    if let Some(complete) = device["verification_uri_complete"].as_str() {
        writeln!(to, "Or open {} and compare the code.", printed(complete))?;
    }
    Ok(())
}

async fn post<'a>(
    at: &Uri,
    parameters: impl Iterator<Item = (&'a str, &'a str)>,
) -> Result<(u16, Value)> {
    let request = Request::post(path(at))
        .header("host", host(at)?)
        .header("accept", "application/json")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Full::new(Bytes::from(form(parameters))))?;
    let (status, body) = exchange(at, request).await?;
    // Some errors come as pages for people.
    Ok((status, serde_json::from_slice(&body).unwrap_or_default()))
}

/// A URL that secrets may go to: https, or http on the loopback.
fn secure(url: &str) -> Result<Uri> {
    match keystead_server::secure_url(url) {
        Some(url) => Ok(url),
        None => bail!("{:?} is no URL of https, or of http on the loopback", printed(url)),
    }
}

fn path(url: &Uri) -> &str {
    url.path_and_query().map_or("/", http::uri::PathAndQuery::as_str)
}

fn host(url: &Uri) -> Result<&str> {
    Ok(url.authority().context("the URL has no host")?.as_str())
}

fn required<'a>(answer: &'a Value, name: &str) -> Result<&'a str> {
    answer[name].as_str().with_context(|| format!("the issuer's answer has no {name}"))
}

/// What an issuer's error says (RFC 6749, section 5.2).
fn told(answer: &Value) -> String {
    match (text(answer, "error"), text(answer, "error_description")) {
        ("", _) => "it does not say why".into(),
        (error, "") => printed(error),
        (error, description) => format!("{}: {}", printed(error), printed(description)),
    }
}
