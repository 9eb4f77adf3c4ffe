//! Chat templates: Jinja in the dialect of Hugging Face models.

use super::{
    Tokenizer,
    error::{Fail, Kind, TokenizerError},
    jinja,
};
use crate::gguf::Gguf;
use minijinja::{Environment, Error, ErrorKind, Value, context, value::merge_maps};
use serde::{Deserialize, Serialize};
use std::{io, panic, thread};

/// One message of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// The role: `system`, `user` or `assistant`.
    pub role: String,
    /// The text.
    pub content: String,
}

/// The input of a template.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conversation {
    /// The messages so far.
    pub messages: Vec<Message>,
    /// The template's variable `enable_thinking`; `None` leaves it undefined, so that the template decides.
    pub thinking: Option<bool>,
    /// JSON that a template receives as `tools`, usually a list of functions.
    pub tools: Option<String>,
}

/// The source of a template, unparsed and untrusted. It can be serialized for a separate process with limits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TemplateSource {
    file: String,
    source: String,
    bos: String,
    eos: String,
}

/// A template that turns a conversation into a prompt.
#[derive(Debug)]
pub struct ChatTemplate {
    fail: Fail,
    env: Environment<'static>,
    bos: String,
    eos: String,
}

const NAME: &str = "tokenizer.chat_template";
/// Maximum number of steps of a template: Qwen3's takes about 50 per message.
const FUEL: u64 = 2_000_000;
/// The maximum size of a prompt in bytes, far more than a model's context.
const LONGEST: usize = 64 << 20;
/// The maximum size of a template in bytes; those of models have up to 30,000.
const LONGEST_SOURCE: usize = 256 << 10;
/// The stack for parsing and rendering, enough for the deepest nesting of a template of that size.
const STACK: usize = 64 << 20;

impl TemplateSource {
    /// The file's template (`tokenizer.chat_template`).
    ///
    /// # Errors
    /// If there is none, or one of more than 256 KiB.
    pub fn from_gguf(gguf: &Gguf, tokenizer: &Tokenizer) -> Result<Self, TokenizerError> {
        let fail = Fail(gguf.file().into());
        let Some(source) = gguf.metadata().opt_str(NAME)? else {
            return Err(fail.with(Kind::NoTemplate));
        };
        if source.len() > LONGEST_SOURCE {
            let reason = format!("it is {} bytes long, at most {LONGEST_SOURCE} are read", source.len());
            return Err(fail.with(Kind::Template { reason }));
        }
        let special = &tokenizer.special;
        let (bos, eos) = (special.bos_text.clone(), special.eos_text.clone());
        Ok(Self { file: gguf.file().into(), source: source.into(), bos, eos })
    }

    /// The file's name.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Whether the template contains a word: a variable that it does not mention has no effect.
    pub fn mentions(&self, word: &str) -> bool {
        self.source.contains(word)
    }

    /// Parses it as Jinja.
    ///
    /// # Errors
    /// If it is not valid Jinja.
    pub fn compile(&self) -> Result<ChatTemplate, TokenizerError> {
        let fail = Fail(self.file.as_str().into());
        let mut env = Environment::new();
        jinja::set_up(&mut env);
        env.set_fuel(Some(FUEL));
        let read = on_a_stack(|| {
            // As Jinja does first.
            let source = self.source.replace("\r\n", "\n").replace('\r', "\n");
            let source = jinja::rewrite(&source)
                .map_err(|(why, line)| Error::new(ErrorKind::SyntaxError, format!("{why} (in {NAME}:{line})")))?;
            env.add_template_owned(NAME, source).map(|()| env)
        });
        let env = read.map_err(|e| fail.with(broken(&e)))?;
        Ok(ChatTemplate { fail, env, bos: self.bos.clone(), eos: self.eos.clone() })
    }
}

impl ChatTemplate {
    /// The file's template (`tokenizer.chat_template`).
    ///
    /// # Errors
    /// If there is none, or it is not valid Jinja.
    pub fn from_gguf(gguf: &Gguf, tokenizer: &Tokenizer) -> Result<Self, TokenizerError> {
        TemplateSource::from_gguf(gguf, tokenizer)?.compile()
    }

    /// The prompt for a conversation, which ends where the assistant's answer begins. `thinking` is the template's
    /// variable `enable_thinking`; `None` leaves it undefined, so that the template decides. As
    /// [`render_conversation`](Self::render_conversation).
    ///
    /// # Errors
    /// If the template fails on these messages, exceeds the limit of steps, or produces more than 64 MiB.
    pub fn render(&self, messages: &[Message], thinking: Option<bool>) -> Result<String, TokenizerError> {
        self.render_conversation(&Conversation { messages: messages.to_vec(), thinking, tools: None })
    }

    /// The prompt for a conversation, which ends where the assistant's answer begins.
    ///
    /// The steps of a template and its output are limited. The memory of its variables, the work of a single filter,
    /// and the nesting of its values are not: a hostile template can crash the process. For untrusted files, render in
    /// a process with limits, as the command `ptxgen` does.
    ///
    /// # Errors
    /// If the template fails on these messages, exceeds the limit of steps, or produces more than 64 MiB; or if the
    /// tools are not JSON.
    pub fn render_conversation(&self, conversation: &Conversation) -> Result<String, TokenizerError> {
        let fault = |e: &dyn std::fmt::Display| Error::new(ErrorKind::CannotDeserialize, format!("tools: {e}"));
        let tools: Option<Result<Value, _>> = conversation.tools.as_deref().map(serde_json::from_str);
        let rendered = tools.transpose().map_err(|e| fault(&e)).and_then(|tools| {
            let tools = tools.map(|tools| context! { tools });
            let thinking = conversation.thinking.map(|enable_thinking| context! { enable_thinking });
            let always = context! {
                messages => conversation.messages,
                add_generation_prompt => true,
                bos_token => self.bos,
                eos_token => self.eos,
            };
            let values = merge_maps([tools, thinking, Some(always)].into_iter().flatten());
            on_a_stack(|| {
                let mut out = Bounded(Vec::new());
                self.env.get_template(NAME)?.render_captured_to(values, &mut out)?;
                String::from_utf8(out.0).map_err(|e| Error::new(ErrorKind::WriteFailure, e.to_string()))
            })
        });
        rendered.map_err(|e| self.fail.with(broken(&e)))
    }
}

/// Runs a function on a stack of [`STACK`].
fn on_a_stack<T: Send>(work: impl FnOnce() -> Result<T, Error> + Send) -> Result<T, Error> {
    let unable = |e: io::Error| Error::new(ErrorKind::InvalidOperation, format!("no thread for it: {e}"));
    thread::scope(|scope| {
        let thread = thread::Builder::new().name("template".into()).stack_size(STACK).spawn_scoped(scope, work);
        thread.map_err(unable)?.join().unwrap_or_else(|panic| panic::resume_unwind(panic))
    })
}

/// A text that stops growing at [`LONGEST`].
struct Bounded(Vec<u8>);

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() > LONGEST - self.0.len() {
            return Err(io::Error::other("the text is longer than 64 MiB"));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn broken(e: &Error) -> Kind {
    let mut reason = e.to_string();
    if let Some(cause) = std::error::Error::source(e) {
        reason = format!("{reason}: {cause}");
    }
    Kind::Template { reason }
}
