//! Threads that run a forward together, stage by stage, and the buffers that they share.
//!
//! A token of a small model takes microseconds, too little to fork and join tasks for each matrix. So every worker runs
//! the whole forward, and they wait at a barrier before one needs what another has computed.

use std::{
    cell::{Cell, UnsafeCell},
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
};

/// Spins of a waiting worker before it yields its core: more than the stages of a small model differ, because the
/// thread that gets the core may keep it for milliseconds.
const SPINS: u32 = 2_000;

/// Spins of a worker that waits for the next forward before it sleeps: waking it takes as long as a few layers of a
/// small model, and in decoding the next token comes soon.
const LINGER: u32 = 20_000;

/// The workers of a model.
pub(super) struct Team {
    /// All workers except the caller's own thread; `None` with one thread.
    helpers: Option<(rayon::ThreadPool, Arc<Station>)>,
    barrier: Barrier,
    /// One forward at a time: interleaved workers of two forwards would wait for each other. Contains the number of
    /// barriers so far.
    meetings: Mutex<u64>,
}

impl Team {
    pub(super) fn new(threads: usize) -> Result<Self, rayon::ThreadPoolBuildError> {
        let helpers = match threads {
            0 | 1 => None,
            n => {
                let pool = rayon::ThreadPoolBuilder::new()
                    .num_threads(n - 1)
                    .thread_name(|i| format!("ptxgen-cpu-{}", i + 1))
                    .build()?;
                let station = Arc::new(Station::default());
                let at = station.clone();
                pool.spawn_broadcast(move |context| at.serve(context.index() + 1));
                Some((pool, station))
            }
        };
        Ok(Self { helpers, barrier: Barrier::new(threads.max(1)), meetings: Mutex::new(0) })
    }

    pub(super) fn threads(&self) -> usize {
        self.barrier.flags.len()
    }

    /// Runs `work` on every worker at once and returns when all are done.
    pub(super) fn run(&self, work: impl Fn(&Worker<'_>) + Sync) {
        let mut meetings = self.meetings.lock().unwrap_or_else(PoisonError::into_inner);
        let (barrier, start) = (&self.barrier, *meetings);
        let worker = |index: usize| {
            let worker = Worker { index, barrier, meetings: Cell::new(start) };
            let done = catch_unwind(AssertUnwindSafe(|| work(&worker)));
            if done.is_err() {
                barrier.poisoned.store(true, Ordering::Relaxed);
            }
            done.map(|()| worker.meetings.get())
        };
        let mine = match &self.helpers {
            None => worker(0),
            Some((_, station)) => {
                // A helper's panic has been printed; it ends the forward below.
                station.call(&|index| drop(worker(index)), self.threads() - 1, || worker(0))
            }
        };
        if barrier.poisoned.swap(false, Ordering::Relaxed) {
            // Some workers have passed more barriers than others.
            *meetings = barrier.latest();
            match mine {
                Err(panic) => resume_unwind(panic),
                Ok(_) => panic!("a worker of the forward panicked"),
            }
        }
        *meetings = mine.unwrap_or(start);
    }
}

impl Drop for Team {
    fn drop(&mut self) {
        if let Some((_, station)) = &self.helpers {
            station.post(Call::End);
        }
    }
}

type Help = dyn Fn(usize) + Sync;

/// The helpers' next work.
#[derive(Clone, Copy)]
enum Call {
    /// A function that lives until all helpers are done.
    Work(*const Help),
    End,
}

/// Where helpers wait for work.
struct Station {
    /// Counts the calls, so that waiting needs no lock.
    calls: Line<AtomicUsize>,
    done: Line<AtomicUsize>,
    /// Written before `calls` is incremented, and read afterwards, until `done` shows that all have read it.
    call: UnsafeCell<Call>,
    /// Helpers that sleep, or are about to.
    sleepers: AtomicUsize,
    bed: Mutex<()>,
    posted: Condvar,
}

// SAFETY: only the pointer in `call` is not `Send`; it points to a `Sync` function that outlives its use
// (`Station::call`).
unsafe impl Send for Station {}
// SAFETY: as above; `calls` and `done` separate the writer and the readers of `call`.
unsafe impl Sync for Station {}

impl Default for Station {
    fn default() -> Self {
        Self {
            calls: Line(AtomicUsize::new(0)),
            done: Line(AtomicUsize::new(0)),
            call: UnsafeCell::new(Call::End),
            sleepers: AtomicUsize::new(0),
            bed: Mutex::new(()),
            posted: Condvar::new(),
        }
    }
}

impl Station {
    /// Calls all helpers. Those of the previous call must be done.
    fn post(&self, call: Call) {
        // SAFETY: no helper reads the call between the end of its work and the next change of `calls`.
        unsafe { *self.call.get() = call };
        // Sequential consistency: either this thread sees a helper that goes to sleep, or that helper sees the call.
        self.calls.0.fetch_add(1, Ordering::SeqCst);
        if self.sleepers.load(Ordering::SeqCst) > 0 {
            drop(self.bed.lock().unwrap_or_else(PoisonError::into_inner));
            self.posted.notify_all();
        }
    }

