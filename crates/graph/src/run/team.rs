//! One parallel region a run: the caller starts at once, helpers join when they wake, nobody waits for a thread that has
//! not arrived.
//!
//! A sleeping rayon worker starts 30 to 150 microseconds late, a spinning one 0.2; a fork and join an operation would
//! cost more than most operations. So a run opens a *gate*; helpers (jobs of the caller's rayon pool) that find it open
//! step in, claim blocks of the current phase, and step out when the caller closes it. The caller waits only for helpers
//! inside. Because a helper that comes late or never is not missed, a run inside a user's busy pool cannot deadlock.
//!
//! A phase's blocks are dealt out in as many ranges as there are seats. A thread takes from its own range first and from
//! others' when that is empty: rows that it wrote in one phase, or one run, it most likely has in its cache for the next.
//! (One counter for all handed them out at random: where cores are far apart, packing a weight that the other core had
//! updated took 180 us instead of 30.)

use std::cell::UnsafeCell;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use retrograde_storage::Packet;

use super::phase::Run;

/// How long a helper spins for the next run before it goes back to its pool. Longer than the gap between training steps
/// (a few microseconds of data loading), far shorter than what an idle core costs anybody.
pub(crate) const SPIN: Duration = Duration::from_micros(200);

/// Estimated work, in nanoseconds on one core, below which no helper is asked: waking one costs 30 to 150 us, and even
/// a spinning one some 0.5 us a phase.
pub(crate) const PARALLEL_NS: f64 = 20_000.0;

/// Threads of one run at most: the caller, and a helper for every bit that tells whose scratch is taken.
pub(crate) const MOST_THREADS: usize = 1 + usize::BITS as usize;

/// Threads that are running or spinning for any team of this process: a hint that keeps many independent runs on many
/// threads from asking for helpers that would only take cores from each other.
static BUSY: AtomicUsize = AtomicUsize::new(0);

/// Set in the gate while a run is open; the rest of the gate counts helpers inside, in steps of [`INSIDE`].
const OPEN: usize = 1;
const INSIDE: usize = 2;

/// State shared by a workspace and its helpers.
pub(crate) struct Team {
    gate: AtomicUsize,
    /// Helper jobs that exist: queued, working or spinning.
    helpers: AtomicUsize,
    /// By seat, the caller's first: the phase in the upper half, the next block of the seat's range in the lower.
    claims: Box<[Apart<AtomicU64>]>,
    done: Apart<AtomicUsize>,
    failed: AtomicBool,
    /// Runs to do alone because helpers were put aside while the caller waited for them, and how many that was last.
    /// The caller's alone.
    rest: AtomicU32,
    penalty: AtomicU32,
    /// Which scratch a helper takes: bit `i` for helper `i`.
    seats: AtomicU64,
    /// The run, with its lifetime erased. Written by the caller while the gate is closed and nobody is inside.
    run: UnsafeCell<Option<Job>>,
}

/// Something in cache lines of its own, a pair of them because processors fetch in pairs.
#[repr(align(128))]
struct Apart<T>(T);

/// A run and the scratch of every seat.
#[derive(Clone, Copy)]
struct Job {
    run: *const Run<'static>,
    scratch: *mut Vec<Packet>,
    seats: usize,
}

// SAFETY: `run` is only written by the one caller, while the gate is closed and no helper is inside; helpers read it
// between stepping in (acquire) and out (release). What it points to is shared soundly by `Run::block`'s contract.
unsafe impl Sync for Team {}
// SAFETY: the raw pointers are only used while the run that owns what they point to is open.
unsafe impl Send for Team {}

impl Team {
    /// A team of at most that many threads, the caller among them.
    pub(crate) fn new(threads: usize) -> Arc<Self> {
        let threads = threads.clamp(1, MOST_THREADS);
        Arc::new(Self {
            gate: AtomicUsize::new(0),
            helpers: AtomicUsize::new(0),
            claims: (0..threads).map(|_| Apart(AtomicU64::new(0))).collect(),
            done: Apart(AtomicUsize::new(0)),
            failed: AtomicBool::new(false),
            rest: AtomicU32::new(0),
            penalty: AtomicU32::new(0),
            seats: AtomicU64::new(0),
            run: UnsafeCell::new(None),
        })
    }

