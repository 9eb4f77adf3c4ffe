//! The IR as JSON, for tools.

use serde::Serialize;

use super::label::Labels;
use super::{inst, least_version};
use crate::ir::{BlockId, Kernel, Linkage, Loc, Module, Param, Variable};
use crate::types::RegClass;

#[derive(Serialize)]
struct JsonModule<'a> {
    target: String,
    version: String,
    variables: Vec<JsonVariable<'a>>,
    kernels: Vec<JsonKernel<'a>>,
}

#[derive(Serialize)]
struct JsonVariable<'a> {
    name: &'a str,
    space: String,
    align: u32,
    r#type: &'static str,
    len: Option<u64>,
    #[serde(skip_serializing_if = "<[u8]>::is_empty")]
    init: &'a [u8],
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    visible: bool,
}

#[derive(Serialize)]
struct JsonParam<'a> {
    name: &'a str,
    r#type: &'static str,
    len: Option<u32>,
    align: Option<u32>,
    pointer: Option<JsonPointer>,
}

#[derive(Serialize)]
struct JsonPointer {
    space: String,
    align: u32,
}

#[derive(Serialize)]
struct JsonKernel<'a> {
    name: &'a str,
    loc: Option<String>,
    params: Vec<JsonParam<'a>>,
    bounds: JsonBounds,
    variables: Vec<JsonVariable<'a>>,
    registers: Vec<JsonRegisters>,
    names: Vec<JsonName<'a>>,
    blocks: Vec<JsonBlock>,
}

#[derive(Serialize)]
struct JsonBounds {
    required: Option<[u32; 3]>,
    max_threads: Option<[u32; 3]>,
    min_blocks: Option<u32>,
    max_registers: Option<u32>,
    cluster: Option<[u32; 3]>,
}

#[derive(Serialize)]
struct JsonRegisters {
    class: &'static str,
    count: u32,
}

#[derive(Serialize)]
struct JsonName<'a> {
    register: String,
    name: &'a str,
}

#[derive(Serialize)]
struct JsonBlock {
    label: String,
    instructions: Vec<JsonInst>,
}

#[derive(Serialize)]
struct JsonInst {
    form: &'static str,
    section: &'static str,
    text: String,
    defs: Vec<String>,
    uses: Vec<String>,
    target: Option<String>,
    loc: Option<String>,
}

/// The module as JSON, indented, with keys in a fixed order. It need not be
/// verified.
pub fn json(module: &Module) -> String {
    let view = JsonModule {
        target: module.target.to_string(),
        version: least_version(module).to_string(),
        variables: module.variables.iter().map(variable).collect(),
        kernels: module.kernels.iter().map(|k| kernel(module, k)).collect(),
    };
    let mut text = serde_json::to_string_pretty(&view).expect("strings, numbers and lists can be written as JSON");
    text.push('\n');
    text
}

fn variable(v: &Variable) -> JsonVariable<'_> {
    let space = v.space.to_string();
    let (r#type, len, init, visible) = (v.ty.name(), v.len, &v.init, v.linkage != Linkage::Internal);
    JsonVariable { name: &v.name, space, align: v.align, r#type, len, init, visible }
}

fn param(p: &Param) -> JsonParam<'_> {
    let pointer = p.pointer.map(|(space, align)| JsonPointer { space: space.to_string(), align });
    JsonParam { name: &p.name, r#type: p.ty.name(), len: p.len, align: p.align, pointer }
}

fn kernel<'a>(module: &Module, kernel: &'a Kernel) -> JsonKernel<'a> {
    let b = kernel.bounds;
    let labels = Labels::of(kernel);
    let blocks = kernel.blocks.iter().enumerate().map(|(i, block)| JsonBlock {
        label: labels.label(BlockId(i as u32)).to_string(),
        instructions: block
            .insts
            .iter()
            .map(|i| JsonInst {
                form: &i.form().name,
                section: i.form().row.get().section,
                text: inst(module, kernel, i),
                defs: i.defs().map(|r| r.to_string()).collect(),
                uses: i.uses().map(|r| r.to_string()).collect(),
                target: i.branch_target().map(|b| labels.label(b).to_string()),
                loc: i.loc.as_ref().map(Loc::to_string),
            })
            .collect(),
    });
    let classes = RegClass::ALL.into_iter().zip(kernel.registers);
    JsonKernel {
        name: &kernel.name,
        loc: kernel.loc.as_ref().map(Loc::to_string),
        params: kernel.params.iter().map(param).collect(),
        bounds: JsonBounds {
            required: b.required,
            max_threads: b.max_threads,
            min_blocks: b.min_blocks,
            max_registers: b.max_registers,
            cluster: b.cluster,
        },
        variables: kernel.variables.iter().map(variable).collect(),
        registers: classes.map(|(c, count)| JsonRegisters { class: c.declared().name(), count }).collect(),
        names: kernel.names.iter().map(|(r, name)| JsonName { register: r.to_string(), name }).collect(),
        blocks: blocks.collect(),
    }
}
