//! `ptxgen run`: text from a model.

mod answer;
mod chat;
mod input;
mod prompts;
mod sampling;
mod speculate;
mod stop;

use super::{
    Outcome, Usage,
    device::{DeviceArgs, Model, Room},
    inputs, output,
    tokens::Text,
};
use answer::Writer;
use chat::Chat;
use ptxgen_model::{
    ModelConfig, Sampler,
    tokenizer::{Conversation, TemplateSource, Tokenizer},
};
use sampling::SamplingArgs;
pub use speculate::SpeculateArgs;
use std::path::PathBuf;

/// Continue a text with a model, or chat with it
///
/// Prints the text to standard output while it is generated. A line with the number of tokens, tokens per second, the
/// device and the policy goes to standard error. Tokens are sampled as the model's file recommends, otherwise the most
/// likely token is chosen.
#[derive(clap::Args)]
pub struct Args {
    /// The model's GGUF file; without it, the bundled model, which writes Rust
    model: Option<PathBuf>,
    /// The text to continue; with --chat, a single message
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    prompt: Option<String>,
    /// The same from a file; - is standard input
    #[arg(long, value_name = "FILE", conflicts_with = "prompt")]
    prompt_file: Option<PathBuf>,
    /// Continue every line of a file (- is standard input), several at once; with --chat each line is a separate
    /// message
    ///
    /// For each a line of JSON goes to standard output as soon as it ends: index (of the line, from 0 on), prompt, text,
    /// tokens, prompt_tokens and stop (end, length, context, interrupted); or index, prompt and error, and then the exit
    /// code is 1. Each gets what it gets alone. Ctrl-C ends all that are being written.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["prompt", "prompt_file", "speculate", "draft"])]
    prompts: Option<PathBuf>,
    /// With --prompts: maximum number of prompts at once
    #[arg(long, value_name = "N", default_value = "16", requires = "prompts",
        value_parser = clap::value_parser!(u16).range(1..=1024))]
    batch: u16,
    /// Chat: apply the model's chat template to lines of standard input
    ///
    /// A line that ends in \ continues on the next line, and the text between two lines of """ is one message. Ctrl-C
    /// stops an answer, Ctrl-D ends the chat.
    #[arg(long)]
    chat: bool,
    /// With --chat: the system message
    #[arg(long, value_name = "TEXT", requires = "chat", allow_hyphen_values = true)]
    system: Option<String>,
    /// With --chat: a JSON file with the functions that the template offers to the model
    #[arg(long, value_name = "FILE", requires = "chat")]
    tools: Option<PathBuf>,
    /// With --chat: ask for an answer without thinking, if the template supports it (Qwen3's does)
    #[arg(long, requires = "chat")]
    no_thinking: bool,
    /// Maximum number of tokens of each answer; an answer never exceeds the context
    #[arg(short, value_name = "N", default_value = "128")]
    n: usize,
    /// Maximum number of tokens of prompt and answers together [default: as many as needed; in a chat as many as fit
    /// into free memory, at most the model's context]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    ctx: Option<u32>,
    #[command(flatten)]
    speculate: SpeculateArgs,
    #[command(flatten)]
    sampling: SamplingArgs,
    #[command(flatten)]
    device: DeviceArgs,
}

/// The prompt of the bundled model if the user gives none.
const PROMPT: &str = "fn main() {\n";

