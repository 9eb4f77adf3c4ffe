//! Files of token ids.

use super::{Usage, text};
use anyhow::Context;
use ptxgen_model::{Qwen3MoeConfig, tokenizer::token_ids};
use std::{fs, path::Path};

/// Reads little-endian i32 token ids.
pub fn read(path: &Path) -> anyhow::Result<Vec<u32>> {
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    token_ids(&bytes).map_err(|e| anyhow::anyhow!("{}: {e}", path.display()))
}

/// Checks that a whole text fits one window of the model.
pub fn check_window(tokens: usize, least: usize, config: &Qwen3MoeConfig) -> anyhow::Result<()> {
    if tokens < least {
        return Err(Usage(format!("{tokens} tokens are too few: at least {least} are needed")).into());
    }
    if tokens > config.context {
        let context = config.context;
        return Err(Usage(format!("{tokens} tokens do not fit the model's context of {context}")).into());
    }
    Ok(())
}

/// Checks that the ids of a file are tokens of the model.
pub fn check_ids(path: &Path, ids: &[u32], config: &Qwen3MoeConfig) -> anyhow::Result<()> {
    let vocab = config.vocab;
    match ids.iter().enumerate().find(|(_, id)| **id as usize >= vocab) {
        None => Ok(()),
        Some((i, id)) => {
            let path = path.display();
            anyhow::bail!("{path}: token {i} is {id}, outside the model's vocabulary of {vocab}")
        }
    }
}

/// Checks that there can be memory for a sequence of `capacity` tokens: a file may claim any context,
/// and an allocation that fails would end the process without a word.
pub fn check_memory(capacity: usize, config: &Qwen3MoeConfig) -> anyhow::Result<()> {
    // As the CPU keeps them: values of each head are padded to 16.
    let head = config.head_dim + config.head_dim.next_multiple_of(16);
    let bytes = (config.blocks * config.kv_heads * head * size_of::<f32>()).saturating_mul(capacity);
    if Vec::<u8>::new().try_reserve_exact(bytes).is_ok() {
        return Ok(());
    }
    let bytes = text::bytes(bytes as u64);
    Err(Usage(format!("a KV cache for {capacity} tokens takes {bytes}, for which there is no memory")).into())
}
