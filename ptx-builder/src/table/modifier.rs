//! Modifiers: everything after an opcode.

use std::fmt;

use smallvec::SmallVec;

use crate::types::ScalarType;

/// A form's modifiers in writing order.
pub type Mods = SmallVec<[Mod; 8]>;

macro_rules! mods {
    ($($name:ident = $text:literal),* $(,)?) => {
        /// A modifier, as written after a dot.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
        #[allow(missing_docs)] // the PTX ISA documents each at its instruction
        #[non_exhaustive]
        pub enum Mod {
            /// A type.
            Ty(ScalarType),
            $($name),*
        }

        impl Mod {
            /// As written in PTX, without the dot.
            pub const fn text(self) -> &'static str {
                match self { Mod::Ty(ty) => ty.name(), $(Mod::$name => $text),* }
            }
        }
    };
}

mods! {
    // Rounding and floating-point behaviour.
    Rn = "rn", Rz = "rz", Rm = "rm", Rp = "rp",
    Rna = "rna", Rs = "rs", Rni = "rni", Rzi = "rzi", Rmi = "rmi", Rpi = "rpi",
    Ftz = "ftz", Sat = "sat", Satfinite = "satfinite", Relu = "relu", Nan = "NaN", Approx = "approx", Full = "full", Oob = "oob",
    Xorsign = "xorsign", Abs = "abs",
    Finite = "finite", Infinite = "infinite", Number = "number", NotANumber = "notanumber",
    Normal = "normal", Subnormal = "subnormal",
    // Integer arithmetic.
    Po = "po", Shr7 = "shr7", Shr15 = "shr15", Cc = "cc", Lo = "lo", Hi = "hi", Wide = "wide", Shiftamt = "shiftamt",
    L = "l", R = "r", Clamp = "clamp", Wrap = "wrap",
    F4e = "f4e", B4e = "b4e", Rc8 = "rc8", Ecl = "ecl", Ecr = "ecr", Rc16 = "rc16",
    // Comparison.
    Eq = "eq", Ne = "ne", Lt = "lt", Le = "le", Gt = "gt", Ge = "ge",
    LoCmp = "lo", Ls = "ls", HiCmp = "hi", Hs = "hs",
    Equ = "equ", Neu = "neu", Ltu = "ltu", Leu = "leu", Gtu = "gtu", Geu = "geu", Num = "num", IsNan = "nan",
    And = "and", Or = "or", Xor = "xor",
    // State spaces.
    Param = "param", Global = "global", Shared = "shared", Local = "local", Const = "const",
    SharedCta = "shared::cta", SharedCluster = "shared::cluster", To = "to",
    // Memory behaviour.
    V2 = "v2", V4 = "v4", Texref = "texref", Samplerref = "samplerref", Surfref = "surfref", Nc = "nc", Volatile = "volatile", Weak = "weak",
    Relaxed = "relaxed", Acquire = "acquire", Release = "release", AcqRel = "acq_rel", Sc = "sc",
    ScopeCta = "cta", ScopeCluster = "cluster", ScopeGpu = "gpu", ScopeSys = "sys", Gl = "gl",
    Ca = "ca", Cg = "cg", Cs = "cs", Lu = "lu", Cv = "cv", Wb = "wb", Wt = "wt",
    L1EvictNormal = "L1::evict_normal", L1EvictUnchanged = "L1::evict_unchanged", L1EvictFirst = "L1::evict_first",
    L1EvictLast = "L1::evict_last", L1NoAllocate = "L1::no_allocate",
    L2EvictFirst = "L2::evict_first", L2EvictUnchanged = "L2::evict_unchanged", Mmio = "mmio",
    L2EvictLast = "L2::evict_last", L2EvictNormal = "L2::evict_normal",
    L2P64 = "L2::64B", L2P128 = "L2::128B", L2P256 = "L2::256B",
    L1 = "L1", L2 = "L2",
    // Atomics.
    AtomAdd = "add", AtomMin = "min", AtomMax = "max", Inc = "inc", Dec = "dec", Exch = "exch", Cas = "cas", Noftz = "noftz",
    // The warp and barriers.
    Up = "up", Down = "down", Bfly = "bfly", Idx = "idx", All = "all", Any = "any", Uni = "uni", Ballot = "ballot",
    Sync = "sync", Aligned = "aligned", Popc = "popc",
    // Asynchronous copies.
    Async = "async", Proxy = "proxy", MbarrierCompleteTx = "mbarrier::complete_tx::bytes", BulkGroup = "bulk_group",
    Read = "read", Alias = "alias", Noinc = "noinc", NoComplete = "noComplete", MbarrierInit = "mbarrier_init",
    LaunchDependents = "launch_dependents", Wait = "wait",
    // Matrices.
    M16n8k16 = "m16n8k16", M16n8k32 = "m16n8k32", M8n8k4 = "m8n8k4", M8n8k16 = "m8n8k16", M8n8k32 = "m8n8k32",
    M8n8k128 = "m8n8k128", M16n8k4 = "m16n8k4", M16n8k8 = "m16n8k8", M16n8k64 = "m16n8k64", M16n8k128 = "m16n8k128",
    M16n8k256 = "m16n8k256", M16n16k16 = "m16n16k16", M32n8k16 = "m32n8k16", M8n32k16 = "m8n32k16",
    M16n16k8 = "m16n16k8", XorPopc = "xor.popc", AndPopc = "and.popc",
    E4m3 = "e4m3", E5m2 = "e5m2", E3m2 = "e3m2", E2m3 = "e2m3", E2m1 = "e2m1", S4 = "s4", U4 = "u4", S2 = "s2", U2 = "u2", B1 = "b1",
    Ue8m0 = "ue8m0", Ue4m3 = "ue4m3", KindF8f6f4 = "kind::f8f6f4", KindMxf8f6f4 = "kind::mxf8f6f4",
    KindMxf4 = "kind::mxf4", KindMxf4nvf4 = "kind::mxf4nvf4", BlockScale = "block_scale",
    ScaleVec1X = "scale_vec::1X", ScaleVec2X = "scale_vec::2X", ScaleVec4X = "scale_vec::4X",
    M8n8 = "m8n8", X1 = "x1", X2 = "x2", X4 = "x4", Trans = "trans",
    Row = "row", Col = "col",
}

impl fmt::Display for Mod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}
