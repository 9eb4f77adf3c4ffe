//! One arithmetic program written twice: through the builder, and as CUDA C++.
//!
//! Sixteen variables, half of them floats and half integers, go through loops of steps drawn from
//! a seeded generator. Each step changes the variable it is about by way of its old value, so no
//! compiler can drop one.

use std::fmt::Write;

use ptxgen_builder::build::{In, Kernel, Out, Val, kernel};

/// Variables of each type.
const VARIABLES: usize = 8;

/// `n`, `rounds`, `x` and `y`.
type Parameters = (u32, u32, In<f32>, Out<f32>);

/// One statement; `d` is the variable it changes, `a` another one.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// `f[d] = fma(f[a], 0.25, f[d] * 0.75)`
    Blend { d: usize, a: usize },
    /// `f[d] = max(f[d], f[a] * 0.5)`
    Max { d: usize, a: usize },
    /// `f[d] = f[a] - f[d] * 0.125`
    Sub { d: usize, a: usize },
    /// `f[d] = fma(float(u[a] >> 8), 2^-25, f[d] * 0.5)`
    Convert { d: usize, a: usize },
    /// `u[d] = u[d] * factor + u[a]`
    Mad { d: usize, a: usize, factor: u32 },
    /// `u[d] = u[d] ^ (u[a] >> shift)`
    XorShift { d: usize, a: usize, shift: u32 },
    /// `u[d] = (u[d] << shift | u[d] >> (32 - shift)) + u[a]`, as a funnel shift
    Rotate { d: usize, a: usize, shift: u32 },
    /// `u[d] = (u[d] & mask) - u[a]`
    MaskSub { d: usize, a: usize, mask: u32 },
}

/// A program: loops of steps, one after the other, each run `rounds` times.
pub struct Arithmetic {
    loops: Vec<Vec<Step>>,
}

impl Arithmetic {
    /// `loops` loops of `steps` statements each, the same for the same arguments. A statement is
    /// two to four instructions.
    pub fn new(loops: usize, steps: usize) -> Self {
        let mut state = 0x2545_f491_u32;
        let mut random = |below: u32| {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state % below
        };
        let mut step = || {
            let d = random(VARIABLES as u32) as usize;
            let a = (d + 1 + random(VARIABLES as u32 - 1) as usize) % VARIABLES;
            match random(8) {
                0 => Step::Blend { d, a },
                1 => Step::Max { d, a },
                2 => Step::Sub { d, a },
                3 => Step::Convert { d, a },
                4 => Step::Mad { d, a, factor: random(1 << 20) | 1 },
                5 => Step::XorShift { d, a, shift: 1 + random(31) },
                6 => Step::Rotate { d, a, shift: 1 + random(31) },
                _ => Step::MaskSub { d, a, mask: random(1 << 30) | 0x8000_0001 },
            }
        };
        Arithmetic { loops: (0..loops).map(|_| (0..steps).map(|_| step()).collect()).collect() }
    }

    /// The program as a kernel of this library: `y[i]` from `x[i]` for `i < n`.
    pub fn kernel(&self) -> Kernel<Parameters> {
        kernel::<Parameters>("arithmetic", ["n", "rounds", "x", "y"], |k, (n, rounds, x, y)| {
            let i = k.global_thread_id();
            k.return_if(i.ge(n));
            let first = x.at(i).load(k);
            let floats: [_; VARIABLES] = std::array::from_fn(|v| k.var::<f32>(first * (v as f32 + 1.0)));
            let words: [_; VARIABLES] = std::array::from_fn(|v| k.var::<u32>(i * (2 * v as u32 + 1)));
            for steps in &self.loops {
                k.for_(0, rounds, 1, |_, _, _| {
                    let mut f = floats.each_ref().map(|v| v.get());
                    let mut u = words.each_ref().map(|v| v.get());
                    for step in steps {
                        step.build(&mut f, &mut u);
                    }
                    floats.iter().zip(f).for_each(|(v, value)| v.set(value));
                    words.iter().zip(u).for_each(|(v, value)| v.set(value));
                });
            }
            let word = words.iter().map(|v| v.get()).reduce(|a, b| a ^ b);
            let sum = floats.iter().map(|v| v.get()).reduce(|a, b| a + b);
            if let (Some(word), Some(sum)) = (word, sum) {
                y.at(i).store(k, sum + word.to_rn::<f32>());
            }
        })
    }