    /// Runs all phases with up to the plan's threads, the caller among them. `scratch[0]` is the caller's, the others are
    /// helpers'. Returns whether a helper failed (a bug of ours: the run's results are then not to be used).
    ///
    /// # Safety
    /// The memory contract of [`Run::block`] holds for the whole call.
    pub(crate) unsafe fn run(self: &Arc<Self>, run: &Run<'_>, scratch: &mut [Vec<Packet>]) -> bool {
        if run.plan.cost < PARALLEL_NS || !run.plan.shares {
            // Nothing to share, such as in long programs of scalars; or too short to be worth counting: two locked instructions are a twentieth of
            // the smallest programs.
            // SAFETY: one thread runs every block of every phase in order.
            unsafe { Self::run_alone(run, &mut scratch[0]) };
            return false;
        }
        let threads = run.plan.threads();
        let busy = BUSY.fetch_add(1, Ordering::Relaxed);
        let alone = threads <= 1 || busy >= rayon::current_num_threads() || self.rests();
        let failed = if alone {
            // SAFETY: one thread runs every block of every phase in order.
            unsafe { Self::run_alone(run, &mut scratch[0]) };
            false
        } else {
            // SAFETY: passed on.
            unsafe { self.run_together(run, scratch, threads) }
        };
        BUSY.fetch_sub(1, Ordering::Relaxed);
        failed
    }

    /// Whether this run is done alone, because an earlier one had to wait for a helper that was put aside.
    fn rests(&self) -> bool {
        let rest = self.rest.load(Ordering::Relaxed);
        self.rest.store(rest.saturating_sub(1), Ordering::Relaxed);
        rest > 0
    }

    /// After a run together: one that waited for a helper that was put aside lost a time slice, more than sharing a run
    /// gains, so the next runs are done alone; twice as many each time it happens again. The first run that goes well
    /// ends that.
    fn judge(&self, late: bool) {
        let penalty = match (self.penalty.load(Ordering::Relaxed), late) {
            (penalty, true) => (2 * penalty + 1).min(MOST_ALONE),
            (penalty, false) => penalty / 2,
        };
        self.penalty.store(penalty, Ordering::Relaxed);
        self.rest
            .store(if late { penalty } else { 0 }, Ordering::Relaxed);
    }

    /// # Safety
    /// As [`run`](Self::run).
    unsafe fn run_alone(run: &Run<'_>, scratch: &mut [Packet]) {
        for (phase, &(_, blocks)) in run.plan.phases.iter().enumerate() {
            if run.ends_before(phase) {
                return;
            }
            for block in 0..blocks {
                // SAFETY: in order, once each.
                unsafe { run.block(phase, block, scratch) }
            }
        }
    }

    /// # Safety
    /// As [`run`](Self::run).
    unsafe fn run_together(
        self: &Arc<Self>,
        run: &Run<'_>,
        scratch: &mut [Vec<Packet>],
        threads: usize,
    ) -> bool {
        let (mine, theirs) = scratch
            .split_first_mut()
            .expect("a workspace has scratch for its caller");
        let seats = theirs.len().min(self.claims.len() - 1).min(threads - 1);
        self.failed.store(false, Ordering::Relaxed);
        for claim in &self.claims {
            claim.0.store(NO_PHASE << 32, Ordering::Relaxed);
        }
        // SAFETY: the gate is closed and nobody is inside: the last run waited for that, and this call has the
        // workspace to itself. The lifetime is erased until the gate closes again, below.
        unsafe {
            *self.run.get() = Some(Job {
                run: std::ptr::from_ref(run).cast(),
                scratch: theirs.as_mut_ptr(),
                seats,
            });
        }
        self.gate.store(OPEN, Ordering::Release);
        while self.helpers.load(Ordering::Relaxed) < seats {
            self.helpers.fetch_add(1, Ordering::Relaxed);
            let team = Arc::clone(self);
            rayon::spawn(move || team.help());
        }
        // Closes the gate and waits for who is inside, also when a block panics: no helper may outlive the run.
        let closing = Closing(self);
        let mut late = false;
        for (phase, &(_, blocks)) in run.plan.phases.iter().enumerate() {
            let failed = phase == run.plan.commit && self.failed.load(Ordering::Relaxed);
            if failed || run.ends_before(phase) {
                break;
            }
            if blocks == 0 {
                continue;
            }
            if blocks == 1 {
                // SAFETY: helpers only claim blocks of phases that are announced, and the last announced one is done.
                unsafe { run.block(phase, 0, mine) }
                continue;
            }
            let start = Instant::now();
            self.done.0.store(0, Ordering::Relaxed);
            for (seat, claim) in self.claims.iter().enumerate() {
                let first = self.range(seat, blocks).start as u64;
                // Publishes all writes of earlier phases to whoever claims a block of this one.
                claim
                    .0
                    .store((phase as u64) << 32 | first, Ordering::Release);
            }
            // SAFETY: blocks are claimed once each.
            let worked = unsafe { self.work(run, mine, 0) };
            let mut wait = Wait::default();
            while self.done.0.load(Ordering::Acquire) < blocks {
                wait.a_moment();
            }
            // Blocks of a phase take about as long as each other.
            late |= wait.was_longer_than(|yielded| {
                let each = (yielded - start) / u32::try_from(worked.max(1)).unwrap_or(u32::MAX);
                worked.checked_sub(1).map(|_| PATIENCE + 4 * each)
            });
        }
        late |= closing.close();
        self.judge(late);
        self.failed.load(Ordering::Relaxed)
    }

