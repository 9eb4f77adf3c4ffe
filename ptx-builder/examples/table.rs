//! Prints the instruction table as JSON lines, one form each, for programs in
//! other languages (the conformance cases' generator, an assembler sweep).

use ptxgen_builder::table::{Access, Form, Shape, Slot, table};

fn slot(slot: &Slot) -> String {
    let (shape, rest) = match slot.shape {
        Shape::Value(_) => ("value", String::new()),
        Shape::Small { most, .. } => ("value", format!(r#","most":{most}"#)),
        Shape::Register(_) => ("register", String::new()),
        Shape::Wide(_) => ("wide", String::new()),
        Shape::Move(_) => ("move", String::new()),
        Shape::Predicate(_) => ("predicate", String::new()),
        Shape::Vector { len, .. } => ("vector", format!(r#","len":{len}"#)),
        Shape::Const { least, most, .. } => ("const", format!(r#","least":{least},"most":{most}"#)),
        Shape::OneOf(_, values) => ("one_of", format!(r#","values":{values:?}"#)),
        Shape::Address(space) => ("address", format!(r#","space":"{space}""#)),
        Shape::Label => ("label", String::new()),
        Shape::Function => ("function", String::new()),
        Shape::Passed => ("passed", String::new()),
        Shape::Carry => ("carry", String::new()),
        Shape::Text => ("text", String::new()),
        Shape::Sink => ("sink", String::new()),
        ref other => unreachable!("a shape that this program does not know: {other:?}"),
    };
    let ty = slot.ty().map_or_else(|| "null".to_owned(), |ty| format!("\"{ty}\""));
    let write = slot.access == Access::Write;
    let (name, optional) = (slot.name, slot.optional);
    format!(r#"{{"name":"{name}","shape":"{shape}","type":{ty},"write":{write},"optional":{optional}{rest}}}"#)
}

fn line(form: &Form) -> String {
    let slots: Vec<String> = form.slots.iter().map(slot).collect();
    let mods: Vec<String> = form.mods.iter().map(|m| format!("\"{m}\"")).collect();
    // The variant's name, without the function pointers and fields.
    let meaning = format!("{:?}", form.meaning);
    let meaning = meaning.split(['(', ' ']).next().filter(|_| form.is_run()).unwrap_or("Foreign");
    format!(
        r#"{{"name":"{}","op":"{}","opcode":"{:?}","mods":[{}],"slots":[{}],"meaning":"{meaning}","ptx":{},"sm":{},"specific":{},"section":"{}"}}"#,
        form.name,
        form.op,
        form.op,
        mods.join(","),
        slots.join(","),
        form.least_ptx.0,
        form.least_sm,
        form.is_specific,
        form.row.get().section
    )
}

fn main() {
    for form in table().forms() {
        println!("{}", line(form));
    }
}
