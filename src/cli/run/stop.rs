//! Ctrl-C in a chat: stops the answer, not the chat.

use super::super::output;
#[cfg(unix)]
use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

/// Whether an answer is being generated.
static ANSWERING: AtomicBool = AtomicBool::new(false);
/// Whether to stop it.
static STOP: AtomicBool = AtomicBool::new(false);
/// Signals since the last message.
static IDLE: AtomicU8 = AtomicU8::new(0);

/// From now on an interrupt stops the current answer. If there is none, the first interrupt prints how to end the chat,
/// and the second one ends it. A signal that was ignored when the process started stays ignored.
pub fn watch() {
    #[cfg(unix)]
    {
        use anstream::stderr;
        use signal_hook::{consts::SIGINT, iterator::Signals, low_level::emulate_default_handler};
        if super::super::interrupt::is_ignored(SIGINT) {
            return;
        }
        let Ok(mut signals) = Signals::new([SIGINT]) else { return };
        let wait = move || {
            for signal in signals.forever() {
                if ANSWERING.load(Ordering::SeqCst) {
                    STOP.store(true, Ordering::SeqCst);
                } else if IDLE.fetch_add(1, Ordering::SeqCst) > 0 {
                    let _ = emulate_default_handler(signal);
                } else {
                    // The terminal has printed ^C after the prompt sign, and has discarded the typed line.
                    let terminal = io::stdin().is_terminal();
                    let _ = if terminal { writeln!(stderr()) } else { Ok(()) };
                    output::note("Ctrl-D, or Ctrl-C once more, ends the chat");
                    let _ = if terminal { write!(stderr(), "> ") } else { Ok(()) };
                }
            }
        };
        // If the handler cannot be installed, a signal still ends the process.
        let _ = std::thread::Builder::new().name("signals".into()).spawn(wait);
    }
}

/// While this value exists, an answer is being generated.
pub struct Answering(());

impl Answering {
    /// Starts an answer.
    pub fn begin() -> Self {
        STOP.store(false, Ordering::SeqCst);
        IDLE.store(0, Ordering::SeqCst);
        ANSWERING.store(true, Ordering::SeqCst);
        Self(())
    }

    /// Whether to stop the answer.
    pub fn is_stopped(&self) -> bool {
        STOP.load(Ordering::SeqCst)
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        ANSWERING.store(false, Ordering::SeqCst);
    }
}
