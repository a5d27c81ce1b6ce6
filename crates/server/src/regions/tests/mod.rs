//! Two regions of one process, and what can happen to what they say on its way.

mod faults;
mod forgeries;
mod secrecy;
mod world;
