//! Forms of the table as lines of text, and what `ptxas` says of them.

#[allow(dead_code)] // each test uses its part
pub mod verdict;

use std::collections::BTreeMap;
use std::fmt::Write;

use ptxgen_builder::ptxas::{Ptxas, PtxasError, Severity};
use ptxgen_builder::table::{Access, Form, Op, Shape, Slot};
use ptxgen_builder::target::{PtxVersion, Target};
use ptxgen_builder::types::{RegClass, ScalarType, Space};

/// How the operands that may be left out, or be constants, are written.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Style {
    Registers,
    /// Optional operands left out.
    Short,
    /// Constants wherever the table takes them.
    Constants,
}

/// A constant that ptxas finds no fault with: a `b` may be a number of threads, a size one of bytes.
pub fn constant(ty: ScalarType, name: &str) -> Option<&'static str> {
    Some(match ty {
        ScalarType::F32 => "0f3F800000",
        ScalarType::F64 => "0d3FF0000000000000",
        ScalarType::Pred => return None,
        ty if !ty.has_constants() => return None,
        _ => {
            if matches!(name, "b" | "size") {
                "32"
            } else {
                "1"
            }
        }
    })
}

pub fn operand(slot: &Slot, style: Style, registers: &mut u32) -> String {
    let mut register = |ty: ScalarType| {
        let class = RegClass::of(ty).expect("a register class");
        *registers = (*registers + 1) % 8;
        format!("{}{registers}", class.prefix())
    };
    match slot.shape {
        Shape::Value(ty) | Shape::Wide(ty) | Shape::Move(ty) | Shape::Small { ty, .. } => match constant(ty, slot.name)
        {
            Some(constant) if style == Style::Constants && slot.access == Access::Read => constant.to_owned(),
            _ => register(ty),
        },
        Shape::Register(ty) => register(ty),
        Shape::Predicate(_) => register(ScalarType::Pred),
        Shape::Vector { ty, len, .. } => {
            format!("{{{}}}", (0..len).map(|_| register(ty)).collect::<Vec<_>>().join(", "))
        }
        Shape::Const { least, .. } => least.to_string(),
        Shape::OneOf(_, values) => values[0].to_string(),
        Shape::Address(space) => match space {
            Space::Generic | Space::Global => "[%rd0]".to_owned(),
            Space::Shared => "[shared_bytes]".to_owned(),
            Space::Local => "[local_bytes]".to_owned(),
            Space::Const => "[const_bytes]".to_owned(),
            Space::Param => "[param]".to_owned(),
            other => unreachable!("a space without an array here: {other}"),
        },
        Shape::Label => "END".to_owned(),
        Shape::Sink => "_".to_owned(),
        Shape::Text | Shape::Carry | Shape::Function | Shape::Passed => String::new(),
        ref other => unreachable!("a shape without an operand here: {other:?}"),
    }
}

/// The instruction as one line.
pub fn line(form: &Form, style: Style) -> String {
    let mut text = form.name.clone();
    let mut registers = 0;
    if form.op == Op::Call {
        // The one function of another module that the assembler knows.
        let passed = "st.param.b64 [p0], %rd0; st.param.b64 [p1], %rd1;";
        return format!("{{ .param .b64 p0; .param .b64 p1; .param .b32 r0; {passed} call (r0), vprintf, (p0, p1); }}");
    }
    for (i, slot) in form.slots.iter().enumerate() {
        if slot.shape == Shape::Carry {
            continue;
        }
        let bar = i > 0 && slot.access == Access::Write;
        let operand = match slot.optional && style == Style::Short {
            true if i == 0 => "_".to_owned(),
            true => continue,
            false => operand(slot, style, &mut registers),
        };
        let separator = if i == 0 {
            " "
        } else if bar {
            "|"
        } else {
            ", "
        };
        write!(text, "{separator}{operand}").expect("writes to a string");
    }
    text.push(';');
    text
}

/// The instruction in every style in which it differs.
pub fn lines(form: &Form) -> Vec<String> {
    let mut lines: Vec<_> = [Style::Registers, Style::Short, Style::Constants].map(|style| line(form, style)).into();
    lines.dedup();
    lines
}

/// A module with one kernel that has all these lines, and the number of the first.
pub fn module(version: PtxVersion, target: Target, lines: &[String]) -> (String, usize) {
    let mut text = format!(".version {version}\n.target {target}\n.address_size 64\n");
    text.push_str(".extern .func (.param .b32 r) vprintf (.param .b64 a, .param .b64 b);\n");
    text.push_str(".const .align 16 .b8 const_bytes[64];\n.visible .entry k(.param .align 16 .b8 param[64])\n{\n");
    text.push_str(".shared .align 16 .b8 shared_bytes[64];\n.local .align 16 .b8 local_bytes[64];\n");
    for class in RegClass::ALL {
        writeln!(text, ".reg .{} {}<8>;", class.declared(), class.prefix()).expect("writes to a string");
    }
    let first = text.lines().count() + 1;
    for line in lines {
        text.push_str(line);
        text.push('\n');
    }
    text.push_str("END:\nret;\n}\n");
    (text, first)
}

/// What `ptxas` says against each of the lines, by their index. (A fatal error hides later ones.)
#[allow(dead_code)] // each test uses its part
pub fn complaints(ptxas: &Ptxas, version: PtxVersion, target: Target, lines: &[String]) -> BTreeMap<usize, String> {
    complaints_or_error(ptxas, version, target, lines).unwrap_or_else(|e| panic!("{target}, PTX {version}: {e}"))
}

/// [`complaints`], or what `ptxas` says that is against no line.
pub fn complaints_or_error(
    ptxas: &Ptxas,
    version: PtxVersion,
    target: Target,
    lines: &[String],
) -> Result<BTreeMap<usize, String>, PtxasError> {
    let (text, first) = module(version, target, lines);
    // It writes machine code for no older GPU, and reads text for all.
    let error = match ptxas.assemble(&text, target.max(Target::SM_75)) {
        Ok(_) => return Ok(BTreeMap::new()),
        Err(error) => error,
    };
    let mut found = BTreeMap::new();
    if let PtxasError::Rejected { diagnostics, .. } = &error {
        for d in diagnostics.iter().filter(|d| d.severity != Severity::Warning) {
            // The last complaint, that assembly is aborted, has no line.
            let Some(line) = d.line else { continue };
            let line = line.checked_sub(first).filter(|&i| i < lines.len());
            let line = line.unwrap_or_else(|| panic!("{target}, PTX {version}: {d}"));
            found.entry(line).or_insert_with(|| d.message.clone());
        }
    }
    if found.is_empty() { Err(error) } else { Ok(found) }
}
