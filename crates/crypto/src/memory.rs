//! Memory for secrets: kept out of swap and core dumps, erased when given back.
//!
//! Secrets are small and many while the limit on locked memory is often 8 MiB, so pages are shared:
//! 64 KiB chunks are mapped and locked once and cut into slots of four sizes. Chunks are kept for
//! the life of the process; their number is bounded by the greatest number of secrets held at once.
#![allow(unsafe_code)]

use std::fmt;
use std::io;
use std::ptr::{self, NonNull};
use std::slice;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mlock, mmap_anonymous};
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
use zeroize::Zeroize;

use crate::CryptoError;

/// Bytes of one chunk.
const CHUNK: usize = 64 * 1024;
/// Sizes of slots; the last one is the largest secret there can be.
const SLOTS: [usize; 4] = [64, 256, 1024, 4096];

static ARENA: Mutex<Arena> = Mutex::new(Arena::new());

/// Bytes in locked memory, erased when dropped.
pub struct LockedBytes {
    start: NonNull<u8>,
    len: usize,
    class: usize,
}

// SAFETY: a slot belongs to one `LockedBytes` alone, and shared access only reads it.
unsafe impl Send for LockedBytes {}
// SAFETY: as above; writing takes `&mut self`.
unsafe impl Sync for LockedBytes {}

impl LockedBytes {
    /// `len` zero bytes, to be filled.
    ///
    /// # Errors
    /// [`CryptoError::Memory`] if `len` is above 4096 or the system has no memory left.
    pub fn zeroed(len: usize) -> Result<Self, CryptoError> {
        let class = SLOTS.iter().position(|&slot| len <= slot).ok_or(CryptoError::Memory)?;
        let start = arena().take(class)?;
        Ok(Self { start, len, class })
    }

    /// A copy of these bytes; whoever has the original erases it.
    ///
    /// # Errors
    /// As [`zeroed`](Self::zeroed).
    pub fn copy_of(bytes: &[u8]) -> Result<Self, CryptoError> {
        let mut copy = Self::zeroed(bytes.len())?;
        copy.expose_mut().copy_from_slice(bytes);
        Ok(copy)
    }

    /// The secret itself. Copies of it are the caller's to erase.
    pub fn expose(&self) -> &[u8] {
        // SAFETY: the slot has at least `len` initialised bytes and is this value's alone.
        unsafe { slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }

    /// The secret itself, to be written.
    pub fn expose_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `expose`, and `&mut self` makes the access exclusive.
        unsafe { slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }
}

impl Drop for LockedBytes {
    fn drop(&mut self) {
        self.expose_mut().zeroize();
        arena().free[self.class].push(Slot(self.start));
    }
}

impl fmt::Debug for LockedBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LockedBytes(..)")
    }
}

/// How much memory there is for secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Bytes set aside for secrets.
    pub mapped_bytes: usize,
    /// Those of them that the system keeps out of swap. Less than `mapped_bytes` means that the
    /// limit on locked memory is too low.
    pub locked_bytes: usize,
}

/// How much memory there is for secrets now, in the whole process.
pub fn usage() -> Usage {
    let arena = arena();
    Usage { mapped_bytes: arena.mapped_bytes, locked_bytes: arena.locked_bytes }
}

/// A protection that this system did not grant. The process can run without it; say so in the log.
#[derive(Debug, thiserror::Error)]
#[error("{what}: {cause}; {remedy}")]
pub struct HardeningFailure {
    what: &'static str,
    remedy: &'static str,
    cause: io::Error,
}

/// Switches core dumps off, forbids other processes of the same user to attach, and tries to lock
/// memory. To be called first thing in `main`. Returns what could not be had.
pub fn harden_process() -> Vec<HardeningFailure> {
    let no_core = Rlimit { current: Some(0), maximum: Some(0) };
    let probe = Chunk::map().map(|chunk| arena().add(0, chunk));
    let locking = match probe {
        Ok(None) => Ok(()),
        Ok(Some(error)) => Err(error),
        Err(error) => Err(error),
    };
    let attempts = [
        (
            "core dumps cannot be disabled",
            "set the core file size limit of the service to 0",
            setrlimit(Resource::Core, no_core).map_err(io::Error::from),
        ),
        (
            "the process cannot be protected from debuggers",
            "run on a kernel that supports PR_SET_DUMPABLE",
            set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(io::Error::from),
        ),
        (
            "memory for secrets cannot be locked and may be swapped to disk",
            "raise the limit on locked memory (LimitMEMLOCK, ulimit -l) or switch swap off",
            locking,
        ),
    ];
    let failures = attempts.into_iter().filter_map(|(what, remedy, result)| {
        result.err().map(|cause| HardeningFailure { what, remedy, cause })
    });
    failures.collect()
}

