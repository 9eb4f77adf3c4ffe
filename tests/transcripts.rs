//! The transcripts in the documentation are what the commands print. `TRYCMD=overwrite` renews them. The library takes
//! the checkout's folder out of what is printed, so paths in them leave out `/src/`, where a checkout may lie.

#[test]
fn docs() {
    trycmd::TestCases::new()
        .case("docs/kernels.md")
        .case("docs/trace.md")
        .case("docs/bisect.md")
        .case("docs/commands.md");
}
