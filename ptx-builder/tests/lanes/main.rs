//! What pure instructions compute, against arithmetic that shares nothing with the table's: wide
//! integers, `rustc_apfloat`, the PTX ISA's own pseudocode, and values seen on an H200.

mod compare;
mod convert;
mod float;
mod integer;
mod movement;

use ptxgen_builder::table::{Access, Form, Meaning, Shape, WARP, table};
use ptxgen_builder::testing;

/// The form with this spelling and this many sources, vectors laid flat.
fn form(name: &str, sources: usize) -> &'static Form {
    let width = |f: &Form| f.slots.iter().filter(|s| s.access == Access::Read).map(|s| s.width()).sum::<usize>();
    let found = table().named(name).iter().map(|id| id.get()).find(|f| width(f) == sources);
    found.unwrap_or_else(|| panic!("no form {name} with {sources} sources"))
}

/// All results of one lane, the others computing the same.
fn all(name: &str, sources: &[u64]) -> Vec<u64> {
    let form = form(name, sources.len());
    let (Meaning::Lane(eval) | Meaning::Approx(eval, _)) = form.meaning else { panic!("{name} is not pure") };
    let results = form.slots.iter().filter(|s| s.access == Access::Write).map(|s| s.width()).sum();
    let mut lanes = vec![[0xdead; WARP]; results];
    eval(&mut lanes, &sources.iter().map(|&bits| [bits; WARP]).collect::<Vec<_>>());
    for result in &lanes {
        assert!(result.iter().all(|&bits| bits == result[0]), "{name}: lanes differ");
    }
    lanes.iter().map(|result| result[0]).collect()
}

/// The first result.
fn one(name: &str, sources: &[u64]) -> u64 {
    all(name, sources)[0]
}

fn f32s(name: &str, sources: &[f32]) -> f32 {
    f32::from_bits(one(name, &sources.iter().map(|x| u64::from(x.to_bits())).collect::<Vec<_>>()) as u32)
}

fn f64s(name: &str, sources: &[f64]) -> f64 {
    f64::from_bits(one(name, &sources.iter().map(|x| x.to_bits()).collect::<Vec<_>>()))
}

/// Random numbers, the same on every run.
struct Random(testing::Random);

impl Random {
    fn new() -> Self {
        Random(testing::Random::new(1))
    }

    fn next(&mut self) -> u64 {
        self.0.bits()
    }

    /// Bits of all magnitudes: few set at the bottom as often as many.
    fn bits(&mut self) -> u64 {
        let shift = self.next() >> 58;
        self.next() >> shift
    }
}

/// Every pure form of the table gives each lane what it gives it alone, and nothing beyond its
/// results' sizes.
#[test]
fn results_fit_their_types() {
    let mut random = Random::new();
    for form in table().forms() {
        let (Meaning::Lane(eval) | Meaning::Approx(eval, _)) = form.meaning else { continue };
        let flat = |access| {
            let slots = form.slots.iter().filter(move |s| s.access == access);
            slots.flat_map(|s| std::iter::repeat_n(s, s.width())).collect::<Vec<_>>()
        };
        let mask = |bits: u32| if bits == 64 { u64::MAX } else { (1 << bits) - 1 };
        let bits = |s: &ptxgen_builder::table::Slot| s.ty().map_or(64, |t| t.bits());
        let (results, sources) = (flat(Access::Write), flat(Access::Read));
        let lanes: Vec<[u64; WARP]> = sources
            .iter()
            .map(|s| match s.shape {
                Shape::Const { least, .. } => [least as u64; WARP],
                _ => std::array::from_fn(|_| random.bits() & mask(bits(s))),
            })
            .collect();
        let mut together = vec![[0; WARP]; results.len()];
        eval(&mut together, &lanes);
        for lane in 0..WARP {
            let single: Vec<_> = lanes.iter().map(|source| [source[lane]; WARP]).collect();
            let mut alone = vec![[0; WARP]; results.len()];
            eval(&mut alone, &single);
            for ((result, slot), alone) in together.iter().zip(&results).zip(&alone) {
                assert_eq!(result[lane], alone[0], "{}", form.name);
                assert_eq!(result[lane] & !mask(bits(slot)), 0, "{} gives {:x}", form.name, result[lane]);
            }
        }
    }
}
