//! Launches with wrong arguments do not compile, and the messages say why.

#[test]
fn wrong_arguments_do_not_compile() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/ui/*.rs");
}