/// The free slots of every size.
struct Arena {
    free: [Vec<Slot>; SLOTS.len()],
    mapped_bytes: usize,
    locked_bytes: usize,
}

/// The start of a slot that nobody owns and that holds only zeros.
struct Slot(NonNull<u8>);

// SAFETY: an address without an owner; whoever takes it out of the arena is the only one to use it.
unsafe impl Send for Slot {}

fn arena() -> MutexGuard<'static, Arena> {
    // Nothing under the lock leaves the arena half-changed.
    ARENA.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Arena {
    const fn new() -> Self {
        Self { free: [const { Vec::new() }; SLOTS.len()], mapped_bytes: 0, locked_bytes: 0 }
    }

    fn take(&mut self, class: usize) -> Result<NonNull<u8>, CryptoError> {
        if self.free[class].is_empty() {
            let chunk = Chunk::map().map_err(|_| CryptoError::Memory)?;
            // An unlocked chunk still serves; `usage` tells.
            self.add(class, chunk);
        }
        self.free[class].pop().map(|slot| slot.0).ok_or(CryptoError::Memory)
    }

    /// Cuts a chunk into slots; returns why it could not be locked, if so.
    fn add(&mut self, class: usize, chunk: Chunk) -> Option<io::Error> {
        self.mapped_bytes += CHUNK;
        if chunk.lock_failure.is_none() {
            self.locked_bytes += CHUNK;
        }
        // Slots are taken from the end: the lowest address first.
        for offset in (0..CHUNK).step_by(SLOTS[class]).rev() {
            // SAFETY: `offset` is below `CHUNK`, the length of the mapping.
            self.free[class].push(Slot(unsafe { chunk.start.add(offset) }));
        }
        chunk.lock_failure
    }
}

/// A fresh mapping of `CHUNK` zero bytes, which is never unmapped.
struct Chunk {
    start: NonNull<u8>,
    lock_failure: Option<io::Error>,
}

impl Chunk {
    fn map() -> io::Result<Self> {
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: an anonymous private mapping at an address of the kernel's choice overlaps
        // nothing that exists.
        let start =
            unsafe { mmap_anonymous(ptr::null_mut(), CHUNK, protection, MapFlags::PRIVATE)? };
        // SAFETY: the range is the mapping just made. The advice changes what a core dump holds
        // and nothing else; without it the dump is still forbidden by `harden_process`.
        let _ = unsafe { madvise(start, CHUNK, Advice::LinuxDontDump) };
        // SAFETY: the range is the mapping just made.
        let lock_failure = unsafe { mlock(start, CHUNK) }.err().map(io::Error::from);
        let start = NonNull::new(start.cast()).ok_or_else(|| io::Error::other("null mapping"))?;
        Ok(Self { start, lock_failure })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_disjoint_and_erased_between_owners() {
        // Nothing but dropping erases a slot, and the lengths share sizes of slots.
        for len in [0, 1, 64, 65, 1000, 4096] {
            let mut held: Vec<LockedBytes> = (0..100u8)
                .map(|i| {
                    let mut bytes = LockedBytes::zeroed(len).unwrap();
                    assert!(bytes.expose().iter().all(|&byte| byte == 0));
                    bytes.expose_mut().fill(i + 1);
                    bytes
                })
                .collect();
            held.reverse();
            for (bytes, i) in held.iter().zip((0..100u8).rev()) {
                assert_eq!(bytes.expose().len(), len);
                assert!(bytes.expose().iter().all(|&byte| byte == i + 1));
            }
        }
        let usage = usage();
        assert!(usage.mapped_bytes >= 4 * CHUNK && usage.locked_bytes <= usage.mapped_bytes);
    }

    #[test]
    fn too_large_a_secret_is_refused() {
        assert_eq!(LockedBytes::zeroed(4097).unwrap_err(), CryptoError::Memory);
    }

    #[test]
    fn debug_shows_no_byte() {
        assert_eq!(format!("{:?}", LockedBytes::zeroed(3).unwrap()), "LockedBytes(..)");
    }

    #[test]
    fn a_hardened_process_neither_dumps_nor_can_be_dumped() {
        for failure in harden_process() {
            assert!(failure.to_string().contains("locked memory"), "{failure}");
        }
        let limit = rustix::process::getrlimit(Resource::Core);
        assert_eq!((limit.current, limit.maximum), (Some(0), Some(0)));
        let dumpable = rustix::process::dumpable_behavior().unwrap();
        assert_eq!(dumpable, DumpableBehavior::NotDumpable);
    }
}
