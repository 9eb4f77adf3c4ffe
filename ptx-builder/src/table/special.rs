//! Special registers (PTX ISA 10).

use std::fmt;

use crate::target::PtxVersion;
use crate::types::{Kind, ScalarType};

macro_rules! specials {
    ($($name:ident = $text:literal : $ty:ident),* $(,)?) => {
        /// A predefined, read-only register.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
        #[allow(missing_docs)] // PTX ISA 10 documents each
        #[non_exhaustive]
        pub enum SpecialReg { $($name),* }

        impl SpecialReg {
            /// Every special register of the table.
            pub const ALL: &[SpecialReg] = &[$(SpecialReg::$name),*];

            /// As written in PTX, with the percent sign.
            pub const fn text(self) -> &'static str {
                match self { $(SpecialReg::$name => $text),* }
            }

            /// Its type.
            pub const fn ty(self) -> ScalarType {
                match self { $(SpecialReg::$name => ScalarType::$ty),* }
            }
        }
    };
}

specials! {
    TidX = "%tid.x": U32, TidY = "%tid.y": U32, TidZ = "%tid.z": U32,
    NtidX = "%ntid.x": U32, NtidY = "%ntid.y": U32, NtidZ = "%ntid.z": U32,
    CtaidX = "%ctaid.x": U32, CtaidY = "%ctaid.y": U32, CtaidZ = "%ctaid.z": U32,
    NctaidX = "%nctaid.x": U32, NctaidY = "%nctaid.y": U32, NctaidZ = "%nctaid.z": U32,
    Laneid = "%laneid": U32, Warpid = "%warpid": U32, Nwarpid = "%nwarpid": U32,
    Smid = "%smid": U32, Nsmid = "%nsmid": U32, Gridid = "%gridid": U64,
    LanemaskEq = "%lanemask_eq": U32, LanemaskLe = "%lanemask_le": U32, LanemaskLt = "%lanemask_lt": U32,
    LanemaskGe = "%lanemask_ge": U32, LanemaskGt = "%lanemask_gt": U32,
    Clock = "%clock": U32, ClockHi = "%clock_hi": U32, Clock64 = "%clock64": U64,
    Globaltimer = "%globaltimer": U64, GlobaltimerLo = "%globaltimer_lo": U32, GlobaltimerHi = "%globaltimer_hi": U32,
    TotalSmemSize = "%total_smem_size": U32, DynamicSmemSize = "%dynamic_smem_size": U32,
    ClusteridX = "%clusterid.x": U32, NclusteridX = "%nclusterid.x": U32,
    ClusterCtaidX = "%cluster_ctaid.x": U32, ClusterNctaidX = "%cluster_nctaid.x": U32,
    ClusteridY = "%clusterid.y": U32, NclusteridY = "%nclusterid.y": U32,
    ClusterCtaidY = "%cluster_ctaid.y": U32, ClusterNctaidY = "%cluster_nctaid.y": U32,
    ClusteridZ = "%clusterid.z": U32, NclusteridZ = "%nclusterid.z": U32,
    ClusterCtaidZ = "%cluster_ctaid.z": U32, ClusterNctaidZ = "%cluster_nctaid.z": U32,
    Envreg0 = "%envreg0": U32, Envreg1 = "%envreg1": U32, Envreg2 = "%envreg2": U32, Envreg3 = "%envreg3": U32,
    Envreg4 = "%envreg4": U32, Envreg5 = "%envreg5": U32, Envreg6 = "%envreg6": U32, Envreg7 = "%envreg7": U32,
    Envreg8 = "%envreg8": U32, Envreg9 = "%envreg9": U32, Envreg10 = "%envreg10": U32, Envreg11 = "%envreg11": U32,
    Envreg12 = "%envreg12": U32, Envreg13 = "%envreg13": U32, Envreg14 = "%envreg14": U32, Envreg15 = "%envreg15": U32,
    Envreg16 = "%envreg16": U32, Envreg17 = "%envreg17": U32, Envreg18 = "%envreg18": U32, Envreg19 = "%envreg19": U32,
    Envreg20 = "%envreg20": U32, Envreg21 = "%envreg21": U32, Envreg22 = "%envreg22": U32, Envreg23 = "%envreg23": U32,
    Envreg24 = "%envreg24": U32, Envreg25 = "%envreg25": U32, Envreg26 = "%envreg26": U32, Envreg27 = "%envreg27": U32,
    Envreg28 = "%envreg28": U32, Envreg29 = "%envreg29": U32, Envreg30 = "%envreg30": U32, Envreg31 = "%envreg31": U32,
    Pm0 = "%pm0": U32, Pm0At64 = "%pm0_64": U64,
    Pm1 = "%pm1": U32, Pm1At64 = "%pm1_64": U64,
    Pm2 = "%pm2": U32, Pm2At64 = "%pm2_64": U64,
    Pm3 = "%pm3": U32, Pm3At64 = "%pm3_64": U64,
    Pm4 = "%pm4": U32, Pm4At64 = "%pm4_64": U64,
    Pm5 = "%pm5": U32, Pm5At64 = "%pm5_64": U64,
    Pm6 = "%pm6": U32, Pm6At64 = "%pm6_64": U64,
    Pm7 = "%pm7": U32, Pm7At64 = "%pm7_64": U64,
    AggrSmemSize = "%aggr_smem_size": U32,
    CurrentGraphExec = "%current_graph_exec": U64, IsExplicitCluster = "%is_explicit_cluster": Pred,
    ClusterCtarank = "%cluster_ctarank": U32, ClusterNctarank = "%cluster_nctarank": U32,
}

