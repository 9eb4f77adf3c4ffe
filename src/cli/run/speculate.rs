//! Which guesses an answer is written with.

use super::super::{
    Usage,
    device::{DeviceArgs, Model},
};
use clap::ValueEnum;
use ptxgen_model::{
    Engine, ModelConfig,
    gguf::Gguf,
    speculate::{Draft, Lookup, Speculation},
    tokenizer::{Tokenizer, Vocabulary},
};
use std::path::PathBuf;

/// Tokens up to which a draft model guesses in a chat whose length nobody has said.
const USUAL: usize = 8192;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Guesses {
    /// None: a token a step
    Off,
    /// From the text itself: it goes on as it did where its last tokens stood before
    Lookup,
    /// From a smaller model, --draft
    Draft,
}

/// Options of `run` about guesses.
#[derive(clap::Args)]
pub struct SpeculateArgs {
    /// Guess the next tokens and check several in one step: the same text, in less time where guesses are right
    /// [default: off; draft with --draft]
    ///
    /// How many are guessed follows how many were right and what steps take. What was guessed, and how much of it was
    /// right, goes to standard error.
    #[arg(long, value_enum, hide_default_value = true)]
    speculate: Option<Guesses>,
    /// A smaller model with the same vocabulary, which guesses
    #[arg(long, value_name = "MODEL")]
    draft: Option<PathBuf>,
}

impl SpeculateArgs {
    /// Opens the draft model's file, if there is to be one, and checks that the options go together.
    pub fn open(&self, vocabulary: &Vocabulary) -> anyhow::Result<Option<Gguf>> {
        let Some(path) = &self.draft else {
            return match self.speculate {
                Some(Guesses::Draft) => {
                    Err(Usage("--speculate draft needs a model that guesses: --draft MODEL".into()).into())
                }
                _ => Ok(None),
            };
        };
        if let Some(Guesses::Off | Guesses::Lookup) = self.speculate {
            return Err(Usage("--draft has no effect: it is for --speculate draft".into()).into());
        }
        let gguf = Gguf::open(path)?;
        let draft = Tokenizer::from_gguf(&gguf)?.into_vocabulary();
        Draft::check(&draft, vocabulary).map_err(|e| anyhow::anyhow!("{}: {e}", path.display()))?;
        Ok(Some(gguf))
    }

    /// The draft model, on the last device that the model is to be on, with a session of as many positions as it may have.
    pub fn load<'g>(
        &self,
        gguf: Option<&'g Gguf>,
        device: &DeviceArgs,
        positions: Option<usize>,
    ) -> anyhow::Result<Option<Model<'g>>> {
        let Some(gguf) = gguf else { return Ok(None) };
        let context = ModelConfig::from_gguf(gguf)?.context;
        Ok(Some(Model::load_draft(gguf, device, positions.unwrap_or(USUAL).min(context))?))
    }

    /// What guesses.
    pub fn speculation<'m>(&self, draft: Option<&'m Model<'_>>) -> anyhow::Result<Option<Speculation<'m>>> {
        if let Some(draft) = draft {
            let session: Box<dyn Engine + 'm> = draft.session(draft.capacity())?;
            return Ok(Some(Speculation::new(Draft::new(session))));
        }
        Ok((self.speculate == Some(Guesses::Lookup)).then(|| Speculation::new(Lookup::new())))
    }

    /// Refuses to guess nothing, where guesses are what a command is about.
    pub fn refuse_off(&self) -> Result<(), Usage> {
        match self.speculate {
            Some(Guesses::Off) => {
                Err(Usage("--speculate off guesses nothing: give lookup, or draft with --draft".into()))
            }
            Some(Guesses::Lookup | Guesses::Draft) | None => Ok(()),
        }
    }

    /// What guesses; the text itself, where nothing is said.
    pub fn speculation_or_lookup<'m>(&self, draft: Option<&'m Model<'_>>) -> anyhow::Result<Speculation<'m>> {
        Ok(self.speculation(draft)?.unwrap_or_else(|| Speculation::new(Lookup::new())))
    }
}
