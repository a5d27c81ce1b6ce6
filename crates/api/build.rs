//! Generates the messages of each API from its protos: the structs with prost, and everything that
//! the custom options say about them with `codegen`.

#[path = "codegen/mod.rs"]
mod codegen;

use std::path::{Path, PathBuf};
use std::{env, fs};

use prost::Message;
use prost_types::FileDescriptorSet;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const INCLUDE: &str = "../../proto";
const TIMESTAMP: &str = "google/protobuf/timestamp.proto";

/// The APIs, by their modules: `proto/keystead/MODULE/v1`.
const APIS: [&str; 3] = ["iam", "kms", "sts"];

fn main() -> Result<()> {
    println!("cargo:rerun-if-changed={INCLUDE}/keystead/options");
    println!("cargo:rerun-if-changed=codegen");
    println!("cargo:rerun-if-changed=build.rs");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    APIS.iter().try_for_each(|api| generate(api, &out))
}

/// Generates the module of one API, and its descriptors.
fn generate(api: &str, out: &Path) -> Result<()> {
    println!("cargo:rerun-if-changed={INCLUDE}/keystead/{api}");
    let package = format!("keystead.{api}.v1");
    let mut compiler = protox::Compiler::new([INCLUDE])?;
    compiler
        .include_source_info(true)
        .include_imports(true)
        .open_file(format!("keystead/{api}/v1/service.proto"))?;

    // The encoded form keeps the custom options, which the types of prost do not.
    let encoded = compiler.encode_file_descriptor_set();
    fs::write(out.join(format!("{api}.bin")), &encoded)?;
    let code = codegen::generate(&compiler.descriptor_pool(), &package)?;
    fs::write(out.join(format!("{api}.rs")), code)?;
    structs(FileDescriptorSet::decode(encoded.as_slice())?, &package, out)
}

/// The structs and enums themselves.
fn structs(mut set: FileDescriptorSet, package: &str, out: &Path) -> Result<()> {
    set.file.retain(|file| file.package() == package || file.name() == TIMESTAMP);
    // What AWS has deprecated must still be answered; no warning should say otherwise.
    let messages = set.file.iter_mut().flat_map(|file| &mut file.message_type);
    for options in messages.flat_map(|m| &mut m.field).filter_map(|field| field.options.as_mut()) {
        options.deprecated = None;
    }
    prost_build::Config::new()
        .btree_map(["."])
        .bytes(["."])
        .skip_debug(["."])
        .out_dir(out)
        .compile_fds(set)?;
    Ok(())
}
