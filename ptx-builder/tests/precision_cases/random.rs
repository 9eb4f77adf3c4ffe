//! Random ways to move the halves of two sums about, some with a mistake in them. What the proof
//! lets pass gives every thread the bits of some thread's sum.

use std::fmt::Write;

use super::{Case, F64, Holds, case};

/// Kernels whose answers are kept.
const KEPT: u64 = 250;

/// A sequence of numbers from a seed (splitmix64).
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % n as u64) as usize
    }

    /// Whether one of `n` comes up.
    fn once_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
}

/// A piece of code that is being written: pairs of registers `%rN` and `%rN+1` hold halves.
struct Writer {
    random: Random,
    text: String,
    /// One step in this many has a mistake.
    care: usize,
    labels: usize,
    slots: usize,
}

impl Writer {
    fn line(&mut self, line: &str) {
        writeln!(self.text, "{line}").expect("strings take all");
    }

    /// The first register of one of six pairs.
    fn pair(&mut self) -> usize {
        2 * self.random.below(6)
    }

    /// `right`, or by mistake `wrong`.
    fn or<T>(&mut self, right: T, wrong: T) -> T {
        let care = self.care;
        if self.random.once_in(care) { wrong } else { right }
    }

    fn predicate(&mut self) -> usize {
        1 + self.random.below(3)
    }

    fn step(&mut self, depth: usize) {
        let (to, from, other) = (self.pair(), self.pair(), self.pair());
        let (low, high) = (self.or(from, from + 1), self.or(from + 1, other + 1));
        match self.random.below(if depth < 2 { 13 } else { 11 }) {
            0 => self.line(&format!("mov.b32 %r12, %r{low}; mov.b32 %r{}, %r{high}; mov.b32 %r{to}, %r12;", to + 1)),
            1 => self.line(&format!("mov.b64 %w2, {{%r{low}, %r{high}}}; mov.b64 {{%r{to}, %r{}}}, %w2;", to + 1)),
            2 => {
                let by = self.predicate();
                let also = self.or(by, 1 + by % 3);
                let (a, b) = (self.or(other, from), self.or(other + 1, other));
                self.line(&format!(
                    "selp.b32 %r12, %r{low}, %r{a}, %p{by}; selp.b32 %r13, %r{high}, %r{b}, %p{also};\n\
                     mov.b32 %r{to}, %r12; mov.b32 %r{}, %r13;",
                    to + 1
                ));
            }
            3 => {
                let by = self.predicate();
                let also = self.or(by, 1 + by % 3);
                let not = ["", "!"][self.random.below(2)];
                let second = self.or(to + 1, other);
                self.line(&format!(
                    "mov.b32 %r12, %r{low}; mov.b32 %r13, %r{high};\n\
                     @{not}%p{by} mov.b32 %r{to}, %r12; @{not}%p{also} mov.b32 %r{second}, %r13;"
                ));
            }
            4 | 5 => {
                let way = ["bfly", "up", "down", "idx"][self.random.below(4)];
                let also = self.or(way, "bfly");
                let limit = if way == "up" { 0 } else { 31 };
                let distance = ["1", "3", "8", "%r14"][self.random.below(4)];
                let again = self.or(distance, "2");
                self.line(&format!(
                    "shfl.sync.{way}.b32 %r12, %r{low}, {distance}, {limit}, 0xffffffff;\n\
                     shfl.sync.{also}.b32 %r13, %r{high}, {again}, {limit}, 0xffffffff;\n\
                     mov.b32 %r{to}, %r12; mov.b32 %r{}, %r13;",
                    to + 1
                ));
            }
            6 => {
                let shift = self.or(32, 24);
                self.line(&format!(
                    "cvt.u64.u32 %d0, %r{low}; cvt.u64.u32 %d1, %r{high}; shl.b64 %d1, %d1, {shift};\n\
                     or.b64 %d0, %d0, %d1; mov.b64 {{%r{to}, %r{}}}, %d0;",
                    to + 1
                ));
            }
            7 => {
                let back = self.or("0x0123", "0x1032");
                self.line(&format!(
                    "prmt.b32 %r12, %r{low}, 0, 0x0123; prmt.b32 %r12, %r12, 0, {back};\n\
                     prmt.b32 %r13, %r{high}, %r12, 0x3210; mov.b32 %r{to}, %r12; mov.b32 %r{}, %r13;",
                    to + 1
                ));
            }
            8 | 9 => self.through_memory(to, low, high),
            10 => {
                let factor = 1 + 2 * self.random.below(9);
                self.line(&format!("mul.lo.u32 %r14, %t, {factor}; and.b32 %r14, %r14, 31;"));
            }
            11 => {
                self.labels += 1;
                let label = self.labels;
                let by = self.predicate();
                self.line(&format!("@%p{by} bra SKIP{label};"));
                (0..1 + self.random.below(3)).for_each(|_| self.step_alone(depth + 1));
                self.line(&format!("SKIP{label}:"));
            }
            _ => {
                self.labels += 1;
                let label = self.labels;
                let count = format!("%r{}", 16 + depth);
                self.line(&format!("mov.u32 {count}, 0;\nLOOP{label}:"));
                (0..1 + self.random.below(4)).for_each(|_| self.step(depth + 1));
                let rounds = 1 + self.random.below(3);
                self.line(&format!(
                    "add.u32 {count}, {count}, 1; setp.lt.u32 %p0, {count}, {rounds}; @%p0 bra LOOP{label};"
                ));
            }
        }
    }

