//! For tests only: real nodes in processes of their own, clients that sign, clients that misbehave,
//! and the checks that `keystead-harness` runs with them.
//!
//! A check drives the program as its users do, over its listeners, and looks at what is left
//! behind: replies, files, system calls, memory. Each is seeded and says what it counted.
#![forbid(unsafe_code)]

pub mod checkers;
pub mod checks;
pub mod client;
pub mod cluster;
pub mod damage;
pub mod grpc;
pub mod history;
pub mod inputs;
pub mod kms;
pub mod mutate;
pub mod needles;
pub mod node;
pub mod process;
pub mod proxy;
mod query;
pub mod sim;
pub mod tls;
pub mod trace;
