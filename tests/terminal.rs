//! Chats on a terminal, as `docs/transcripts/chat.md` shows them: typed, pasted, interrupted. `BLESS=1` renews it.
#![cfg(target_os = "linux")]

mod support;

use ptxgen::model::{
    bundled,
    gguf::{GgufWriter, Value},
};
use std::{
    fs::{self, File},
    io::{self, Read, Write},
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
    path::Path,
    process::{Child, Stdio},
    time::{Duration, Instant},
};

/// A template that says what it was given, as the bundled model knows text: as Rust.
const TEMPLATE: &str = "{% if tools %}// tools: {{ tools|map(attribute='name')|join(', ') }}\n{% endif %}\
{% for m in messages %}// {{ m.role }}: {{ m.content|replace('\n', '\n// ') }}\n{% endfor %}\
{% if enable_thinking is defined and not enable_thinking %}// <think></think>\n{% endif %}fn main() {\n";

/// What a transcript begins with.
const HEAD: &str = "# Chats on a terminal

What you see when you chat with a model. `tests/terminal.rs` types the input on a pseudo-terminal and compares the output. The model
is the bundled one, which only continues Rust, with a template that shows what it receives. Numbers of tokens and
seconds are omitted, and so is most of the interrupted answer, because the place where it stops is random.
";

/// A program on a terminal.
struct Terminal {
    program: Child,
    /// The person's end.
    person: File,
    seen: Vec<u8>,
    /// Bytes that were there when something was typed last.
    before: usize,
}

impl Terminal {
    fn start(args: &[&str], folder: &Path) -> Self {
        let (mut person, mut program) = (0, 0);
        let size = libc::winsize { ws_row: 50, ws_col: 120, ws_xpixel: 0, ws_ypixel: 0 };
        let (name, settings) = (std::ptr::null_mut(), std::ptr::null());
        // SAFETY: places for two descriptors, no name, no settings, and a size that is read.
        let opened = unsafe { libc::openpty(&mut person, &mut program, name, settings, &size) };
        assert_eq!(opened, 0, "{}", io::Error::last_os_error());
        // SAFETY: both were just opened, and nothing else closes them.
        let (person, end) = unsafe { (File::from_raw_fd(person), OwnedFd::from_raw_fd(program)) };
        let own = || Stdio::from(end.try_clone().unwrap());
        let mut command = support::interruptible(args);
        command.current_dir(folder).env("TERM", "xterm").env_remove("NO_COLOR");
        command.stdin(own()).stdout(own()).stderr(own());
        let control = || {
            // SAFETY: a session of its own, whose terminal is standard input: Ctrl-C is its alone.
            if unsafe { libc::setsid() == -1 || libc::ioctl(0, libc::TIOCSCTTY, 0) == -1 } {
                return Err(io::Error::last_os_error());
            }
            Ok(())
        };
        // SAFETY: the closure makes system calls only.
        unsafe { std::os::unix::process::CommandExt::pre_exec(&mut command, control) };
        let program = command.spawn().unwrap();
        Self { program, person, seen: Vec::new(), before: 0 }
    }

    fn type_(&mut self, text: &str) {
        self.before = self.seen.len();
        self.person.write_all(text.as_bytes()).unwrap();
    }

    /// Reads until what came since the last typing is enough.
    fn wait(&mut self, what: &str, enough: impl Fn(&str) -> bool) {
        let start = Instant::now();
        let mut bytes = [0; 4096];
        loop {
            let seen = String::from_utf8_lossy(&self.seen[self.before..]);
            if enough(&seen) {
                return;
            }
            let left = Duration::from_secs(300).saturating_sub(start.elapsed());
            let mut end = libc::pollfd { fd: self.person.as_raw_fd(), events: libc::POLLIN, revents: 0 };
            // SAFETY: one place, which is read and written.
            let ready = unsafe { libc::poll(&mut end, 1, left.as_millis() as i32) };
            assert!(ready > 0, "waiting for {what}: {seen:?}");
            match self.person.read(&mut bytes) {
                // The other end is closed.
                Ok(0) | Err(_) => return assert_eq!(what, "the end", "{seen:?}"),
                Ok(n) => self.seen.extend_from_slice(&bytes[..n]),
            }
        }
    }

    fn prompt(&mut self) {
        self.wait("a prompt", |seen| seen.ends_with("> ") && (seen.len() == 2 || seen.contains('\n')));
    }

