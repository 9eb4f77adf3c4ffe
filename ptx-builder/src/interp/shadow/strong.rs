//! Accesses that need no order among themselves.

use std::num::NonZeroU8;

use crate::table::{Memory, Scope};
use crate::types::ScalarType;

/// A strong access: among which threads, and the size of its operations. A byte, as there is one in every mark.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::interp) struct Strong(NonZeroU8);

const SCOPES: [Scope; 4] = [Scope::Cta, Scope::Cluster, Scope::Gpu, Scope::Sys];

impl Strong {
    /// Operations of `bytes` bytes, a power of two up to 16.
    pub fn new(scope: Scope, bytes: u32) -> Strong {
        let scope = SCOPES.iter().position(|&s| s == scope).unwrap_or(0) as u8;
        Strong(NonZeroU8::MIN.saturating_add(scope << 3 | bytes.trailing_zeros() as u8))
    }

    /// An access as the memory model takes it: an operation for each element of a vector, and for each of two packed
    /// numbers (PTX ISA 8.2.2, 8.2.3).
    pub fn of(memory: &Memory, scope: Scope) -> Strong {
        let packed = matches!(
            memory.ty,
            ScalarType::F16x2 | ScalarType::Bf16x2 | ScalarType::F32x2 | ScalarType::U16x2 | ScalarType::S16x2
        );
        Strong::new(scope, memory.ty.bytes() >> u32::from(packed))
    }

    pub fn scope(self) -> Scope {
        SCOPES[usize::from(self.0.get() - 1) >> 3]
    }

    /// Bytes of each operation.
    pub fn bytes(self) -> u32 {
        1 << ((self.0.get() - 1) & 7)
    }

    /// Whether two that meet need no order, if their scopes include both threads: where they overlap only in part, they do (PTX ISA 8.7.1).
    /// Addresses are multiples of sizes, so equal sizes do not.
    pub fn agrees(self, other: Strong) -> bool {
        self.bytes() == other.bytes()
    }
}

/// Whether both are strong and agree.
pub(super) fn both(a: Option<Strong>, b: Option<Strong>) -> bool {
    matches!((a, b), (Some(a), Some(b)) if a.agrees(b))
}

#[test]
fn scopes_and_sizes_are_kept() {
    let sizes = [1, 2, 4, 8, 16];
    let all = || SCOPES.into_iter().flat_map(|scope| sizes.map(|bytes| (scope, bytes)));
    for (scope, bytes) in all() {
        let strong = Strong::new(scope, bytes);
        assert_eq!((strong.scope(), strong.bytes()), (scope, bytes));
        for (other, size) in all() {
            assert_eq!(strong.agrees(Strong::new(other, size)), bytes == size);
        }
    }
    assert_eq!(size_of::<Option<Strong>>(), 1);
}
