//! PTX that nvcc wrote: it parses, prints, parses to the same again, and
//! assembles.

use std::path::Path;

use ptxgen_builder::parse::parse;
use ptxgen_builder::print::{PrintOptions, print};
use ptxgen_builder::ptxas::Ptxas;
use ptxgen_builder::verify::verify;

#[test]
fn nvccs_modules_are_read_and_written() {
    let ptxas = Ptxas::for_tests();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/nvcc");
    let entries = std::fs::read_dir(&folder).expect("the fixtures are there");
    let mut files: Vec<_> = entries.map(|e| e.expect("a readable folder").path()).collect();
    files.retain(|f| f.extension().is_some_and(|e| e == "ptx"));
    files.sort();
    assert!(files.len() >= 20, "fixtures are missing: {files:?}");
    let mut faults = Vec::new();
    for file in files {
        let name = file.file_name().expect("a file").to_string_lossy();
        let text = std::fs::read_to_string(&file).expect("readable");
        let module = match parse(&name, &text) {
            Ok(module) => module,
            Err(errors) => {
                faults.push(errors.to_string());
                continue;
            }
        };
        let valid = match verify(module.clone()) {
            Ok(valid) => valid,
            Err(errors) => {
                faults.push(format!("{name}: {errors:?}"));
                continue;
            }
        };
        for lineinfo in [false, true] {
            let printed = print(&valid, &PrintOptions { lineinfo, comments: true });
            assert_eq!(parse("printed", &printed).as_ref(), Ok(&module), "{name}\n{printed}");
            if let Some(ptxas) = &ptxas
                && let Err(error) = ptxas.assemble(&printed, module.target)
            {
                faults.push(format!("{name}: {error}"));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
