//! Generates the records and commands from `proto/keystead/state/v1`.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let include = "../../proto";
    let files = ["records", "iam", "regions", "commands"]
        .map(|name| format!("keystead/state/v1/{name}.proto"));
    println!("cargo:rerun-if-changed={include}/keystead/state");
    let descriptors = protox::compile(files, [include])?;
    prost_build::Config::new().btree_map(["."]).compile_fds(descriptors)?;
    Ok(())
}
