//! Statistics of a stage's values.

use super::{Block, Selected, Slice, Stage, Tap};
use indexmap::IndexMap;
use serde::Serialize;

/// Counts of values by sign and binary exponent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Histogram {
    /// Bin `i` counts values with `2^(least + i) <= |x| < 2^(least + i + 1)`; the first bin also
    /// those below, the last also those above.
    pub least: i32,
    /// Negative values by bin.
    pub negative: Vec<u64>,
    /// Zeros.
    pub zero: u64,
    /// Positive values by bin.
    pub positive: Vec<u64>,
}

/// Statistics of one stage.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Statistics {
    /// Number of values.
    pub values: u64,
    /// NaNs.
    pub nan: u64,
    /// Infinities.
    pub infinite: u64,
    /// Mean of the finite values.
    pub mean: f64,
    /// Their standard deviation.
    pub deviation: f64,
    /// The smallest of them.
    pub min: f64,
    /// The largest.
    pub max: f64,
    /// Their distribution.
    pub histogram: Histogram,
}

impl Histogram {
    /// The binary exponent of the first bin.
    const LEAST: i32 = -24;
    /// Bins of each sign.
    const BINS: usize = 40;

    fn new() -> Self {
        Self { least: Self::LEAST, negative: vec![0; Self::BINS], zero: 0, positive: vec![0; Self::BINS] }
    }

    fn add(&mut self, value: f64) {
        if value == 0.0 {
            self.zero += 1;
            return;
        }
        let exponent = value.abs().log2().floor() as i32;
        let bin = (exponent - Self::LEAST).clamp(0, Self::BINS as i32 - 1) as usize;
        let side = if value < 0.0 { &mut self.negative } else { &mut self.positive };
        side[bin] += 1;
    }
}

/// Accumulates statistics of values.
#[derive(Clone, Debug)]
pub(crate) struct Gather {
    so_far: Statistics,
    /// Sum of the squared distances from the mean.
    squares: f64,
}

impl Default for Gather {
    fn default() -> Self {
        let (min, max) = (f64::INFINITY, f64::NEG_INFINITY);
        Self { so_far: Statistics { min, max, histogram: Histogram::new(), ..Statistics::default() }, squares: 0.0 }
    }
}

impl Gather {
    /// Adds a value.
    pub(crate) fn add(&mut self, value: f64) {
        let s = &mut self.so_far;
        s.values += 1;
        if !value.is_finite() {
            *(if value.is_nan() { &mut s.nan } else { &mut s.infinite }) += 1;
            return;
        }
        // Welford's method.
        let distance = value - s.mean;
        s.mean += distance / (s.values - s.nan - s.infinite) as f64;
        self.squares += distance * (value - s.mean);
        s.min = s.min.min(value);
        s.max = s.max.max(value);
        s.histogram.add(value);
    }

    /// The result: all zero if no value is finite.
    pub(crate) fn finish(self) -> Statistics {
        let s = self.so_far;
        match s.values - s.nan - s.infinite {
            0 => Statistics { min: 0.0, max: 0.0, ..s },
            n => Statistics { deviation: (self.squares / n as f64).sqrt(), ..s },
        }
    }
}

/// The meaningful elements of one position: in causal stages those of keys up to it.
pub(crate) fn live(stage: Stage, position: usize, dims: &[usize]) -> impl Iterator<Item = usize> + use<> {
    let width: usize = dims.iter().product();
    let keys = if stage.is_causal() { dims.last().copied().unwrap_or(1) } else { width };
    let seen = if stage.is_causal() { (position + 1).min(keys) } else { width };
    (0..width.checked_div(keys).unwrap_or(0)).flat_map(move |row| row * keys..row * keys + seen)
}

/// Statistics of every stage of a run, over all layers and positions that are selected.
#[derive(Debug)]
pub struct GatherStages {
    heads: usize,
    stages: IndexMap<Stage, Gather>,
}

impl GatherStages {
    /// Empty statistics of a selection; `heads` are the model's query heads.
    pub fn new(selected: &Selected, heads: usize) -> Self {
        let stages = selected.stages.iter().filter(|(s, _)| s.is_number());
        Self { heads, stages: stages.map(|(s, _)| (*s, Gather::default())).collect() }
    }

    /// The results, in the forward's order.
    pub fn finish(mut self) -> Vec<(Stage, Statistics)> {
        self.stages.sort_unstable_keys();
        self.stages.into_iter().map(|(stage, gather)| (stage, gather.finish())).collect()
    }
}

impl Tap for GatherStages {
    fn take(&mut self, block: Block<'_>) {
        let Some(gather) = self.stages.get_mut(&block.stage) else { return };
        let width = block.values.len() / block.tokens;
        let dims = if block.stage.is_causal() { vec![self.heads, width / self.heads] } else { vec![width] };
        for t in 0..block.tokens {
            for i in live(block.stage, block.position + t, &dims) {
                match block.values {
                    Slice::F32(v) => gather.add(f64::from(v[t * width + i])),
                    Slice::F64(v) => gather.add(v[t * width + i]),
                    Slice::F16(v) => gather.add(v[t * width + i].to_f64()),
                    Slice::U32(_) => {}
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics_of_a_few_values() {
        let mut gather = Gather::default();
        for value in [1.0, -3.0, f64::NAN, 0.0, f64::INFINITY, 1e-30, 1e30] {
            gather.add(value);
        }
        let s = gather.finish();
        assert_eq!((s.values, s.nan, s.infinite, s.min, s.max), (7, 1, 1, -3.0, 1e30));
        assert_eq!((s.histogram.zero, s.histogram.positive[24], s.histogram.negative[25]), (1, 1, 1));
        assert_eq!((s.histogram.positive[0], s.histogram.positive[39]), (1, 1));

        let mut gather = Gather::default();
        [2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0].into_iter().for_each(|v| gather.add(v));
        let s = gather.finish();
        assert_eq!((s.mean, s.deviation), (5.0, 2.0));
        let none = Gather::default().finish();
        assert_eq!((none.values, none.min, none.max, none.mean), (0, 0.0, 0.0, 0.0));
    }

    #[test]
    fn keys_behind_a_position_mean_nothing() {
        assert_eq!(live(Stage::AttnScores, 1, &[2, 4]).collect::<Vec<_>>(), [0, 1, 4, 5]);
        assert_eq!(live(Stage::Q, 1, &[2, 2]).collect::<Vec<_>>(), [0, 1, 2, 3]);
        assert_eq!(live(Stage::Q, 0, &[0]).count(), 0);
    }
}
