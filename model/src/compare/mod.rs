//! What two runs of one model differ in.

mod result;

pub use result::{
    Choice, Comparison, Difference, Distribution, Growth, Histogram, LayerChoices, OtherToken, Perplexities, Place,
    Side, Statistics, Thresholds, TopTokens, Verdict,
};
