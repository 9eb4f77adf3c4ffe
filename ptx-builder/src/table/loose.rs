//! Spellings with modifiers in another order.
//!
//! The PTX ISA gives modifiers an order. Its assembler accepts them in any order, except for those of one kind among
//! themselves (types, state spaces) and those that belong to the opcode (`mul.lo`).

use std::collections::HashMap;

use super::{FormId, Meaning, Order, Table};
use crate::types::ScalarType;

/// Opcodes whose next word is part of them.
const WITH_NEXT_WORD: &[&str] = &["mul", "mad", "madc", "bar", "barrier", "createpolicy", "multimem"];

/// Modifiers whose relative order matters.
fn is_ordered(word: &str) -> bool {
    let spaces = ["param", "global", "shared", "shared::cta", "shared::cluster", "local", "const", "to"];
    let elements = ["e4m3", "e5m2", "e3m2", "e2m3", "e2m1", "s4", "u4", "b1", "ue8m0", "ue4m3"];
    ScalarType::from_name(word).is_some()
        || spaces.contains(&word)
        || elements.contains(&word)
        || matches!(word, "row" | "col")
}

/// What spellings have in common that differ in the order of modifiers only.
pub(super) fn key(name: &str) -> String {
    let mut words = name.split('.');
    let mut key = words.next().unwrap_or_default().to_owned();
    if WITH_NEXT_WORD.contains(&key.as_str()) {
        key = format!("{key}.{}", words.next().unwrap_or_default());
    }
    if key == "barrier.cluster" {
        key = format!("{key}.{}", words.next().unwrap_or_default());
    }
    let (ordered, mut free): (Vec<&str>, Vec<&str>) = words.partition(|w| is_ordered(w));
    free.sort_unstable();
    for word in free.into_iter().chain(ordered) {
        key.push('.');
        key.push_str(word);
    }
    key
}

/// The forms with this spelling, in another order or with `.weak`.
pub(super) fn find<'t>(table: &'t Table, name: &str) -> &'t [FormId] {
    let loose = table.by_loose_name.get_or_init(|| {
        let mut all: HashMap<String, Vec<FormId>> = HashMap::new();
        for (name, forms) in &table.by_name {
            let found = all.entry(key(name)).or_default();
            found.extend(forms.iter().filter(|f| !found.contains(f)).copied().collect::<Vec<_>>());
        }
        // As in the table, whatever the order of the map.
        all.values_mut().for_each(|forms| forms.sort_unstable());
        all
    });
    // A barrier has block scope, even if that is written.
    let plain = name.strip_prefix("barrier.cta.").map(|rest| format!("barrier.{rest}"));
    let plain = plain.or_else(|| name.strip_prefix("bar.cta.").map(|rest| format!("bar.{rest}")));
    let name = plain.as_deref().unwrap_or(name);
    let of = |name: &str| loose.get(&key(name)).map_or(&[][..], Vec::as_slice);
    if !name.contains(".weak") {
        return of(name);
    }
    let is_weak = |f: &FormId| match f.get().meaning {
        Meaning::Load(m) | Meaning::Store(m) => m.order == Order::Weak && !m.read_only,
        _ => false,
    };
    let forms = of(&name.replacen(".weak", "", 1));
    if forms.iter().all(is_weak) { forms } else { &[] }
}

#[cfg(test)]
mod tests {
    use crate::table::table;

    #[test]
    fn other_orders() {
        for (text, name) in [
            ("div.ftz.rn.f32", "div.rn.ftz.f32"),
            ("red.global.gpu.relaxed.add.u32", "red.relaxed.gpu.global.add.u32"),
            ("cvt.f32.rn.f64", "cvt.rn.f32.f64"),
            ("shfl.bfly.sync.b32", "shfl.sync.bfly.b32"),
            ("ld.weak.global.u32", "ld.global.u32"),
            ("st.weak.shared.v2.u32", "st.shared.v2.u32"),
        ] {
            let forms = table().loosely_named(text);
            assert!(!forms.is_empty() && forms == table().named(name), "{text}: {forms:?}");
        }
        for text in
            ["mul.s32.lo", "cvta.global.to.u64", "cvt.rn.f64.f32", "ld.weak.global.nc.u32", "ld.weak.volatile.u32"]
        {
            assert!(table().loosely_named(text).is_empty(), "{text}");
        }
    }
}