/// Runs the command.
pub fn run(args: &Args) -> Outcome {
    let gguf = super::open_model(args.model.as_deref())?;
    let tokenizer = Tokenizer::from_gguf(&gguf)?;
    let template = args.chat.then(|| TemplateSource::from_gguf(&gguf, &tokenizer)).transpose()?;
    let prompt = match (&args.prompt, &args.prompt_file) {
        _ if args.prompts.is_some() => None,
        (Some(prompt), _) => Some(prompt.clone()),
        (None, Some(path)) => Some(inputs::read_text(path)?),
        (None, None) if !args.chat && args.model.is_none() => Some(PROMPT.into()),
        (None, None) if !args.chat => {
            return Err(Usage("give a --prompt to continue, or --chat".into()).into());
        }
        (None, None) => None,
    };
    let config = ModelConfig::from_gguf(&gguf)?;
    let ctx = args.ctx.map(|n| n as usize);
    if let Some(ctx) = ctx.filter(|ctx| *ctx > config.context) {
        let context = config.context;
        return Err(Usage(format!("--ctx {ctx} is more than the model's context of {context} tokens")).into());
    }
    let sampler = Sampler::new(args.sampling.sampling(&gguf, template.as_ref())?);
    let chat = template.map(|template| conversation(args, &template).map(|start| Chat::new(template, start)));
    let chat = chat.transpose()?;

    if let Some(path) = &args.prompts {
        return prompts::run(args, path, (&gguf, &config), tokenizer, chat.as_ref(), &sampler);
    }
    let draft = args.speculate.open(&tokenizer)?;
    let Some(prompt) = prompt else {
        let chat = chat.ok_or_else(|| Usage("give a --prompt to continue, or --chat".into()))?;
        let draft = args.speculate.load(draft.as_ref(), &args.device, ctx)?;
        let model = Model::load_for(&gguf, &args.device, ctx.map_or(Room::Fitting, Room::Exactly))?;
        let mut session = model.session(model.capacity())?;
        let mut writer = Writer::new(&tokenizer, sampler, args.n, args.speculate.speculation(draft.as_ref())?);
        chat.talk(&mut *session, &tokenizer, &mut writer)?;
        return writer.report(&*session);
    };
    let (name, text) = match chat {
        Some(mut chat) => {
            chat.say(&prompt);
            ("the conversation", chat.render()?)
        }
        None => ("the prompt", prompt),
    };
    let encoded = chat::encode(&tokenizer, &text, config.context)?;
    if encoded.more {
        let (tokens, context) = (encoded.ids.len(), config.context);
        let what = format!("{name} has more than {tokens} tokens, which do not fit the model's context of {context}");
        return Err(Usage(what).into());
    }
    let ids = Text::new(name, encoded.ids).checked(None, 1, &config)?;
    if let Some(ctx) = ctx.filter(|ctx| *ctx < ids.len()) {
        let tokens = ids.len();
        return Err(Usage(format!("the prompt has {tokens} tokens, which do not fit --ctx {ctx}")).into());
    }
    let vocabulary = tokenizer.into_vocabulary();
    let capacity = ids.len().saturating_add(args.n).min(ctx.unwrap_or(config.context));
    let draft = args.speculate.load(draft.as_ref(), &args.device, Some(capacity))?;
    let model = Model::load(&gguf, &args.device, capacity)?;
    let mut session = model.session(capacity)?;
    let mut writer = Writer::new(&vocabulary, sampler, args.n, args.speculate.speculation(draft.as_ref())?);
    writer.answer(&mut *session, &ids)?;
    output::line("")?;
    writer.report(&*session)
}

/// A conversation that has only a system message.
fn conversation(args: &Args, template: &TemplateSource) -> anyhow::Result<Conversation> {
    let without_effect = |option: &str, word: &str| {
        let file = template.file();
        Usage(format!("{option} has no effect: the chat template of {file} does not mention {word}"))
    };
    if args.no_thinking && !template.mentions("enable_thinking") {
        return Err(without_effect("--no-thinking", "enable_thinking").into());
    }
    if args.tools.is_some() && !template.mentions("tools") {
        return Err(without_effect("--tools", "tools").into());
    }
    let tools = args.tools.as_deref().map(inputs::read_text).transpose()?;
    let messages = args.system.iter().map(|text| chat::message("system", text)).collect();
    Ok(Conversation { messages, thinking: args.no_thinking.then_some(false), tools })
}
