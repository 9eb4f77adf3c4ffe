//! What memory keeps of computed floats.

use std::collections::HashMap;

use super::Role;
use super::flow::{Flow, memory};
use super::whole::{Content, Contents};
use crate::analysis::Origin;
use crate::table::{Async, Meaning, Memory};
use crate::types::{ScalarType, Space};

/// What was put into an array.
#[derive(Clone, Copy)]
struct Held {
    /// Computed floats among it.
    floats: Content,
    /// A bit for each size of element that these were stored with.
    float_sizes: u32,
    /// The same for everything else but quantized values.
    other_sizes: u32,
    /// Whether quantized values are there.
    quants: bool,
    /// Whether something was written in a way that is not followed.
    otherwise: bool,
}

impl Held {
    const NOTHING: Held =
        Held { floats: Content::Bottom, float_sizes: 0, other_sizes: 0, quants: false, otherwise: false };

    fn and(self, o: Held) -> Held {
        Held {
            floats: self.floats.join(o.floats),
            float_sizes: self.float_sizes | o.float_sizes,
            other_sizes: self.other_sizes | o.other_sizes,
            quants: self.quants || o.quants,
            otherwise: self.otherwise || o.otherwise,
        }
    }
}

/// Arrays and buffers with what they hold. The key is none where an address is not followed.
pub(super) struct Kept {
    held: HashMap<Option<Origin>, Held>,
    writers: HashMap<Option<Origin>, Vec<u32>>,
}

impl Kept {
    pub(super) fn new(contents: &Contents<'_, '_>) -> Kept {
        let mut kept = Kept { held: HashMap::new(), writers: HashMap::new() };
        for (id, node) in contents.flow.numbered() {
            if !contents.flow.info.cfg.is_reachable(contents.flow.info.cfg.site(id).0) {
                continue;
            }
            let copies =
                matches!(node.inst.form().meaning, Meaning::Async(Async::Copy | Async::BulkLoad | Async::BulkStore));
            let mut now = Held::NOTHING;
            let to = match memory(node.inst) {
                Some((m, true)) => {
                    let values = contents.sources(id, node.inst, |_| true);
                    now.otherwise = matches!(node.inst.form().meaning, Meaning::Atomic(..));
                    for value in values {
                        match value {
                            Content::Quant => now.quants = true,
                            Content::Bottom => {}
                            // What a cache of 16-bit floats holds is data, whoever put it there.
                            Content::Half if contents.flow.role(node.origin) == Role::HalfOutput => {
                                now.other_sizes |= m.ty.bytes();
                            }
                            value if value.is_computed() => {
                                now.floats = now.floats.join(value);
                                now.float_sizes |= m.ty.bytes();
                            }
                            _ => now.other_sizes |= m.ty.bytes(),
                        }
                    }
                    node.origin
                }
                _ if copies => {
                    now.otherwise = true;
                    node.copies_to.unwrap_or(None)
                }
                _ => continue,
            };
            kept.writers.entry(to).or_default().push(id.0);
            let held = kept.held.entry(to).or_insert(Held::NOTHING);
            *held = held.and(now);
        }
        kept
    }

    fn at(&self, origin: Option<Origin>) -> Held {
        let unknown = self.held.get(&None).copied().unwrap_or(Held::NOTHING);
        match origin {
            Some(_) => self.held.get(&origin).copied().unwrap_or(Held::NOTHING).and(unknown),
            None => self.held.values().fold(unknown, |all, h| all.and(*h)),
        }
    }

    /// Whether computed floats are there.
    pub(super) fn is_computed(&self, origin: Option<Origin>) -> bool {
        self.at(origin).floats != Content::Bottom
    }

    /// What a load gives; `float` where into a float register.
    pub(super) fn load(&self, m: Memory, origin: Option<Origin>, float: bool) -> Result<Content, &'static str> {
        if matches!(m.space, Space::Const | Space::Param) {
            return Ok(Content::Plain);
        }
        let held = self.at(origin);
        match held.floats {
            Content::Bottom if held.quants => Ok(Content::Quant),
            Content::Bottom => Ok(Content::Plain),
            Content::Lost => Ok(Content::Lost),
            // Quantized values stand beside their scales.
            _ if held.quants && !float => Ok(Content::Quant),
            Content::Whole { ty, narrowed } => {
                let size = ty.bytes();
                let same = held.float_sizes == size && held.other_sizes & !size == 0 && m.ty.bytes() == size;
                match same && !held.otherwise && (!float || m.ty == ty || m.ty == bits(ty)) {
                    true => Ok(Content::Whole { ty, narrowed }),
                    false if held.otherwise => {
                        Err("reads computed floats from memory that atomics or copies write, too")
                    }
                    false => Err("reads computed floats from memory that is written or read with other sizes, too"),
                }
            }
            _ => Err("reads parts of computed floats from memory"),
        }
    }

    /// Which instructions lead to an output.
    pub(super) fn way(&self, flow: &Flow<'_>) -> Vec<bool> {
        let mut seen = vec![false; flow.nodes.len()];
        let mut work: Vec<u32> = flow.outputs().iter().map(|i| i.0).collect();
        while let Some(i) = work.pop() {
            if std::mem::replace(&mut seen[i as usize], true) {
                continue;
            }
            let node = &flow.nodes[i as usize];
            work.extend(&node.sources);
            let addressed = memory(node.inst).is_some()
                || matches!(node.inst.form().meaning, Meaning::Async(_) | Meaning::Matrix(_));
            let stores = matches!(node.inst.form().meaning, Meaning::Store(_));
            if addressed && !stores {
                let from = |key: &Option<Origin>| work.extend(self.writers.get(key).into_iter().flatten());
                match node.origin {
                    Some(_) => [node.origin, None].iter().for_each(from),
                    None => self.writers.keys().for_each(from),
                }
            }
        }
        seen
    }
}

fn bits(ty: ScalarType) -> ScalarType {
    if ty == ScalarType::F64 { ScalarType::B64 } else { ScalarType::B32 }
}