    /// Calls all helpers to run `work`, runs `mine` in the meantime, and returns when all are done. Neither may unwind.
    fn call<R>(&self, work: &(dyn Fn(usize) + Sync), helpers: usize, mine: impl FnOnce() -> R) -> R {
        self.done.0.store(0, Ordering::Relaxed);
        // SAFETY: only the lifetime is changed; `work` is borrowed until this function returns, and then no helper uses
        // it any more.
        let work: *const Help = unsafe { std::mem::transmute::<*const (dyn Fn(usize) + Sync + '_), *const Help>(work) };
        self.post(Call::Work(work));
        let result = mine();
        let mut spins = 0;
        while self.done.0.load(Ordering::Acquire) < helpers {
            pause(&mut spins);
        }
        result
    }

    /// The main loop of a helper.
    fn serve(&self, index: usize) {
        let mut seen = 0;
        loop {
            let mut turns = 0;
            while self.calls.0.load(Ordering::Acquire) == seen && turns < LINGER {
                pause(&mut turns);
            }
            if self.calls.0.load(Ordering::Acquire) == seen {
                let mut bed = self.bed.lock().unwrap_or_else(PoisonError::into_inner);
                self.sleepers.fetch_add(1, Ordering::SeqCst);
                while self.calls.0.load(Ordering::SeqCst) == seen {
                    bed = self.posted.wait(bed).unwrap_or_else(PoisonError::into_inner);
                }
                self.sleepers.fetch_sub(1, Ordering::SeqCst);
            }
            seen += 1;
            // SAFETY: the caller has written it before the call, and waits for `done` before the next call.
            match unsafe { *self.call.get() } {
                Call::Work(work) => {
                    // SAFETY: the caller waits for `done`, so the function is alive.
                    unsafe { (*work)(index) };
                    self.done.0.fetch_add(1, Ordering::Release);
                }
                Call::End => return,
            }
        }
    }
}

/// One spin.
#[inline]
fn pause(spins: &mut u32) {
    *spins += 1;
    if *spins < SPINS { std::hint::spin_loop() } else { std::thread::yield_now() }
}

/// One of the threads of [`Team::run`].
pub(super) struct Worker<'a> {
    pub(super) index: usize,
    barrier: &'a Barrier,
    meetings: Cell<u64>,
}

impl Worker<'_> {
    /// Number of workers.
    pub(super) fn workers(&self) -> usize {
        self.barrier.flags.len()
    }

    /// Waits for all workers; everything that they wrote before is visible afterwards.
    #[inline]
    pub(super) fn meet(&self) {
        self.meetings.set(self.meetings.get() + 1);
        self.barrier.wait(self.index, self.meetings.get());
    }

    /// As [`meet`](Self::meet), if the condition holds.
    #[inline]
    pub(super) fn meet_if(&self, reason: bool) {
        if reason {
            self.meet();
        }
    }

    /// This worker's part of `0..n`, divided at multiples of `grain`. The parts cover `0..n`.
    #[inline]
    pub(super) fn share(&self, n: usize, grain: usize) -> Range<usize> {
        let grains = n.div_ceil(grain);
        let cut = |i: usize| (grains * i / self.workers() * grain).min(n);
        cut(self.index)..cut(self.index + 1)
    }
}

#[repr(align(128))]
struct Line<T>(T);

/// A dissemination barrier: in round r every worker signals the one 2^r after it and waits for the one 2^r before it.
/// With two workers a barrier costs one signal in each direction, at the same time.
struct Barrier {
    /// For each worker and round: the number of the last barrier that it was signalled for.
    flags: Vec<Box<[Line<AtomicU64>]>>,
    poisoned: AtomicBool,
}

impl Barrier {
    fn new(workers: usize) -> Self {
        let rounds = workers.next_power_of_two().trailing_zeros();
        let flags = || (0..rounds).map(|_| Line(AtomicU64::new(0))).collect();
        Self { flags: (0..workers).map(|_| flags()).collect(), poisoned: AtomicBool::new(false) }
    }

