//! The stores behind [`crate::seams::Store`].

mod memory;
mod rewrite;
mod rocks;
#[cfg(any(test, feature = "testkit"))]
mod sim;

pub use memory::MemStore;
pub use rocks::{OpenError, RocksStore};
#[cfg(any(test, feature = "testkit"))]
pub use sim::SimStore;
