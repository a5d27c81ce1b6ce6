//! `keystead login`: a person signs in at an issuer, and a profile of AWS's tools gets credentials of a
//! role.

mod device;
mod profile;

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use zeroize::Zeroizing;

use crate::output;
use crate::web_identity::RoleArguments;
use device::Issuer;
use profile::Profile;

/// Arguments of `keystead login`.
#[derive(Args)]
pub struct LoginArguments {
    /// The issuer at which to sign in, by its URL to the letter.
    #[arg(long, env = "KEYSTEAD_LOGIN_ISSUER", value_name = "URL")]
    issuer: String,
    /// Which of the issuer's clients this is: one that may use the device flow.
    #[arg(long, env = "KEYSTEAD_LOGIN_CLIENT_ID", value_name = "ID")]
    client_id: String,
    /// A file with the client's secret, if the issuer wants one.
    #[arg(long, value_name = "FILE")]
    client_secret_file: Option<PathBuf>,
    /// What to ask the issuer for.
    #[arg(long, default_value = "openid", value_name = "SCOPES")]
    scope: String,
    #[command(flatten)]
    role: RoleArguments,
    /// The profile that gets the credentials, in the shared credentials file of AWS's tools.
    #[arg(long, env = "AWS_PROFILE", default_value = "keystead", value_name = "NAME")]
    profile: String,
}

/// Runs `keystead login`.
pub async fn run(arguments: LoginArguments) -> Result<()> {
    // What is in the way of keeping them is told before anybody signs in.
    let profile = Profile::open(&arguments.profile)?;
    let secret = match &arguments.client_secret_file {
        Some(path) => {
            let secret = std::fs::read_to_string(path).map(Zeroizing::new);
            let secret = secret.with_context(|| format!("read {}", path.display()))?;
            Some(Zeroizing::new(secret.trim().to_owned()))
        }
        None => None,
    };
    let issuer = Issuer::discover(&arguments.issuer).await?;
    let token = issuer.sign_in(&arguments.client_id, secret, &arguments.scope).await?;
    let credentials = arguments.role.assume(&token).await?;
    profile.put(&credentials)?;
    let until = credentials["Expiration"].as_str().unwrap_or_default();
    output::text(&format!("Profile {} is signed in until {until}.", arguments.profile))
}
