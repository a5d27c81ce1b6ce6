//! `keystead credentials`: temporary credentials for a token of an issuer.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use zeroize::Zeroizing;

use crate::output;
use crate::web_identity::RoleArguments;

/// Arguments of `keystead credentials`.
#[derive(Args)]
pub struct CredentialsArguments {
    #[command(flatten)]
    role: RoleArguments,
    /// A file with the issuer's token; it is read each time.
    #[arg(long, env = "AWS_WEB_IDENTITY_TOKEN_FILE", value_name = "FILE")]
    token_file: PathBuf,
}

/// Runs `keystead credentials`.
pub async fn run(arguments: CredentialsArguments) -> Result<()> {
    let path = &arguments.token_file;
    let token = std::fs::read_to_string(path).map(Zeroizing::new);
    let token = token.with_context(|| format!("read the token {}", path.display()))?;
    output::object(true, &arguments.role.assume(token.trim()).await?)
}