    /// A step that no other lane takes part in.
    fn step_alone(&mut self, depth: usize) {
        let (to, from) = (self.pair(), self.pair());
        let high = self.or(from + 1, to + 1);
        match self.random.below(2) {
            0 => self.line(&format!("mov.b32 %r12, %r{from}; mov.b32 %r{}, %r{high}; mov.b32 %r{to}, %r12;", to + 1)),
            _ if depth > 0 => self.through_memory(to, from, high),
            _ => {}
        }
    }

    fn through_memory(&mut self, to: usize, low: usize, high: usize) {
        let (space, base) = [("shared", "%sa"), ("local", "%l"), ("global", "%g")][self.random.below(3)];
        let at = 8 * self.random.below(self.slots);
        let store = match self.random.below(3) {
            0 => format!("mov.b64 %w3, {{%r{low}, %r{high}}}; st.{space}.f64 [{base}+{at}], %w3;"),
            1 => format!("st.{space}.v2.b32 [{base}+{at}], {{%r{low}, %r{high}}};"),
            _ => {
                let second = self.or(at + 4, at);
                format!("st.{space}.b32 [{base}+{at}], %r{low}; st.{space}.b32 [{base}+{second}], %r{high};")
            }
        };
        self.line(&store);
        if self.random.once_in(self.care) {
            self.line(&format!("st.{space}.b32 [{base}+{at}], %r{};", to + 1));
        }
        let high = to + 1;
        let load = match self.random.below(3) {
            0 => format!("ld.{space}.f64 %w3, [{base}+{at}]; mov.b64 {{%r{to}, %r{high}}}, %w3;"),
            1 => format!("ld.{space}.v2.b32 {{%r{to}, %r{high}}}, [{base}+{at}];"),
            _ => {
                let second = self.or(at + 4, at);
                format!("ld.{space}.b32 %r{to}, [{base}+{at}]; ld.{space}.b32 %r{high}, [{base}+{second}];")
            }
        };
        self.line(&load);
    }
}

fn code(seed: u64) -> String {
    let mut w = Writer { random: Random(seed), text: String::new(), care: 8, labels: 0, slots: 2 };
    w.care = [4, 10, 40][w.random.below(3)];
    w.line("mul.rn.f64 %w0, %s, 0d4008000000000000; mul.rn.f64 %w1, %s, 0d4014000000000000;");
    for (pair, of) in ["%s", "%w0", "%w1", "%s", "%w0", "%w1"].into_iter().enumerate() {
        w.line(&format!("mov.b64 {{%r{}, %r{}}}, {of};", 2 * pair, 2 * pair + 1));
    }
    w.line("setp.gt.u32 %p1, %t, 7; setp.lt.u32 %p2, %t, 20; and.b32 %r14, %t, 1; setp.eq.u32 %p3, %r14, 0;");
    (0..1 + w.random.below(8)).for_each(|_| w.step(0));
    let pair = w.pair();
    w.line(&format!("mov.b64 %z, {{%r{pair}, %r{}}}; st.global.f64 [%y], %z;", pair + 1));
    w.text
}

/// The sums and what else the code begins with, of all threads.
fn values(sums: &[u8]) -> Vec<u64> {
    let sums = sums.chunks(16).map(|c| f64::from_le_bytes(c[..8].try_into().expect("8 bytes")));
    sums.flat_map(|s| [s, 3.0 * s, 5.0 * s]).map(f64::to_bits).collect()
}

/// What is told of some of them. `BLESS=1` regenerates it.
#[test]
fn what_is_told_of_random_ways() {
    let plain: Case = case(F64, Holds, "plain", "").stages(Some(0));
    let mut text = String::new();
    for seed in 0..KEPT {
        match plain.check(&code(seed)) {
            Ok(()) => writeln!(text, "{seed} holds").expect("text"),
            Err(found) => found.iter().for_each(|v| writeln!(text, "{seed} {v}").expect("text")),
        }
    }
    ptxgen_builder::assert_golden!("tests/precision_cases/told/random.txt", text);
}

#[test]
fn what_passes_gives_whole_sums() {
    // More on demand: `PRECISION_RANDOM=100000`.
    let count: u64 = std::env::var("PRECISION_RANDOM").ok().and_then(|n| n.parse().ok()).unwrap_or(4000);
    let plain: Case = case(F64, Holds, "plain", "").stages(Some(0));
    let sums = values(&plain.run("st.global.f64 [%y], %s;"));
    let (mut passed, mut broken) = (0u64, 0u64);
    for seed in 0..count {
        let body = code(seed);
        let holds = plain.holds(&body);
        let (results, _) = plain.results(&body);
        let whole = results.chunks(16).all(|c| sums.contains(&u64::from_le_bytes(c[..8].try_into().expect("8 bytes"))));
        passed += u64::from(holds);
        broken += u64::from(!whole);
        assert!(whole || !holds, "{seed}: this passes and gives something else than a sum:\n{body}");
    }
    println!("{passed} of {count} pass, {broken} are broken");
    // Both are common, so that neither answer is a habit.
    assert!(passed * 10 > count && broken * 10 > count, "{passed} of {count} pass, {broken} are broken");
}
