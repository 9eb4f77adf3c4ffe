//! A policy's rules over the facts.

use super::whole::Loss;
use super::{Accumulator, Facts, Input, Meeting, PolicyRule, PolicyViolation, Products, Requirements, Role, Share};
use crate::analysis::{InstId, KernelInfo, Origin};
use crate::ir::{Kernel, Module};
use crate::table::{Precision, Rounding};
use crate::types::ScalarType;

struct Report<'k> {
    module: &'k Module,
    kernel: &'k Kernel,
    info: &'k KernelInfo,
    found: Vec<PolicyViolation>,
}

impl Report<'_> {
    fn at(&mut self, rule: PolicyRule, id: InstId, message: impl Into<String>) {
        let inst = self.info.inst(self.kernel, id);
        self.found.push(PolicyViolation {
            rule,
            kernel: self.kernel.name.clone(),
            inst: Some(id),
            instruction: Some(crate::print::inst(self.module, self.kernel, inst)),
            loc: inst.loc.clone(),
            message: message.into(),
        });
    }

    /// The parameter that an instruction writes to.
    fn parameter(&self, id: InstId) -> Option<u32> {
        let inst = self.info.inst(self.kernel, id);
        let writes = inst.form().accesses().into_iter().find(|a| a.writes)?;
        let address = inst.slots().find(|(s, _)| s.name == writes.slot)?.1.first()?;
        match self.info.operand(self.module, self.kernel, id, address).origin? {
            Origin::Pointer(parameter) => Some(parameter),
            Origin::Symbol(_) => None,
        }
    }

    fn missing(&mut self, rule: PolicyRule, message: impl Into<String>) {
        self.found.push(PolicyViolation {
            rule,
            kernel: self.kernel.name.clone(),
            inst: None,
            instruction: None,
            loc: self.kernel.loc.clone(),
            message: message.into(),
        });
    }
}

/// Everything in which a kernel breaks a policy, in writing order by rule.
pub(super) fn violations(
    module: &Module,
    kernel: &Kernel,
    info: &KernelInfo,
    wanted: &Requirements,
    facts: &Facts,
    losses: &[(InstId, Loss)],
) -> Vec<PolicyViolation> {
    let mut report = Report { module, kernel, info, found: Vec::new() };
    if facts.outputs.is_empty() {
        report.missing(PolicyRule::NoOutput, "the kernel stores nothing to its outputs, so there is nothing to check");
    }
    if wanted.accumulator.is_some() {
        arithmetic(facts, wanted, &mut report);
    }
    if wanted.accumulator == Some(Accumulator::F64) {
        roundings(facts, wanted, &mut report);
    }
    if let Some(products) = wanted.products {
        match products.meeting {
            Meeting::Integers => as_integers(facts, wanted, products, &mut report),
            Meeting::Floats => as_floats(facts, wanted, products, &mut report),
        }
    }
    for &(id, how) in losses.iter().filter(|_| wanted.accumulator.is_some()) {
        let (what, instead) = how.words();
        report.at(PolicyRule::LostBits, id, format!("this {what}, and it leads to an output; {instead}"));
    }
    exactness(facts, wanted.allow_approximate, &mut report);
    report.found
}

/// Every sum, product and root in the type that it must have.
fn arithmetic(facts: &Facts, wanted: &Requirements, report: &mut Report<'_>) {
    let quantizes = wanted.meets_as_integers();
    let excused = |id: InstId| {
        wanted.allow_approximate && facts.approximate.binary_search(&id).is_ok()
            || quantizes && facts.quantizing.binary_search(&id).is_ok()
    };
    let expected = |id: InstId| {
        let of = facts.computed_of[id.0 as usize];
        match (wanted.own_types.iter().find(|own| own.fits(of)), wanted.accumulator) {
            (Some(own), _) => (own.ty.scalar(), own.why),
            (None, Some(Accumulator::F64)) => (ScalarType::F64, "acc=f64"),
            (None, _) => (ScalarType::F32, "acc=f32"),
        }
    };
    // Exact, and what arithmetic in f64 on loaded f32 begins with.
    let begins_wider = wanted.own_types.iter().any(|own| own.share == Share::Any && own.ty == Accumulator::F64);
    let widens = |report: &Report<'_>, id: InstId| {
        let to_and_from = report.info.inst(report.kernel, id).form().precision.conversion();
        begins_wider && to_and_from == Some((ScalarType::F64, ScalarType::F32))
    };
    let sums = facts.accumulations.iter().map(|a| (a.inst, a.ty));
    // What is narrowed was computed in f64.
    let narrowings = facts.narrowings.iter().map(|&id| (id, ScalarType::F64));
    for (id, ty) in sums.chain(facts.arithmetic.iter().copied()).chain(narrowings) {
        let (right, why) = expected(id);
        if ty == right || right == ScalarType::F64 && excused(id) || widens(report, id) {
            continue;
        }
        let rule = if right == ScalarType::F64 { PolicyRule::NarrowArithmetic } else { PolicyRule::WideArithmetic };
        report.at(rule, id, format!("{why} and this computes in {ty} on the way to an output; compute in {right}"));
    }
}

