//! Intermediate results of a forward, for comparison with an oracle or another device.

/// One layer's results for the tokens of one batch.
#[derive(Clone, Copy, Debug)]
pub struct LayerTrace<'a> {
    /// The layer.
    pub layer: usize,
    /// Position of the batch's first token.
    pub position: usize,
    /// Tokens in the batch.
    pub tokens: usize,
    /// Ids of the chosen experts in rank order, [tokens, experts used].
    pub experts: &'a [u32],
    /// Their renormalized weights, [tokens, experts used].
    pub weights: &'a [f32],
    /// The experts' sum before the residual, [tokens, hidden].
    pub moe_ffn_out: &'a [f32],
    /// The residual stream after the layer, [tokens, hidden].
    pub out: &'a [f32],
}

/// Takes the layers of a forward, in order, batch after batch.
pub type Trace<'a> = dyn FnMut(LayerTrace<'_>) + Send + 'a;
