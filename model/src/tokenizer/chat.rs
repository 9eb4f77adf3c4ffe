//! Chat templates: Jinja as Hugging Face models write it.

use super::{
    Tokenizer,
    error::{Fail, Kind, TokenizerError},
};
use crate::gguf::Gguf;
use minijinja::{Environment, Error, ErrorKind, Value, context};
use serde::Serialize;
use std::io;

/// One message of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Message {
    /// Who speaks: `system`, `user` or `assistant`.
    pub role: String,
    /// What they say.
    pub content: String,
}

/// The template that turns a conversation into a prompt.
#[derive(Debug)]
pub struct ChatTemplate {
    fail: Fail,
    env: Environment<'static>,
    bos: String,
    eos: String,
}

const NAME: &str = "tokenizer.chat_template";
/// Steps that a template may take: Qwen3's takes about 50 for a message.
const FUEL: u64 = 2_000_000;
/// The longest prompt, in bytes. Far more than a model's context holds.
const LONGEST: usize = 64 << 20;

impl ChatTemplate {
    /// The file's template (`tokenizer.chat_template`).
    ///
    /// # Errors
    /// If there is none, or it is not Jinja.
    pub fn from_gguf(gguf: &Gguf, tokenizer: &Tokenizer) -> Result<Self, TokenizerError> {
        let fail = Fail(gguf.file().into());
        let Some(source) = gguf.metadata().opt_str(NAME)? else {
            return Err(fail.with(Kind::NoTemplate));
        };
        let mut env = Environment::new();
        // What transformers' `apply_chat_template` sets.
        env.set_trim_blocks(true);
        env.set_lstrip_blocks(true);
        env.set_fuel(Some(FUEL));
        env.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        env.add_function("raise_exception", |text: String| -> Result<Value, Error> {
            Err(Error::new(ErrorKind::InvalidOperation, text))
        });
        env.add_filter("tojson", tojson);
        // As Jinja does before anything else.
        let source = source.replace("\r\n", "\n").replace('\r', "\n");
        let added = env.add_template_owned(NAME, source);
        added.map_err(|e| fail.with(broken(&e)))?;
        Ok(Self { fail, env, bos: tokenizer.special.bos_text.clone(), eos: tokenizer.special.eos_text.clone() })
    }

    /// The prompt for a conversation, ending where the assistant is to speak. `thinking` is what a
    /// template may ask for as `enable_thinking`; `None` leaves it undefined, so that the template
    /// decides.
    ///
    /// The steps that a template takes and the text that it gives are bounded; what it holds in
    /// variables meanwhile is not.
    ///
    /// # Errors
    /// If the template fails on these messages, does not end, or gives more than 64 MiB.
    pub fn render(&self, messages: &[Message], thinking: Option<bool>) -> Result<String, TokenizerError> {
        let values = context! {
            messages,
            add_generation_prompt => true,
            bos_token => self.bos,
            eos_token => self.eos,
            ..thinking.map_or_else(Value::default, |enable_thinking| context! { enable_thinking }),
        };
        let mut out = Bounded(Vec::new());
        let done = self.env.get_template(NAME).and_then(|t| t.render_captured_to(values, &mut out).map(drop));
        let text = done
            .and_then(|()| String::from_utf8(out.0).map_err(|e| Error::new(ErrorKind::WriteFailure, e.to_string())));
        text.map_err(|e| self.fail.with(broken(&e)))
    }
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

/// As Python's `json.dumps(value, ensure_ascii=False)`: no HTML escapes, spaces behind `,` and `:`.
fn tojson(value: &Value) -> Result<Value, Error> {
    let mut out = Vec::new();
    let mut json = serde_json::Serializer::with_formatter(&mut out, Python);
    let fault = |e: &dyn std::error::Error| Error::new(ErrorKind::BadSerialization, e.to_string());
    value.serialize(&mut json).map_err(|e| fault(&e))?;
    let text = String::from_utf8(out).map_err(|e| fault(&e))?;
    Ok(Value::from_safe_string(text))
}

struct Python;

impl serde_json::ser::Formatter for Python {
    fn begin_array_value<W: ?Sized + io::Write>(&mut self, w: &mut W, first: bool) -> io::Result<()> {
        w.write_all(if first { b"" } else { b", " })
    }

    fn begin_object_key<W: ?Sized + io::Write>(&mut self, w: &mut W, first: bool) -> io::Result<()> {
        w.write_all(if first { b"" } else { b", " })
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, w: &mut W) -> io::Result<()> {
        w.write_all(b": ")
    }
}
