//! Renders chat templates in a separate process. A template is a program by the file's author, which may use unlimited
//! time, memory or stack. This program starts itself again for each rendering, with limits.

use anyhow::Context;
use ptxgen_model::tokenizer::{Conversation, TemplateSource};
use serde::{Deserialize, Serialize};
use std::{
    env,
    io::{self, Read, Write},
    process::{Child, Command, ExitCode, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

/// The argument that makes this program render a template; not part of its public interface.
const CHILD: &str = "__render-template";

/// CPU time of a template, in seconds.
#[cfg(unix)]
const SECONDS: u64 = 1;

/// Wall-clock limit, for a machine under heavy load.
const DEADLINE: Duration = Duration::from_secs(20);

/// Memory of a template, in bytes.
#[cfg(unix)]
const MEMORY: u64 = 160 << 20;

/// Maximum size of a prompt, which the library checks too.
const LONGEST: u64 = (64 << 20) + 1;

#[derive(Serialize, Deserialize)]
struct Request {
    source: TemplateSource,
    conversation: Conversation,
}

/// The prompt for a conversation.
///
/// # Errors
/// If the template fails or exceeds a limit; says which.
pub fn render(source: &TemplateSource, conversation: &Conversation) -> anyhow::Result<String> {
    let mut child = Command::new(this_program()?)
        .arg(CHILD)
        // glibc reserves 128 MiB of address space for a thread's heap, which exceeds the limit: it would then ask the
        // system for each allocation.
        .env("MALLOC_ARENA_MAX", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot start this program again to render the chat template")?;
    let request = serde_json::to_vec(&Request { source: source.clone(), conversation: conversation.clone() })?;
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let (status, answer, said) = thread::scope(|scope| {
        let out = scope.spawn(|| read(out, LONGEST));
        let err = scope.spawn(|| read(err, 64 << 10));
        // A process that has already ended does not read its input, and reports why.
        let _ = child.stdin.take().map(|mut to| to.write_all(&request));
        let status = wait(&mut child);
        (status, out.join().unwrap_or_default(), err.join().unwrap_or_default())
    });
    let status = status.context("cannot wait for the process that renders the chat template")?;
    let fails = |why: &str| anyhow::anyhow!("{}: its chat template fails: {why}", source.file());
    match (status, answer.split_first()) {
        (Some(status), Some((b'T', text))) if status.success() => Ok(String::from_utf8(text.to_vec())?),
        (Some(status), Some((b'E', text))) if status.success() => {
            Err(anyhow::Error::msg(String::from_utf8_lossy(text).into_owned()))
        }
        (status, _) => Err(fails(&ended(status, &String::from_utf8_lossy(&said)))),
    }
}

/// Why a process ended without a result.
fn ended(status: Option<ExitStatus>, said: &str) -> String {
    let Some(status) = status else { return format!("it has not finished after {} s", DEADLINE.as_secs()) };
    if said.contains("memory allocation of ") || said.contains("Cannot allocate memory") {
        return "it exceeds the memory limit of 160 MiB".into();
    }
    if said.contains("overflowed its stack") {
        return "its values or expressions nest too deep".into();
    }
    #[cfg(unix)]
    {
        use std::os::unix::process::ExitStatusExt;
        if matches!(status.signal(), Some(libc::SIGXCPU | libc::SIGKILL)) {
            return format!("it exceeds the limit of {SECONDS} s of CPU time");
        }
    }
    format!("the process that renders it ended with {status}")
}

fn this_program() -> anyhow::Result<std::path::PathBuf> {
    // The running program, even if its file has been replaced since.
    let own = std::path::Path::new("/proc/self/exe");
    if cfg!(target_os = "linux") && own.exists() {
        return Ok(own.into());
    }
    env::current_exe().context("cannot find this program's file to render the chat template")
}

fn read(from: Option<impl Read>, most: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(from) = from {
        let _ = from.take(most).read_to_end(&mut bytes);
    }
    bytes
}

/// Waits for a process; `None` if it had to be killed.
fn wait(child: &mut Child) -> io::Result<Option<ExitStatus>> {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if start.elapsed() > DEADLINE {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        thread::sleep(Duration::from_millis(1));
    }
}

/// Whether this process was started to render a template.
pub fn is_asked_for() -> bool {
    env::args_os().nth(1).is_some_and(|first| first == CHILD)
}

/// Renders the template from standard input.
pub fn child() -> ExitCode {
    limit();
    let answer = || -> Result<String, String> {
        let request: Request = serde_json::from_reader(io::stdin().lock()).map_err(|e| e.to_string())?;
        let template = request.source.compile().map_err(|e| e.to_string())?;
        template.render_conversation(&request.conversation).map_err(|e| e.to_string())
    };
    let (kind, text) = match answer() {
        Ok(text) => (b'T', text),
        Err(text) => (b'E', text),
    };
    let mut out = io::stdout().lock();
    let written = out.write_all(&[kind]).and_then(|()| out.write_all(text.as_bytes())).and_then(|()| out.flush());
    if written.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Sets the limits of this process.
fn limit() {
    #[cfg(unix)]
    {
        let page = 4096;
        let taken = std::fs::read_to_string("/proc/self/statm").ok();
        let taken = taken.and_then(|text| text.split(' ').next()?.parse::<u64>().ok()).map_or(0, |pages| pages * page);
        let set = |what, most: u64, last: u64| {
            let limit = libc::rlimit { rlim_cur: most as libc::rlim_t, rlim_max: last as libc::rlim_t };
            // SAFETY: a pointer to a limit, which is only read. If a limit cannot be set, those of the library remain.
            unsafe { libc::setrlimit(what, &limit) };
        };
        set(libc::RLIMIT_CORE, 0, 0);
        set(libc::RLIMIT_CPU, SECONDS, SECONDS + 1);
        set(libc::RLIMIT_AS, taken + MEMORY, taken + MEMORY);
    }
}
