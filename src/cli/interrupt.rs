//! Signals that end a command: temporary output files are removed.

/// From now on, a signal that ends the process first removes temporary output files, and exceeding the file size limit
/// is a write error.
///
/// Signals that the process was started to ignore, as under `nohup`, stay ignored. Does nothing on
/// systems other than Unix.
pub fn watch() {
    #[cfg(unix)]
    {
        static ONCE: std::sync::Once = std::sync::Once::new();
        // If the handler cannot be installed, a signal still ends the process.
        ONCE.call_once(|| drop(unix::watch()));
    }
}

#[cfg(unix)]
pub use unix::is_ignored;

#[cfg(unix)]
mod unix {
    use ptxgen_model::abandon_unfinished_files;
    use signal_hook::{
        consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ},
        iterator::Signals,
        low_level::emulate_default_handler,
    };
    use std::{io, mem::MaybeUninit, ptr, sync::Arc, thread};

    pub fn watch() -> io::Result<()> {
        // The handler only sets a flag, so that the write returns an error, which is reported.
        signal_hook::flag::register(SIGXFSZ, Arc::default())?;
        let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP].into_iter().filter(|s| !is_ignored(*s)))?;
        let wait = move || {
            for signal in signals.forever() {
                // The process ends by the signal itself, so that the parent sees it: a shell then ends its loop too.
                abandon_unfinished_files(|| drop(emulate_default_handler(signal)));
            }
        };
        thread::Builder::new().name("signals".into()).spawn(wait)?;
        Ok(())
    }

    /// Whether the process was started to ignore a signal.
    pub fn is_ignored(signal: i32) -> bool {
        let mut action = MaybeUninit::<libc::sigaction>::uninit();
        // SAFETY: a null action changes nothing, and the present action is written to memory of its size.
        let asked = unsafe { libc::sigaction(signal, ptr::null(), action.as_mut_ptr()) };
        // SAFETY: if the call succeeded, it has written the action.
        asked == 0 && unsafe { action.assume_init() }.sa_sigaction == libc::SIG_IGN
    }
}
