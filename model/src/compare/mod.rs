//! The differences of two runs of one model.

mod comparing;
mod error;
mod result;
mod run;
mod source;
pub(crate) mod sums;

pub use error::CompareError;
pub use result::{
    Choice, Comparison, Difference, Distribution, Growth, LayerChoices, OtherToken, Perplexities, Place, Side,
    Thresholds, TopTokens, Verdict,
};
pub use run::{CompareOptions, compare};
pub use source::{RunSide, Source};
