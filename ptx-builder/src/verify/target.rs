//! What the target has.

use super::Rule;
use super::error::Errors;
use crate::ir::{Inst, Kernel, Module, Operand};
use crate::target::CLUSTERS;

/// Checks the PTX version that the text states against the target and the
/// kernels' directives.
pub(super) fn check_version(module: &Module, errors: &mut Errors) {
    let Some(version) = module.version else { return };
    let (target, least) = (module.target, module.target.least_ptx());
    if version < least {
        let message =
            format!("PTX {version} does not know {target}, which came with PTX {least}; state `.version {least}`");
        errors.module(Rule::PtxVersion, message);
    }
    for kernel in module.kernels.iter().filter(|k| k.bounds.cluster.is_some() && version < CLUSTERS) {
        let message = format!("clusters need PTX {CLUSTERS} and the file states {version}; raise its .version");
        errors.kernel(kernel, Rule::PtxVersion, message);
    }
}

/// Checks an instruction and its special registers against the target and the
/// PTX version that the text states.
pub(super) fn check(module: &Module, kernel: &Kernel, inst: &Inst, errors: &mut Errors) {
    let (form, target) = (inst.form(), module.target);
    if let Some(version) = module.version.filter(|&v| v < inst.least_ptx()) {
        let message = format!(
            "{} needs PTX {} and the file states {version}; raise its .version",
            if form.least_ptx > version { &form.name } else { "the special register" },
            inst.least_ptx()
        );
        errors.inst(kernel, inst, Rule::PtxVersion, message);
    }
    if !form.is_legal_on(target) {
        let specific = if form.is_specific { " with its specific features (a or f)" } else { "" };
        let message = format!(
            "{} needs sm_{} or later{specific} and the module is for {target}; choose a later target or another instruction",
            form.name, form.least_sm
        );
        errors.inst(kernel, inst, Rule::TargetInstruction, message);
    }
    for operand in &inst.operands {
        if let Operand::Special(special) = operand
            && special.least_sm() > target.sm()
        {
            let message = format!("{special} needs sm_{} or later and the module is for {target}", special.least_sm());
            errors.inst(kernel, inst, Rule::TargetRegister, message);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::{SpecialReg, table};
    use crate::target::Target;
    use crate::types::RegClass;
    use crate::verify::testing::K;

    #[test]
    fn clusters_need_their_version() {
        for (version, cluster, told) in [(77, true, 1), (78, true, 0), (80, true, 0), (77, false, 0)] {
            let mut k = K::new();
            k.i("ret", &[]);
            k.kernel.bounds.cluster = cluster.then_some([2, 1, 1]);
            k.module.version = Some(crate::target::PtxVersion(version));
            let errors = k.verify().err().map_or(Vec::new(), |e| e.0);
            let of_kernel = errors.iter().filter(|e| e.rule == Rule::PtxVersion && e.kernel.is_some());
            assert_eq!(of_kernel.count(), told, "{version} {cluster}");
        }
    }

    #[test]
    fn a_special_register_of_a_later_target() {
        let kernel = |target| {
            let mut k = K::on(target);
            let r = k.reg(RegClass::B32);
            let line = k.i("mov.u32", &[r.into(), Operand::Special(SpecialReg::ClusterCtarank)]);
            k.i("ret", &[]);
            (k, line)
        };
        kernel(Target::SM_90).0.accept();
        let (k, line) = kernel(Target::SM_80);
        let message = k.reject(Rule::TargetRegister, line);
        assert!(message.contains("%cluster_ctarank needs sm_90"), "{message}");
    }

    #[test]
    fn every_form_of_a_later_target_is_refused_before_it() {
        let later: Vec<_> =
            table().forms().iter().filter(|f| f.least_sm > 75).filter(|f| table().named(&f.name)[0] == f.id).collect();
        for form in later {
            let mut k = K::on(Target::SM_75);
            let line = k.i(&form.name, &[]);
            k.i("ret", &[]);
            let errors = k.verify().expect_err("an instruction that sm_75 lacks").0;
            let found = errors.iter().find(|e| e.rule == Rule::TargetInstruction);
            assert_eq!(found.and_then(|e| e.loc.as_ref()).map(|l| l.line), Some(line), "{}", form.name);
        }
    }
}
