//! Generates the messages, the servers and the clients of `proto/keystead/peer/v1`.

const INCLUDE: &str = "../../proto";
const FILES: [&str; 2] = ["keystead/peer/v1/peer.proto", "keystead/peer/v1/join.proto"];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed={INCLUDE}/keystead/peer");
    println!("cargo:rerun-if-changed=build.rs");
    let descriptors = protox::compile(FILES, [INCLUDE])?;
    tonic_prost_build::configure().build_transport(false).bytes(".").compile_fds(descriptors)?;
    Ok(())
}
