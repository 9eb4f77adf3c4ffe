//! Parts of a kernel that run one after the other: they can share memory.

use super::Body;
use super::kernel::Kernel;
use super::state::with;
use crate::ir::{Linkage, Variable};
use crate::types::{ScalarType, Space};

impl Body {
    /// Emits a part of the kernel: after it, nothing in the shared arrays that it declares is needed, so that
    /// [`Kernel::overlaid`] may put those of other parts in their place. A barrier of the whole block must lie between two
    /// parts.
    ///
    /// ```
    /// use ptxgen_builder::build::{Out, kernel};
    ///
    /// let kernel = kernel::<(Out<u32>,)>("twice", ["y"], |k, (y,)| {
    ///     for n in [64, 32] {
    ///         k.part(|k| {
    ///             let room = k.shared::<u32>(n);
    ///             room.at(k.thread_x()).store(k, n);
    ///             y.at(k.thread_x()).store(k, room.at(k.thread_x()).load(k));
    ///         });
    ///         k.barrier();
    ///     }
    /// });
    /// assert_eq!(kernel.shared_bytes(), 96 * 4);
    /// assert_eq!(kernel.overlaid().shared_bytes(), 64 * 4);
    /// ```
    #[track_caller]
    pub fn part(&self, write: impl FnOnce(&Body)) {
        let first = with(|s| s.kernel.variables.len());
        write(self);
        with(|s| s.parts.push(first..s.kernel.variables.len()));
    }
}

impl<A> Kernel<A> {
    /// The same kernel, whose [parts](Body::part) have their shared arrays in the same memory: it needs as much as the
    /// part that needs most. Analyses tell arrays apart, not the places of this one; so prove a kernel's precision before.
    #[must_use]
    pub fn overlaid(mut self) -> Self {
        let parts = std::mem::take(&mut self.parts);
        let variables = std::mem::take(&mut self.kernel.variables);
        // The common array comes last.
        let is_moved = |i: usize| variables[i].space == Space::Shared && parts.iter().any(|p| p.contains(&i));
        let kept: Vec<usize> = (0..variables.len()).filter(|&i| !is_moved(i)).collect();
        let mut places = vec![(0, 0); variables.len()];
        for (new, &old) in kept.iter().enumerate() {
            places[old] = (new as u32, 0);
        }
        let (mut bytes, mut align) = (0, 16);
        for part in &parts {
            let mut end = 0u64;
            for i in part.clone().filter(|&i| is_moved(i)) {
                let start = end.next_multiple_of(u64::from(variables[i].align));
                places[i] = (kept.len() as u32, start as i32);
                end = start + variables[i].bytes().unwrap_or(0);
                align = align.max(variables[i].align);
            }
            bytes = bytes.max(end);
        }
        self.kernel.variables = kept.iter().map(|&i| variables[i].clone()).collect();
        if bytes > 0 {
            self.kernel.variables.push(Variable {
                name: "parts".to_owned(),
                space: Space::Shared,
                align,
                ty: ScalarType::B8,
                len: Some(bytes),
                init: Vec::new(),
                refs: Vec::new(),
                linkage: Linkage::Internal,
            });
        }
        self.kernel.move_arrays(|i| places[i as usize]);
        self
    }
}
