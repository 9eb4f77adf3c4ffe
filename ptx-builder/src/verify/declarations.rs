//! Names, arrays, parameters and launch bounds.

use std::collections::{HashMap, HashSet};

use super::Rule;
use super::error::Errors;
use crate::ir::{Base, Kernel, Linkage, Module, Operand, Param, Symbol, Variable};
use crate::table::CALL_ARGUMENTS;
use crate::types::{RegClass, ScalarType, Space};

/// Most static shared memory of a kernel, in bytes. What a launch adds
/// (dynamic shared memory) is not counted.
const SHARED_LIMIT: u64 = 48 << 10;
/// Most constant memory of a module, in bytes.
const CONST_LIMIT: u64 = 64 << 10;
/// Most bytes of parameters of a kernel (PTX ISA 5.1.6.1).
const PARAM_LIMIT: u64 = 32764;
/// Most registers of a class that a kernel may declare; the assembler gives a
/// thread 255, so more is an accident.
const REGISTER_LIMIT: u32 = 1 << 20;

/// The word that PTX does not take as a name. (PTX ISA 4.3 also reserves the
/// opcodes; assemblers take them.)
const RESERVED: &str = "WARP_SZ";

/// Checks a module's own declarations.
pub(super) fn check_module(module: &Module, errors: &mut Errors) {
    let mut seen = HashSet::new();
    for variable in &module.variables {
        let what = format!("variable '{}'", variable.name);
        name(&variable.name).unwrap_or_else(|m| errors.module(Rule::Name, m));
        let spaces = [Space::Const, Space::Global, Space::Shared];
        array(variable, &spaces, true).unwrap_or_else(|m| errors.module(Rule::Variable, format!("{what} {m}")));
        if !seen.insert(variable.name.as_str()) {
            errors.module(Rule::DuplicateName, format!("{what} is declared twice in the module; rename one"));
        }
    }
    for variable in &module.variables {
        if let Some(r) = variable.refs.iter().find(|r| r.variable as usize >= module.variables.len()) {
            let (name, n) = (&variable.name, module.variables.len());
            let message = format!("variable '{name}' has the address of variable {}; {n} are declared", r.variable);
            errors.module(Rule::Symbol, message);
        }
    }
    for function in &module.externs {
        name(&function.name).unwrap_or_else(|m| errors.module(Rule::Name, m));
        if !seen.insert(function.name.as_str()) {
            let message = format!("the name '{}' is declared twice in the module; rename one", function.name);
            errors.module(Rule::DuplicateName, message);
        }
        let arrays = function.params.iter().chain(&function.results).any(|p| p.len.is_some());
        if function.results.len() > 1 || function.params.len() > CALL_ARGUMENTS || arrays {
            let message = format!(
                "function '{}' takes or gives an array, more than one result or more than {CALL_ARGUMENTS} values",
                function.name
            );
            errors.module(Rule::Parameter, message);
        }
    }
    for kernel in &module.kernels {
        name(&kernel.name).unwrap_or_else(|m| errors.kernel(kernel, Rule::Name, m));
        if !seen.insert(kernel.name.as_str()) {
            let message = format!("the name '{}' is declared twice in the module; rename one", kernel.name);
            errors.kernel(kernel, Rule::DuplicateName, message);
        }
    }
    let constants = Variable::total(module.variables.iter().filter(|v| v.space == Space::Const));
    if constants > CONST_LIMIT {
        let message =
            format!("constants take {constants} bytes and a module has {CONST_LIMIT}; move some to global space");
        errors.module(Rule::MemorySize, message);
    }
}

