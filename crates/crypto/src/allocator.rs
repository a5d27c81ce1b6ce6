//! A global allocator that erases what is given back.
//!
//! Buffers that once held a plaintext or a credential pass through code that knows nothing of
//! secrets: parsers, HTTP bodies, copies on growth. With this allocator none of them stays behind
//! in free memory. It covers memory that Rust allocates, not that of C and C++ libraries.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::arch::asm;
use std::ptr;

/// The allocator; declare it as `#[global_allocator]` in the binary.
#[derive(Debug, Default, Clone, Copy)]
pub struct ZeroingAllocator<A = System> {
    inner: A,
}

impl ZeroingAllocator {
    /// Over the system's allocator.
    pub const fn new() -> Self {
        Self::over(System)
    }
}

impl<A> ZeroingAllocator<A> {
    /// Over another allocator.
    pub const fn over(inner: A) -> Self {
        Self { inner }
    }
}

// SAFETY: every block comes from and returns to `inner` with the layout it was asked for; blocks
// are written only within their layout and before they are given back.
unsafe impl<A: GlobalAlloc> GlobalAlloc for ZeroingAllocator<A> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promises are passed on.
        unsafe { self.inner.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promises are passed on.
        unsafe { self.inner.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller owns the block of this layout and gives it up.
        unsafe {
            erase(block, layout.size());
            self.inner.dealloc(block, layout);
        }
    }

    /// Never in place: the inner allocator could move the block and leave its old bytes behind.
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: the caller promises that `new_size`, rounded up to the alignment, does not
        // overflow, and that it is not zero; the new block does not overlap the old one.
        unsafe {
            let new = self.alloc(Layout::from_size_align_unchecked(new_size, layout.align()));
            if !new.is_null() {
                ptr::copy_nonoverlapping(block, new, layout.size().min(new_size));
                self.dealloc(block, layout);
            }
            new
        }
    }
}

/// Zeroes a block in a way that is not optimised away.
///
/// # Safety
/// `block` must be valid for writes of `len` bytes.
unsafe fn erase(block: *mut u8, len: usize) {
    // SAFETY: the caller's promise. The empty assembly gets the address and may, for all that the
    // compiler knows, read the block: the zeros must be there.
    unsafe {
        ptr::write_bytes(block, 0, len);
        asm!("/* {0} */", in(reg) block, options(nostack, preserves_flags));
    }
}

#[cfg(test)]
mod tests {
    use std::slice;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Looks at each block before it goes back to the system.
    #[derive(Default)]
    struct Inspector {
        freed: AtomicUsize,
        dirty: AtomicUsize,
    }

    // SAFETY: passes everything on to `System`.
    unsafe impl GlobalAlloc for Inspector {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            // SAFETY: the caller's promises are passed on; zeroed, so that reading is defined.
            unsafe { System.alloc_zeroed(layout) }
        }

        unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
            // SAFETY: the block is still allocated, and was initialised by `alloc`.
            let bytes = unsafe { slice::from_raw_parts(block, layout.size()) };
            self.freed.fetch_add(1, Ordering::Relaxed);
            self.dirty.fetch_add(usize::from(bytes.iter().any(|&b| b != 0)), Ordering::Relaxed);
            // SAFETY: the caller's promises are passed on.
            unsafe { System.dealloc(block, layout) }
        }
    }

    #[test]
    fn freed_and_moved_blocks_are_erased() {
        let allocator = ZeroingAllocator::over(Inspector::default());
        for (size, new_size) in [(1, 2), (24, 4096), (4096, 24), (300_000, 600_000)] {
            let layout = Layout::from_size_align(size, 8).unwrap();
            let new_layout = Layout::from_size_align(new_size, 8).unwrap();
            // SAFETY: blocks are used within their layouts and freed once.
            unsafe {
                let block = allocator.alloc(layout);
                assert!(!block.is_null());
                block.write_bytes(0x5a, size);
                let moved = allocator.realloc(block, layout, new_size);
                assert!(!moved.is_null());
                let kept = slice::from_raw_parts(moved, size.min(new_size));
                assert!(kept.iter().all(|&b| b == 0x5a));
                allocator.dealloc(moved, new_layout);
            }
        }
        assert_eq!(allocator.inner.freed.load(Ordering::Relaxed), 8);
        assert_eq!(allocator.inner.dirty.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn zeroed_blocks_stay_zeroed() {
        let allocator = ZeroingAllocator::new();
        let layout = Layout::from_size_align(1000, 16).unwrap();
        // SAFETY: the block is used within its layout and freed once.
        unsafe {
            let block = allocator.alloc_zeroed(layout);
            assert!(slice::from_raw_parts(block, 1000).iter().all(|&b| b == 0));
            allocator.dealloc(block, layout);
        }
    }
}
