//! Ctrl-C in a chat: stops the answer, not the chat.

use super::super::output;
#[cfg(unix)]
use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

/// Whether an answer is being written.
static ANSWERING: AtomicBool = AtomicBool::new(false);
/// Whether it is to stop.
static STOP: AtomicBool = AtomicBool::new(false);
/// Signals since the last message.
static IDLE: AtomicU8 = AtomicU8::new(0);

/// From now on an interrupt stops the answer that is being written. Where none is, the first says how to end the
/// chat, and the second ends it. A signal that the process was started to ignore stays ignored.
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
                    // A terminal has shown ^C after the prompt, and has forgotten what was typed there.
                    let terminal = io::stdin().is_terminal();
                    let _ = if terminal { writeln!(stderr()) } else { Ok(()) };
                    output::note("Ctrl-D, or Ctrl-C once more, ends the chat");
                    let _ = if terminal { write!(stderr(), "> ") } else { Ok(()) };
                }
            }
        };
        // Without the watch a signal ends the process, as ever.
        let _ = std::thread::Builder::new().name("signals".into()).spawn(wait);
    }
}

/// While this is there, an answer is being written.
pub struct Answering(());

impl Answering {
    /// An answer begins.
    pub fn begin() -> Self {
        STOP.store(false, Ordering::SeqCst);
        IDLE.store(0, Ordering::SeqCst);
        ANSWERING.store(true, Ordering::SeqCst);
        Self(())
    }

    /// Whether it is to stop.
    pub fn is_stopped(&self) -> bool {
        STOP.load(Ordering::SeqCst)
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        ANSWERING.store(false, Ordering::SeqCst);
    }
}
