//! The book's Rust code, compiled and run by `cargo test --doc`. `tests/book.rs` checks that every page with
//! such code is here.

macro_rules! pages {
    ($($name:ident = $path:literal;)*) => {$(
        #[doc = include_str!($path)]
        pub enum $name {}
    )*};
}

pages! {
    Readme = "../README.md";
    Tutorial = "../docs/tutorial.md";
    Values = "../docs/values.md";
    Reductions = "../docs/reductions.md";
    Testing = "../docs/testing.md";
    Checked = "../docs/checked.md";
    Precision = "../docs/precision.md";
    ShadowPrecision = "../docs/shadow-precision.md";
    Profiling = "../docs/profiling.md";
}
