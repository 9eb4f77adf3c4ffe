//! Every row's facts, against what its operands are.

use super::{Access, Form, Meaning, Meets, Op, Parts, Precision, Shape, Slot, Word, table};
use crate::types::ScalarType::{Tf32, U32};
use crate::types::{Kind, ScalarType};

fn result(form: &Form) -> Option<ScalarType> {
    form.slots.iter().find(|s| s.access == Access::Write).and_then(|s| s.ty())
}

fn sources(form: &Form) -> Vec<ScalarType> {
    let read = |s: &&super::Slot| s.access == Access::Read && !matches!(s.shape, Shape::Address(_));
    form.slots.iter().filter(read).filter_map(super::Slot::ty).collect()
}

fn is_float(t: ScalarType) -> bool {
    t.kind() == Kind::Float
}

/// What is wrong with a form's facts.
fn fault(form: &Form) -> Option<&'static str> {
    let (d, from) = (result(form), sources(form));
    let float_result = d.is_some_and(is_float);
    let wrong = |right: bool, what| (!right).then_some(what);
    match form.precision {
        Precision::Nothing => wrong(d.is_none(), "it has a result, which is something"),
        Precision::Integer | Precision::IntegerProduct => {
            wrong(!float_result && !from.iter().any(|&t| is_float(t)), "integers have no floats among their operands")
        }
        Precision::Compares => wrong(d.is_some(), "a comparison has a result"),
        Precision::Moves | Precision::Selects => {
            wrong(d.is_some() && from.first().copied() == d, "what is moved keeps its type")
        }
        Precision::Bits(Parts::Pack | Parts::Unpack | Parts::Cut | Parts::Merge | Parts::Mix) => {
            wrong(!float_result, "bits have no float type")
        }
        Precision::Exact { ty, .. } | Precision::Approximates { ty, .. } => {
            wrong(d == Some(ty) && is_float(ty) && from.iter().all(|&t| t == ty), "it computes in its operands' type")
        }
        Precision::Rounds { ty, .. } => {
            let right = d == Some(ty) && is_float(ty) && from.iter().all(|&t| t == ty);
            wrong(right && form.name.contains(ty.name()), "it rounds to its result's type")
        }
        Precision::Converts { from: a, to, integral, .. } => {
            // Operands of tf32 are bits.
            let made = if to == Tf32 { U32 } else { to };
            let right = d == Some(made) && from.iter().all(|&t| t == a);
            wrong(right && (integral || is_float(a) && is_float(to)), "it converts between its operands' types")
        }
        Precision::Loads => wrong(form.accesses().iter().any(|a| a.reads && !a.writes), "a load reads memory"),
        Precision::Stores => wrong(form.accesses().iter().any(|a| a.writes && !a.reads), "a store writes memory"),
        Precision::Updates { .. } => wrong(form.accesses().iter().any(|a| a.writes && a.reads), "it reads and writes"),
        Precision::Copies => {
            let all = form.accesses();
            wrong(all.iter().any(|a| a.reads) && all.iter().any(|a| a.writes), "a copy reads and writes")
        }
        Precision::Lanes => wrong(form.meets() == Meets::Mask, "lanes that read each other meet"),
        Precision::MatrixProduct { acc, .. } => wrong(is_float(acc), "a float matrix has float sums"),
        Precision::Opaque => None,
    }
}

#[test]
fn facts_agree_with_operands() {
    let faults: Vec<String> = (table().forms().iter())
        .filter_map(|f| fault(f).map(|what| format!("{}: {:?}: {what}", f.name, f.precision)))
        .collect();
    assert!(faults.is_empty(), "{} forms, such as\n{}", faults.len(), faults[..faults.len().min(40)].join("\n"));
}

#[test]
fn a_float_result_is_stated_as_one() {
    for form in table().forms().iter().filter(|f| result(f).is_some_and(is_float)) {
        let integer = matches!(form.precision, Precision::Integer | Precision::IntegerProduct | Precision::Nothing);
        assert!(!integer, "{} has a float result", form.name);
    }
}

#[test]
fn what_is_within_a_tolerance_says_so() {
    for form in table().forms() {
        let approximates = matches!(form.precision, Precision::Approximates { .. });
        assert_eq!(approximates, matches!(form.meaning, Meaning::Approx(..)), "{}", form.name);
    }
}

#[test]
fn every_address_is_an_access() {
    // A policy for a range names bytes and touches none.
    let names =
        |f: &&Form| matches!(f.meaning, Meaning::Prefetch(_) | Meaning::Foreign) || f.op == Op::CreatepolicyRange;
    for form in table().forms().iter().filter(|f| !names(f)) {
        let addresses = form.slots.iter().filter(|s| matches!(s.shape, Shape::Address(_))).count();
        assert_eq!(form.accesses().len(), addresses, "{}", form.name);
    }
}

#[test]
fn shuffles_and_votes_order_no_memory() {
    for form in table().forms().iter().filter(|f| matches!(f.meaning, Meaning::Shuffle(_) | Meaning::Vote(_))) {
        assert_eq!((form.meets(), form.orders()), (Meets::Mask, None), "{}", form.name);
    }
}

/// What the analyses take a form for is what the interpreter computes.
#[test]
fn words_are_what_lanes_compute() {
    let mut random = crate::testing::Random::new(15);
    let mut seen = std::collections::HashSet::new();
    for form in table().forms().iter().filter(|f| f.word() != Word::Other) {
        let Meaning::Lane(eval) = form.meaning else { panic!("{} is no function of a lane", form.name) };
        let sources: Vec<&Slot> = form.slots.iter().filter(|s| s.access == Access::Read).collect();
        let results = form.slots.iter().filter(|s| s.access == Access::Write).map(Slot::width).sum();
        let to = result(form).map_or(1, ScalarType::bits);
        assert!(form.slots.iter().all(|s| s.width() == 1), "{}", form.name);
        for turn in 0..400u64 {
            let number = |random: &mut crate::testing::Random, bits: u32| {
                let all = u64::MAX >> (64 - bits);
                let edges = [0, 1, 2, all, all - 1, all >> 1, (all >> 1) + 1, u64::from(bits), u64::from(bits) - 1];
                let pick = random.bits() as usize;
                let shift = random.bits() % 64;
                if turn % 2 == 0 { edges[pick % edges.len()] & all } else { random.bits() >> shift & all }
            };
            let values: Vec<u64> =
                sources.iter().map(|s| number(&mut random, s.ty().map_or(1, ScalarType::bits))).collect();
            let lanes: Vec<_> = values.iter().map(|&v| [v; super::WARP]).collect();
            let mut given = vec![[0; super::WARP]; results];
            eval(&mut given, &lanes);
            let Some(expected) = form.word().compute(form.word_bits(), to, &values) else { continue };
            assert_eq!(given[0][0], expected, "{} of {values:x?} as {:?}", form.name, form.word());
            seen.insert(std::mem::discriminant(&form.word()));
        }
    }
    // All but `Rebase`, `InWindow` and `Other`.
    assert_eq!(seen.len(), 19);
}
