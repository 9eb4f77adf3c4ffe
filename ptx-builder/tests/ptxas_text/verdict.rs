//! What `ptxas` and the verifier say of a statement.

use std::collections::BTreeMap;

use ptxgen_builder::parse::parse;
use ptxgen_builder::ptxas::{Ptxas, PtxasError, Severity};
use ptxgen_builder::target::{PtxVersion, Target};
use ptxgen_builder::verify::verify;

use super::module;

/// The target of the statements.
pub const TARGET: Target = Target::SM_90;
const VERSION: PtxVersion = PtxVersion(90);

/// What `ptxas` refuses, with its message.
pub fn refused(ptxas: &Ptxas, lines: &[String]) -> BTreeMap<usize, String> {
    let mut left: Vec<usize> = (0..lines.len()).collect();
    let mut all = BTreeMap::new();
    loop {
        let now: Vec<String> = left.iter().map(|&i| lines[i].clone()).collect();
        let (text, first) = module(VERSION, TARGET, &now);
        let mut found: BTreeMap<usize, String> = BTreeMap::new();
        match ptxas.assemble(&text, TARGET) {
            Ok(_) => return all,
            Err(PtxasError::Rejected { diagnostics, .. }) => {
                for d in diagnostics.iter().filter(|d| d.severity != Severity::Warning || d.message.contains(NARROW)) {
                    let named = || d.message.split('\'').nth(1)?.parse().ok();
                    let line = d.line.or_else(named).and_then(|line: usize| line.checked_sub(first));
                    if let Some(line) = line.filter(|&i| i < now.len()) {
                        found.entry(line).or_insert_with(|| d.message.clone());
                    }
                }
            }
            Err(_) => {}
        }
        if found.is_empty() {
            let (one, rest) = now.split_at(now.len() / 2);
            if one.is_empty() {
                all.insert(left[0], "refused".to_owned());
                return all;
            }
            let half = one.len();
            all.extend(refused(ptxas, one).into_iter().map(|(i, m)| (left[i], m)));
            all.extend(refused(ptxas, rest).into_iter().map(|(i, m)| (left[i + half], m)));
            return all;
        }
        all.extend(found.iter().map(|(&i, message)| (left[i], message.clone())));
        left = left.into_iter().enumerate().filter(|(i, _)| !found.contains_key(i)).map(|(_, line)| line).collect();
    }
}

/// A warning that comes with an error that names no line.
const NARROW: &str = "uses 32-bit address";

/// What the parser or the verifier refuses.
pub fn refuses(line: &str) -> Option<String> {
    let (text, _) = module(VERSION, TARGET, &[line.to_owned()]);
    match parse("x.ptx", &text) {
        Err(errors) => Some(errors.to_string()),
        Ok(module) => verify(module).err().map(|e| e.to_string()),
    }
}