/// Checks a kernel's declarations.
pub(super) fn check_kernel(module: &Module, kernel: &Kernel, errors: &mut Errors) {
    names(module, kernel, errors);
    for variable in &kernel.variables {
        if let Err(m) = array(variable, &[Space::Shared, Space::Local], false) {
            errors.kernel(kernel, Rule::Variable, format!("variable '{}' {m}", variable.name));
        }
    }
    let shared = Variable::total(kernel.variables.iter().filter(|v| v.space == Space::Shared));
    if shared > SHARED_LIMIT {
        let message = format!(
            "static shared memory takes {shared} bytes and a kernel has {SHARED_LIMIT}; use dynamic shared memory for the rest"
        );
        errors.kernel(kernel, Rule::MemorySize, message);
    }
    params(kernel, errors);
    if let Err(m) = launch_bounds(module, kernel) {
        errors.kernel(kernel, Rule::LaunchBounds, m);
    }
    for class in RegClass::ALL {
        let count = kernel.registers[class as usize];
        if count > REGISTER_LIMIT {
            let message = format!(
                "{count} registers of class {} are declared; at most {REGISTER_LIMIT} are allowed",
                class.declared()
            );
            errors.kernel(kernel, Rule::RegisterCount, message);
        }
    }
}

/// Whether a name can be written in PTX and means nothing else there.
fn name(name: &str) -> Result<(), String> {
    let mut chars = name.chars();
    let head = chars.next().unwrap_or(' ');
    let rest = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '$';
    let word = (head.is_ascii_alphabetic() || matches!(head, '_' | '$') && name.len() > 1) && chars.all(rest);
    if !word {
        return Err(format!("'{name}' is no PTX name; use letters, digits, '_' and '$', not a digit first"));
    }
    if name.strip_prefix("$L").is_some_and(|n| n.starts_with(|c: char| c.is_ascii_digit())) {
        return Err(format!("'{name}' looks like a block's label; choose another name"));
    }
    if name == RESERVED {
        return Err(format!("'{name}' is a reserved word of PTX; choose another name"));
    }
    Ok(())
}

fn names(module: &Module, kernel: &Kernel, errors: &mut Errors) {
    // An inner name hides an outer one: that is all right where the kernel does not use the outer one.
    let named = kernel.insts().flat_map(|(_, _, i)| &i.operands).filter_map(|op| match op {
        Operand::Symbol(Symbol::Module(i), _) => Some(*i),
        Operand::Address(a) if let Base::Symbol(Symbol::Module(i)) = a.base => Some(i),
        _ => None,
    });
    let used: HashSet<u32> = named.collect();
    let of_module: HashMap<&str, u32> = (0..).zip(&module.variables).map(|(i, v)| (v.name.as_str(), i)).collect();
    let hidden = |name: &str| of_module.get(name).is_some_and(|&i| used.contains(&i));
    let mut seen = HashSet::new();
    let own = kernel.params.iter().map(|p| &p.name).chain(kernel.variables.iter().map(|v| &v.name));
    for n in own {
        name(n).unwrap_or_else(|m| errors.kernel(kernel, Rule::Name, m));
        if !seen.insert(n.as_str()) || hidden(n) {
            let message = format!("the name '{n}' is declared twice, in the kernel or the module; rename one");
            errors.kernel(kernel, Rule::DuplicateName, message);
        }
    }
}

/// A type that variables in memory can have.
fn storable(ty: ScalarType) -> bool {
    ty.bytes() > 0 && ty.is_fundamental()
}