    /// The same program in CUDA C++. It has to be compiled with `--fmad=false`, because the
    /// products and sums of the other one are not contracted.
    pub fn cuda(&self) -> String {
        let mut s = String::from(
            "extern \"C\" __global__ void arithmetic(unsigned n, unsigned rounds, const float *x, float *y)\n{\n\
             unsigned i = blockIdx.x * blockDim.x + threadIdx.x;\nif (i >= n) return;\nfloat first = x[i];\n",
        );
        // Writing to a String cannot fail.
        for v in 0..VARIABLES {
            let _ = writeln!(s, "float f{v} = first * {}.0f; unsigned u{v} = i * {}u;", v + 1, 2 * v + 1);
        }
        for steps in &self.loops {
            s.push_str("#pragma unroll 1\nfor (unsigned r = 0; r < rounds; r++) {\n");
            for step in steps {
                step.cuda(&mut s);
            }
            s.push_str("}\n");
        }
        let fold = |name: &str, with: &str| (0..VARIABLES).map(|v| format!("{name}{v}")).collect::<Vec<_>>().join(with);
        let _ = writeln!(s, "y[i] = ({}) + (float)({});\n}}", fold("f", " + "), fold("u", " ^ "));
        s
    }
}

impl Step {
    fn build(self, f: &mut [Val<f32>; VARIABLES], u: &mut [Val<u32>; VARIABLES]) {
        match self {
            Step::Blend { d, a } => f[d] = f[a].fma(0.25, f[d] * 0.75),
            Step::Max { d, a } => f[d] = f[d].max(f[a] * 0.5),
            Step::Sub { d, a } => f[d] = f[a] - f[d] * 0.125,
            Step::Convert { d, a } => f[d] = (u[a] >> 8).to_rn::<f32>().fma(2f32.powi(-25), f[d] * 0.5),
            Step::Mad { d, a, factor } => u[d] = u[d].mad(factor, u[a]),
            Step::XorShift { d, a, shift } => u[d] = u[d] ^ (u[a] >> shift),
            Step::Rotate { d, a, shift } => u[d] = u[d].funnel_left(u[d], shift) + u[a],
            Step::MaskSub { d, a, mask } => u[d] = (u[d] & mask) - u[a],
        }
    }

    fn cuda(self, s: &mut String) {
        // Writing to a String cannot fail.
        let _ = match self {
            Step::Blend { d, a } => writeln!(s, "f{d} = fmaf(f{a}, 0.25f, f{d} * 0.75f);"),
            Step::Max { d, a } => writeln!(s, "f{d} = fmaxf(f{d}, f{a} * 0.5f);"),
            Step::Sub { d, a } => writeln!(s, "f{d} = f{a} - f{d} * 0.125f;"),
            Step::Convert { d, a } => writeln!(s, "f{d} = fmaf((float)(u{a} >> 8), 0x1p-25f, f{d} * 0.5f);"),
            Step::Mad { d, a, factor } => writeln!(s, "u{d} = u{d} * {factor}u + u{a};"),
            Step::XorShift { d, a, shift } => writeln!(s, "u{d} = u{d} ^ (u{a} >> {shift});"),
            Step::Rotate { d, a, shift } => writeln!(s, "u{d} = __funnelshift_l(u{d}, u{d}, {shift}) + u{a};"),
            Step::MaskSub { d, a, mask } => writeln!(s, "u{d} = (u{d} & {mask}u) - u{a};"),
        };
    }
}

/// The instructions in PTX that writes one a line.
pub fn instructions_in(ptx: &str) -> usize {
    ptx.lines().map(str::trim).filter(|line| line.ends_with(';') && !line.starts_with('.')).count()
}
