//! `keystead key import`: wraps key material here and hands it to a key that waits for it.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use keystead_crypto::OperationError;
use keystead_crypto::import::{self, WrappingAlgorithm};
use keystead_crypto::material::{KeyMaterial, MaterialError};
use keystead_crypto::public::PublicKey;
use keystead_crypto::spec::{self, MAX_HMAC_KEY, Use};
use keystead_types::{KeySpec, UnixMillis};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;
use serde_json::json;
use zeroize::Zeroizing;

use crate::client::{Client, text};
use crate::output;

/// More than any file with one key has.
const LONGEST: usize = 16 * 1024;
const STANDARD_INPUT: &str = "-";
/// How every encoding of PKCS#8 begins, in DER and in BER: with a SEQUENCE.
const SEQUENCE: u8 = 0x30;

/// Arguments of `keystead key import`.
#[derive(Args)]
pub struct ImportArguments {
    /// Key id, ARN or alias of a key that was created with the origin EXTERNAL.
    #[arg(long)]
    key_id: String,
    /// The key material; `-` is standard input. For a symmetric or HMAC key the raw bytes, for an
    /// RSA or elliptic curve key PKCS#8, in PEM, DER or BER.
    file: PathBuf,
    /// When the material expires, such as 2027-01-31T00:00:00Z; never unless said.
    #[arg(long, value_name = "TIME")]
    expires: Option<UnixMillis>,
    /// NEW_KEY_MATERIAL adds to what a symmetric key has, EXISTING_KEY_MATERIAL brings back what it
    /// had. Unless said, the first material of a key is new and any other is not.
    #[arg(long, value_name = "TYPE")]
    import_type: Option<String>,
    /// A description of the material, for people; symmetric keys only.
    #[arg(long)]
    description: Option<String>,
    /// How it is wrapped: RSAES_OAEP_SHA_256 unless said for symmetric and HMAC keys,
    /// RSA_AES_KEY_WRAP_SHA_256 for the others; the same with SHA_1 are the other two.
    #[arg(long, value_name = "ALGORITHM", value_parser = wrapping_algorithm)]
    wrapping_algorithm: Option<WrappingAlgorithm>,
    /// What it is wrapped with: RSA_2048, RSA_3072 or RSA_4096.
    #[arg(long, value_name = "SPEC", default_value = "RSA_4096")]
    wrapping_key_spec: KeySpec,
}

/// Imports the material of a file into a key.
pub async fn run(client: &Client, json: bool, arguments: &ImportArguments) -> Result<()> {
    let content = read(&arguments.file)?;
    let answer = client.call("DescribeKey", &json!({ "KeyId": arguments.key_id })).await?;
    let metadata = &answer["KeyMetadata"];
    let spec: KeySpec = text(metadata, "KeySpec").parse().context("read the key's spec")?;
    let name = output::printed(&arguments.file.to_string_lossy());
    let material = material(spec, content, &name)?;
    let algorithm =
        arguments.wrapping_algorithm.unwrap_or_else(|| WrappingAlgorithm::for_material(spec));

    // An alias will do here, but not for the service.
    let key = text(metadata, "Arn");
    let input = json!({
        "KeyId": key,
        "WrappingAlgorithm": algorithm.as_str(),
        "WrappingKeySpec": arguments.wrapping_key_spec.as_str(),
    });
    let given = client.call("GetParametersForImport", &input).await?;
    let public = STANDARD.decode(text(&given, "PublicKey")).context("read the wrapping key")?;
    let public = PublicKey::parse(arguments.wrapping_key_spec, &public)?;
    let wrapped = import::wrap(&public, algorithm, &material).map_err(|error| match error {
        OperationError::Length => anyhow::anyhow!(
            "{name} is too long for {}; say --wrapping-algorithm RSA_AES_KEY_WRAP_SHA_256",
            algorithm.as_str()
        ),
        other => other.into(),
    })?;
    let input = json!({
        "KeyId": key,
        "ImportToken": given["ImportToken"],
        "EncryptedKeyMaterial": STANDARD.encode(wrapped),
        "ExpirationModel": match arguments.expires {
            Some(_) => "KEY_MATERIAL_EXPIRES",
            None => "KEY_MATERIAL_DOES_NOT_EXPIRE",
        },
        "ValidTo": arguments.expires.map(UnixMillis::seconds),
        "ImportType": arguments.import_type,
        "KeyMaterialDescription": arguments.description,
    });
    let answer = client.call("ImportKeyMaterial", &input).await?;
    if json { output::object(true, &answer) } else { output::text(text(&answer, "KeyId")) }
}