    /// The latest barrier that any worker has been signalled for.
    fn latest(&self) -> u64 {
        self.flags.iter().flatten().map(|f| f.0.load(Ordering::Relaxed)).max().unwrap_or(0)
    }

    #[inline]
    fn wait(&self, index: usize, meeting: u64) {
        for (r, mine) in self.flags[index].iter().enumerate() {
            self.flags[(index + (1 << r)) % self.flags.len()][r].0.store(meeting, Ordering::Release);
            let mut spins = 0;
            while mine.0.load(Ordering::Acquire) < meeting {
                // A worker that panicked never arrives; do not wait for it forever.
                assert!(!self.poisoned.load(Ordering::Relaxed), "another worker of the forward panicked");
                pause(&mut spins);
            }
        }
    }
}

/// A buffer that the workers of a forward share.
///
/// The rule that makes it sound: between two barriers, an element is either written by one worker and not accessed by
/// any other, or only read.
#[repr(transparent)]
pub(super) struct Shared<T>([UnsafeCell<T>]);

// SAFETY: elements are accessed only through `unsafe` functions, whose callers follow the rule above: several workers
// read them (`T: Sync`) or one at a time writes them (`T: Send`).
unsafe impl<T: Send + Sync> Sync for Shared<T> {}

impl<T: Clone> Shared<T> {
    /// A new buffer.
    pub(super) fn new(value: T, len: usize) -> Box<Self> {
        let values = vec![value; len].into_boxed_slice();
        // SAFETY: `Shared<T>` has the layout of `[T]`.
        unsafe { Box::from_raw(Box::into_raw(values) as *mut Self) }
    }
}

impl<T> Shared<T> {
    /// A slice that the workers share while it is borrowed.
    pub(super) fn from_mut(values: &mut [T]) -> &Self {
        // SAFETY: `Shared<T>` has the layout of `[T]`, and the borrow is exclusive.
        unsafe { &*(&raw mut *values as *const Self) }
    }

    /// A part, for reading.
    ///
    /// # Safety
    /// No worker writes any of it before the next barrier.
    #[inline]
    pub(super) unsafe fn read(&self, range: Range<usize>) -> &[T] {
        // SAFETY: the caller excludes writers; the layout is that of `T`.
        unsafe { &*(&raw const self.0[range] as *const [T]) }
    }

    /// A part, for writing.
    ///
    /// # Safety
    /// No other worker accesses any of it before the next barrier, and this worker has no other reference to it.
    #[inline]
    #[allow(clippy::mut_from_ref)] // that is what the rule is about
    pub(super) unsafe fn write(&self, range: Range<usize>) -> &mut [T] {
        let cells = &self.0[range];
        // SAFETY: the caller has exclusive access to this part; the layout is that of `T`.
        unsafe { std::slice::from_raw_parts_mut(cells.as_ptr() as *mut T, cells.len()) }
    }

    /// Sets one element.
    ///
    /// # Safety
    /// No other worker accesses it before the next barrier.
    #[inline]
    pub(super) unsafe fn set(&self, index: usize, value: T) {
        // SAFETY: the caller has exclusive access to this element.
        unsafe { *self.0[index].get() = value }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_meet_and_their_parts_cover_everything() {
        for threads in [1, 2, 3, 5] {
            let team = Team::new(threads).unwrap();
            for _ in 0..20 {
                let (n, grain) = (37, 4);
                let (first, second) = (Shared::new(0usize, n), Shared::new(0usize, n));
                team.run(|w| {
                    for i in w.share(n, grain) {
                        // SAFETY: the parts are disjoint.
                        unsafe { first.set(i, i + 1) };
                    }
                    w.meet();
                    for i in w.share(n, grain) {
                        // SAFETY: in this stage `first` is only read; the parts are disjoint.
                        unsafe { second.set(i, first.read(0..n)[n - 1 - i] * 2) };
                    }
                });
                // SAFETY: the workers are done.
                let second = unsafe { second.read(0..n) };
                assert!(second.iter().enumerate().all(|(i, v)| *v == 2 * (n - i)));
            }
        }
    }

    #[test]
    fn a_panic_of_one_worker_reaches_the_caller() {
        let team = Team::new(3).unwrap();
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            team.run(|w| {
                assert!(w.index != 1, "worker one");
                w.meet();
            });
        }));
        assert!(caught.is_err());
        team.run(|w| w.meet());
    }
}
