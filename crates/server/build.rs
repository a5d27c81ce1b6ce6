//! Generates the messages, the servers and the clients of the admin API, from
//! `proto/keystead/admin/v1`, and of what regions tell each other, from `proto/keystead/region/v1`.

const INCLUDE: &str = "../../proto";

/// Messages with secrets in them; `admin` says how they are shown.
const SECRET: [&str; 4] = [
    "keystead.admin.v1.CreateAccountResponse",
    "keystead.admin.v1.IssueNodeCertificateResponse",
    "keystead.admin.v1.ServiceKey",
    "keystead.admin.v1.RootAccessKey",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed={INCLUDE}/keystead/admin");
    for folder in ["region", "state"] {
        println!("cargo:rerun-if-changed={INCLUDE}/keystead/{folder}");
    }
    println!("cargo:rerun-if-changed=build.rs");
    let files = ["keystead/admin/v1/admin.proto", "keystead/region/v1/region.proto"];
    let descriptors = protox::compile(files, [INCLUDE])?;
    tonic_prost_build::configure()
        .build_transport(false)
        .btree_map(".")
        .skip_debug(SECRET)
        .extern_path(".keystead.state.v1", "::keystead_state::proto")
        .compile_fds(descriptors)?;
    Ok(())
}
