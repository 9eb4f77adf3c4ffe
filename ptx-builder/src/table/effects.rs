//! The effects of a form on memory and other lanes, derived from its meaning.

use super::{Async, Barrier, Fence, Form, Matrix, Meaning, Memory, Order, Scope, Shape, Vote};
use crate::types::{ScalarType, Space};

/// The number of bytes of an access.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Bytes {
    /// A constant.
    Fixed(u32),
    /// The value of this operand.
    Operand(&'static str),
}

/// The path of an access.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Proxy {
    /// The thread's own path, ordered by its fences.
    Generic,
    /// That of read-only data (`.nc`).
    ReadOnly,
    /// That of the asynchronous engines, complete only when they signal it.
    Async,
}

/// An access to memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MemoryAccess {
    /// The operand with the address.
    pub slot: &'static str,
    /// The space.
    pub space: Space,
    /// The size.
    pub bytes: Bytes,
    /// The required alignment; `None`: the number of accessed bytes.
    pub align: Option<u32>,
    /// Whether it reads.
    pub reads: bool,
    /// Whether it writes.
    pub writes: bool,
    /// Its ordering.
    pub order: Order,
    /// The scope of its ordering.
    pub scope: Scope,
    /// Its path.
    pub proxy: Proxy,
}

/// The lanes that must converge at an instruction.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
#[non_exhaustive]
pub enum Meets {
    /// None except the lane itself.
    Alone,
    /// Those of a mask that it names.
    Mask,
    /// All lanes of the warp that have not exited.
    Warp,
    /// The block, or the number of its threads that it names.
    Block,
    /// The cluster.
    Cluster,
}

/// A kind of asynchronous copies that are committed and waited for together.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Groups {
    /// Those of `cp.async`.
    Lanes,
    /// Those of `cp.async.bulk`.
    Bulk,
}

/// The role of an instruction for groups of copies.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Role {
    /// It starts a copy that is in no group yet.
    Copies,
    /// It makes those copies a group, or waits for them itself.
    Commits,
    /// It waits for groups.
    Waits,
}

impl Form {
    /// Its role for groups of asynchronous copies, if any.
    pub fn grouping(&self) -> Option<(Groups, Role)> {
        let Meaning::Async(kind) = self.meaning else { return None };
        match kind {
            Async::Copy => Some((Groups::Lanes, Role::Copies)),
            Async::Commit | Async::WaitAll | Async::CopyArrive { .. } => Some((Groups::Lanes, Role::Commits)),
            Async::WaitGroup => Some((Groups::Lanes, Role::Waits)),
            Async::BulkStore => Some((Groups::Bulk, Role::Copies)),
            Async::BulkCommit => Some((Groups::Bulk, Role::Commits)),
            Async::BulkWait { .. } => Some((Groups::Bulk, Role::Waits)),
            Async::BulkLoad
            | Async::BulkPrefetch
            | Async::MbarrierInit
            | Async::MbarrierInval
            | Async::MbarrierArrive { .. }
            | Async::MbarrierExpectTx
            | Async::MbarrierCompleteTx
            | Async::MbarrierWait { .. } => None,
        }
    }

