//! Numbers from a seed, and small reductions made of them.

use std::fmt::Write;

use ptxgen_builder::analysis::precision::{Accumulator, Requirements, Role};

/// A sequence of numbers from a seed (splitmix64).
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `n`, which is not 0.
    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    fn once_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
}

/// A kernel in writing.
struct Writer {
    random: Random,
    text: String,
    wide: bool,
    next: u32,
}

impl Writer {
    fn line(&mut self, line: &str) {
        writeln!(self.text, "{line}").expect("strings take all");
    }

    /// A new register of the sums' type.
    fn register(&mut self) -> String {
        self.next += 1;
        format!("%v{}", self.next)
    }

    fn ty(&self) -> &'static str {
        if self.wide { "f64" } else { "f32" }
    }

    fn constant(&mut self) -> String {
        let value = 0.5 + self.random.below(1000) as f64 / 7.0;
        if self.wide { format!("0d{:016X}", value.to_bits()) } else { format!("0f{:08X}", (value as f32).to_bits()) }
    }

    /// What stands in the input at `offset` from here.
    fn load(&mut self, pointer: &str, offset: usize) -> String {
        let value = self.register();
        if self.wide {
            self.line(&format!("ld.global.f32 %n, [{pointer}+{offset}];\ncvt.f64.f32 {value}, %n;"));
        } else {
            self.line(&format!("ld.global.f32 {value}, [{pointer}+{offset}];"));
        }
        value
    }

    fn add(&mut self, a: &str, b: &str) -> String {
        let (sum, ty) = (self.register(), self.ty());
        match self.random.below(3) {
            0 => self.line(&format!("sub.rn.{ty} {sum}, {a}, {b};")),
            _ => self.line(&format!("add.rn.{ty} {sum}, {a}, {b};")),
        }
        sum
    }

    /// The sum of `value` in a lane and another.
    fn lanes(&mut self, value: &str, distance: u32) -> String {
        let way = ["bfly", "down"][self.random.below(2)];
        let limit = 31;
        let other = self.register();
        if self.wide {
            self.line(&format!("mov.b64 {{%r4, %r5}}, {value};"));
            for r in ["%r4", "%r5"] {
                self.line(&format!("shfl.sync.{way}.b32 {r}, {r}, {distance}, {limit}, 0xffffffff;"));
            }
            self.line(&format!("mov.b64 {other}, {{%r4, %r5}};"));
        } else {
            self.line(&format!("shfl.sync.{way}.b32 {other}, {value}, {distance}, {limit}, 0xffffffff;"));
        }
        self.add(value, &other)
    }

    /// The sum over both warps, through shared memory.
    fn warps(&mut self, value: &str) -> String {
        let (ty, bytes) = (self.ty(), if self.wide { 8 } else { 4 });
        let (a, b) = (self.register(), self.register());
        let text = format!(
            "shr.u32 %r4, %t, 5; mul.lo.u32 %r4, %r4, {bytes}; mov.u32 %r5, parts; add.u32 %r4, %r4, %r5;\n\
             bar.sync 0;\nst.shared.{ty} [%r4], {value};\nbar.sync 0;\n\
             ld.shared.{ty} {a}, [parts];\nld.shared.{ty} {b}, [parts+{bytes}];"
        );
        self.line(&text);
        self.add(&a, &b)
    }

    /// Something else that a kernel does to a sum.
    fn step(&mut self, value: &str) -> String {
        let (out, ty, c) = (self.register(), self.ty(), self.constant());
        let line = match self.random.below(8) {
            0 => format!("mul.rn.{ty} {out}, {value}, {c};"),
            1 => format!("neg.{ty} {out}, {value};"),
            2 => format!("max.{ty} {out}, {value}, {c};"),
            3 => format!("setp.gt.{ty} %p1, {value}, {c};\nselp.{ty} {out}, {c}, {value}, %p1;"),
            4 => format!("fma.rn.{ty} {out}, {value}, {c}, {value};"),
            5 => format!("div.rn.{ty} {out}, {value}, {c};"),
            6 => format!("abs.{ty} {out}, {value};\nsqrt.rn.{ty} {out}, {out};"),
            _ => format!("st.local.{ty} [own], {value};\nld.local.{ty} {out}, [own];"),
        };
        self.line(&line);
        out
    }
}

