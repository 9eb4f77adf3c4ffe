//! Every tensor type: its weights are the gguf package's, and its kernels give the reference's bits.

mod support;

use ptxgen_builder::interp::Options;
use ptxgen_builder::target::Target;
use ptxgen_dsl::catalogue::{CATALOGUE, Contents, Dims, Entry, KernelId, Request, Role, TYPICAL};
use ptxgen_dsl::format::{Q8KPlanar, SUPERBLOCK, TensorType};
use ptxgen_dsl::precision::{Acc, Act, Policy};
use ptxgen_dsl::reference;
use support::{Rng, all_bits, floats, to_bytes, word_bytes};

/// Blocks of a type and their weights, from the gguf package.
struct Fixture {
    ty: TensorType,
    bytes: Vec<u8>,
    weights: Vec<f32>,
}

fn fixtures() -> Vec<Fixture> {
    let mut rest = &include_bytes!("data/formats.bin")[..];
    let mut take = |n: usize| {
        let (head, tail) = rest.split_at(n);
        rest = tail;
        head.to_vec()
    };
    let mut all = Vec::new();
    while all.len() < 22 {
        let words = take(16);
        let [id, blocks, size, weights] =
            [0, 1, 2, 3].map(|i| u32::from_le_bytes(words[4 * i..][..4].try_into().unwrap()));
        let ty = TensorType::from_id(id).unwrap_or_else(|| panic!("type {id} is read"));
        assert_eq!((ty.block_bytes(), ty.block_len()), (size as usize, weights as usize), "{ty}");
        let bytes = take((blocks * size) as usize);
        all.push(Fixture { ty, bytes, weights: floats(&take((blocks * weights * 4) as usize)) });
    }
    assert!(rest.is_empty());
    all
}