    /// The blocks of a seat, of a phase that has `blocks` of them.
    fn range(&self, seat: usize, blocks: usize) -> Range<usize> {
        let seats = self.claims.len();
        blocks * seat / seats..blocks * (seat + 1) / seats
    }

    /// Claims a block of a seat's range: `(phase, block)`.
    fn claim(&self, run: &Run<'_>, seat: usize) -> Option<(usize, usize)> {
        let claim = &self.claims[seat].0;
        let mut seen = claim.load(Ordering::Acquire);
        loop {
            // The word carries the phase, so a thread that comes late to a phase claims from the one that is current;
            // it never counts up a word it has not just seen to have blocks left, so the lower half cannot overflow.
            let (phase, block) = ((seen >> 32) as usize, (seen & 0xffff_ffff) as usize);
            let blocks = run.plan.phases.get(phase).map_or(0, |p| p.1);
            if block >= self.range(seat, blocks).end {
                return None;
            }
            match claim.compare_exchange_weak(seen, seen + 1, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return Some((phase, block)),
                Err(now) => seen = now,
            }
        }
    }

    /// Claims and runs blocks, those of `seat`'s range first, until there are none left; how many.
    ///
    /// # Safety
    /// The caller of [`run`](Self::run), or inside the gate.
    unsafe fn work(&self, run: &Run<'_>, scratch: &mut [Packet], seat: usize) -> usize {
        let (mut worked, mut from, mut empty) = (0, seat, 0);
        let mut current = None;
        while empty < self.claims.len() {
            let Some((phase, block)) = self.claim(run, from) else {
                from = (from + 1) % self.claims.len();
                empty += 1;
                continue;
            };
            // SAFETY: the block was claimed by us alone, and earlier phases are complete: the caller announces a phase
            // only then.
            unsafe { run.block(phase, block, scratch) };
            self.done.0.fetch_add(1, Ordering::Release);
            worked += 1;
            empty = 0;
            if current.replace(phase) != Some(phase) {
                // Another phase was announced while we looked for work in others' ranges: back to our own.
                from = seat;
            }
        }
        worked
    }

    /// A helper's life: step into open runs, spin for a while between them, leave.
    fn help(&self) {
        BUSY.fetch_add(1, Ordering::Relaxed);
        let mut last = Instant::now();
        let mut turns = 0u32;
        loop {
            if self.step_in() {
                last = Instant::now();
            } else {
                turns = turns.wrapping_add(1);
                let crowded = BUSY.load(Ordering::Relaxed) > rayon::current_num_threads();
                if turns.is_multiple_of(64) && (crowded || last.elapsed() > SPIN) {
                    break;
                }
                std::hint::spin_loop();
            }
        }
        BUSY.fetch_sub(1, Ordering::Relaxed);
        self.helpers.fetch_sub(1, Ordering::Relaxed);
    }

    /// Takes part in the open run, if there is one; returns when it closes.
    fn step_in(&self) -> bool {
        let gate = self.gate.load(Ordering::Relaxed);
        if gate & OPEN == 0 {
            return false;
        }
        if self
            .gate
            .compare_exchange(gate, gate + INSIDE, Ordering::Acquire, Ordering::Relaxed)
            .is_err()
        {
            return false;
        }
        // SAFETY: inside an open gate nobody writes the job, and the caller does not return before we have stepped out.
        let job = unsafe { *self.run.get() };
        if let Some(job) = job {
            self.take_seat(job);
        }
        self.gate.fetch_sub(INSIDE, Ordering::Release);
        true
    }