    /// Every memory access that it makes.
    pub fn accesses(&self) -> Vec<MemoryAccess> {
        let whole = |m: &Memory, reads, writes| {
            let proxy = if m.read_only { Proxy::ReadOnly } else { Proxy::Generic };
            let bytes = Bytes::Fixed(m.bytes());
            let access = |slot, space| {
                let (order, scope) = (m.order, m.scope);
                MemoryAccess { slot, space, bytes, align: None, reads, writes, order, scope, proxy }
            };
            self.addresses().map(|(slot, space)| access(slot, space)).collect()
        };
        let copy = |bytes, align, writes_destination: bool| {
            let access = |(slot, space): (&'static str, Space)| {
                let writes = slot == "dst" && writes_destination || slot == "mbar";
                let reads = slot != "dst";
                let (order, scope) = (Order::Weak, Scope::Cta);
                let (bytes, align, proxy) = match slot {
                    "mbar" => (Bytes::Fixed(8), Some(8), Proxy::Generic),
                    _ => (bytes, align, Proxy::Async),
                };
                MemoryAccess { slot, space, bytes, align, reads, writes, order, scope, proxy }
            };
            self.addresses().map(access).collect()
        };
        let object = |reads, writes| {
            let access = |(slot, space)| MemoryAccess {
                slot,
                space,
                bytes: Bytes::Fixed(8),
                align: Some(8),
                reads,
                writes,
                order: Order::AcqRel,
                scope: Scope::Cta,
                proxy: Proxy::Generic,
            };
            self.addresses().map(access).collect()
        };
        let plain = |bytes, align, reads| {
            let (order, scope, proxy) = (Order::Weak, Scope::Cta, Proxy::Generic);
            let access =
                |(slot, space)| MemoryAccess { slot, space, bytes, align, reads, writes: true, order, scope, proxy };
            self.addresses().map(access).collect()
        };
        match &self.meaning {
            Meaning::Load(m) => whole(m, true, false),
            Meaning::Store(m) => whole(m, false, true),
            Meaning::Atomic(m, _) => whole(m, true, true),
            Meaning::Discard(_) => plain(Bytes::Fixed(128), Some(128), false),
            // Every device's memory at a multicast address.
            Meaning::Foreign => plain(Bytes::Fixed(self.last_type().map_or(16, ScalarType::bytes)), None, true),
            Meaning::Async(Async::Copy) => copy(Bytes::Operand("cp-size"), None, true),
            Meaning::Async(Async::BulkLoad | Async::BulkStore) => copy(Bytes::Operand("size"), Some(16), true),
            Meaning::Async(Async::BulkPrefetch) => copy(Bytes::Operand("size"), Some(16), false),
            Meaning::Async(Async::MbarrierInit | Async::MbarrierInval) => object(false, true),
            Meaning::Async(
                Async::CopyArrive { .. }
                | Async::MbarrierArrive { .. }
                | Async::MbarrierExpectTx
                | Async::MbarrierCompleteTx
                | Async::MbarrierWait { .. },
            ) => object(true, true),
            Meaning::Matrix(
                matrix @ (Matrix::Load { .. }
                | Matrix::Store { .. }
                | Matrix::LoadFragment(_)
                | Matrix::StoreFragment(_)),
            ) => {
                let writes = matches!(matrix, Matrix::Store { .. } | Matrix::StoreFragment(_));
                // Rows of fragments have a distance that an operand says: these are the first bytes.
                let bytes = match matrix {
                    Matrix::LoadFragment(f) | Matrix::StoreFragment(f) => f.first_bytes(),
                    _ => 16,
                };
                let access = |(slot, space)| MemoryAccess {
                    slot,
                    space,
                    bytes: Bytes::Fixed(bytes),
                    align: Some(bytes),
                    reads: !writes,
                    writes,
                    order: Order::Weak,
                    scope: Scope::Cta,
                    proxy: Proxy::Generic,
                };
                self.addresses().map(access).collect()
            }
            Meaning::Async(
                Async::Commit | Async::WaitGroup | Async::WaitAll | Async::BulkCommit | Async::BulkWait { .. },
            )
            | Meaning::Lane(_)
            | Meaning::Approx(..)
            | Meaning::Prefetch(_)
            | Meaning::Shuffle(_)
            | Meaning::Vote(_)
            | Meaning::ActiveMask
            | Meaning::Barrier(_)
            | Meaning::Fence(_)
            | Meaning::Matrix(
                Matrix::FloatMma { .. }
                | Matrix::IntMma { .. }
                | Matrix::Product(_)
                | Matrix::Transpose
                | Matrix::Foreign,
            )
            | Meaning::Call
            | Meaning::Opaque { .. }
            | Meaning::Branch
            | Meaning::Exit
            | Meaning::Trap
            | Meaning::Pause => Vec::new(),
        }
    }

