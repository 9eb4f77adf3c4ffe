//! One instruction more changes few lines of a kernel's text: registers are numbered after what defines them.

use crate::{cases, edit};
use ptxgen::{
    builder::{
        ir::{Kernel, Module, Operand, Reg},
        print::{self, PrintOptions, print},
        target::Target,
        types::RegClass,
        verify::verify,
    },
    testing::Random,
};

/// What is put in.
#[derive(Clone, Copy, Debug)]
enum Insertion {
    /// An instruction like the one before, with results of its own.
    Twin,
    /// A copy of a result, which the next use takes.
    ForOneUse,
    /// A copy of a result, which all later uses in the block take.
    ForLaterUses,
}

/// Puts an instruction in after the one at this place; the lines that had to change for it, if it has a result.
fn insert(k: &mut Kernel, block: usize, at: usize, what: Insertion) -> Option<usize> {
    let before = k.blocks[block].insts[at].clone();
    let result = before.defs().next()?;
    if k.blocks[block].insts.len() == at + 1 {
        return None;
    }
    let mut changed = 0;
    let mut new = before.clone();
    match what {
        Insertion::Twin => {
            let results: Vec<Reg> = before.defs().collect();
            let fresh: Vec<Reg> = results.iter().map(|r| k.new_reg(r.class)).collect();
            // Results stand first.
            for op in new.operands.iter_mut().take(results.len()) {
                if let Operand::Reg(r) = op
                    && let Some(i) = results.iter().position(|old| old == r)
                {
                    *r = fresh[i];
                }
            }
        }
        Insertion::ForOneUse | Insertion::ForLaterUses => {
            let copy = k.new_reg(result.class);
            let name = if result.class == RegClass::Pred {
                "mov.pred".to_owned()
            } else {
                format!("mov.{}", result.class.declared())
            };
            new = edit::inst(&name, &[copy.into(), result.into()], &before);
            new.guard = None;
            for inst in &mut k.blocks[block].insts[at + 1..] {
                let results = inst.defs().count();
                let mut uses = false;
                for op in inst.operands.iter_mut().skip(results) {
                    if *op == Operand::Reg(result) {
                        *op = copy.into();
                        uses = true;
                    }
                }
                changed += usize::from(uses);
                if uses && matches!(what, Insertion::ForOneUse) {
                    break;
                }
            }
        }
    }
    k.blocks[block].insts.insert(at + 1, new);
    Some(changed)
}

/// The text's lines, and which of them each instruction is on.
fn lines(mut module: Module) -> (Vec<String>, Vec<u32>) {
    module.renumber();
    let module = verify(module).unwrap_or_else(|e| panic!("{e}"));
    let options = PrintOptions::default();
    let text = print(&module, &options).lines().map(str::to_owned).collect();
    (text, print::lines(&module, &options).remove(0))
}

/// Half of all insertions change no more lines than this beside their own, and nine of ten no more than that.
const MEDIAN: usize = 6;
const NINE_OF_TEN: usize = 32;

/// None changes more than this share of its kernel's lines, or so many: one in a run of equal instructions renames
/// the rest of the run.
const MOST_SHARE: f64 = 0.35;
const MOST: usize = 300;

#[test]
fn one_instruction_more_changes_few_lines() {
    let mut random = Random::new(15);
    let mut counts: Vec<(usize, usize, String)> = Vec::new();
    for case in cases::all(Target::SM_90) {
        let module = case.module.module();
        let (before, _) = lines(module.clone());
        for what in [Insertion::Twin, Insertion::ForOneUse, Insertion::ForLaterUses] {
            let mut changed = module.clone();
            let k = &mut changed.kernels[0];
            let (place, necessary) = loop {
                let block = random.below(k.blocks.len() as u64) as usize;
                if k.blocks[block].insts.is_empty() {
                    continue;
                }
                let at = random.below(k.blocks[block].insts.len() as u64) as usize;
                if let Some(necessary) = insert(k, block, at, what) {
                    break (k.blocks[..block].iter().map(|b| b.insts.len()).sum::<usize>() + at + 1, necessary);
                }
            };
            let (mut after, at) = lines(changed);
            after.remove(at[place] as usize - 1);
            assert_eq!(before.len(), after.len());
            let found = before.iter().zip(&after).filter(|(b, a)| b != a).count().saturating_sub(necessary);
            let title = format!("{} {what:?}", case.built.title());
            counts.push((found, before.len(), title));
        }
    }
    counts.sort();
    let (n, share) = (counts.len(), |c: &(usize, usize, String)| c.0 as f64 / c.1 as f64);
    let worst = counts.iter().max_by(|a, b| share(a).total_cmp(&share(b))).expect("there are kernels");
    let all: usize = counts.iter().map(|c| c.0).sum();
    println!(
        "{n} insertions: median {}, 90% {}, 99% {}, most {:?}, mean {:.1}, largest share {:.3} {worst:?}",
        counts[n / 2].0,
        counts[n * 9 / 10].0,
        counts[n * 99 / 100].0,
        counts[n - 1],
        all as f64 / n as f64,
        share(worst),
    );
    assert!(counts[n / 2].0 <= MEDIAN, "the median is {}", counts[n / 2].0);
    assert!(counts[n * 9 / 10].0 <= NINE_OF_TEN, "one in ten changes {} lines", counts[n * 9 / 10].0);
    assert!(counts[n - 1].0 <= MOST, "{:?}", counts[n - 1]);
    assert!(share(worst) <= MOST_SHARE, "{worst:?}");
}
