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

/// A text's tokens, as far as they are needed.
pub struct Encoded {
    /// The first of them.
    pub ids: Vec<u32>,
    /// Whether there are more, which are more than fit in any case.
    pub more: bool,
}

/// The tokens of a text, or more than `most` of them: what a template makes may be long, and encoding it takes time.
pub fn encode(tokenizer: &Tokenizer, text: &str, most: usize) -> Result<Encoded, TokenizerError> {
    let mut length = most.saturating_mul(16).saturating_add(4096);
    loop {
        let part = &text[..text.floor_char_boundary(length)];
        let (ids, more) = (tokenizer.encode(part)?, part.len() < text.len());
        // A part of more tokens than fit is enough to know; where tokens are long it takes a longer part.
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

    /// The user says something.
    pub fn say(&mut self, text: &str) {
        self.conversation.messages.push(message("user", text));
    }

    /// The prompt.
    pub fn render(&self) -> anyhow::Result<String> {
        template::render(&self.template, &self.conversation)
    }

    /// Answers what standard input says until it ends. What cannot be taken is left out, and said.
    pub fn talk(
        mut self,
        session: &mut dyn Engine,
        tokenizer: &Tokenizer,
        writer: &mut Writer<'_>,
    ) -> anyhow::Result<()> {
        stop::watch();
        let mut messages = Messages::new();
        loop {
            // Shows that a message is expected; not part of the output.
            let _ = write!(stderr(), "> ");
            let left_out = |line: usize, why: &str| output::note(format_args!("line {line} {why}; it is left out"));
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

    /// The conversation's tokens, without its oldest messages as far as they leave no room for an answer. None where
    /// the last message alone is too long, or cannot be encoded; says so.
    fn fitting(&mut self, tokenizer: &Tokenizer, capacity: usize, answer: usize) -> anyhow::Result<Option<Vec<u32>>> {
        let room = capacity.saturating_sub(answer.min(capacity / 4)).max(1);
        let kept = self.conversation.messages.clone();
        loop {
            let text = self.render()?;
            let Encoded { ids, more: cut } = match encode(tokenizer, &text, capacity) {
                Ok(encoded) => encoded,
                Err(e) => {
                    output::note(format_args!("{e}; the message is left out"));
                    self.conversation.messages = kept;
                    return Ok(None);
                }
            };
            let gone = kept.len() - self.conversation.messages.len();
            if ids.is_empty() {
                output::note("the conversation has 0 tokens; the message is left out");
            } else if ids.len() <= room {
                if gone > 0 {
                    output::note(format_args!(
                        "the context of {capacity} tokens is full: the oldest {gone} messages are left out"
                    ));
                }
                return Ok(Some(ids));
            } else if let Some(oldest) = self.oldest() {
                // With what was answered.
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

    /// The oldest message of the user that is not the last, and what follows up to the next.
    fn oldest(&self) -> Option<std::ops::Range<usize>> {
        let messages = &self.conversation.messages;
        let mut of_user = (0..messages.len()).filter(|&i| messages[i].role == "user");
        Some(of_user.next()?..of_user.next()?)
    }
}
