//! The transcripts in the documentation are what the commands print. `TRYCMD=overwrite` renews them.

#[test]
fn docs() {
    trycmd::TestCases::new()
        .case("docs/kernels.md")
        .case("docs/trace.md")
        .case("docs/bisect.md")
        .case("docs/commands.md");
}