impl SpecialReg {
    /// The special register with this name.
    pub fn from_text(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|r| r.text() == text)
    }

    /// Whether `mov` accepts it with this type: an integer of its size, or of the size that it had in early versions of
    /// PTX.
    pub fn moves_as(self, ty: ScalarType) -> bool {
        use SpecialReg::*;
        let once = match self {
            TidX | TidY | TidZ | NtidX | NtidY | NtidZ | CtaidX | CtaidY | CtaidZ | NctaidX | NctaidY | NctaidZ => {
                &[16][..]
            }
            Gridid => &[16, 32],
            _ => &[],
        };
        let integer = !matches!(ty.kind(), Kind::Float | Kind::Pred);
        if self.ty() == ScalarType::Pred {
            return ty == ScalarType::Pred;
        }
        integer && (ty.bits() == self.ty().bits() || once.contains(&ty.bits()))
    }

    /// Whether a thread that reads it twice gets the same value: not for clocks, and not for the position of a thread
    /// that may be moved (PTX ISA 10.4).
    pub fn is_stable(self) -> bool {
        use SpecialReg::*;
        !matches!(self, Clock | ClockHi | Clock64 | Globaltimer | GlobaltimerLo | GlobaltimerHi | Warpid | Smid)
            && !self.is_counter()
    }

    /// Whether it is one of the counters of a profiler, which here count nothing.
    const fn is_counter(self) -> bool {
        self.text().as_bytes()[1] == b'p'
    }

    /// Whether it belongs to the block's cluster.
    const fn is_of_cluster(self) -> bool {
        use SpecialReg::*;
        matches!(
            self,
            ClusteridX
                | ClusteridY
                | ClusteridZ
                | NclusteridX
                | NclusteridY
                | NclusteridZ
                | ClusterCtaidX
                | ClusterCtaidY
                | ClusterCtaidZ
                | ClusterNctaidX
                | ClusterNctaidY
                | ClusterNctaidZ
                | ClusterCtarank
                | ClusterNctarank
        )
    }

    /// The first PTX version with it.
    pub const fn least_ptx(self) -> PtxVersion {
        use SpecialReg::*;
        PtxVersion(match self {
            _ if self.is_of_cluster() => 78,
            IsExplicitCluster => 78,
            CurrentGraphExec => 80,
            AggrSmemSize => 81,
            Pm0At64 | Pm1At64 | Pm2At64 | Pm3At64 | Pm4At64 | Pm5At64 | Pm6At64 | Pm7At64 => 40,
            Pm4 | Pm5 | Pm6 | Pm7 => 30,
            Gridid => 30,
            Globaltimer | GlobaltimerLo | GlobaltimerHi => 31,
            TotalSmemSize | DynamicSmemSize => 41,
            ClockHi => 50,
            _ => 20,
        })
    }

    /// The minimum `sm_` with it.
    pub fn least_sm(self) -> u16 {
        use SpecialReg::*;
        match self {
            _ if self.is_of_cluster() => 90,
            IsExplicitCluster | AggrSmemSize => 90,
            CurrentGraphExec => 50,
            Pm0At64 | Pm1At64 | Pm2At64 | Pm3At64 | Pm4At64 | Pm5At64 | Pm6At64 | Pm7At64 => 50,
            Globaltimer | GlobaltimerLo | GlobaltimerHi => 30,
            _ => 20,
        }
    }
}

impl fmt::Display for SpecialReg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}