/// acc = f64: how often, where and how values are rounded to f32.
fn roundings(facts: &Facts, wanted: &Requirements, report: &mut Report<'_>) {
    for &id in &facts.looped_narrowings {
        let message = "acc=f64 and a sum is rounded to f32 in every round of a loop; round once, after it";
        report.at(PolicyRule::RoundingInLoop, id, message);
    }
    for &id in &facts.narrowings {
        let nearest = Some(Rounding::NearestEven);
        if report.info.inst(report.kernel, id).form().rounding() != nearest {
            report.at(PolicyRule::RoundingMode, id, "acc=f64 and the rounding to f32 is not to nearest even (.rn)");
        }
    }
    if !facts.outputs.is_empty() {
        counts(facts, wanted, report);
    }
}

/// As many roundings to f32 on the way to each output as there are stages.
fn counts(facts: &Facts, wanted: &Requirements, report: &mut Report<'_>) {
    let times = |n: u32| format!("acc=f64 and a value is rounded from f64 to f32 {n} times on the way to an output");
    let last = facts.narrowings.last().copied();
    let at = last.unwrap_or(facts.outputs[0]);
    match wanted.stages {
        Some(stages) if facts.stages != stages => {
            let message = format!("{}; this kernel's stages need {stages}", times(facts.stages));
            report.at(PolicyRule::RoundingCount, at, message);
        }
        None if facts.stages > 1 => {
            let message = format!(
                "{}; one stage is assumed where it is not said how many there are (--stages N, stages = N)",
                times(facts.stages)
            );
            report.at(PolicyRule::RoundingCount, at, message);
        }
        Some(_) | None => {}
    }
    // One stage ends with its rounding.
    if wanted.stages.is_none() && facts.stages == 1 && facts.resumed > 0 {
        let message = "acc=f64 and a value that was rounded to f32 goes on in f64, which is in the middle of a sum; \
                       say how many stages there are (--stages N, stages = N) if it is the end of one";
        report.at(PolicyRule::RoundingCount, at, message);
    }
    for &(output, n) in &facts.rounded {
        let parameter = report.parameter(output);
        let right = parameter.and_then(|p| wanted.stages_of.get(p as usize).copied().flatten());
        if let Some(right) = right.filter(|right| *right != n) {
            report.at(
                PolicyRule::RoundingCount,
                output,
                format!("{}; the stages before this one need {right}", times(n)),
            );
        }
    }
}

fn as_integers(facts: &Facts, wanted: &Requirements, products: Products, report: &mut Report<'_>) {
    let (choice, left, right) = (products.name, wanted.factors.left.name, wanted.factors.right.name);
    for &id in &facts.decoded_products {
        let message = format!("{choice} and decoded {left} or {right} are multiplied as floats; multiply the integers");
        report.at(PolicyRule::DecodedProduct, id, message);
    }
    let both = [Input::Left, Input::Right].iter().all(|&i| wanted.roles.contains(&Role::Input(i)));
    if both && facts.integer_products.is_empty() {
        let message = format!("{choice} and {left} never meet {right} in an integer product (dp4a, mad, mma)");
        report.missing(PolicyRule::NoIntegerProduct, message);
    }
}

fn as_floats(facts: &Facts, wanted: &Requirements, products: Products, report: &mut Report<'_>) {
    let (choice, left, right) = (products.name, wanted.factors.left.name, wanted.factors.right.name);
    for &id in &facts.integer_products {
        let message = format!("{choice} and {left} meet {right} in an integer product");
        report.at(PolicyRule::IntegerProduct, id, message);
    }
    for &id in &facts.quantizations {
        let of = if facts.computed_of[id.0 as usize].has(Input::Right) { right } else { left };
        report.at(PolicyRule::Quantization, id, format!("{choice} and {of} are converted to integers"));
    }
}

fn exactness(facts: &Facts, allow_approximate: bool, report: &mut Report<'_>) {
    if !allow_approximate {
        for &id in &facts.approximate {
            report.at(PolicyRule::Approximate, id, "math=exact and this instruction is approximate");
        }
    }
    for &id in &facts.unwritten_roundings {
        let message = "no rounding is written, so the assembler may contract this; write .rn";
        report.at(PolicyRule::UnwrittenRounding, id, message);
    }
    for &id in &facts.flushing {
        let approximate =
            matches!(report.info.inst(report.kernel, id).form().precision, Precision::Approximates { .. });
        if !(allow_approximate && approximate) {
            report.at(PolicyRule::Flush, id, "this flushes subnormals to zero; leave out .ftz");
        }
    }
    for &id in &facts.float_atomics {
        report.at(PolicyRule::FloatAtomic, id, "floats are added in memory in no fixed order; reduce in a tree");
    }
    for &id in &facts.float_matrices {
        report.at(PolicyRule::FloatMatrix, id, "PTX leaves open in which order this sums and rounds");
    }
}
