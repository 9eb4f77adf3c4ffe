//! Several sequences at once: rows of any of them, at any positions, go through the model together, so that its weights
//! are read once for all.
//!
//! A [`BatchSession`] has places for sequences and pages of a cache that they share. A sequence joins with all the
//! pages that it can need, processes tokens in steps, and leaves. Prompts and single tokens can be in the same step. A
//! sequence gets the same bits as alone in an [`Engine`](crate::Engine), whatever else is in the batch.
//! [`Queue`] implements continuous batching on top: requests join when others end.
//! ```no_run
//! use ptxgen_model::{LoadedModel, LogitRows, batch::{BatchRoom, Part, Wants}, gguf::Gguf};
//!
//! let gguf = Gguf::open("model.gguf")?;
//! let model = LoadedModel::load(&gguf, "cpu:act=q8k".parse()?, 1, &mut |_| ())?;
//! let mut batch = model.batch(BatchRoom { sequences: 2, positions: 128, pages: 4 })?;
//! let (one, other) = (batch.join(128)?, batch.join(64)?);
//! let prompts = [&[1, 2, 3][..], &[4]];
//! let parts = [Part { sequence: one, tokens: prompts[0], wants: Wants::Token }, Part {
//!     sequence: other,
//!     tokens: prompts[1],
//!     wants: Wants::Logits(LogitRows::Last),
//! }];
//! let step = batch.step(&parts)?;
//! println!("{:?}, {} logits", step.answer(0)?.token, step.answer(1)?.logits.len());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod backend;
mod error;
mod part;
mod places;
mod queue;
mod rows;
mod session;

pub(crate) use backend::{Backend, PassError, PassResults};
pub use error::BatchError;
pub use part::{Part, Wants};
pub use queue::{Ended, Queue, Request, Stop, Totals};
pub(crate) use rows::{BadLogit, NanInRow, Row};
pub(crate) use session::Setup;
pub use session::{Answer, BatchSession, Step};

use crate::kv::PAGE;
use std::fmt;

/// The capacity of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchRoom {
    /// Maximum number of sequences.
    pub sequences: usize,
    /// Maximum number of positions of a sequence.
    pub positions: usize,
    /// Pages of the cache, each of [`BatchRoom::PAGE`] positions of one sequence.
    pub pages: usize,
}

impl BatchRoom {
    /// Positions of a page.
    pub const PAGE: usize = PAGE;

    /// Capacity for this many sequences with this many positions each.
    pub fn new(sequences: usize, positions: usize) -> Self {
        Self { sequences, positions, pages: sequences.saturating_mul(positions.div_ceil(PAGE)) }
    }
}

/// A sequence that has joined a batch. Numbers are not reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SequenceId {
    place: usize,
    number: u64,
}

impl fmt::Display for SequenceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.number)
    }
}