fn array(v: &Variable, spaces: &[Space], module_scope: bool) -> Result<(), String> {
    if !spaces.contains(&v.space) {
        let names: Vec<&str> = spaces.iter().map(|s| s.name()).collect();
        return Err(format!("is in {} space; here it can be in {}", v.space, names.join(", ")));
    }
    if !storable(v.ty) {
        return Err(format!("has elements of type {}; declare bits of that size", v.ty));
    }
    if !v.align.is_power_of_two() || v.align > 1 << 16 {
        return Err(format!("has alignment {}; it must be a power of two, at most 65536", v.align));
    }
    match v.len {
        None if module_scope && v.linkage == Linkage::External => {}
        None if !(module_scope && v.space == Space::Shared) => {
            return Err("has no length; only shared memory at module scope can leave it to the launch".to_owned());
        }
        Some(0) => return Err("has no elements".to_owned()),
        Some(_) if module_scope && v.space == Space::Shared => {
            return Err(
                "has a length; at module scope only dynamic shared memory is allowed, arrays belong to the kernel"
                    .to_owned(),
            );
        }
        _ => {}
    }
    if v.linkage != Linkage::Internal && !(module_scope && matches!(v.space, Space::Const | Space::Global)) {
        return Err("is visible; only constants and global variables of a module can be".to_owned());
    }
    if v.linkage == Linkage::External && !v.init.is_empty() {
        return Err("is external and has initial values; another module defines it".to_owned());
    }
    let Some(bytes) = v.bytes() else { return Err("is larger than memory can be".to_owned()) };
    if v.init.len() as u64 > bytes {
        return Err(format!("has {} initial bytes and a size of {bytes}", v.init.len()));
    }
    if let Some(r) =
        v.refs.iter().find(|r| r.bytes == 0 || r.bytes > 8 || r.at + u64::from(r.bytes) > v.init.len() as u64)
    {
        return Err(format!("has an address at byte {} and {} initial bytes", r.at, v.init.len()));
    }
    if !v.init.is_empty() && !matches!(v.space, Space::Const | Space::Global) {
        return Err(format!("is in {} space, which cannot be initialized", v.space));
    }
    Ok(())
}

fn params(kernel: &Kernel, errors: &mut Errors) {
    let mut at = 0u64;
    for p in &kernel.params {
        if let Err(m) = param(p) {
            errors.kernel(kernel, Rule::Parameter, format!("parameter '{}' {m}", p.name));
        }
        let align = u64::from(p.align.unwrap_or(p.ty.bytes()).max(1));
        let bytes = u64::from(p.ty.bytes()) * u64::from(p.len.unwrap_or(1));
        at = at.next_multiple_of(align) + bytes;
    }
    if at > PARAM_LIMIT {
        let message = format!("parameters take {at} bytes and a kernel has {PARAM_LIMIT}; pass a pointer instead");
        errors.kernel(kernel, Rule::Parameter, message);
    }
}

fn param(p: &Param) -> Result<(), String> {
    if !storable(p.ty) || p.ty == ScalarType::F16x2 {
        return Err(format!("has type {}, which cannot be passed; pass bits of that size", p.ty));
    }
    if p.len == Some(0) {
        return Err("has no elements".to_owned());
    }
    if let Some(align) = p.align
        // mutants: same [128 to 129], 129 is no power of two
        && (!align.is_power_of_two() || align < p.ty.bytes() || align > 128)
    {
        return Err(format!("has alignment {align}; it must be a power of two from {} to 128", p.ty.bytes()));
    }
    if let Some((space, align)) = p.pointer {
        if p.len.is_some() || p.ty.bits() != 64 || !matches!(RegClass::of(p.ty), Some(RegClass::B64)) {
            return Err(format!("is declared a pointer and has type {}; pointers are 64-bit integers", p.ty));
        }
        if space == Space::Param {
            return Err(
                "points to param space; kernels get pointers to global, const, shared or local space".to_owned()
            );
        }
        if !align.is_power_of_two() {
            return Err(format!("points to data aligned to {align}, which is no power of two"));
        }
    }
    Ok(())
}

