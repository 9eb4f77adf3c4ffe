//! Sets `cfg(bundled)` where the bundled model is part of the source: registries do not take a
//! package of its size, so a published one is without.

fn main() {
    const MODEL: &str = "data/tiny-rust-moe-Q4_K_M.gguf";
    println!("cargo::rerun-if-changed={MODEL}");
    println!("cargo::rustc-check-cfg=cfg(bundled)");
    if std::path::Path::new(MODEL).exists() {
        println!("cargo::rustc-cfg=bundled");
    }
}
