//! Any text parses or fails with a place in it; what parses and verifies can be
//! printed, parses to the same module again, and survives the optimizer.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ptxgen_builder::opt::{OptOptions, optimize};
use ptxgen_builder::parse::parse;
use ptxgen_builder::print::{PrintOptions, ir, json, print};
use ptxgen_builder::verify::verify;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let module = match parse("fuzz.ptx", text) {
        Ok(module) => module,
        Err(errors) => {
            assert!(!errors.is_empty());
            let lines = text.matches('\n').count() as u32 + 1;
            assert!(errors.iter().all(|e| (1..=lines).contains(&e.at.line) && e.at.column >= 1), "{errors}");
            return;
        }
    };
    ir(&module);
    json(&module);
    if let Ok(valid) = verify(module.clone()) {
        let printed = print(&valid, &PrintOptions { lineinfo: true, comments: true });
        assert_eq!(parse("printed.ptx", &printed).as_ref(), Ok(&module), "{printed}");
        let optimized = optimize(module, &OptOptions::ALL);
        verify(optimized).expect("an optimized module verifies");
    }
});
