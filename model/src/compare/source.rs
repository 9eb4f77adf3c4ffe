//! The source of a side's values: a run of a model, or a trace.

use super::{CompareError, Side};
use crate::{
    engine::Engine,
    loaded::RunSpec,
    plain::PlainModel,
    trace::{Collect, Fault, Recorder, Selected, Stage, TraceData, TraceFile, TraceMeta},
};
use std::collections::HashSet;

/// A model as a side of a comparison.
pub struct RunSide<'m> {
    /// Its device and policy.
    pub spec: RunSpec,
    /// A session of it; it forgets its earlier tokens.
    pub session: Box<dyn Engine + 'm>,
    /// The model's plain forward.
    pub plain: &'m PlainModel<'m>,
    /// The model's name and hash.
    pub meta: TraceMeta,
}

impl std::fmt::Debug for RunSide<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RunSide")
            .field("spec", &self.spec)
            .field("sequence", self.session.sequence())
            .field("plain", &self.plain)
            .field("meta", &self.meta)
            .finish_non_exhaustive()
    }
}

/// A side of a comparison.
#[derive(Debug)]
pub enum Source<'m> {
    /// A run.
    Run(RunSide<'m>),
    /// A trace.
    File(TraceFile),
}

impl Source<'_> {
    /// Its name in messages.
    pub fn name(&self) -> String {
        match self {
            Self::Run(run) => run.spec.to_string(),
            Self::File(file) => file.path().display().to_string(),
        }
    }

    /// Information about it.
    pub(super) fn meta(&self) -> &TraceMeta {
        match self {
            Self::Run(run) => &run.meta,
            Self::File(file) => file.meta(),
        }
    }

    pub(super) fn file(&self) -> Option<&TraceFile> {
        match self {
            Self::Run(_) => None,
            Self::File(file) => Some(file),
        }
    }

    /// Describes it after the comparison.
    pub(super) fn side(&self, derived: Vec<Stage>, faults: Vec<Fault>) -> Side {
        let meta = self.meta();
        let (device, policy, kv) = match self {
            Self::Run(run) => (Some(run.session.device()), Some(run.spec.policy), Some(run.spec.kv)),
            Self::File(_) => (meta.device.clone(), meta.policy, meta.kv),
        };
        let version = match self {
            Self::Run(_) => Some(env!("CARGO_PKG_VERSION").to_owned()),
            Self::File(_) => meta.version.clone(),
        };
        Side {
            name: self.name(),
            device,
            policy: policy.map(|p| p.to_string()),
            kv: kv.map(|kv| kv.to_string()),
            model: meta.model.clone(),
            model_sha256: meta.model_sha256.clone(),
            version,
            derived: if derived.is_empty() { meta.derived.clone() } else { derived },
            faults: if faults.is_empty() { meta.faults.clone() } else { faults },
        }
    }
}

/// A side while it processes a prompt.
pub(super) enum Reader<'s, 'm> {
    Run(&'s mut RunSide<'m>, Recorder<'s>),
    File(&'s TraceFile),
}

impl<'s, 'm> Reader<'s, 'm> {
    /// At the start of a prompt, of which the `selected` values will be compared.
    pub(super) fn new(source: &'s mut Source<'m>, tokens: &'s [u32], selected: &'s Selected) -> Self {
        match source {
            Source::Run(run) => {
                run.session.rewind(0);
                let recorder = Recorder::new(run.plain, run.spec.kv, tokens, selected);
                Self::Run(run, recorder)
            }
            Source::File(file) => Self::File(file),
        }
    }

    /// The values of the next selected positions, up to `end`.
    pub(super) fn next(&mut self, piece: &Selected, end: usize, keys: usize) -> Result<TraceData, CompareError> {
        match self {
            Self::Run(run, recorder) => {
                let config = run.plain.config();
                let mut collect = Collect::new(config, piece, keys);
                recorder.advance(&mut *run.session, end, &mut collect)?;
                Ok(collect.finish())
            }
            Self::File(file) => {
                let mut data = file.at(&piece.positions)?;
                let wanted: HashSet<_> = piece.stages.iter().collect();
                data.tensors.retain(|at, _| wanted.contains(at));
                Ok(data)
            }
        }
    }

    /// The derived stages, and where they differ from the device's values.
    pub(super) fn findings(&self) -> (Vec<Stage>, Vec<Fault>) {
        match self {
            Self::Run(_, recorder) => (recorder.derived(), recorder.faults()),
            Self::File(_) => (Vec::new(), Vec::new()),
        }
    }
}
