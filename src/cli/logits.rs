//! `ptxgen logits`: the raw logits of given tokens.

use super::{
    Outcome, Status,
    device::{DeviceArgs, Model},
    output,
    tokens::Text,
};
use ptxgen_model::{ModelConfig, locate};
use std::path::PathBuf;

/// Write a model's logits for given tokens: little-endian f32, [tokens, vocabulary]
///
/// For one policy the bytes are the same for every batch size, thread count and device.
#[derive(clap::Args)]
pub struct Args {
    /// The model's GGUF file; without it, the bundled model
    model: Option<PathBuf>,
    /// Token ids, little-endian i32
    #[arg(long, value_name = "FILE.i32")]
    tokens: PathBuf,
    /// The file to write
    #[arg(long, value_name = "FILE.f32")]
    out: PathBuf,
    /// Tokens per batch
    #[arg(long, value_name = "B", default_value = "64", value_parser = clap::value_parser!(u32).range(1..))]
    batch: u32,
    #[command(flatten)]
    device: DeviceArgs,
}

/// Runs the command.
pub fn run(args: &Args) -> Outcome {
    let text = Text::read(&args.tokens)?;
    let gguf = super::open_model(args.model.as_deref())?;
    let config = ModelConfig::from_gguf(&gguf)?;
    let ids = text.checked(None, 1, &config)?;
    let model = Model::load(&gguf, &args.device, ids.len())?;
    let mut session = model.session(ids.len())?;
    output::write_file(&args.out, |out| {
        for batch in ids.chunks(args.batch as usize) {
            let mut written = Ok(());
            let done = session.forward_rows(batch, &mut |row| {
                if written.is_ok() {
                    written = row.iter().try_for_each(|logit| out.write_all(&logit.to_le_bytes()));
                }
            });
            done.map_err(|e| locate(&mut *session, batch, e))?;
            written?;
        }
        Ok(())
    })?;
    Ok(Status::Well)
}
