//! Generates the messages, the server and the client of the admin API from
//! `proto/keystead/admin/v1`.

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
    println!("cargo:rerun-if-changed=build.rs");
    let descriptors = protox::compile(["keystead/admin/v1/admin.proto"], [INCLUDE])?;
    tonic_prost_build::configure()
        .build_transport(false)
        .btree_map(".")
        .skip_debug(SECRET)
        .compile_fds(descriptors)?;
    Ok(())
}