/// What is in the file, past no buffer that is not erased.
fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>> {
    let failed = || format!("read {}", path.display());
    let file = if path == Path::new(STANDARD_INPUT) {
        File::from(io::stdin().as_fd().try_clone_to_owned().with_context(failed)?)
    } else {
        let file = File::open(path).with_context(failed)?;
        warn_of_readers(path, &file).with_context(failed)?;
        file
    };
    let limit = u64::try_from(LONGEST + 1)?;
    let mut content = Zeroizing::new(Vec::with_capacity(LONGEST + 1));
    file.take(limit).read_to_end(&mut content).with_context(failed)?;
    ensure!(content.len() <= LONGEST, "{} is longer than any key", path.display());
    Ok(content)
}

fn warn_of_readers(path: &Path, file: &File) -> io::Result<()> {
    let about = file.metadata()?;
    if about.is_file() && about.permissions().mode() & 0o077 != 0 {
        let name = output::printed(&path.to_string_lossy());
        writeln!(io::stderr(), "WARNING: {name} can be read by others; chmod 600 keeps it.")?;
    }
    Ok(())
}

/// The material of a spec that a file has, out of its PEM if it is in one. What is sent is what the
/// service would take, so that a mistake is told before anything is asked for.
fn material(spec: KeySpec, content: Zeroizing<Vec<u8>>, name: &str) -> Result<Zeroizing<Vec<u8>>> {
    let has_der = !spec::of(spec).public_key || content.first() == Some(&SEQUENCE);
    let material = if has_der { content } else { out_of_pem(&content, name)? };
    match KeyMaterial::import(spec, &material) {
        Ok(_) => Ok(material),
        Err(MaterialError::Malformed) => {
            bail!("{name} has no key material for {spec}: {}", wanted(spec, material.len()))
        }
        Err(error) => Err(error.into()),
    }
}

/// PKCS#8 out of PEM.
fn out_of_pem(content: &[u8], name: &str) -> Result<Zeroizing<Vec<u8>>> {
    let Ok(key) = PrivatePkcs8KeyDer::from_pem_slice(content) else {
        bail!(
            "{name} has no private key in PKCS#8 that is not encrypted, neither in PEM \
             (BEGIN PRIVATE KEY) nor in DER; `openssl pkcs8 -topk8 -nocrypt` makes one"
        );
    };
    Ok(Zeroizing::new(key.secret_pkcs8_der().to_vec()))
}

/// What material of a spec must be, beside what there is.
fn wanted(spec: KeySpec, len: usize) -> String {
    let raw = |lengths| format!("it must be {lengths} raw bytes, not hex or base64, and has {len}");
    match spec::of(spec).uses {
        [Use::GenerateVerifyMac([mac, ..])] => raw(format!("{} to {MAX_HMAC_KEY}", mac.key)),
        _ if spec == KeySpec::SymmetricDefault => raw("32".into()),
        _ => "it must be a sound private key of exactly this kind".into(),
    }
}

fn wrapping_algorithm(name: &str) -> Result<WrappingAlgorithm, String> {
    name.parse().map_err(|()| {
        let names = WrappingAlgorithm::ALL.map(WrappingAlgorithm::as_str);
        format!("it is none of {}", names.join(", "))
    })
}
