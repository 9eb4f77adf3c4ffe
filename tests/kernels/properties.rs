//! What every kernel's text must show, as patterns.

use crate::cases::{self, Case};
use ptxgen::{
    builder::target::Target,
    dsl::{
        catalogue::{Contents, Family},
        precision::{Acc, Act, Math},
    },
    testing::check_patterns,
};

/// Something that a kernel's text shows.
pub struct Property {
    pub name: &'static str,
    /// Which kernels have it.
    pub applies: fn(&Case) -> bool,
    /// `check:` matches in order, `not:` must not match between its neighbours.
    pub script: &'static str,
}

impl Case {
    fn is(&self, act: Option<Act>, acc: Option<Acc>, math: Option<Math>) -> bool {
        let (e, p) = (self.built.entry, self.built.policy);
        act.is_none_or(|v| !e.acts.is_empty() && p.act == v)
            && acc.is_none_or(|v| !e.accs.is_empty() && p.acc == v)
            && math.is_none_or(|v| p.math == v)
    }

    /// Whether it rounds a result, or its own norm, to Q8_K, which is in f32 under every accumulator.
    fn quantizes(&self) -> bool {
        let q8k = Contents::Activations(Act::Q8K);
        let norms = self.is(Some(Act::Q8K), None, None) && self.built.params.iter().any(|p| p.name == "norm");
        norms || self.built.params.iter().any(|p| p.contents == q8k && p.access.writes())
    }

    /// Whether it chooses experts by their logits.
    fn chooses(&self) -> bool {
        self.built.params.iter().any(|p| p.contents == Contents::Logits && !p.access.writes())
    }

    /// Whether it multiplies a matrix.
    fn is_matrix(&self) -> bool {
        self.built.entry.family == Family::Matrix
    }

    fn is_one_of(&self, names: &[&str]) -> bool {
        names.iter().any(|n| self.built.entry.name.starts_with(n))
    }
}

/// The matrix kernels that end with the row's sum.
const GEMV: &[&str] = &["q4k-gemv", "q6k-gemv"];

