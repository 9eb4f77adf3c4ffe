//! Opcodes.

use std::fmt;

macro_rules! ops {
    ($($name:ident = $text:literal),* $(,)?) => {
        /// An opcode: the fixed head of an instruction's spelling. Where one
        /// spelling takes operands of different shapes (`mov` that copies,
        /// packs or unpacks), each shape is an opcode here.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
        #[allow(missing_docs)] // the table documents each
        #[non_exhaustive]
        pub enum Op { $($name),* }

        impl Op {
            /// As written in PTX.
            pub const fn text(self) -> &'static str {
                match self { $(Op::$name => $text),* }
            }
        }
    };
}

ops! {
    // Integer arithmetic.
    Add = "add", Sub = "sub", Mul = "mul", Mad = "mad", Mul24 = "mul24", Mad24 = "mad24", Sad = "sad",
    Div = "div", Rem = "rem", Abs = "abs", Neg = "neg", Min = "min", Max = "max",
    Popc = "popc", Clz = "clz", Brev = "brev", Bfind = "bfind", Bfe = "bfe", Bfi = "bfi",
    Addc = "addc", Subc = "subc", Madc = "madc", Bmsk = "bmsk", Fns = "fns", Szext = "szext",
    Min3 = "min", Max3 = "max",
    // Video: operations on halves and bytes.
    Vadd2 = "vadd2", Vsub2 = "vsub2", Vavrg2 = "vavrg2", Vabsdiff2 = "vabsdiff2", Vmin2 = "vmin2", Vmax2 = "vmax2",
    Vadd4 = "vadd4", Vsub4 = "vsub4", Vavrg4 = "vavrg4", Vabsdiff4 = "vabsdiff4", Vmin4 = "vmin4", Vmax4 = "vmax4",
    Vset2 = "vset2", Vset4 = "vset4", Vadd = "vadd", Vsub = "vsub", Vabsdiff = "vabsdiff", Vmin = "vmin", Vmax = "vmax",
    Vshl = "vshl", Vshr = "vshr", Vset = "vset", Vmad = "vmad",
    Dp4a = "dp4a", Dp2a = "dp2a",
    // Logic and shifts.
    And = "and", Or = "or", Xor = "xor", Not = "not", Cnot = "cnot", Lop3 = "lop3", Lop3Bool = "lop3",
    Shl = "shl", Shr = "shr", Shf = "shf",
    // Floating point.
    Fma = "fma", Rcp = "rcp", Sqrt = "sqrt", Rsqrt = "rsqrt", Sin = "sin", Cos = "cos",
    Lg2 = "lg2", Ex2 = "ex2", Tanh = "tanh", Copysign = "copysign", Testp = "testp",
    // Comparison and selection.
    Set = "set", Setp = "setp", SetpBool = "setp", Selp = "selp", Slct = "slct",
    // Data movement and conversion.
    Mov = "mov", Pack = "mov", Unpack = "mov", Pack4 = "mov", Unpack4 = "mov", Prmt = "prmt", Cvt = "cvt", CvtPack = "cvt", CvtPackInt = "cvt.pack", Cvta = "cvta",
    Isspacep = "isspacep", Istypep = "istypep",
    Ld = "ld", LdNc = "ld", St = "st", Ldu = "ldu", Mapa = "mapa", Getctarank = "getctarank", Applypriority = "applypriority", Discard = "discard",
    CreatepolicyFractional = "createpolicy.fractional", CreatepolicyCvt = "createpolicy.cvt", CreatepolicyRange = "createpolicy.range",
    Alloca = "alloca", Stacksave = "stacksave", Stackrestore = "stackrestore", Prefetch = "prefetch", Prefetchu = "prefetchu",
    Atom = "atom", Red = "red",
    // Asynchronous copies.
    CpAsync = "cp.async", CpAsyncCommitGroup = "cp.async.commit_group", CpAsyncWaitGroup = "cp.async.wait_group",
    CpAsyncWaitAll = "cp.async.wait_all", CpAsyncMbarrierArrive = "cp.async.mbarrier.arrive",
    CpAsyncBulk = "cp.async.bulk", CpAsyncBulkPrefetch = "cp.async.bulk.prefetch",
    CpAsyncBulkCommitGroup = "cp.async.bulk.commit_group", CpAsyncBulkWaitGroup = "cp.async.bulk.wait_group",
    MbarrierInit = "mbarrier.init", MbarrierInval = "mbarrier.inval", MbarrierArrive = "mbarrier.arrive", MbarrierArriveCount = "mbarrier.arrive",
    MbarrierArriveExpectTx = "mbarrier.arrive.expect_tx", MbarrierExpectTx = "mbarrier.expect_tx",
    MbarrierArriveDrop = "mbarrier.arrive_drop", MbarrierArriveDropCount = "mbarrier.arrive_drop",
    MbarrierArriveDropExpectTx = "mbarrier.arrive_drop.expect_tx", MbarrierCompleteTx = "mbarrier.complete_tx",
    MbarrierPendingCount = "mbarrier.pending_count", MbarrierTestWait = "mbarrier.test_wait", MbarrierTryWait = "mbarrier.try_wait",
    MbarrierTestWaitParity = "mbarrier.test_wait.parity", MbarrierTryWaitParity = "mbarrier.try_wait.parity",
    // The warp.
    ShflSync = "shfl.sync", VoteSync = "vote.sync", MatchSync = "match", ReduxSync = "redux.sync",
    Activemask = "activemask", ElectSync = "elect.sync",
    // Barriers and fences.
    BarSync = "bar.sync", BarArrive = "bar.arrive", BarRed = "bar.red", BarRedCount = "bar.red", BarWarpSync = "bar.warp.sync",
    BarrierSync = "barrier.sync", BarrierArrive = "barrier.arrive", BarrierRed = "barrier.red", BarrierRedCount = "barrier.red",
    BarrierClusterArrive = "barrier.cluster.arrive", BarrierClusterWait = "barrier.cluster.wait",
    Membar = "membar", Fence = "fence",
    // Control and the rest.
    Bra = "bra", Call = "call", Ret = "ret", Exit = "exit", Trap = "trap", Brkpt = "brkpt", Setmaxnreg = "setmaxnreg", Pmevent = "pmevent",
    Nanosleep = "nanosleep", Griddepcontrol = "griddepcontrol",
    // Matrices.
    MmaSync = "mma.sync", MmaSp = "mma.sp.sync", MmaSpOrdered = "mma.sp::ordered_metadata.sync", Movmatrix = "movmatrix.sync",
    WmmaLoadA = "wmma.load.a.sync", WmmaLoadB = "wmma.load.b.sync", WmmaLoadC = "wmma.load.c.sync", WmmaStoreD = "wmma.store.d.sync",
    WmmaMma = "wmma.mma.sync", WmmaMmaXor = "wmma.mma.xor.popc.sync", WmmaMmaAnd = "wmma.mma.and.popc.sync", Ldmatrix = "ldmatrix.sync", Stmatrix = "stmatrix.sync",
    // Text that is no instruction of the table; it is printed instead.
    Opaque = "opaque text",
    // Multicast memory.
    MultimemRed = "multimem.red", MultimemLdReduce = "multimem.ld_reduce", MultimemSt = "multimem.st",
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}