    /// The access of a load, a store or an atomic, whose size is that of its type.
    pub fn memory(&self) -> Option<&Memory> {
        match &self.meaning {
            Meaning::Load(m) | Meaning::Store(m) | Meaning::Atomic(m, _) => Some(m),
            Meaning::Lane(_)
            | Meaning::Approx(..)
            | Meaning::Prefetch(_)
            | Meaning::Discard(_)
            | Meaning::Shuffle(_)
            | Meaning::Vote(_)
            | Meaning::ActiveMask
            | Meaning::Barrier(_)
            | Meaning::Fence(_)
            | Meaning::Async(_)
            | Meaning::Matrix(_)
            | Meaning::Call
            | Meaning::Foreign
            | Meaning::Opaque { .. }
            | Meaning::Branch
            | Meaning::Exit
            | Meaning::Trap
            | Meaning::Pause => None,
        }
    }

    /// The operands that are addresses, and their spaces.
    fn addresses(&self) -> impl Iterator<Item = (&'static str, Space)> {
        self.slots.iter().filter_map(|s| if let Shape::Address(space) = s.shape { Some((s.name, space)) } else { None })
    }

    /// The lanes that must converge at it.
    pub fn meets(&self) -> Meets {
        match &self.meaning {
            Meaning::Shuffle(_) => Meets::Mask,
            Meaning::Vote(
                Vote::All
                | Vote::Any
                | Vote::Uni
                | Vote::Ballot
                | Vote::MatchAny
                | Vote::MatchAll
                | Vote::Redux(_)
                | Vote::Elect,
            )
            | Meaning::Barrier(Barrier::Warp) => Meets::Mask,
            Meaning::Matrix(_) | Meaning::Opaque { aligned: true, .. } => Meets::Warp,
            Meaning::Barrier(Barrier::Sync { .. } | Barrier::Arrive { .. } | Barrier::Reduce { .. }) => Meets::Block,
            Meaning::Barrier(Barrier::ClusterArrive | Barrier::ClusterWait) => Meets::Cluster,
            Meaning::Lane(_)
            | Meaning::Approx(..)
            | Meaning::Load(_)
            | Meaning::Store(_)
            | Meaning::Atomic(..)
            | Meaning::Prefetch(_)
            | Meaning::Discard(_)
            | Meaning::ActiveMask
            | Meaning::Fence(_)
            | Meaning::Async(_)
            | Meaning::Call
            | Meaning::Foreign
            | Meaning::Opaque { .. }
            | Meaning::Branch
            | Meaning::Exit
            | Meaning::Trap
            | Meaning::Pause => Meets::Alone,
        }
    }

    /// Whether it waits for others: those that [must converge](Form::meets), but not if it only arrives.
    pub fn waits(&self) -> bool {
        match &self.meaning {
            Meaning::Barrier(Barrier::Arrive { .. } | Barrier::ClusterArrive) => false,
            Meaning::Barrier(Barrier::Sync { .. } | Barrier::Reduce { .. } | Barrier::Warp | Barrier::ClusterWait)
            | Meaning::Shuffle(_)
            | Meaning::Vote(_)
            | Meaning::Matrix(_)
            | Meaning::Opaque { aligned: true, .. } => true,
            Meaning::Lane(_)
            | Meaning::Approx(..)
            | Meaning::Load(_)
            | Meaning::Store(_)
            | Meaning::Atomic(..)
            | Meaning::Prefetch(_)
            | Meaning::Discard(_)
            | Meaning::ActiveMask
            | Meaning::Fence(_)
            | Meaning::Async(_)
            | Meaning::Call
            | Meaning::Foreign
            | Meaning::Opaque { .. }
            | Meaning::Branch
            | Meaning::Exit
            | Meaning::Trap
            | Meaning::Pause => false,
        }
    }