/// A reduction and what is asked of it.
pub fn reduction(seed: u64) -> (String, Requirements) {
    let mut random = Random(seed);
    let wide = random.once_in(2);
    let mut w = Writer { random, text: String::new(), wide, next: 0 };
    let (ty, zero) = if wide { ("f64", "0d0000000000000000") } else { ("f32", "0f00000000") };
    let sums = 1 + w.random.below(4);
    let sums: Vec<String> = (0..sums).map(|_| w.register()).collect();
    for sum in &sums {
        w.line(&format!("mov.{ty} {sum}, {zero};"));
    }
    w.line("mov.u32 %i, 0;\nLOOP:");
    for (n, sum) in sums.iter().enumerate() {
        let a = w.load("%a", 4 * n);
        let b = w.load("%b", 4 * n);
        match w.random.below(4) {
            0 => w.line(&format!("add.rn.{ty} {sum}, {sum}, {a};")),
            1 => {
                let product = w.register();
                w.line(&format!("mul.rn.{ty} {product}, {a}, {b};\nsub.rn.{ty} {sum}, {sum}, {product};"));
            }
            _ => w.line(&format!("fma.rn.{ty} {sum}, {a}, {b}, {sum};")),
        }
    }
    w.line("add.u64 %a, %a, 16; add.u64 %b, %b, 16;\nadd.u32 %i, %i, 1;\nsetp.lt.u32 %p0, %i, %n0;\n@%p0 bra LOOP;");
    let mut value = sums.into_iter().reduce(|a, b| w.add(&a, &b)).unwrap_or_default();
    for _ in 0..w.random.below(3) {
        value = w.step(&value);
    }
    if !w.random.once_in(3) {
        for distance in [16, 8, 4, 2, 1] {
            value = w.lanes(&value, distance);
        }
    }
    if w.random.once_in(2) {
        value = w.warps(&value);
    }
    for _ in 0..w.random.below(4) {
        value = w.step(&value);
    }
    let as_f64 = wide && w.random.once_in(4);
    let size = if as_f64 { 8 } else { 4 };
    w.line(&format!("mul.wide.u32 %o, %t, {size}; add.u64 %y, %y, %o;"));
    match (wide, as_f64) {
        (true, false) => w.line(&format!("cvt.rn.f32.f64 %out, {value};\nst.global.f32 [%y], %out;")),
        _ => w.line(&format!("st.global.{ty} [%y], {value};")),
    }
    let text = format!(
        ".version 8.7\n.target sm_90\n.address_size 64\n\
         .visible .entry reduction(.param .u32 n, .param .u64 .ptr .global .align 16 a,\n\
         .param .u64 .ptr .global .align 16 b, .param .u64 .ptr .global .align 16 y)\n.reqntid 64, 1, 1\n{{\n\
         .reg .{ty} %v<{}>; .reg .f32 %n, %out; .reg .b32 %r<8>, %t, %i, %n0; .reg .b64 %a, %b, %y, %o; .reg .pred %p<4>;\n\
         .shared .align 16 .b8 parts[16]; .local .align 16 .b8 own[8];\n\
         ld.param.u32 %n0, [n]; ld.param.u64 %a, [a]; ld.param.u64 %b, [b]; ld.param.u64 %y, [y];\n\
         cvta.to.global.u64 %a, %a; cvta.to.global.u64 %b, %b; cvta.to.global.u64 %y, %y; mov.u32 %t, %tid.x;\n\
         {}ret;\n}}\n",
        w.next + 1,
        w.text
    );
    let wanted = Requirements {
        accumulator: Some(if wide { Accumulator::F64 } else { Accumulator::F32 }),
        stages: Some(u32::from(wide && !as_f64)),
        roles: vec![Role::Other, Role::Other, Role::Other, Role::Output],
        ..Requirements::default()
    };
    (text, wanted)
}
