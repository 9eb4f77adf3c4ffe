//! `ptxgen tokenize`: a text's token ids, and the text of ids.

use super::{Outcome, Status, Usage, inputs, output, shown::shown, template, tokens::Text};
use ptxgen_model::tokenizer::{Conversation, Message, TemplateSource, Tokenizer};
use std::{io::IsTerminal, path::PathBuf};

/// Show a text's token ids, or the text of token ids
#[derive(clap::Args)]
#[command(group = clap::ArgGroup::new("what").required(true).args(["prompt", "prompt_file", "ids", "tokens"]))]
pub struct Args {
    /// The model's GGUF file; without it, the bundled model
    model: Option<PathBuf>,
    /// A text
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    prompt: Option<String>,
    /// The same from a file; - is standard input
    #[arg(long, value_name = "FILE")]
    prompt_file: Option<PathBuf>,
    /// Token ids, separated by spaces or commas
    #[arg(long, value_name = "IDS", allow_hyphen_values = true)]
    ids: Option<String>,
    /// Token ids, little-endian i32
    #[arg(long, value_name = "FILE.i32")]
    tokens: Option<PathBuf>,
    /// The text is a message: apply the model's chat template to it
    #[arg(long, conflicts_with_all = ["ids", "tokens"])]
    chat: bool,
    /// With --chat: the system message
    #[arg(long, value_name = "TEXT", requires = "chat", allow_hyphen_values = true)]
    system: Option<String>,
    /// Write the ids as little-endian i32 instead of showing them
    #[arg(short, long, value_name = "FILE.i32", conflicts_with_all = ["ids", "tokens"])]
    output: Option<PathBuf>,
    /// Show each token with its text, one per line
    #[arg(long, conflicts_with = "output")]
    pieces: bool,
}

/// Maximum size of a template's output: a context of a million tokens has fewer bytes.
const MOST: usize = 8 << 20;

/// Runs the command.
pub fn run(args: &Args) -> Outcome {
    let gguf = super::open_model(args.model.as_deref())?;
    let tokenizer = Tokenizer::from_gguf(&gguf)?;
    let text = match (&args.prompt, &args.prompt_file) {
        (Some(text), _) => Some(text.clone()),
        (None, Some(path)) => Some(inputs::read_text(path)?),
        (None, None) => None,
    };
    let ids = match (text, &args.ids, &args.tokens) {
        (Some(text), ..) if args.chat => {
            let source = TemplateSource::from_gguf(&gguf, &tokenizer)?;
            let message = |role: &str, content: String| Message { role: role.into(), content };
            let system = args.system.clone().map(|text| message("system", text));
            let messages = system.into_iter().chain([message("user", text)]).collect();
            let text = template::render(&source, &Conversation { messages, ..Conversation::default() })?;
            anyhow::ensure!(
                text.len() <= MOST,
                "{}: its chat template gives {} bytes, at most {MOST} are encoded",
                gguf.file(),
                text.len()
            );
            tokenizer.encode(&text)?
        }
        (Some(text), ..) => tokenizer.encode(&text)?,
        (None, Some(ids), _) => listed(ids)?,
        (None, None, Some(path)) => Text::read(path)?.into_ids(),
        (None, None, None) => return Err(Usage("give a --prompt, --prompt-file, --ids or --tokens".into()).into()),
    };
    if let Some(path) = &args.output {
        output::write_file(path, |out| {
            Ok(ids.iter().try_for_each(|id| out.write_all(&(*id).cast_signed().to_le_bytes()))?)
        })?;
        return Ok(Status::Well);
    }
    if args.pieces {
        for id in ids {
            let piece = tokenizer.decode(&[id])?;
            output::line(format_args!("{id:>7} {}", shown(&format!("{piece:?}"))))?;
        }
    } else if args.ids.is_some() || args.tokens.is_some() {
        let text = tokenizer.decode(&ids)?;
        let terminal = std::io::stdout().is_terminal();
        output::line(if terminal { shown(&text) } else { text })?;
    } else {
        let ids: Vec<_> = ids.iter().map(u32::to_string).collect();
        output::line(ids.join(" "))?;
    }
    Ok(Status::Well)
}

fn listed(ids: &str) -> anyhow::Result<Vec<u32>> {
    let words = ids.split(|c: char| c.is_whitespace() || c == ',').filter(|word| !word.is_empty());
    let id = |word: &str| word.parse().map_err(|_| Usage(format!("--ids: '{word}' is not a token id")).into());
    words.map(id).collect()
}