    /// Whether all lanes of a warp must converge at it, in addition to those for which it waits (`.aligned`).
    pub fn is_aligned(&self) -> bool {
        match &self.meaning {
            Meaning::Barrier(
                Barrier::Sync { aligned } | Barrier::Arrive { aligned } | Barrier::Reduce { aligned, .. },
            ) => *aligned,
            Meaning::Matrix(_) => true,
            Meaning::Opaque { aligned, .. } => *aligned,
            Meaning::Barrier(Barrier::ClusterArrive | Barrier::ClusterWait) => self.mods.contains(&super::Mod::Aligned),
            Meaning::Barrier(Barrier::Warp)
            | Meaning::Lane(_)
            | Meaning::Approx(..)
            | Meaning::Load(_)
            | Meaning::Store(_)
            | Meaning::Atomic(..)
            | Meaning::Prefetch(_)
            | Meaning::Discard(_)
            | Meaning::Shuffle(_)
            | Meaning::Vote(_)
            | Meaning::ActiveMask
            | Meaning::Fence(_)
            | Meaning::Async(_)
            | Meaning::Call
            | Meaning::Foreign
            | Meaning::Branch
            | Meaning::Exit
            | Meaning::Trap
            | Meaning::Pause => false,
        }
    }

    /// The scope in which it orders the thread's memory accesses, if it does: `shfl`, `vote` and `match` order none.
    pub fn orders(&self) -> Option<Scope> {
        let access = |m: &Memory| match m.order {
            Order::Weak | Order::Volatile | Order::Relaxed => None,
            Order::Acquire | Order::Release | Order::AcqRel => Some(m.scope),
        };
        match &self.meaning {
            Meaning::Load(m) | Meaning::Store(m) | Meaning::Atomic(m, _) => access(m),
            Meaning::Barrier(
                Barrier::Warp | Barrier::Sync { .. } | Barrier::Arrive { .. } | Barrier::Reduce { .. },
            ) => Some(Scope::Cta),
            Meaning::Barrier(Barrier::ClusterArrive) if self.mods.contains(&super::Mod::Relaxed) => None,
            Meaning::Barrier(Barrier::ClusterArrive | Barrier::ClusterWait) => Some(Scope::Cluster),
            Meaning::Fence(Fence::Thread(scope)) => Some(*scope),
            Meaning::Fence(Fence::Proxy) => Some(Scope::Cta),
            Meaning::Fence(Fence::MbarrierInit) => Some(Scope::Cluster),
            Meaning::Async(Async::MbarrierArrive { .. } | Async::MbarrierWait { .. }) => {
                if self.mods.contains(&super::Mod::Relaxed) { None } else { Some(Scope::Cta) }
            }
            Meaning::Async(
                Async::Copy
                | Async::Commit
                | Async::WaitGroup
                | Async::WaitAll
                | Async::CopyArrive { .. }
                | Async::BulkLoad
                | Async::BulkStore
                | Async::BulkPrefetch
                | Async::BulkCommit
                | Async::BulkWait { .. }
                | Async::MbarrierInit
                | Async::MbarrierInval
                | Async::MbarrierExpectTx
                | Async::MbarrierCompleteTx,
            )
            | Meaning::Lane(_)
            | Meaning::Approx(..)
            | Meaning::Prefetch(_)
            | Meaning::Discard(_)
            | Meaning::Shuffle(_)
            | Meaning::Vote(_)
            | Meaning::ActiveMask
            | Meaning::Matrix(_)
            | Meaning::Call
            | Meaning::Foreign
            | Meaning::Opaque { .. }
            | Meaning::Branch
            | Meaning::Exit
            | Meaning::Trap
            | Meaning::Pause => None,
        }
    }
}
