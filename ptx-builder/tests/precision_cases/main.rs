//! The precision proof on small pieces of code: ways to lose bits of a sum, each of which is refused,
//! and ways to move a sum about that a good author writes, each of which holds.
//!
//! Every case is run in the interpreter, too, which knows nothing of the proof: what is said to keep
//! a value's bits gives the same bits as the kernel without it.

mod bits;
mod choices;
mod conversions;
#[path = "../lacking/mod.rs"]
mod lacking;
mod memory;
mod more;
mod pairs;
#[path = "../policy/mod.rs"]
mod policy;
mod random;
mod roles;
mod shared;
mod told;

use ptxgen_builder::analysis::precision::{Accumulator, PolicyRule, PolicyViolation, Requirements, Role, check};
use ptxgen_builder::interp::{Launch, Memory, Options};
use ptxgen_builder::parse::parse;
use ptxgen_builder::verify::{Validated, verify};

use PolicyRule::LostBits;

/// What the proof must say of a piece of code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Right {
    /// It holds, and the result has the sum's bits.
    Keeps,
    /// It holds: something is computed.
    Holds,
    /// It does not: this rule is broken.
    Loses(PolicyRule),
    /// It keeps the sum's bits, and the proof does not see it: what it refuses without need.
    Strict,
}

use Right::{Holds, Keeps, Loses, Strict};

/// The sum's type.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Acc {
    F32,
    F64,
}

use Acc::{F32, F64};

/// A piece of code from the sum `%s` to the result `%z`, both of the accumulator's type.
///
/// It finds `%t` (the thread), `%lane`, `%a` and `%b` (inputs), `%y` (the thread's result), `%g` (the
/// thread's 64 bytes of scratch memory), `%sa` (the same in the shared array `sh`), `%sg` (its generic
/// address) and `%l` (the same in local memory), all addresses; and registers `%h`, `%r`, `%d`, `%f`,
/// `%w`, `%p`, `%q` of every class.
struct Case {
    name: &'static str,
    acc: Acc,
    right: Right,
    stages: Option<u32>,
    approximate: bool,
    body: &'static str,
}

const fn case(acc: Acc, right: Right, name: &'static str, body: &'static str) -> Case {
    Case { name, acc, right, stages: Some(if matches!(acc, F64) { 1 } else { 0 }), approximate: false, body }
}

impl Case {
    const fn stages(mut self, stages: Option<u32>) -> Case {
        self.stages = stages;
        self
    }

    const fn approximate(mut self) -> Case {
        self.approximate = true;
        self
    }

    /// The kernel with this piece of code, or with a copy in its place.
    fn text(&self, body: &str) -> String {
        let (ty, zero, load) = match self.acc {
            F32 => ("f32", "0f00000000", "mov.f32 %v, %in;"),
            F64 => ("f64", "0d0000000000000000", "cvt.f64.f32 %v, %in;"),
        };
        // A piece that ends with a store stores the result itself.
        let end = match (self.acc, body.contains("[%y]") || body.contains("[%y,") || body.contains("[%yb]")) {
            (_, true) => "",
            (F32, _) => "st.global.f32 [%y], %z;",
            (F64, _) => "cvt.rn.f32.f64 %out, %z; st.global.f32 [%y], %out;",
        };
        format!(
            ".version 8.7\n.target sm_90\n.address_size 64\n.global .align 16 .b8 module[4096];\n\
             .visible .entry k(.param .u64 .ptr .global .align 16 a, .param .u64 .ptr .global .align 16 b,\n\
             .param .u64 .ptr .global .align 16 y, .param .u64 .ptr .global .align 16 scratch,\n\
             .param .u64 .ptr .global .align 16 counter)\n.reqntid 32, 1, 1\n{{\n\
             .reg .{ty} %s, %v, %z; .reg .f32 %in, %out; .reg .b16 %h<16>; .reg .b32 %r<32>, %t, %lane, %sa, %n;\n\
             .reg .b64 %d<16>, %a, %b, %y, %yb, %g, %gb, %c, %sg, %l, %o; .reg .f32 %f<16>; .reg .f64 %w<16>;\n\
             .reg .pred %p<8>, %more, %q;\n\
             .shared .align 16 .b8 sh[2048]; .shared .align 16 .b8 other[2048]; .local .align 16 .b8 lo[64];\n\
             ld.param.u64 %a, [a]; ld.param.u64 %b, [b]; ld.param.u64 %yb, [y]; ld.param.u64 %gb, [scratch];\n\
             ld.param.u64 %c, [counter]; cvta.to.global.u64 %c, %c;\n\
             cvta.to.global.u64 %a, %a; cvta.to.global.u64 %b, %b; cvta.to.global.u64 %yb, %yb;\n\
             cvta.to.global.u64 %gb, %gb; mov.u32 %t, %tid.x; mov.u32 %lane, %laneid; mul.wide.u32 %o, %t, 16;\n\
             add.u64 %y, %yb, %o; mul.wide.u32 %o, %t, 64; add.u64 %g, %gb, %o; add.u64 %a, %a, %o; shl.b32 %sa, %t, 6;\n\
             mov.u32 %n, sh; add.u32 %sa, %sa, %n; cvt.u64.u32 %sg, %sa; cvta.shared.u64 %sg, %sg; mov.u64 %l, lo;\n\
             mov.{ty} %s, {zero}; mov.u32 %n, 0;\nSUM: ld.global.f32 %in, [%a]; {load}\nadd.rn.{ty} %s, %s, %v;\n\
             add.u64 %a, %a, 4; add.u32 %n, %n, 1; setp.lt.u32 %more, %n, 16; @%more bra SUM;\n\
             {body}\n{end}\nret;\n}}\n"
        )
    }

