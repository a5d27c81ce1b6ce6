//! Generates the messages of the KMS API from `proto/keystead/kms/v1`: the structs with prost, and
//! everything that the custom options say about them with `codegen`.

#[path = "codegen/mod.rs"]
mod codegen;

use std::path::{Path, PathBuf};
use std::{env, fs};

use prost::Message;
use prost_types::FileDescriptorSet;

const INCLUDE: &str = "../../proto";
const SERVICE: &str = "keystead/kms/v1/service.proto";
const PACKAGE: &str = "keystead.kms.v1";
const TIMESTAMP: &str = "google/protobuf/timestamp.proto";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed={INCLUDE}/keystead/kms");
    println!("cargo:rerun-if-changed={INCLUDE}/keystead/options");
    println!("cargo:rerun-if-changed=codegen");
    println!("cargo:rerun-if-changed=build.rs");

    let out = PathBuf::from(env::var("OUT_DIR")?);
    let mut compiler = protox::Compiler::new([INCLUDE])?;
    compiler.include_source_info(true).include_imports(true).open_file(SERVICE)?;

    // The encoded form keeps the custom options, which the types of prost do not.
    let encoded = compiler.encode_file_descriptor_set();
    fs::write(out.join("descriptors.bin"), &encoded)?;
    let code = codegen::generate(&compiler.descriptor_pool(), PACKAGE)?;
    fs::write(out.join("kms.rs"), code)?;
    structs(FileDescriptorSet::decode(encoded.as_slice())?, &out)
}

/// The structs and enums themselves.
fn structs(mut set: FileDescriptorSet, out: &Path) -> Result<(), Box<dyn std::error::Error>> {
    set.file.retain(|file| file.package() == PACKAGE || file.name() == TIMESTAMP);
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
