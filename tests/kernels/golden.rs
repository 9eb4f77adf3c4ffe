//! Every kernel of each kind in every variant is the text in `tests/golden/`; of those of other tensor types, the products. `BLESS=1` writes it anew.

use crate::cases::{self, Case};
use ptxgen::{
    builder::target::Target,
    testing::{GoldenFolder, blessing},
};

fn check(target: Target, cases: impl Iterator<Item = Case>) {
    let mut folder = GoldenFolder::new(env!("CARGO_MANIFEST_DIR"), format!("tests/golden/{target}"), blessing());
    for case in cases {
        folder.check(&format!("{}.ptx", case.built.title()), &case.text);
    }
    folder.finish().unwrap_or_else(|e| panic!("{e}\n\nTo write them: BLESS=1 cargo test --test kernels golden"));
}

#[test]
fn sm_75() {
    check(Target::SM_75, cases::all(Target::SM_75));
}

#[test]
fn sm_90() {
    check(Target::SM_90, cases::all(Target::SM_90).chain(cases::by_type(Target::SM_90)));
}
