//! How far SwiGLU's approximate variant is from the exact one, and both from the true value.

use ptxgen_builder::target::Target;
use ptxgen_dsl::catalogue::{self, Built, Dims, Request};
use ptxgen_dsl::precision::{Acc, Act, Math, Policy};

/// Gates and ups are uniform in each of these.
const RANGES: [(&str, f32, f32); 5] = [
    ("uniform", -1.0, 1.0),
    ("moderate", -5.0, 5.0),
    ("extreme negative", -20.0, -10.0),
    ("extreme positive", 10.0, 20.0),
    ("mixed", -20.0, 20.0),
];

/// The largest errors over some elements.
#[derive(Clone, Copy, Default, Debug)]
pub struct Errors {
    pub absolute: f64,
    pub relative: f64,
}

impl Errors {
    /// # Panics
    /// If a value is not finite, or there is none.
    fn of(got: &[f32], expected: impl ExactSizeIterator<Item = f64>) -> Self {
        assert!(got.len() == expected.len() && !got.is_empty());
        got.iter().zip(expected).fold(Self::default(), |worst, (&got, expected)| {
            let absolute = (f64::from(got) - expected).abs();
            let relative = if absolute == 0.0 { 0.0 } else { absolute / expected.abs() };
            assert!(relative.is_finite(), "{got} for {expected}");
            Self { absolute: worst.absolute.max(absolute), relative: worst.relative.max(relative) }
        })
    }
}

/// One range under one accumulator.
pub struct Row {
    range: &'static str,
    bounds: (f32, f32),
    pub acc: Acc,
    /// The approximate variant against the exact one.
    pub approx_to_exact: Errors,
    /// The approximate variant against the true value.
    pub approx: Errors,
    /// The exact variant against the true value.
    pub exact: Errors,
}

/// Runs both variants of `swiglu` on `len` elements of each range, under both accumulators.
pub fn rows(target: Target, len: u32, mut run: impl FnMut(&Built, &[Vec<u8>]) -> Vec<Vec<u8>>) -> Vec<Row> {
    let mut rows = Vec::new();
    for (seed, (range, low, high)) in (1..).zip(RANGES) {
        let mut random = Uniform { state: seed, low, high };
        let (gates, ups): (Vec<f32>, Vec<f32>) = (0..len).map(|_| (random.next(), random.next())).unzip();
        let inputs = [&gates, &ups].map(|v| v.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>());
        let inputs = [&inputs[..], &[Vec::new()]].concat();
        let true_value = |(&g, &u): (&f32, &f32)| f64::from(g) / (1.0 + (-f64::from(g)).exp()) * f64::from(u);
        for acc in [Acc::F32, Acc::F64] {
            let [exact, approx] = [Math::Exact, Math::Approx].map(|math| {
                let policy = Policy { math, ..Policy::new(Act::F32, acc) };
                let dims = Dims { rows: Some(len), ..Dims::NONE };
                let entry = catalogue::find("swiglu").unwrap();
                let built = entry.build(&Request { dims, ..Request::new(policy, target) }).unwrap();
                floats(&run(&built, &inputs)[0])
            });
            rows.push(Row {
                range,
                bounds: (low, high),
                acc,
                approx_to_exact: Errors::of(&approx, exact.iter().map(|&x| f64::from(x))),
                approx: Errors::of(&approx, gates.iter().zip(&ups).map(true_value)),
                exact: Errors::of(&exact, gates.iter().zip(&ups).map(true_value)),
            });
        }
    }
    rows
}

/// The rows as a table of Markdown.
pub fn table(rows: &[Row]) -> String {
    let mut text = "| inputs | acc | approx to exact: absolute | relative | approx to the true value: relative | \
                    exact to the true value: relative |\n|---|---|---|---|---|---|\n"
        .to_owned();
    for row in rows {
        let Row { range, bounds: (low, high), acc, approx_to_exact: e, approx, exact } = row;
        text += &format!(
            "| {range} [{low}, {high}] | {acc} | {:.1e} | {:.1e} | {:.1e} | {:.1e} |\n",
            e.absolute, e.relative, approx.relative, exact.relative
        );
    }
    text
}

/// What holds of every row: the error that the variants are documented with.
pub fn assert_documented(rows: &[Row]) {
    for row in rows {
        let most = row.bounds.0.abs().max(row.bounds.1.abs());
        let (approx, exact) = match row.acc {
            Acc::F32 => (f64::from(most + 8.0) * f64::from(f32::EPSILON), 4.0 * f64::from(f32::EPSILON)),
            Acc::F64 => (4e-7, f64::from(f32::EPSILON) / 2.0),
        };
        assert!(row.approx_to_exact.relative <= approx, "{}, acc={}: {:?}", row.range, row.acc, row.approx_to_exact);
        assert!(row.exact.relative <= exact, "{}, acc={}: {:?}", row.range, row.acc, row.exact);
        // In f64 the variants may differ by less than the last rounding to f32 shows.
        let differ = row.approx_to_exact.absolute > 0.0 || row.acc == Acc::F64;
        assert!(differ, "{}: both variants are one", row.range);
    }
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect()
}

/// Numbers of an interval, the same in every run (splitmix64).
struct Uniform {
    state: u64,
    low: f32,
    high: f32,
}

impl Uniform {
    fn next(&mut self) -> f32 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.state;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let unit = ((x ^ (x >> 31)) >> 40) as f32 / (1u64 << 24) as f32;
        self.low + unit * (self.high - self.low)
    }
}
