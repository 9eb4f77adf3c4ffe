//! Files of token ids.

use super::Usage;
use anyhow::Context;
use ptxgen_model::Qwen3MoeConfig;
use std::{fs, path::Path};

/// Reads little-endian i32 token ids.
pub fn read(path: &Path) -> anyhow::Result<Vec<u32>> {
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let (words, rest) = bytes.as_chunks();
    if !rest.is_empty() {
        let size = bytes.len();
        anyhow::bail!("{}: {size} bytes are no whole number of little-endian i32 token ids", path.display());
    }
    let ids = words.iter().enumerate().map(|(i, b)| {
        let id = i32::from_le_bytes(*b);
        u32::try_from(id).with_context(|| format!("{}: token {i} is {id}; ids start at 0", path.display()))
    });
    ids.collect()
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
