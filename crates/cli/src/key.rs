//! `keystead key`: the everyday operations, over the API that everybody uses.

use std::io::{IsTerminal, Read, Write};

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Map, Value, json};

use crate::client::{Client, text};
use crate::erasure::{self, ErasureArguments};
use crate::{deletion, import, output};

/// Arguments of `keystead key`.
#[derive(Args)]
pub struct KeyArguments {
    /// Where the service is; else AWS_ENDPOINT_URL_KMS, else http://127.0.0.1:9470.
    #[arg(long, global = true, value_name = "URL")]
    endpoint_url: Option<String>,
    /// A table for people or JSON for programs.
    #[arg(long, global = true, value_enum, default_value_t = Output::Table)]
    output: Output,
    #[command(subcommand)]
    command: KeyCommand,
}

/// How results are shown.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// A table.
    Table,
    /// The API's own JSON.
    Json,
}

#[derive(Subcommand)]
enum KeyCommand {
    /// Create a key.
    Create {
        /// The kind of key, in AWS's names: SYMMETRIC_DEFAULT, RSA_4096, ECC_NIST_P256, HMAC_256,
        /// ML_DSA_65, ML_KEM_768 and so on.
        #[arg(long, default_value = "SYMMETRIC_DEFAULT")]
        spec: String,
        /// What it is used for: SIGN_VERIFY, ENCRYPT_DECRYPT, GENERATE_VERIFY_MAC, KEY_AGREEMENT or
        /// ENCAPSULATE_DECAPSULATE. Only a symmetric key does without.
        #[arg(long)]
        usage: Option<String>,
        /// A description for people.
        #[arg(long, default_value = "")]
        description: String,
        /// A name for it, with or without `alias/`.
        #[arg(long)]
        alias: Option<String>,
    },
    /// List the keys of the account.
    List,
    /// Describe one key.
    Describe {
        /// Key id, ARN or alias.
        key: String,
    },
    /// Import key material that was made elsewhere: it is wrapped here, and never sent otherwise.
    Import(import::ImportArguments),
    /// Give a key new material at once; what the old one encrypted still decrypts.
    Rotate {
        /// Key id or ARN.
        #[arg(long)]
        key_id: String,
    },
    /// Let a key be deleted when a waiting period ends: shows when it was last used, and asks.
    ScheduleDeletion {
        /// Key id or ARN.
        #[arg(long)]
        key_id: String,
        /// The waiting period: 7 to 30 days, 30 unless said.
        #[arg(long, value_name = "DAYS")]
        pending_window_in_days: Option<u32>,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
    /// Whether and when every node had taken material that the key lost off its disk. For operators.
    ErasureStatus(ErasureArguments),
    /// Encrypt standard input (at most 4,096 bytes); prints the ciphertext in base64.
    Encrypt {
        /// Key id, ARN or alias.
        key: String,
        /// A pair of the encryption context, as `name=value`.
        #[arg(long = "context", value_parser = pair)]
        context: Vec<(String, String)>,
    },
    /// Decrypt base64 from standard input; prints the plaintext.
    Decrypt {
        /// Key id, ARN or alias; the ciphertext knows it too.
        #[arg(long)]
        key: Option<String>,
        /// A pair of the encryption context, as `name=value`.
        #[arg(long = "context", value_parser = pair)]
        context: Vec<(String, String)>,
    },
}

/// Runs `keystead key`.
pub async fn run(arguments: KeyArguments) -> Result<()> {
    let client = || Client::from_environment(arguments.endpoint_url.as_deref());
    let json = arguments.output == Output::Json;
    match arguments.command {
        KeyCommand::Create { spec, usage, description, alias } => {
            let input = json!({ "KeySpec": spec, "KeyUsage": usage, "Description": description });
            create(&client()?, json, &input, alias.as_deref()).await
        }
        KeyCommand::List => list(&client()?, json).await,
        KeyCommand::Describe { key } => {
            let answer = client()?.call("DescribeKey", &json!({ "KeyId": key })).await?;
            output::object(json, &answer["KeyMetadata"])
        }
        KeyCommand::Import(arguments) => import::run(&client()?, json, &arguments).await,
        KeyCommand::Rotate { key_id } => {
            let answer = client()?.call("RotateKeyOnDemand", &json!({ "KeyId": key_id })).await?;
            if json { output::object(true, &answer) } else { output::line(text(&answer, "KeyId")) }
        }
        KeyCommand::ScheduleDeletion { key_id, pending_window_in_days, yes } => {
            deletion::schedule(&client()?, json, &key_id, pending_window_in_days, yes).await
        }
        KeyCommand::ErasureStatus(arguments) => erasure::status(json, arguments).await,
        KeyCommand::Encrypt { key, context } => encrypt(&client()?, json, &key, context).await,
        KeyCommand::Decrypt { key, context } => decrypt(&client()?, json, key, context).await,
    }
}

async fn encrypt(
    client: &Client,
    json: bool,
    key: &str,
    context: Vec<(String, String)>,
) -> Result<()> {
    let input = json!({
        "KeyId": key,
        "Plaintext": STANDARD.encode(standard_input()?),
        "EncryptionContext": context.into_iter().collect::<std::collections::BTreeMap<_, _>>(),
    });
    let answer = client.call("Encrypt", &input).await?;
    if json {
        return output::object(true, &answer);
    }
    output::line(text(&answer, "CiphertextBlob"))
}

async fn create(client: &Client, json: bool, input: &Value, alias: Option<&str>) -> Result<()> {
    let answer = client.call("CreateKey", input).await?;
    let metadata = &answer["KeyMetadata"];
    if let Some(alias) = alias {
        let name = alias.strip_prefix("alias/").unwrap_or(alias);
        let input = json!({
            "AliasName": format!("alias/{name}"),
            "TargetKeyId": metadata["KeyId"],
        });
        let key = metadata["KeyId"].as_str().unwrap_or_default();
        client
            .call("CreateAlias", &input)
            .await
            .with_context(|| format!("key {key} was created, but not its alias"))?;
    }
    if json { output::object(true, metadata) } else { output::line(text(metadata, "KeyId")) }
}

async fn list(client: &Client, json: bool) -> Result<()> {
    let mut aliases = std::collections::BTreeMap::<String, Vec<String>>::new();
    for alias in pages(client, "ListAliases", "Aliases").await? {
        let target = text(&alias, "TargetKeyId").to_owned();
        aliases.entry(target).or_default().push(text(&alias, "AliasName").to_owned());
    }
    let mut rows = Vec::new();
    for key in pages(client, "ListKeys", "Keys").await? {
        let id = text(&key, "KeyId").to_owned();
        let answer = client.call("DescribeKey", &json!({ "KeyId": id })).await?;
        let mut metadata = answer["KeyMetadata"].clone();
        metadata["Aliases"] = aliases.remove(&id).unwrap_or_default().into();
        rows.push(metadata);
    }
    if json {
        return output::object(true, &Value::Array(rows));
    }
    let columns = ["KeyId", "KeyState", "KeySpec", "Aliases", "Description"];
    output::table(&columns, &rows)
}

async fn decrypt(
    client: &Client,
    json: bool,
    key: Option<String>,
    context: Vec<(String, String)>,
) -> Result<()> {
    let ciphertext = String::from_utf8(standard_input()?).context("read base64")?;
    let mut input = Map::new();
    input.insert("CiphertextBlob".into(), ciphertext.trim().into());
    let context: Map<String, Value> =
        context.into_iter().map(|(name, value)| (name, value.into())).collect();
    input.insert("EncryptionContext".into(), context.into());
    if let Some(key) = key {
        input.insert("KeyId".into(), key.into());
    }
    let answer = client.call("Decrypt", &Value::Object(input)).await?;
    if json {
        return output::object(true, &answer);
    }
    let plaintext = STANDARD.decode(text(&answer, "Plaintext")).context("read the plaintext")?;
    std::io::stdout().write_all(&plaintext)?;
    if std::io::stdout().is_terminal() && !plaintext.ends_with(b"\n") {
        output::line("")?;
    }
    Ok(())
}

async fn pages(client: &Client, operation: &str, member: &str) -> Result<Vec<Value>> {
    let (mut items, mut marker) = (Vec::new(), Value::Null);
    loop {
        let answer = client.call(operation, &json!({ "Marker": marker })).await?;
        items.extend(answer[member].as_array().cloned().unwrap_or_default());
        marker = answer["NextMarker"].clone();
        if marker.is_null() {
            return Ok(items);
        }
    }
}

fn standard_input() -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::io::stdin().read_to_end(&mut bytes).context("read standard input")?;
    Ok(bytes)
}

fn pair(text: &str) -> Result<(String, String), String> {
    text.split_once('=')
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .ok_or_else(|| format!("{text:?} is not of the form name=value"))
}
