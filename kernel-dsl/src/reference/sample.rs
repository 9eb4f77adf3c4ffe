//! The contract's "Sampling".

use super::exp::exp_f64;

/// The distribution from which a token is sampled.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Distribution {
    /// Divides the logits; above 0.
    pub temperature: f64,
    /// Keeps this many of the most likely tokens; 0 keeps all.
    pub top_k: u32,
    /// Keeps the fewest most likely tokens whose weights together reach this share.
    pub top_p: f64,
}

/// The most likely token's weight. Weights are integers, so that sums are exact in any order.
pub const SAMPLE_ONE: f64 = (1u64 << 40) as f64;

/// The exponent below which a weight is 0; e^-30 is less than half of 2^-40.
pub const SAMPLE_LEAST: f64 = -30.0;

impl Distribution {
    /// The numbers that kernels read: temperature, top p, top k.
    pub fn words(&self) -> [f64; 3] {
        [self.temperature, self.top_p, f64::from(self.top_k)]
    }
}

/// A logit and its index as an integer that is larger for more likely tokens: by value, then by the lower index. A NaN
/// comes before -inf.
fn key(logit: f32, index: u32) -> u64 {
    // The sum makes -0 and +0 equal.
    let bits = (logit + 0.0).to_bits().cast_signed();
    let ordered = (bits ^ (bits >> 31 | i32::MIN)).cast_unsigned();
    u64::from(if logit.is_nan() { 0 } else { ordered }) << 32 | u64::from(!index)
}

/// The logit of a key.
fn logit(key: u64) -> f32 {
    let ordered = ((key >> 32) as u32).cast_signed();
    f32::from_bits((ordered ^ (!ordered >> 31 | i32::MIN)).cast_unsigned())
}

fn weight(logit: f32, most: f32, scale: f64) -> u64 {
    let x = if logit == most { 0.0 } else { (f64::from(logit) - f64::from(most)) * scale };
    if x >= SAMPLE_LEAST { (exp_f64(x) * SAMPLE_ONE).round_ties_even() as u64 } else { 0 }
}

/// The token that a random word selects from a row of logits. A NaN is selected only if there is nothing else; then it
/// is token 0.
pub fn sample(logits: &[f32], from: &Distribution, word: u64) -> u32 {
    let mut keys: Vec<u64> = logits.iter().zip(0..).map(|(&l, i)| key(l, i)).collect();
    keys.sort_unstable_by_key(|&k| !k);
    if from.top_k > 0 {
        keys.truncate(from.top_k as usize);
    }
    let Some(&first) = keys.first() else { return 0 };
    let (most, scale) = (logit(first), 1.0 / from.temperature);
    let mut total = 0;
    let sums: Vec<u64> = keys
        .iter()
        .map(|&k| {
            total += weight(logit(k), most, scale);
            total
        })
        .collect();
    if total == 0 {
        return 0;
    }
    // Where the sums reach a number above 0.
    let reach = |sum: u64| sums.partition_point(|&s| s < sum);
    let need = if from.top_p < 1.0 { (from.top_p * total as f64).ceil() as u64 } else { total };
    let kept = sums[reach(need.clamp(1, total))];
    let drawn = (u128::from(word) * u128::from(kept)) >> 64;
    !(keys[reach(drawn as u64 + 1)] as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_order_logits_and_keep_them() {
        let values = [f32::NEG_INFINITY, -2.0, -f32::from_bits(1), 0.0, f32::from_bits(1), 3.0, f32::INFINITY];
        for pair in values.windows(2) {
            assert!(key(pair[0], 0) < key(pair[1], 9));
        }
        for v in values {
            assert_eq!(logit(key(v, 7)), v);
            assert_eq!(!(key(v, 7) as u32), 7);
            assert!(key(v, 7) > key(v, 8));
            assert!(key(v, 7) > key(-f32::NAN, 0));
        }
        assert_eq!(key(-0.0, 1), key(0.0, 1));
        assert!(logit(key(f32::NAN, 1)).is_nan());
    }
}
