//! Generates what prost does not: the shape of every message and enum as tables, and the few
//! lines that connect them with the structs. What is done with the shapes is written by hand in
//! the crate's `value` module.

mod model;
mod render;

use prost_reflect::DescriptorPool;

/// The Rust code for all messages, enums and operations of a package.
///
/// # Errors
/// If the protos use something that the crate does not provide for.
pub fn generate(pool: &DescriptorPool, package: &str) -> Result<String, String> {
    Ok(render::render(&model::Model::read(pool, package)?))
}
