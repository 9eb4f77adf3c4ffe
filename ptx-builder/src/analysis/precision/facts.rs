//! What a kernel does to its numbers, from their flow.

use smallvec::SmallVec;

use super::components::Components;
use super::flow::{Flow, Node};
use super::place::Place;
use super::tags::{self, Tags, is_float};
use super::{Factor, Facts, FloatSum, Reduction};
use crate::analysis::InstId;
use crate::ir::Inst;
use crate::table::{Mod, Parts, Precision, Real};
use crate::types::{ScalarType, Space};

impl Flow<'_> {
    pub(super) fn facts(&self) -> Facts {
        let outputs = self.outputs();
        let behind = self.behind(&outputs);
        let tags = self.tags();
        let components = Components::new(&self.nodes);
        let computed_of = self.computed_of(&components);
        let mut facts = Facts { outputs, computed_of, ..Facts::default() };
        for (id, node) in self.numbered() {
            if self.info.cfg.is_reachable(self.info.cfg.site(id).0) {
                self.anywhere(id, node, &mut facts);
                self.meetings(id, node, &tags, &mut facts);
                if behind[id.0 as usize] {
                    self.on_the_way(id, node, &tags, &components, &mut facts);
                }
            }
        }
        facts.quantizing = self.quantizing(&facts.quantizations);
        let argument = self.only_approximated();
        let rounds = |n: usize| is_narrowing(self.nodes[n].inst) && !argument[n];
        let most = components.most(&self.nodes, rounds);
        facts.rounded = facts.outputs.iter().map(|&o| (o, most[o.0 as usize])).collect();
        facts.stages = facts.rounded.iter().map(|(_, n)| *n).max().unwrap_or(0);
        let widens =
            |n: usize| self.nodes[n].inst.form().precision.conversion() == Some((ScalarType::F64, ScalarType::F32));
        let resumed = components.resumed(&self.nodes, rounds, widens);
        facts.resumed = facts.outputs.iter().map(|o| resumed[o.0 as usize]).max().unwrap_or(0);
        facts
    }

    /// See [`Facts::quantizing`].
    fn quantizing(&self, quantizations: &[InstId]) -> Vec<InstId> {
        let mut seen = vec![false; self.nodes.len()];
        let mut work: Vec<u32> = quantizations.iter().map(|i| i.0).collect();
        while let Some(i) = work.pop() {
            let node = &self.nodes[i as usize];
            if !is_narrowing(node.inst) && !std::mem::replace(&mut seen[i as usize], true) {
                work.extend(&node.sources);
            }
        }
        let of_these = |n: &Node<'_>| {
            n.inst.form().precision.real() == Some(Real::Div)
                && !n.sources.is_empty()
                && n.sources.iter().all(|&s| seen[s as usize])
        };
        self.numbered()
            .filter(|(id, n)| {
                let precision = n.inst.form().precision;
                let scaling = precision.arithmetic().is_some() && !precision.sums();
                scaling && (seen[id.0 as usize] || of_these(n))
            })
            .map(|(id, _)| id)
            .collect()
    }

    /// Which results are arguments of approximate instructions and nothing else, perhaps after they
    /// were moved.
    fn only_approximated(&self) -> Vec<bool> {
        let mut used = vec![false; self.nodes.len()];
        let mut otherwise: Vec<u32> = Vec::new();
        let all = |n: &Node<'_>| n.sources.clone();
        for node in &self.nodes {
            node.sources.iter().for_each(|&s| used[s as usize] = true);
            if !matches!(node.inst.form().precision, Precision::Approximates { .. }) && !moves(node.inst) {
                otherwise.extend(all(node));
            }
        }
        // What is moved and then used otherwise; what is not used is stored, or ends.
        otherwise.extend((0u32..).zip(&used).filter(|(_, used)| !**used).map(|(i, _)| i));
        let mut only = vec![true; self.nodes.len()];
        while let Some(i) = otherwise.pop() {
            if std::mem::replace(&mut only[i as usize], false) && moves(self.nodes[i as usize].inst) {
                otherwise.extend(all(&self.nodes[i as usize]));
            }
        }
        only
    }

    fn anywhere(&self, id: InstId, node: &Node<'_>, facts: &mut Facts) {
        let form = node.inst.form();
        if matches!(form.precision, Precision::Approximates { .. }) {
            facts.approximate.push(id);
        }
        if form.leaves_rounding_open() {
            facts.unwritten_roundings.push(id);
        }
        if form.mods.contains(&Mod::Ftz) {
            facts.flushing.push(id);
        }
        if matches!(form.precision, Precision::Updates { ty, adds: true } if is_float(ty)) {
            facts.float_atomics.push(id);
        }
        if matches!(form.precision, Precision::MatrixProduct { .. }) {
            facts.float_matrices.push(id);
        }
    }

    /// Where the two kinds of factors meet, and in which shape.
    fn meetings(&self, id: InstId, node: &Node<'_>, tags: &[Tags], facts: &mut Facts) {
        let form = node.inst.form();
        let (a, b) = self.multiplied(id, tags);
        if form.precision == Precision::IntegerProduct && tags::meets(a, b) {
            facts.integer_products.push(id);
        }
        let multiplies = form.precision.real().is_some_and(Real::multiplies);
        let matrix = matches!(form.precision, Precision::MatrixProduct { .. });
        if (multiplies || matrix) && a.or(b).has(Tags::DECODED) && !a.or(b).has(Tags::TERM) {
            facts.decoded_products.push(id);
        }
        if let Some((to, from)) = form.precision.conversion()
            && !is_float(to)
            && is_float(from)
        {
            let of = node.sources.iter().fold(Tags::NONE, |t, &s| t.or(tags[s as usize]));
            if tags::alone(self.factors, of).is_some_and(|factor| factor.rounding) {
                facts.quantizations.push(id);
            }
        }
    }

    fn on_the_way(&self, id: InstId, node: &Node<'_>, tags: &[Tags], components: &Components, facts: &mut Facts) {
        let form = node.inst.form();
        if is_narrowing(node.inst) {
            facts.narrowings.push(id);
            if components.cyclic(id) {
                facts.looped_narrowings.push(id);
            }
        }
        if let Some(ty) = form.precision.arithmetic() {
            if form.precision.sums() {
                let reduction = self.reduction(id, components.cyclic(id));
                facts.accumulations.push(FloatSum { inst: id, ty, reduction });
            } else if !(form.precision.real() == Some(Real::Mul) && self.decoded(tags[id.0 as usize]).is_some())
                || form.last_type() == Some(ScalarType::F64)
            {
                facts.arithmetic.push((id, ty));
            }
        }
        let global = |p: &Place| p.space == Space::Global;
        let written = |s: &u32| self.nodes[*s as usize].touched.writes.iter().any(global);
        if node.touched.reads.iter().any(global) && node.sources.iter().any(written) {
            facts.read_back.push(id);
        }
        // An integer dot product that is rounded to a float.
        if let Some((to, from)) = form.precision.conversion()
            && is_float(to)
            && !is_float(from)
            && tags[id.0 as usize].has(Tags::DOT)
        {
            facts.arithmetic.push((id, to));
        }
        if form.precision.conversion().is_some_and(|(to, from)| to == ScalarType::F64 && is_float(from)) {
            facts.arithmetic.push((id, ScalarType::F64));
        }
    }

    /// The factors that a product of these decodes, if it decodes any.
    pub(super) fn decoded(&self, t: Tags) -> Option<&Factor> {
        tags::alone(self.factors, t).filter(|factor| factor.decoding)
    }

    /// Where the terms of a sum come from.
    fn reduction(&self, sum: InstId, in_loop: bool) -> Reduction {
        let mut work: SmallVec<[u32; 8]> = self.nodes[sum.0 as usize].sources.clone().into_iter().collect();
        let mut seen: SmallVec<[u32; 16]> = SmallVec::new();
        let mut found = if in_loop { Reduction::Loop } else { Reduction::Straight };
        while let Some(i) = work.pop() {
            if seen.contains(&i) {
                continue;
            }
            seen.push(i);
            let node = &self.nodes[i as usize];
            let form = node.inst.form();
            match form.precision {
                Precision::Lanes => return Reduction::Lanes,
                Precision::Loads if form.accesses().iter().any(|a| a.space == Space::Shared) => {
                    found = Reduction::Shared;
                }
                Precision::Moves | Precision::Bits(Parts::Pack | Parts::Unpack) | Precision::Selects => {
                    work.extend(node.sources.iter().copied());
                }
                Precision::Nothing
                | Precision::Integer
                | Precision::IntegerProduct
                | Precision::Compares
                | Precision::Bits(Parts::Cut | Parts::Merge | Parts::Mix)
                | Precision::Exact { .. }
                | Precision::Rounds { .. }
                | Precision::Approximates { .. }
                | Precision::Converts { .. }
                | Precision::Loads
                | Precision::Stores
                | Precision::Updates { .. }
                | Precision::Copies
                | Precision::MatrixProduct { .. }
                | Precision::Opaque => {}
            }
        }
        found
    }
}

/// Whether an instruction rounds an f64 to f32 (or less).
fn is_narrowing(inst: &Inst) -> bool {
    inst.form()
        .precision
        .conversion()
        .is_some_and(|(to, from)| from == ScalarType::F64 && is_float(to) && to != ScalarType::F64)
}

/// Whether an instruction passes its operand on, or loses some of it, which is reported elsewhere.
fn moves(inst: &Inst) -> bool {
    match inst.form().precision {
        Precision::Moves
        | Precision::Bits(_)
        | Precision::Selects
        | Precision::Exact { .. }
        | Precision::Lanes
        | Precision::Loads
        | Precision::Stores
        | Precision::Copies => true,
        Precision::Nothing
        | Precision::Integer
        | Precision::IntegerProduct
        | Precision::Compares
        | Precision::Rounds { .. }
        | Precision::Approximates { .. }
        | Precision::Converts { .. }
        | Precision::Updates { .. }
        | Precision::MatrixProduct { .. }
        | Precision::Opaque => false,
    }
}