    /// What the terminal shows in the end, with what is chance left out.
    fn end(mut self) -> String {
        self.type_("\u{4}");
        self.wait("the end", |_| false);
        assert!(self.program.wait().unwrap().success());
        let text = String::from_utf8(self.seen).unwrap();
        let mut out = String::new();
        for line in text.split('\n') {
            let line = without_commands(line);
            // What was written over is gone.
            let line = line.trim_end_matches('\r').rsplit('\r').next().unwrap_or_default();
            match line.split_once(" tokens/s, ") {
                Some(_) => out.push_str("N tokens, S tokens/s, cpu (..)"),
                None => out.push_str(line.trim_end()),
            }
            out.push('\n');
        }
        out.trim_end().to_owned() + "\n"
    }
}

/// A line without the terminal's commands.
fn without_commands(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some((before, command)) = rest.split_once("\u{1b}[") {
        out.push_str(before);
        let end = command.find(|c: char| c.is_ascii_alphabetic()).map_or(command.len(), |at| at + 1);
        rest = &command[end..];
    }
    out + rest
}

/// The answer that was interrupted, cut after its first line.
fn cut(session: &str) -> String {
    let Some((before, after)) = session.split_once("^C") else { panic!("{session}") };
    let start = before.rfind("> ").unwrap();
    let shown: Vec<&str> = before[start..].lines().take(2).collect();
    // A last word may come after the sign.
    let after = &after[after.find('\n').unwrap_or(after.len())..];
    format!("{}{}\n[..]^C{after}", &before[..start], shown.join("\n"))
}

#[test]
fn chats_are_as_the_transcript_shows_them() {
    let dir = tempfile::tempdir().unwrap();
    let gguf = bundled().unwrap().unwrap();
    let mut w = GgufWriter::new();
    gguf.metadata().iter().for_each(|(key, value)| _ = w.set(key, value.clone()));
    w.set("tokenizer.chat_template", Value::from(TEMPLATE));
    let mut data = Vec::new();
    for t in gguf.tensors() {
        w.tensor(t.name, t.dims, t.ty);
        data.extend_from_slice(t.data);
    }
    fs::write(dir.path().join("model.gguf"), w.to_bytes(&data).unwrap()).unwrap();
    fs::write(dir.path().join("tools.json"), r#"[{"name": "read_file"}, {"name": "run"}]"#).unwrap();
    let mut all = HEAD.to_owned();
    let mut add = |title: &str, command: &[&str], session: String| {
        all += &format!(
            "\n## {title}\n\n<!-- not run: tests/terminal.rs does -->\n````text\n$ ptxgen {}\n{session}````\n",
            command.join(" ")
        );
    };

    let command = ["run", "model.gguf", "--chat", "--device", "cpu", "-n", "24"];
    let mut t = Terminal::start(&command, dir.path());
    t.prompt();
    t.type_("add two numbers\n");
    t.prompt();
    t.type_("\"\"\"\nfirst line\nsecond line\n\"\"\"\n");
    t.prompt();
    let paste: Vec<String> = (1..=12).map(|i| format!("    let pasted_{i} = {i} + {i};\n")).collect();
    t.type_(&paste.concat());
    t.prompt();
    t.type_(&format!("{}\n", "x".repeat(5000)));
    t.prompt();
    let session = t.end();
    let long = session.find(&"x".repeat(4095)).expect("what was typed is shown");
    let rest = session[long..].trim_start_matches('x');
    let session = format!("{}xxxxxx[..]{rest}", &session[..long]);
    add("A line, several lines, a paste, and one that is too long for a terminal", &command, session);

    let command = ["run", "model.gguf", "--chat", "--device", "cpu", "-n", "3000"];
    let mut t = Terminal::start(&command, dir.path());
    t.prompt();
    t.type_("count without end\n");
    t.wait("an answer", |seen| seen.lines().count() > 4);
    t.type_("\u{3}");
    t.prompt();
    t.type_("\u{3}");
    t.wait("a note", |seen| seen.ends_with("ends the chat\r\n> "));
    let session = t.end();
    add("Ctrl-C while an answer is written, and while none is", &command, cut(&session));

    let command =
        ["run", "model.gguf", "--chat", "--device", "cpu", "-n", "24", "--no-thinking", "--system", "be brief"];
    let mut t = Terminal::start(&command, dir.path());
    t.prompt();
    t.type_("add two numbers\n");
    t.prompt();
    add("Without thinking, and with a word of the system's", &command, t.end());

    let command = ["run", "model.gguf", "--chat", "--device", "cpu", "-n", "24", "--tools", "tools.json"];
    let mut t = Terminal::start(&command, dir.path());
    t.prompt();
    t.type_("add two numbers\n");
    t.prompt();
    add("With tools", &command, t.end());

    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/transcripts/chat.md");
    if std::env::var_os("BLESS").is_some() {
        fs::write(&file, &all).unwrap();
    }
    let there = fs::read_to_string(&file).unwrap_or_default();
    assert_eq!(there, all, "docs/transcripts/chat.md; BLESS=1 renews it");
}
