//! Messages from standard input.

use std::io::{self, BufRead, Read, StdinLock};

/// Maximum size of a line.
const LONGEST: u64 = 1 << 26;

/// Maximum size of a line on a Linux terminal, including its end (termios(3), canonical mode).
const TERMINAL: usize = 4096;

/// Marks the begin and the end of a message of several lines.
const QUOTES: &str = "\"\"\"";

/// Messages that are typed, piped or pasted.
pub struct Messages {
    stdin: StdinLock<'static>,
    terminal: bool,
    line: usize,
}

/// What was read.
#[derive(Debug, PartialEq, Eq)]
pub enum Message {
    Text(String),
    /// A line that is not valid text; its number.
    NotText(usize),
    /// A line that is too long for a message.
    TooLong(usize),
    /// A line that the terminal has silently truncated.
    Cut(usize),
    End,
}

impl Messages {
    pub fn new() -> Self {
        Self { stdin: io::stdin().lock(), terminal: io::IsTerminal::is_terminal(&io::stdin()), line: 0 }
    }

    /// The next message: a line, continued by the next one after `\`; lines between two `"""`; on a terminal also lines
    /// that were pasted together.
    pub fn next(&mut self) -> io::Result<Message> {
        let mut text = match self.read()? {
            Message::Text(line) => line,
            other => return Ok(other),
        };
        if let Some(first) = text.strip_prefix(QUOTES) {
            let mut quoted = first.to_owned();
            while !quoted.trim_end().ends_with(QUOTES) {
                match self.read()? {
                    Message::Text(line) => {
                        quoted.push('\n');
                        quoted.push_str(&line);
                    }
                    Message::End => return Ok(Message::Text(quoted)),
                    other => return Ok(other),
                }
            }
            let inside = quoted.trim_end();
            let inside = &inside[..inside.len() - QUOTES.len()];
            return Ok(Message::Text(inside.trim_matches('\n').to_owned()));
        }
        loop {
            let goes_on = text.ends_with('\\');
            if goes_on {
                text.pop();
            } else if !(self.terminal && is_waiting()) {
                return Ok(Message::Text(text));
            }
            match self.read()? {
                Message::Text(line) => {
                    text.push('\n');
                    text.push_str(&line);
                }
                Message::End => return Ok(Message::Text(text)),
                other => return Ok(other),
            }
        }
    }

    fn read(&mut self) -> io::Result<Message> {
        let mut bytes = Vec::new();
        self.line += 1;
        if (&mut self.stdin).take(LONGEST).read_until(b'\n', &mut bytes)? == 0 {
            return Ok(Message::End);
        }
        if bytes.last() != Some(&b'\n') && bytes.len() as u64 == LONGEST {
            self.skip_line()?;
            return Ok(Message::TooLong(self.line));
        }
        if self.terminal && cfg!(target_os = "linux") && bytes.len() == TERMINAL {
            return Ok(Message::Cut(self.line));
        }
        if bytes.last() == Some(&b'\n') {
            bytes.pop();
            if bytes.last() == Some(&b'\r') {
                bytes.pop();
            }
        }
        Ok(String::from_utf8(bytes).map_or(Message::NotText(self.line), Message::Text))
    }

    fn skip_line(&mut self) -> io::Result<()> {
        loop {
            let there = self.stdin.fill_buf()?;
            let (n, end) = match there.iter().position(|b| *b == b'\n') {
                Some(at) => (at + 1, true),
                None => (there.len(), there.is_empty()),
            };
            self.stdin.consume(n);
            if end {
                return Ok(());
            }
        }
    }
}

/// Whether a terminal has more input: pasted text arrives faster than anyone can type.
fn is_waiting() -> bool {
    #[cfg(unix)]
    {
        let mut asked = libc::pollfd { fd: libc::STDIN_FILENO, events: libc::POLLIN, revents: 0 };
        // SAFETY: one valid structure.
        let ready = unsafe { libc::poll(&mut asked, 1, 30) };
        ready == 1 && asked.revents & libc::POLLIN != 0
    }
    #[cfg(not(unix))]
    false
}