#[test]
fn every_type_of_blocks_has_a_fixture() {
    let known: Vec<TensorType> = fixtures().iter().map(|f| f.ty).collect();
    let missing: Vec<_> = TensorType::ALL.into_iter().filter(|t| t.block_len() > 1 && !known.contains(t)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn weights_are_the_gguf_packages() {
    for Fixture { ty, bytes, weights } in fixtures() {
        let mut found = vec![0.0; weights.len()];
        ty.dequantize(&bytes, &mut found).unwrap();
        assert_eq!(all_bits(&found), all_bits(&weights), "{}", &format!("{ty}"));
    }
}

#[test]
fn rows_of_an_embedding_are_the_gguf_packages() {
    for Fixture { ty, bytes, weights } in fixtures() {
        let entry = KernelId::Matrix(Role::Embedding, ty).entry();
        let Some(entry) = entry else { panic!("no embedding kernel reads {ty}") };
        // Two rows of four blocks, the second one first.
        let cols = weights.len() / 2;
        let dims = Dims { rows: Some(2), cols: Some(cols as u32), tokens: Some(2), ..Dims::NONE };
        let built = entry.build(&Request { dims, ..Request::new(Policy::default(), Target::SM_75) }).unwrap();
        let inputs = [bytes, word_bytes(&[1, 0]), vec![0; weights.len() * 4]];
        let trial = built.try_out(&built.finish().unwrap(), &inputs, &Options::default()).unwrap();
        assert!(trial.report.is_clean(), "{}: {}", entry.name, trial.report);
        let expected = [&weights[cols..], &weights[..cols]].concat();
        assert_eq!(all_bits(&floats(&trial.outputs[0])), all_bits(&expected), "{}", entry.name);
    }
}

/// A matrix of a type.
fn matrix(rng: &mut Rng, ty: TensorType, weights: usize) -> Vec<u8> {
    let mut blocks = vec![0; ty.bytes_of(weights).unwrap()];
    blocks.iter_mut().for_each(|b| *b = rng.bits() as u8);
    ty.set_factors(&mut blocks, &mut |size| half::f16::from_f32((0.5 + rng.float().abs()) * size));
    blocks
}

/// Vectors as a kernel reads them.
fn vectors(act: Act, x: &[f32], cols: usize) -> Vec<u8> {
    match act {
        Act::F32 => to_bytes(x),
        Act::Q8K => x
            .chunks_exact(cols)
            .flat_map(|x| {
                let blocks: Vec<_> = x.as_chunks::<SUPERBLOCK>().0.iter().map(reference::quantize_q8k).collect();
                Q8KPlanar::pack(&blocks)
            })
            .collect(),
    }
}

/// Types that only the kernels here read.
fn by_type() -> impl Iterator<Item = &'static Entry> {
    CATALOGUE.iter().filter(|e| TYPICAL.iter().all(|t| t.name != e.name))
}

/// `y` of a product, by the kernel and by the reference.
fn product(entry: &'static Entry, ty: TensorType, policy: Policy, (rows, cols, tokens): (usize, usize, usize)) {
    let what = format!("{} {rows}x{cols}, {tokens} tokens, {policy:?}", entry.name);
    let mut rng = Rng::new(rows as u64 * 31 + tokens as u64);
    let w = matrix(&mut rng, ty, rows * cols);
    let x = rng.vector(tokens * cols);
    let dims = Dims { rows: Some(rows as u32), cols: Some(cols as u32), tokens: Some(tokens as u32), ..Dims::NONE };
    let built = entry.build(&Request { dims, ..Request::new(policy, Target::SM_80) }).unwrap();
    let act = if ty.reads_q8k() { policy.act } else { Act::F32 };
    let inputs: Vec<Vec<u8>> = built
        .params
        .iter()
        .map(|p| match p.contents {
            Contents::Weights(_) => w.clone(),
            Contents::Activations(_) if p.name == "x" => vectors(act, &x, cols),
            Contents::Words(_) => word_bytes(&vec![tokens as u32; p.bytes as usize / 4]),
            _ => vec![0; p.bytes as usize],
        })
        .collect();
    let trial = built.try_out(&built.finish().unwrap(), &inputs, &Options::default()).unwrap();
    assert!(trial.report.is_clean(), "{what}: {}", trial.report);
    let expected: Vec<f32> = x
        .chunks_exact(cols)
        .flat_map(|x| match policy.acc {
            Acc::F32 => reference::gemv::<f32>(policy.act, ty, &w, x).unwrap(),
            Acc::F64 => reference::gemv::<f64>(policy.act, ty, &w, x).unwrap(),
        })
        .collect();
    assert_eq!(all_bits(&floats(&trial.outputs[0])), all_bits(&expected), "{}", &what);
}

#[test]
fn products_are_the_references() {
    for entry in by_type() {
        let KernelId::Matrix(Role::Product, ty) = entry.id else { continue };
        for policy in entry.policies() {
            product(entry, ty, policy, (5, 768, 1));
            product(entry, ty, policy, (9, 256, 3));
        }
    }
}

/// Matrices of many rows, which kernels divide in another way.
#[test]
fn products_of_many_rows_are_the_references() {
    for (ty, rows, cols) in [
        (TensorType::Q3_K, 16_387, 256),
        (TensorType::IQ3_S, 16_387, 256),
        (TensorType::Q4_0, 515, 2048),
        (TensorType::IQ4_NL, 2050, 768),
        (TensorType::MXFP4, 4100, 256),
    ] {
        let entry = KernelId::Matrix(Role::Product, ty).entry().unwrap_or_else(|| panic!("no kernel multiplies {ty}"));
        let chosen = |p: &Policy| p.acc == Acc::F32 && (p.act == Act::Q8K) == ty.reads_q8k();
        let policy = entry.policies().into_iter().find(chosen).unwrap();
        product(entry, ty, policy, (rows, cols, 1));
    }
}

/// Every kernel of these types runs clean at its trial's sizes, and is proved.
#[test]
fn the_others_run_clean_and_keep_their_policy() {
    for (n, entry) in by_type().enumerate() {
        let policies = entry.policies();
        let policy = policies[n % policies.len()];
        let dims = entry.trial;
        let built =
            entry.build(&Request { dims, ..Request::new(policy, Target::SM_90) }).unwrap_or_else(|e| panic!("{e}"));
        let module = built.finish().unwrap_or_else(|e| panic!("{}: {e}", entry.name));
        let violations = built.prove(&module, policy).err().unwrap_or_default();
        assert!(violations.is_empty(), "{} {policy:?}: {violations:?}", entry.name);
        let trial = built.try_out(&module, &built.sample_inputs(n as u64), &Options::default()).unwrap();
        assert!(trial.report.is_clean(), "{} {policy:?}: {}", entry.name, trial.report);
    }
}