pub const PROPERTIES: &[Property] = &[
    Property {
        name: "f64 sums are fused and across lanes in f64",
        applies: |c| c.is_matrix() && c.is(Some(Act::F32), Some(Acc::F64), None),
        script: r"
            check: fma.rn.f64
            check: shfl.sync.bfly.b32
            check: add.rn.f64
        ",
    },
    Property {
        name: "q8k terms are summed in f64",
        applies: |c| c.is_matrix() && c.is(Some(Act::Q8K), Some(Acc::F64), None),
        script: r"
            check: dp4a
            check: .rn.f64.s32
            check: mul.rn.f64
            check: shfl.sync.bfly.b32
            check: add.rn.f64
        ",
    },
    Property {
        name: "no f32 arithmetic under exact f64",
        applies: |c| c.is(None, Some(Acc::F64), Some(Math::Exact)) && !c.quantizes(),
        script: r"
            check: .visible .entry
            not: $(=\b(add|sub|mul|fma|mad|div|sqrt|rcp)\.\S*f32\s)
        ",
    },
    Property {
        name: "no f32 sum of products under f64",
        applies: |c| c.is_matrix() && c.is(None, Some(Acc::F64), None),
        script: r"
            check: .visible .entry
            not: $(=\b(fma|mad)\.\S*f32\s)
        ",
    },
    Property {
        name: "no f64 under f32",
        // The router and the choice of experts are in f64 whatever the accumulator.
        applies: |c| c.is(None, Some(Acc::F32), None) && c.built.entry.sums.is_none() && !c.chooses(),
        script: r"
            check: .visible .entry
            not: .f64
        ",
    },
    Property {
        name: "lanes meet through shfl.sync",
        applies: Case::is_matrix,
        script: r"
            check: shfl.sync.bfly.b32
        ",
    },
    Property {
        name: "q8k products are dp4a",
        applies: |c| c.is_matrix() && c.is(Some(Act::Q8K), None, None),
        script: r"
            regex: S=\s+
            check: dp4a.$(=[us]32).s32$S
        ",
    },
    Property {
        name: "q8k weights are multiplied as integers only",
        applies: |c| c.is(Some(Act::Q8K), None, None) && c.is_one_of(GEMV),
        // Up to the whole sums, all is integer; they are the first number that becomes a float.
        script: r"
            check: .visible .entry
            not: $(=\b(mul|fma|mad)\.\S*f(32|64)\s)
            not: $(=cvt\.\S*f(32|64)\.[us](8|16|32))
            check: dp4a
            not: $(=\b(mul|fma|mad)\.\S*f(32|64)\s)
            not: $(=cvt\.\S*f(32|64)\.[us](8|16|32))
            check: shfl.sync.bfly.b32
        ",
    },
    Property {
        name: "f32 weights are not multiplied as integers",
        applies: |c| c.is(Some(Act::F32), None, None),
        script: r"
            check: .visible .entry
            not: $(=dp[24]a)
        ",
    },
    Property {
        name: "one rounding, of what is stored",
        applies: |c| {
            let once = c.built.entry.stages == 1 && (c.is_one_of(GEMV) || c.is_one_of(&["swiglu"]));
            c.is(None, Some(Acc::F64), Some(Math::Exact)) && once
        },
        script: r"
            regex: S=\s+
            regex: F=%f\d+
            not: cvt.rn.f32.f64
            check: cvt.rn.f32.f64$S$(y=$F),
            not: $(=\.f64\s)
            check: st.global.f32$S$(=\S+), $y;
            not: cvt.rn.f32.f64
            not: st.global
        ",
    },
    Property {
        name: "both products of gate and up are rounded, then SwiGLU",
        applies: |c| {
            c.is(None, Some(Acc::F64), Some(Math::Exact)) && c.is_one_of(&["fused-gate-up-swiglu", "experts-gate-up"])
        },
        script: r"
            regex: S=\s+
            regex: F=%f\d+
            not: cvt.rn.f32.f64
            check: cvt.rn.f32.f64
            check: cvt.rn.f32.f64
            check: div.rn.f64
            check: cvt.rn.f32.f64$S$(h=$F),
            check: st.global.f32$S$(=\S+), $h;
            not: cvt.rn.f32.f64
        ",
    },
    Property {
        name: "each expert's product is rounded, then the sum",
        applies: |c| c.is(None, Some(Acc::F64), None) && c.is_one_of(&["moe-down"]) && c.built.entry.stages == 2,
        script: r"
            regex: S=\s+
            regex: F=%f\d+
            not: cvt.rn.f32.f64
            check: cvt.rn.f32.f64
            check: fma.rn.f64
            check: cvt.rn.f32.f64$S$(y=$F),
            check: st.global.f32$S$(=\S+), $y;
            not: cvt.rn.f32.f64
        ",
    },
    Property {
        name: "nothing approximate under exact",
        applies: |c| c.is(None, None, Some(Math::Exact)),
        script: r"
            check: .visible .entry
            not: .approx
        ",
    },
    Property {
        name: "no subnormal is flushed under exact",
        applies: |c| c.is(None, None, Some(Math::Exact)),
        script: r"
            check: .visible .entry
            not: .ftz
        ",
    },
    Property {
        name: "every float rounding is written",
        applies: |_| true,
        script: r"
            check: .visible .entry
            not: $(=\b(add|sub|mul)\.f(32|64)\s)
        ",
    },
    Property {
        name: "approximate functions where they were asked for",
        applies: |c| !c.built.entry.maths.is_empty() && c.is(None, None, Some(Math::Approx)),
        script: r"
            check: ex2.approx
            check: rcp.approx
        ",
    },
    Property {
        name: "no local memory",
        // Attention of a prompt keeps the scores of its first chunks there.
        applies: |case| !case.built.title().starts_with("attention-prompt"),
        script: r"
            check: .visible .entry
            not: .local
        ",
    },
    Property {
        name: "no sums in memory",
        applies: |_| true,
        script: r"
            check: .visible .entry
            not: $(=\b(red|atom)\.\S*f(16|32|64))
        ",
    },
];

impl Property {
    /// Whether a text has the property.
    ///
    /// # Errors
    /// How far the script matched.
    pub fn holds(&self, text: &str) -> Result<(), String> {
        check_patterns(text, self.script).map_err(|e| format!("{}\n{e}", self.name))
    }
}

#[test]
fn every_kernel_has_its_properties() {
    let mut seen = vec![0; PROPERTIES.len()];
    for target in [Target::SM_75, Target::SM_90] {
        for case in cases::all(target) {
            for (property, seen) in PROPERTIES.iter().zip(&mut seen) {
                if (property.applies)(&case) {
                    *seen += 1;
                    property.holds(&case.text).unwrap_or_else(|e| panic!("{} {target}: {e}", case.built.title()));
                }
            }
        }
    }
    let unused: Vec<_> = PROPERTIES.iter().zip(seen).filter(|(_, n)| *n == 0).map(|(p, _)| p.name).collect();
    assert!(unused.is_empty(), "no kernel has {unused:?}");
}