    fn take_seat(&self, job: Job) {
        let mut seats = self.seats.load(Ordering::Relaxed);
        let seat = loop {
            let seat = (!seats).trailing_zeros() as usize;
            if seat >= job.seats {
                return;
            }
            match self.seats.compare_exchange_weak(
                seats,
                seats | 1 << seat,
                Ordering::Acquire,
                Ordering::Relaxed,
            ) {
                Ok(_) => break seat,
                Err(now) => seats = now,
            }
        };
        // SAFETY: `run` lives until the gate is closed and we have stepped out; the seat's scratch is ours alone while
        // its bit is set.
        let (run, scratch) = unsafe { (&*job.run, (*job.scratch.add(seat)).as_mut_slice()) };
        let mut wait = Wait::default();
        while self.gate.load(Ordering::Relaxed) & OPEN != 0 {
            let work = std::panic::AssertUnwindSafe(|| {
                // SAFETY: inside the gate.
                unsafe { self.work(run, scratch, seat + 1) }
            });
            match std::panic::catch_unwind(work) {
                Ok(0) => wait.a_moment(),
                Ok(_) => wait = Wait::default(),
                Err(_) => {
                    // The caller waits for the block that was claimed: count it, and tell.
                    self.failed.store(true, Ordering::Relaxed);
                    self.done.0.fetch_add(1, Ordering::Release);
                }
            }
        }
        self.seats.fetch_and(!(1 << seat), Ordering::Release);
    }
}

/// In a claim: no phase is announced.
const NO_PHASE: u64 = u32::MAX as u64;

/// Closes the gate when dropped.
struct Closing<'a>(&'a Team);

impl Closing<'_> {
    /// Closes the gate; whether a helper inside was put aside, which had nothing left to do there.
    fn close(self) -> bool {
        self.wait().was_longer_than(|_| Some(PATIENCE))
    }

    fn wait(&self) -> Wait {
        self.0.gate.fetch_and(!OPEN, Ordering::Release);
        let mut wait = Wait::default();
        while self.0.gate.load(Ordering::Acquire) != 0 {
            wait.a_moment();
        }
        wait
    }
}

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.wait();
    }
}

/// Turns of spinning before a waiting thread offers its core to others: 10 to 40 us, several times what a block takes.
const SPINS: u32 = 512;
/// How long a helper may keep the caller waiting without having been put aside; a time slice is milliseconds.
const PATIENCE: Duration = Duration::from_micros(200);
/// Runs done alone at most before helpers are tried again.
const MOST_ALONE: u32 = 255;

/// Waiting for another thread of the run. Mostly that is for the rest of a block, and spinning is quickest; but on a
/// loaded machine the other may have been put aside in the middle of a block, and spinning would keep the core that it
/// waits for (or that anybody else could use) for the rest of a time slice.
#[derive(Default)]
struct Wait {
    turns: u32,
    /// When the core was first offered.
    yielded: Option<Instant>,
}

impl Wait {
    #[inline]
    fn a_moment(&mut self) {
        if self.turns < SPINS {
            self.turns += 1;
            std::hint::spin_loop();
        } else {
            self.yielded.get_or_insert_with(Instant::now);
            std::thread::yield_now();
        }
    }

    /// Whether the wait, now over, went on for longer after its first offer than `limit` of when that was.
    fn was_longer_than(&self, limit: impl FnOnce(Instant) -> Option<Duration>) -> bool {
        self.yielded
            .is_some_and(|at| limit(at).is_some_and(|limit| at.elapsed() > limit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every block is in exactly one seat's range, for more seats than blocks too.
    #[test]
    fn ranges_cover_all_blocks_once() {
        for threads in [1, 2, 3, 7, MOST_THREADS, 1000] {
            let team = Team::new(threads);
            for blocks in [0, 1, 2, 5, 64, 1001] {
                let mut next = 0;
                for seat in 0..team.claims.len() {
                    let range = team.range(seat, blocks);
                    assert_eq!(range.start, next, "{threads} threads, {blocks} blocks");
                    assert!(range.end >= next);
                    next = range.end;
                }
                assert_eq!(next, blocks, "{threads} threads");
            }
        }
    }
}
