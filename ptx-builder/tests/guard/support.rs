//! Running a kernel's guarded twin in the interpreter.

use ptxgen_builder::build::{ArgInfo, Args, Kernel};
use ptxgen_builder::guard::{Guarded, Object, RECORD_BYTES, Record, Violation, guard};
use ptxgen_builder::interp::{Arg, Buffer, Launch, Memory, Options};
use ptxgen_builder::print::{PrintOptions, print};
use ptxgen_builder::ptxas::Ptxas;
use ptxgen_builder::target::Target;
use ptxgen_builder::verify::Validated;

/// An argument.
#[derive(Clone)]
pub enum Pass {
    /// A number.
    Word(u32),
    /// A buffer of these bytes.
    Bytes(Vec<u8>),
    /// An array by value.
    Value(Vec<u8>),
}

pub fn words(words: &[u32]) -> Pass {
    Pass::Bytes(words.iter().flat_map(|w| w.to_le_bytes()).collect())
}

pub fn guarded<A: Args>(kernel: &Kernel<A>) -> Guarded {
    let module = kernel.verify(Target::SM_90).expect("it verifies");
    let guarded = guard(&module, |_, p| matches!(A::INFO[p], ArgInfo::Buffer { writes: true, .. }));
    guarded.unwrap_or_else(|e| panic!("{e}"))
}

/// How a launch went.
pub struct Outcome {
    pub violation: Option<(Violation, Record)>,
    /// What is in the buffers, in parameter order.
    pub buffers: Vec<Vec<u8>>,
    /// What the interpreter found.
    pub findings: String,
}

/// Runs a guarded module's first kernel; each buffer has canaries on both sides, which must live.
pub fn run(guarded: &Guarded, grid: u32, block: u32, dynamic: u32, args: &[Pass]) -> Outcome {
    const MARGIN: usize = 4096;
    const CANARY: u8 = 0xc5;
    let mut memory = Memory::new();
    let kernel = &guarded.kernels[0];
    let mut list: Vec<Arg> = Vec::new();
    let mut buffers: Vec<Option<(Buffer, usize)>> = Vec::new();
    for arg in args {
        match arg {
            Pass::Word(w) => {
                list.push(Arg::from(*w));
                buffers.push(None);
            }
            Pass::Value(bytes) => {
                list.push(Arg::bytes(bytes));
                buffers.push(None);
            }
            Pass::Bytes(bytes) => {
                let margin = [CANARY; MARGIN];
                let all = [&margin[..], bytes, &margin[..]].concat();
                let buffer = memory.alloc(&all, 256).expect("room");
                list.push(Arg::from(buffer.address + MARGIN as u64));
                buffers.push(Some((buffer, bytes.len())));
            }
        }
    }
    let record = memory.alloc(&[0; RECORD_BYTES], 16).expect("room");
    let len = |object: Object| match object {
        Object::Buffer(i) => buffers[i as usize].map_or(0, |(_, len)| len as u64),
        _ => u64::from(dynamic),
    };
    for extra in &kernel.extras {
        let value = extra.value(record.address, len);
        list.push(if extra.bytes() == 8 { Arg::from(value) } else { Arg::from(value as u32) });
    }
    let name = guarded.module.module().kernels[0].name.clone();
    let (module, options) = (&guarded.module, Options::default());
    let launch = Launch {
        module,
        kernel: &name,
        grid: [grid, 1, 1],
        block: [block, 1, 1],
        dynamic_shared: dynamic,
        args: &list,
        globals: None,
        options: &options,
    };
    let report = launch.run(&mut memory).unwrap_or_else(|e| panic!("{e}"));
    let words: Vec<u32> =
        memory.read(record).expect("it is there").as_chunks().0.iter().map(|w| u32::from_le_bytes(*w)).collect();
    let told = Record::read(words.as_slice().try_into().expect("as many"));
    let violation = told.map(|r| (kernel.explain(&r, len).expect("a site"), r));
    let contents = buffers.iter().flatten().map(|(buffer, len)| {
        let all = memory.read(*buffer).expect("it is there");
        let (before, rest) = all.split_at(MARGIN);
        let (inside, after) = rest.split_at(*len);
        assert!(before.iter().chain(after).all(|b| *b == CANARY), "memory outside was written");
        inside.to_vec()
    });
    let buffers = contents.collect();
    assert!(report.fault().is_none(), "{report}");
    Outcome { violation, buffers, findings: report.to_string() }
}

/// Has NVIDIA's assembler take the module, where it is there.
pub fn assembles(module: &Validated) {
    let Some(ptxas) = Ptxas::for_tests() else { return };
    let text = print(module, &PrintOptions::default());
    if let Err(e) = ptxas.assemble(&text, module.module().target) {
        panic!("{e}\n{text}");
    }
}