fn launch_bounds(module: &Module, kernel: &Kernel) -> Result<(), String> {
    let bounds = &kernel.bounds;
    for (directive, shape) in [("reqntid", bounds.required), ("maxntid", bounds.max_threads)] {
        let Some(shape) = shape else { continue };
        let threads: u64 = shape.iter().map(|&n| u64::from(n)).fold(1, u64::saturating_mul);
        if threads == 0 || threads > 1024 || shape[0] > 1024 || shape[1] > 1024 || shape[2] > 64 {
            return Err(format!(
                "{directive} is {shape:?}, {threads} threads; a block has 1 to 1024, at most 1024, 1024 and 64 along x, y and z"
            ));
        }
    }
    if let (Some(required), Some(max)) = (bounds.required, bounds.max_threads) {
        return Err(format!(
            "reqntid is {required:?} and maxntid {max:?}; a kernel has one of them, and what is required is also the most"
        ));
    }
    if bounds.min_blocks == Some(0) {
        return Err("minnctapersm is 0; leave it out or ask for at least 1".to_owned());
    }
    if bounds.max_registers.is_some_and(|n| n == 0 || n > 255) {
        return Err(format!("maxnreg is {}; a thread has 1 to 255 registers", bounds.max_registers.unwrap_or(0)));
    }
    if bounds.cluster.is_some() && bounds.max_cluster_rank.is_some() {
        return Err("maxclusterrank and reqnctapercluster stand together; a kernel has one of them".to_owned());
    }
    if (bounds.explicit_cluster || bounds.max_cluster_rank.is_some()) && module.target.sm() < 90 {
        return Err(format!("clusters need sm_90 or later and the module is for {}", module.target));
    }
    if let Some(cluster) = bounds.cluster {
        if module.target.sm() < 90 {
            return Err(format!("clusters need sm_90 or later and the module is for {}", module.target));
        }
        let blocks: u64 = cluster.iter().map(|&n| u64::from(n)).fold(1, u64::saturating_mul);
        // More than 8 are not portable: they take the launch's leave.
        if blocks == 0 || blocks > 16 {
            return Err(format!("the cluster {cluster:?} has {blocks} blocks; a cluster has 1 to 16"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::Target;
    use crate::verify::testing::K;

    /// An otherwise sound kernel.
    fn kernel(change: impl FnOnce(&mut K)) -> K {
        let mut k = K::new();
        k.i("ret", &[]);
        change(&mut k);
        k
    }

    fn constant(name: &str, len: u64) -> Variable {
        let (name, space, ty) = (name.into(), Space::Const, ScalarType::B32);
        Variable { name, space, align: 4, ty, len: Some(len), init: vec![], refs: vec![], linkage: Linkage::Visible }
    }

    #[test]
    fn names() {
        for bad in ["", "1a", "a b", "%r1", "$L3", "WARP_SZ", "_", "é"] {
            kernel(|k| k.kernel.name = bad.to_owned()).reject(Rule::Name, 0);
        }
        for good in ["a", "_a", "$a", "gemv_q4k", "add", "$Label"] {
            kernel(|k| k.kernel.name = good.to_owned()).accept();
        }
    }

    #[test]
    fn one_name_twice() {
        let twice = kernel(|k| {
            k.pointer("x", 4);
            k.shared("x", 64, 4);
        });
        twice.reject(Rule::DuplicateName, 0);
        kernel(|k| k.module.variables = vec![constant("k", 1)]).reject(Rule::DuplicateName, 0);
    }

    #[test]
    fn addresses_of_variables_that_there_are_not() {
        for (variable, right) in [(0, true), (1, true), (2, false)] {
            let with = kernel(|k| {
                let mut table = constant("table", 2);
                table.space = Space::Global;
                table.ty = ScalarType::B64;
                table.align = 8;
                table.init = vec![0; 16];
                table.refs =
                    vec![crate::ir::Reference { at: 0, bytes: 8, shift: 0, variable, addend: 0, is_generic: false }];
                k.module.variables = vec![table, constant("other", 1)];
            });
            if right { drop(with.accept()) } else { drop(with.reject(Rule::Symbol, 0)) }
        }
    }

    #[test]
    fn impossible_functions() {
        let passed = |len| crate::ir::Passed { ty: ScalarType::B32, len, align: None };
        let with = |names: &[&str], results: usize, params: usize, len: Option<u32>| {
            let function = |name: &&str| crate::ir::Extern {
                name: (*name).to_owned(),
                results: vec![passed(None); results],
                params: (0..params).map(|i| passed(len.filter(|_| i == 0))).collect(),
            };
            kernel(|k| k.module.externs = names.iter().map(function).collect())
        };
        with(&["f", "g"], 1, CALL_ARGUMENTS, None).accept();
        with(&["f"], 0, 0, None).accept();
        with(&["f", "f"], 0, 0, None).reject(Rule::DuplicateName, 0);
        with(&["1"], 0, 0, None).reject(Rule::Name, 0);
        with(&["f"], 2, 0, None).reject(Rule::Parameter, 0);
        with(&["f"], 0, CALL_ARGUMENTS + 1, None).reject(Rule::Parameter, 0);
        with(&["f"], 0, 1, Some(4)).reject(Rule::Parameter, 0);
    }

    #[test]
    fn impossible_arrays() {
        let shared = |change: fn(&mut Variable)| {
            kernel(|k| {
                k.shared("tile", 64, 16);
                change(&mut k.kernel.variables[0]);
            })
        };
        shared(|_| {}).accept();
        shared(|v| v.align = 12).reject(Rule::Variable, 0);
        shared(|v| v.space = Space::Global).reject(Rule::Variable, 0);
        shared(|v| v.len = None).reject(Rule::Variable, 0);
        shared(|v| v.len = Some(0)).reject(Rule::Variable, 0);
        shared(|v| v.ty = ScalarType::Pred).reject(Rule::Variable, 0);
        shared(|v| v.init = vec![1]).reject(Rule::Variable, 0);
        shared(|v| v.linkage = Linkage::Visible).reject(Rule::Variable, 0);
        shared(|v| v.ty = ScalarType::Bf16).reject(Rule::Variable, 0);
        // Less than its elements' own is what an author may say; accesses are checked against it.
        let unaligned = shared(|v| {
            v.ty = ScalarType::B64;
            v.align = 4;
        });
        unaligned.accept();
    }

    #[test]
    fn too_much_memory() {
        let tile = |bytes| {
            kernel(|k| {
                k.shared("tile", bytes, 16);
            })
        };
        tile(SHARED_LIMIT).accept();
        tile(SHARED_LIMIT + 1).reject(Rule::MemorySize, 0);
        kernel(|k| k.module.variables = vec![constant("table", CONST_LIMIT / 4 + 1)]).reject(Rule::MemorySize, 0);
    }

    #[test]
    fn impossible_parameters() {
        let with = |change: fn(&mut Param)| {
            kernel(|k| {
                k.pointer("p", 16);
                change(&mut k.kernel.params[0]);
            })
        };
        with(|_| {}).accept();
        with(|p| p.pointer = Some((Space::Global, 12))).reject(Rule::Parameter, 0);
        with(|p| p.pointer = Some((Space::Param, 4))).reject(Rule::Parameter, 0);
        with(|p| p.ty = ScalarType::F32).reject(Rule::Parameter, 0);
        with(|p| p.align = Some(4)).reject(Rule::Parameter, 0);
        let large = with(|p| {
            p.pointer = None;
            p.len = Some(5000);
        });
        large.reject(Rule::Parameter, 0);
    }

    #[test]
    fn impossible_launches() {
        let with = |change: fn(&mut K)| kernel(change);
        with(|k| k.kernel.bounds.max_threads = Some([256, 4, 1])).accept();
        with(|k| k.kernel.bounds.max_threads = Some([256, 5, 1])).reject(Rule::LaunchBounds, 0);
        with(|k| k.kernel.bounds.required = Some([0, 1, 1])).reject(Rule::LaunchBounds, 0);
        with(|k| k.kernel.bounds.max_registers = Some(256)).reject(Rule::LaunchBounds, 0);
        with(|k| k.kernel.bounds.min_blocks = Some(0)).reject(Rule::LaunchBounds, 0);
        with(|k| k.kernel.bounds.cluster = Some([4, 2, 2])).accept();
        with(|k| k.kernel.bounds.cluster = Some([17, 1, 1])).reject(Rule::LaunchBounds, 0);
        let early = with(|k| {
            k.module.target = Target::SM_80;
            k.kernel.bounds.cluster = Some([2, 1, 1]);
        });
        early.reject(Rule::LaunchBounds, 0);
        for max in [128, 256, 512] {
            let mut both = with(|k| k.kernel.bounds.required = Some([256, 1, 1]));
            both.kernel.bounds.max_threads = Some([max, 1, 1]);
            both.reject(Rule::LaunchBounds, 0);
        }
    }

    #[test]
    fn absurdly_many_registers() {
        kernel(|k| k.kernel.registers[2] = u32::MAX).reject(Rule::RegisterCount, 0);
    }
}