    fn module(&self, body: &str) -> Validated {
        let text = self.text(body);
        let module = parse("case.ptx", &text).unwrap_or_else(|e| panic!("{}: {e}\n{text}", self.name));
        verify(module).unwrap_or_else(|e| panic!("{}: {e}\n{text}", self.name))
    }

    fn wanted(&self) -> Requirements {
        Requirements {
            accumulator: Some(match self.acc {
                F32 => Accumulator::F32,
                F64 => Accumulator::F64,
            }),
            allow_approximate: self.approximate,
            factors: policy::FACTORS,
            stages: self.stages,
            roles: vec![Role::Other, Role::Other, Role::Output, Role::Other, Role::Other],
            ..Requirements::default()
        }
    }

    fn check(&self, body: &str) -> Result<(), Vec<PolicyViolation>> {
        check(&self.module(body), 0, &self.wanted()).map(drop)
    }

    fn holds(&self, body: &str) -> bool {
        self.check(body).is_ok()
    }

    /// The results of all threads: 16 bytes each.
    fn run(&self, body: &str) -> Vec<u8> {
        let (results, found) = self.results(body);
        if self.right != Loses(LostBits) {
            assert_eq!(found, "", "{}", self.name);
        }
        results
    }

    /// The same, whatever is found on the way, and what that is.
    fn results(&self, body: &str) -> (Vec<u8>, String) {
        let module = self.module(body);
        let mut memory = Memory::new();
        let mut next = 7u32;
        let mut floats = |n: usize| -> Vec<u8> {
            let one = |_| {
                next = next.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                // Of many magnitudes, and both signs.
                let x = (f64::from(next >> 8) / f64::from(1 << 20) - 7.0) * f64::from(1u32 << (next & 15));
                (x as f32).to_le_bytes()
            };
            (0..n).flat_map(one).collect()
        };
        let room = |memory: &mut Memory, bytes: &[u8]| memory.alloc(bytes, 256).expect("room");
        let a = room(&mut memory, &floats(32 * 16));
        let b = room(&mut memory, &floats(32 * 16));
        let y = room(&mut memory, &[0; 32 * 16]);
        let scratch = room(&mut memory, &[0; 32 * 64]);
        let counter = room(&mut memory, &[0; 256]);
        let args = [a.into(), b.into(), y.into(), scratch.into(), counter.into()];
        let options = Options::default();
        let (grid, block) = ([1; 3], [32, 1, 1]);
        let (kernel, args) = ("k", &args[..]);
        let launch =
            Launch { module: &module, kernel, grid, block, dynamic_shared: 0, args, globals: None, options: &options };
        let report = launch.run(&mut memory).unwrap_or_else(|e| panic!("{}: {e}", self.name));
        let found: Vec<String> = report.findings.iter().map(|f| f.message.clone()).collect();
        (memory.read(y).expect("the results").to_vec(), found.join("; "))
    }
}

fn all() -> impl Iterator<Item = &'static Case> {
    let all = [conversions::CASES, bits::CASES, choices::CASES, shared::CASES, memory::CASES, more::CASES];
    all.into_iter().flatten()
}

#[test]
fn each_case_has_the_right_answer() {
    let mut wrong = Vec::new();
    for case in all() {
        match (case.right, case.check(case.body)) {
            (Keeps | Holds, Ok(())) => {}
            (Loses(rule), Err(found)) if found.iter().any(|v| v.rule == rule) => {
                let other = found.iter().find(|v| v.to_string().contains("{}"));
                assert!(other.is_none(), "{}: a message is not filled in: {}", case.name, other.unwrap());
            }
            (Strict, Err(found)) if found.iter().all(|v| v.rule == LostBits) => {}
            (right, Ok(())) => wrong.push(format!("{} ({:?}): holds, and is {right:?}", case.name, case.acc)),
            (right, Err(found)) => {
                wrong.push(format!("{} ({:?}): is {right:?}, and was refused: {}", case.name, case.acc, found[0]));
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// The interpreter's word for it, of cases that say so.
#[test]
fn what_keeps_a_value_gives_the_same_bits() {
    for case in all().filter(|c| matches!(c.right, Keeps | Strict)) {
        let copy = if case.acc == F32 { "mov.f32 %z, %s;" } else { "mov.f64 %z, %s;" };
        assert!(case.run(case.body) == case.run(copy), "{} ({:?}) changes the result", case.name, case.acc);
    }
}

/// And of most that lose bits, that they do. Those whose loss the sample does not show are counted.
#[test]
fn what_loses_bits_gives_others() {
    let (mut seen, mut unseen) = (0, Vec::new());
    for case in all().filter(|c| c.right == Loses(LostBits)) {
        let copy = if case.acc == F32 { "mov.f32 %z, %s;" } else { "mov.f64 %z, %s;" };
        if case.run(case.body) == case.run(copy) { unseen.push(case.name) } else { seen += 1 }
    }
    assert!(seen >= 200 && unseen.len() <= 14, "{seen} change the result, and these do not: {unseen:?}");
}

#[test]
fn there_are_cases_of_every_kind() {
    let count = |f: &dyn Fn(&Case) -> bool| all().filter(|c| f(c)).count();
    let (keep, lose) = (count(&|c| matches!(c.right, Keeps | Holds)), count(&|c| matches!(c.right, Loses(_))));
    assert!(keep >= 50 && lose >= 80, "{keep} hold, {lose} lose");
    assert!(count(&|c| c.right == Strict) <= 12, "what is refused without need is little");
    let mut names: Vec<(&str, Acc)> = all().map(|c| (c.name, c.acc)).collect();
    let before = names.len();
    names.sort_by_key(|(name, acc)| (*name, *acc as u8));
    names.dedup();
    assert_eq!(names.len(), before, "each has a name of its own");
}
