//! The meaning of an instruction on a lane.

/// Lanes in a warp.
pub const WARP: usize = 32;

/// One register of a warp: the bits of each lane's value, zero-extended from
/// the value's size. Predicates are 0 or 1.
pub type Lanes = [u64; WARP];

/// Computes the results of an instruction on all 32 lanes, active or not (the interpreter keeps those of active lanes).
/// Vectors are flattened.
pub type LaneFn = fn(results: &mut [Lanes], sources: &[Lanes]);

/// A Rust type in a lane's 64 bits.
pub(super) trait Lane: Copy {
    fn from_lane(bits: u64) -> Self;
    fn to_lane(self) -> u64;
}

macro_rules! int_lane {
    ($($t:ty as $u:ty),*) => {$(
        impl Lane for $t {
            fn from_lane(bits: u64) -> Self { bits as $t }
            fn to_lane(self) -> u64 { self as $u as u64 }
        }
    )*};
}
int_lane!(u8 as u8, u16 as u16, u32 as u32, u64 as u64, i8 as u8, i16 as u16, i32 as u32, i64 as u64);

impl Lane for f32 {
    fn from_lane(bits: u64) -> Self {
        f32::from_bits(bits as u32)
    }
    /// A GPU's NaN result is the canonical one.
    fn to_lane(self) -> u64 {
        u64::from(if self.is_nan() { 0x7fff_ffff } else { self.to_bits() })
    }
}

impl Lane for f64 {
    fn from_lane(bits: u64) -> Self {
        f64::from_bits(bits)
    }
    /// A GPU may keep a NaN's payload here, which the PTX ISA leaves unspecified.
    fn to_lane(self) -> u64 {
        if self.is_nan() { 0x7ff8_0000_0000_0000 } else { self.to_bits() }
    }
}

macro_rules! half_lane {
    ($($t:ty),*) => {$(
        impl Lane for $t {
            fn from_lane(bits: u64) -> Self {
                <$t>::from_bits(bits as u16)
            }
            /// A GPU's NaN result is the canonical one.
            fn to_lane(self) -> u64 {
                u64::from(if self.is_nan() { 0x7fff } else { self.to_bits() })
            }
        }
    )*};
}
half_lane!(half::f16, half::bf16);

impl Lane for bool {
    fn from_lane(bits: u64) -> Self {
        bits & 1 == 1
    }
    fn to_lane(self) -> u64 {
        u64::from(self)
    }
}

/// A [`LaneFn`] from a function of one lane with one result:
/// `lane!(|a: u32, b: u32| -> u32 { a & b })`.
macro_rules! lane {
    (|$($x:ident : $t:ty),*| -> $r:ty $body:block) => {{
        fn eval(results: &mut [$crate::table::Lanes], sources: &[$crate::table::Lanes]) {
            #[allow(unused_imports)]
            use $crate::table::lanes::Lane as _;
            let [$($x,)* ..] = sources else { return };
            let Some(out) = results.first_mut() else { return };
            for lane in 0..$crate::table::WARP {
                $(let $x = <$t as $crate::table::lanes::Lane>::from_lane($x[lane]);)*
                let value: $r = $body;
                out[lane] = $crate::table::lanes::Lane::to_lane(value);
            }
        }
        eval as $crate::table::LaneFn
    }};
}

/// Selects a Rust integer type `$T` for a PTX type (bit types count as unsigned) and evaluates the expression with it.
/// Other types panic: that is an error in the table's rows, which every test shows.
macro_rules! with_int {
    ($ty:expr, $T:ident, $e:expr) => {{
        use $crate::types::ScalarType as S;
        match $ty {
            S::U8 | S::B8 => {
                type $T = u8;
                $e
            }
            S::U16 | S::B16 => {
                type $T = u16;
                $e
            }
            S::U32 | S::B32 => {
                type $T = u32;
                $e
            }
            S::U64 | S::B64 => {
                type $T = u64;
                $e
            }
            S::S8 => {
                type $T = i8;
                $e
            }
            S::S16 => {
                type $T = i16;
                $e
            }
            S::S32 => {
                type $T = i32;
                $e
            }
            S::S64 => {
                type $T = i64;
                $e
            }
            other => unreachable!("{other} is no integer type"),
        }
    }};
}

/// As [`with_int`], for f32 and f64.
macro_rules! with_float {
    ($ty:expr, $T:ident, $e:expr) => {{
        use $crate::types::ScalarType as S;
        match $ty {
            S::F32 => {
                type $T = f32;
                $e
            }
            S::F64 => {
                type $T = f64;
                $e
            }
            other => unreachable!("{other} is not f32 or f64"),
        }
    }};
}

/// As [`with_int`], for the 16-bit floats, alone or in pairs.
macro_rules! with_half {
    ($ty:expr, $T:ident, $e:expr) => {{
        use $crate::types::ScalarType as S;
        match $ty {
            S::F16 | S::F16x2 => {
                type $T = half::f16;
                $e
            }
            S::Bf16 | S::Bf16x2 => {
                type $T = half::bf16;
                $e
            }
            other => unreachable!("{other} is no 16-bit float"),
        }
    }};
}

/// Evaluates the expression with a constant `$M` of this rounding, so that
/// each rounding gets its own code.
macro_rules! with_mode {
    ($mode:expr, $M:ident, $e:expr) => {{
        use $crate::table::Rounding;
        match $mode {
            Rounding::NearestEven => {
                const $M: Rounding = Rounding::NearestEven;
                $e
            }
            Rounding::Zero => {
                const $M: Rounding = Rounding::Zero;
                $e
            }
            Rounding::Down => {
                const $M: Rounding = Rounding::Down;
                $e
            }
            Rounding::Up => {
                const $M: Rounding = Rounding::Up;
                $e
            }
        }
    }};
}

/// Evaluates the expression with a constant `$B` of this value.
macro_rules! with_bool {
    ($value:expr, $B:ident, $e:expr) => {
        if $value {
            const $B: bool = true;
            $e
        } else {
            const $B: bool = false;
            $e
        }
    };
}

/// As [`lane`], on both 16-bit halves of 32-bit registers.
macro_rules! lane_pair {
    (|$($x:ident : $t:ty),*| -> $r:ty $body:block) => {{
        #[inline(always)]
        fn half($($x: $t),*) -> $r $body
        lane!(|$($x: u32),*| -> u32 {
            use $crate::table::lanes::Lane as _;
            let low = half($(<$t>::from_lane(u64::from($x & 0xffff))),*).to_lane();
            let high = half($(<$t>::from_lane(u64::from($x >> 16))),*).to_lane();
            (low | high << 16) as u32
        })
    }};
}

pub(super) use {lane, lane_pair, with_bool, with_float, with_half, with_int, with_mode};
