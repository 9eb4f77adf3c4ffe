//! How well a model predicts a text.

/// The negative log-likelihood of token `next` under a row of logits, in nats: log-sum-exp in f64
/// minus the token's logit.
///
/// # Panics
/// If `next` is outside the row.
pub fn negative_log_likelihood(logits: &[f32], next: u32) -> f64 {
    let m = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits.iter().map(|&l| libm::exp(f64::from(l) - f64::from(m))).sum();
    libm::log(sum) + f64::from(m) - f64::from(logits[next as usize])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_logits_are_a_uniform_guess() {
        let nll = negative_log_likelihood(&[1000.0; 8], 3);
        assert!((nll - 8f64.ln()).abs() < 1e-12);
        assert!(negative_log_likelihood(&[0.0, -1e9], 1) > 1e8);
    }
}
