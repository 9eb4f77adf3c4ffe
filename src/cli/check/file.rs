//! A file of PTX: what can be read of it, entry by entry.

use super::{Args, check_kernel, fault, pass, warn};
use crate::cli::{Outcome, Status};
use ptxgen_builder::{
    parse::read,
    verify::{Doubts, verify_each},
};
use std::{collections::BTreeSet, io::Write};

/// Maximum number of messages; equal ones count as one.
const MOST: usize = 40;

/// Names of entries that a message lists.
const NAMED: usize = 3;

/// A fault at one or more places.
struct Group {
    message: String,
    place: String,
    count: usize,
    within: BTreeSet<String>,
}

/// Messages that are alike, in the order of their first places.
#[derive(Default)]
struct Groups(Vec<Group>);

impl Groups {
    fn add(&mut self, message: String, place: String, within: Option<&str>) {
        let found = self.0.iter_mut().find(|g| g.message == message);
        let group = match found {
            Some(group) => group,
            None => {
                self.0.push(Group { message, place, count: 0, within: BTreeSet::new() });
                let last = self.0.len() - 1;
                &mut self.0[last]
            }
        };
        group.count += 1;
        group.within.extend(within.map(str::to_owned));
    }

    fn lines(&self) -> Vec<String> {
        let line = |g: &Group| {
            let mut text = format!("{}{}", g.place, g.message);
            if g.count > 1 {
                let (n, all) = (g.count, g.within.len());
                text.push_str(&format!("\n  {n} times"));
                if all > 0 {
                    let names: Vec<&str> = g.within.iter().take(NAMED).map(String::as_str).collect();
                    let more = if all > NAMED { ", .." } else { "" };
                    let what = if all == 1 { "entry or function" } else { "entries and functions" };
                    text.push_str(&format!(", in {all} {what}: {}{more}", names.join(", ")));
                }
            }
            text
        };
        let mut lines: Vec<String> = self.0.iter().take(MOST).map(line).collect();
        if self.0.len() > MOST {
            lines.push(format!("and {} more", self.0.len() - MOST));
        }
        lines
    }
}

/// Checks what can be read; a fault rejects its entry only.
pub(super) fn check(args: &Args, file: &str, text: &str, out: &mut impl Write) -> Outcome {
    let reading = read(file, text);
    let doubts = if args.strict { Doubts::Refuse } else { Doubts::Warn };
    let mut groups = Groups::default();
    for error in &reading.errors {
        groups.add(error.kind.to_string(), format!("{}: ", error.at), error.within.as_deref());
    }
    let unread = reading.refused.iter().filter(|(_, is_entry)| *is_entry).count();
    let judged = verify_each(reading.module, doubts);
    for error in judged.module.iter().chain(judged.refused.iter().flat_map(|(_, errors)| errors.iter())) {
        let text = error.to_string();
        let place = error.loc.as_ref().map_or_else(String::new, |loc| format!("{loc}: "));
        let message = text.strip_prefix(&place).unwrap_or(&text);
        // The kernel's name is told with the others'.
        let within = error.kernel.as_deref();
        let message = match within {
            Some(name) => message.replace(&format!("\n  in kernel '{name}'"), ""),
            None => message.to_owned(),
        };
        groups.add(message, place, within);
    }
    let kernels = judged.validated.module().kernels.len();
    let refused = unread + judged.refused.len();
    let has_faults = !groups.0.is_empty();
    if has_faults {
        let what = match (kernels, refused) {
            (0, _) => "does not verify".to_owned(),
            (_, 0) => "has faults outside of its entries".to_owned(),
            (n, m) => format!("does not verify: {m} of {} entries are refused", n + m),
        };
        fault(out, file, &what, &groups.lines())?;
    }
    let mut doubtful = Groups::default();
    for warning in judged.validated.warnings() {
        let text = warning.to_string();
        let place = warning.loc.as_ref().map_or_else(String::new, |loc| format!("{loc}: "));
        let message = text.strip_prefix(&place).unwrap_or(&text).to_owned();
        doubtful.add(message, place, warning.kernel.as_deref());
    }
    for line in doubtful.lines() {
        warn(out, &line)?;
    }
    let mut status = if has_faults { Status::Fault } else { Status::Well };
    for i in 0..kernels {
        if !check_kernel(args, file, &judged.validated, i, out)? {
            status = Status::Fault;
        }
    }
    if kernels == 0 && refused == 0 && !has_faults {
        let functions = match reading.functions {
            0 => String::new(),
            1 => "; it has a function, which is checked where a kernel calls it".to_owned(),
            n => format!("; it has {n} functions, which are checked where a kernel calls them"),
        };
        pass(out, file, &format!("no kernels to check{functions}"))?;
    }
    Ok(status)
}
