//! Sizes that no kernel is made for are refused, by every entry of the catalogue.

use proptest::prelude::*;
use proptest::sample::select;
use ptxgen_builder::target::Target;
use ptxgen_dsl::catalogue::{CATALOGUE, Dims, Request};

const SIZES: [u32; 20] = [
    0,
    1,
    2,
    3,
    16,
    17,
    32,
    255,
    256,
    257,
    1024,
    1025,
    1 << 15,
    (1 << 16) - 1,
    1 << 16,
    (1 << 24) - 1,
    1 << 24,
    1 << 31,
    u32::MAX - 255,
    u32::MAX,
];

/// A size of each kind that kernels have, some left as they are.
fn dims() -> impl Strategy<Value = Dims> {
    let size = || proptest::option::weighted(0.25, select(&SIZES));
    let sizes = (size(), size(), size(), size(), size(), size(), size(), size(), size(), size(), size());
    sizes.prop_map(|(rows, cols, experts, used, tokens, heads, kv_heads, head_dim, positions, sequences, pages)| Dims {
        rows,
        cols,
        experts,
        used,
        tokens,
        heads,
        kv_heads,
        head_dim,
        positions,
        sequences,
        pages,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    /// A kernel or an error, and no panic.
    #[test]
    fn any_sizes_are_answered(entry in 0..CATALOGUE.len(), which: usize, sm in select(&[75u16, 80, 90]), dims in dims()) {
        let entry = &CATALOGUE[entry];
        let policies = entry.policies();
        let target = Target::new(sm).unwrap();
        let request = Request::new(policies[which % policies.len()], target);
        let _ = entry.build(&Request { dims: dims.within(entry.dims), ..request });
    }
}
