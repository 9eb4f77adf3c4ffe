//! A conversation.

use super::{
    super::{output, template},
    answer::Writer,
    input::{Message as Input, Messages},
    stop,
};
use anstream::stderr;
use anyhow::Context;
use ptxgen_model::{
    Engine,
    tokenizer::{Conversation, Message, TemplateSource, Tokenizer, TokenizerError},
};
use std::io::Write;

/// A conversation in progress.
#[derive(Clone)]
pub struct Chat {
    template: TemplateSource,
    conversation: Conversation,
}

/// A message.
pub fn message(role: &str, content: &str) -> Message {
    Message { role: role.into(), content: content.into() }
}

/// A text's tokens, as many as are needed.
pub struct Encoded {
    /// The first of them.
    pub ids: Vec<u32>,
    /// Whether there are more, and thus more than fit.
    pub more: bool,
}

/// The tokens of a text, or more than `most` of them: a template's output may be long, and encoding it takes time.
pub fn encode(tokenizer: &Tokenizer, text: &str, most: usize) -> Result<Encoded, TokenizerError> {
    let mut length = most.saturating_mul(16).saturating_add(4096);
    loop {
        let part = &text[..text.floor_char_boundary(length)];
        let (ids, more) = (tokenizer.encode(part)?, part.len() < text.len());
        // If a part of the text already has more tokens than fit, that is enough. If its tokens are long, a longer part
        // is tried.
        if !more || ids.len() > most {
            return Ok(Encoded { ids, more });
        }
        length = length.saturating_mul(4);
    }
}

impl Chat {
    pub fn new(template: TemplateSource, conversation: Conversation) -> Self {
        Self { template, conversation }
    }

    /// Adds a message of the user.
    pub fn say(&mut self, text: &str) {
        self.conversation.messages.push(message("user", text));
    }

    /// The prompt.
    pub fn render(&self) -> anyhow::Result<String> {
        template::render(&self.template, &self.conversation)
    }

    /// Answers messages from standard input until it ends. Messages that cannot be used are skipped with a note.
    pub fn talk(
        mut self,
        session: &mut dyn Engine,
        tokenizer: &Tokenizer,
        writer: &mut Writer<'_>,
    ) -> anyhow::Result<()> {
        stop::watch();
        let mut messages = Messages::new();
        loop {
            // The prompt sign goes to standard error, because it is not part of the output.
            let _ = write!(stderr(), "> ");
            let left_out = |line: usize, why: &str| output::note(format_args!("line {line} {why}; it is skipped"));
            let text = match messages.next().context("cannot read standard input")? {
                Input::End => return Ok(()),
                Input::NotText(line) => {
                    left_out(line, "is not UTF-8");
                    continue;
                }
                Input::TooLong(line) => {
                    left_out(line, "is longer than 64 MiB");
                    continue;
                }
                Input::Cut(line) => {
                    left_out(
                        line,
                        "is longer than the 4095 bytes that a terminal takes in a line: paste it in several, or give it \
                         with --prompt-file",
                    );
                    continue;
                }
                Input::Text(text) => text,
            };
            self.say(&text);
            let Some(ids) = self.fitting(tokenizer, session.capacity(), writer.most())? else {
                self.conversation.messages.pop();
                continue;
            };
            let answer = writer.answer(session, &ids)?;
            output::line("")?;
            self.conversation.messages.push(message("assistant", &answer));
        }
    }

    /// The conversation's tokens, without its oldest messages if they leave no room for an answer. `None`, with a note,
    /// if the last message alone is too long or cannot be encoded.
    fn fitting(&mut self, tokenizer: &Tokenizer, capacity: usize, answer: usize) -> anyhow::Result<Option<Vec<u32>>> {
        let room = capacity.saturating_sub(answer.min(capacity / 4)).max(1);
        let kept = self.conversation.messages.clone();
        loop {
            let text = self.render()?;
            let Encoded { ids, more: cut } = match encode(tokenizer, &text, capacity) {
                Ok(encoded) => encoded,
                Err(e) => {
                    output::note(format_args!("{e}; the message is skipped"));
                    self.conversation.messages = kept;
                    return Ok(None);
                }
            };
            let gone = kept.len() - self.conversation.messages.len();
            if ids.is_empty() {
                output::note("the conversation has 0 tokens; the message is skipped");
            } else if ids.len() <= room {
                if gone > 0 {
                    output::note(format_args!(
                        "the context of {capacity} tokens is full: the oldest {gone} messages are dropped"
                    ));
                }
                return Ok(Some(ids));
            } else if let Some(oldest) = self.oldest() {
                // Including its answers.
                self.conversation.messages.drain(oldest);
                continue;
            } else {
                let (tokens, more) = (ids.len(), if cut { "more than " } else { "" });
                output::note(format_args!(
                    "the message is left out: with it the conversation has {more}{tokens} tokens, which leave no room for an \
                     answer in the context of {capacity}"
                ));
            }
            self.conversation.messages = kept;
            return Ok(None);
        }
    }

    /// The oldest message of the user that is not the last one, with everything up to the next one.
    fn oldest(&self) -> Option<std::ops::Range<usize>> {
        let messages = &self.conversation.messages;
        let mut of_user = (0..messages.len()).filter(|&i| messages[i].role == "user");
        Some(of_user.next()?..of_user.next()?)
    }
}
