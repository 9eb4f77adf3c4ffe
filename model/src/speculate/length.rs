//! How many guesses pay.

use super::{Grade, MOST_GUESSES};
use std::time::Duration;

/// How often guesses of a grade are accepted, the last ones counting most.
#[derive(Clone, Copy, Debug)]
struct Rate {
    accepted: f64,
    judged: f64,
}

impl Rate {
    /// What is taken to be known before anything is: as if so many had been judged, and this share accepted.
    const PRIOR: (f64, f64) = (2.0, 0.6);
    /// What earlier guesses count after each step with others, and after each token without.
    const AFTER_STEP: f64 = 0.9;
    const AFTER_TOKEN: f64 = 0.995;

    fn of_one(self) -> f64 {
        let (weight, share) = Self::PRIOR;
        (self.accepted + weight * share) / (self.judged + weight)
    }

    fn fade(&mut self, by: f64) {
        self.accepted *= by;
        self.judged *= by;
    }
}

/// Chooses the number of guesses with which most tokens are written in a time: from what steps took so far, and from how
/// often guesses were accepted.
#[derive(Clone, Debug)]
pub(super) struct Length {
    rates: [Rate; Grade::MOST as usize + 1],
    /// Seconds of a token without guesses, and of a step by the number of its guesses.
    plain: Time,
    steps: [Time; MOST_GUESSES + 1],
    /// Steps with guesses since the last token without.
    since_plain: usize,
    /// Tokens without guesses since the last step with.
    since_step: usize,
}

/// Seconds that something takes.
#[derive(Clone, Copy, Debug, Default)]
struct Time {
    /// Whether it was measured once. That is not counted: a device may have prepared itself.
    is_begun: bool,
    seconds: Option<f64>,
}

impl Time {
    fn took(&mut self, seconds: f64) {
        if std::mem::replace(&mut self.is_begun, true) {
            self.seconds = Some(self.seconds.map_or(seconds, |before| before + NEW * (seconds - before)));
        }
    }
}

impl Default for Length {
    fn default() -> Self {
        let rate = Rate { accepted: 0.0, judged: 0.0 };
        Self {
            rates: [rate; Grade::MOST as usize + 1],
            plain: Time::default(),
            steps: Default::default(),
            since_plain: 0,
            since_step: 0,
        }
    }
}

/// What steps take with each guess, in tokens without, until it is known.
const EACH_GUESS: f64 = 0.2;

/// What a step has to win to be taken: checks may cost more than was measured.
const MARGIN: f64 = 1.03;

/// What a new measurement counts beside those before.
const NEW: f64 = 0.3;

/// Steps with guesses between two tokens without, at most: what such a token takes is to be known.
const WITHOUT_PLAIN: usize = 64;

/// Tokens without guesses after which it is forgotten what steps took: the machine may have been busy.
const FORGOTTEN: usize = 512;

impl Length {
    /// Tokens without guesses have been written.
    pub(super) fn took_plain(&mut self, tokens: usize, time: Duration) {
        if tokens == 0 {
            return;
        }
        self.plain.took(time.as_secs_f64() / tokens as f64);
        self.since_plain = 0;
        self.since_step += tokens;
        if self.since_step >= FORGOTTEN {
            self.steps.iter_mut().for_each(|step| step.seconds = None);
            self.since_step = 0;
        }
        self.rates.iter_mut().for_each(|rate| rate.fade(Rate::AFTER_TOKEN.powi(tokens as i32)));
    }

    /// A step with guesses has been done.
    pub(super) fn took_step(&mut self, guesses: usize, accepted: usize, grade: Grade, time: Duration) {
        let rate = &mut self.rates[usize::from(grade.0)];
        rate.fade(Rate::AFTER_STEP);
        rate.accepted += accepted as f64;
        // Guesses after a wrong one are not judged.
        rate.judged += (accepted + 1).min(guesses) as f64;
        self.steps[guesses.min(MOST_GUESSES)].took(time.as_secs_f64());
        self.since_plain += 1;
        self.since_step = 0;
    }

    /// What a step with so many guesses takes, in tokens without, each of which takes `plain`.
    fn cost(&self, guesses: usize, plain: f64) -> f64 {
        // More guesses take no less time than fewer.
        let known = |n: usize| self.steps[n].seconds.map(|s| s / plain);
        let fewer = (0..guesses).filter_map(known).fold(0.0, f64::max);
        known(guesses).unwrap_or_else(|| fewer.max(1.0 + EACH_GUESS * guesses as f64))
    }

    /// The number of guesses, up to `most`, that is worth most.
    pub(super) fn best(&self, most: usize, grade: Grade) -> usize {
        let Some(plain) = self.plain.seconds.filter(|s| *s > 0.0 && self.since_plain < WITHOUT_PLAIN) else { return 0 };
        let rate = self.rates[usize::from(grade.0)].of_one();
        let (mut best, mut speed) = (0, MARGIN);
        let mut tokens = 1.0;
        for guesses in 1..=most.min(MOST_GUESSES) {
            tokens += rate.powi(guesses as i32);
            let with = tokens / self.cost(guesses, plain);
            if with > speed {
                (best, speed) = (guesses, with);
            }
        }
        best
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const SURE: Grade = Grade::new(3);

    /// After many tokens of a millisecond, and steps that take a millisecond and `each` more for each guess, of which
    /// this many were accepted.
    fn learned(each: f64, accepted: impl Fn(usize) -> usize) -> Length {
        let mut length = Length::default();
        for round in 0..200 {
            length.took_plain(1, MS);
            let guesses = round % MOST_GUESSES + 1;
            length.took_step(guesses, accepted(guesses).min(guesses), SURE, MS.mul_f64(1.0 + each * guesses as f64));
        }
        length
    }

    #[test]
    fn what_is_accepted_is_guessed_at_length() {
        assert_eq!(learned(0.2, |n| n).best(7, SURE), 7);
        assert_eq!(learned(0.2, |n| n).best(3, SURE), 3);
        assert_eq!(learned(0.2, |_| 0).best(7, SURE), 0);
        let some = learned(0.2, |_| 2).best(7, SURE);
        assert!((1..7).contains(&some), "{some}");
    }

    #[test]
    fn what_costs_as_much_as_it_gives_is_not_guessed() {
        assert_eq!(learned(1.05, |n| n).best(7, SURE), 0);
        // Of other grades nothing is known, but what steps take is.
        assert_eq!(learned(1.05, |n| n).best(7, Grade::new(0)), 0);
        assert!(learned(0.1, |_| 0).best(7, Grade::new(0)) > 0);
    }

    #[test]
    fn what_failed_is_tried_again_later() {
        let mut length = learned(0.2, |_| 0);
        let tokens = (1..10_000).find(|_| {
            length.took_plain(1, MS);
            length.best(7, SURE) > 0
        });
        assert!(tokens.is_some_and(|n| (50..2000).contains(&n)), "{tokens:?}");
    }

    #[test]
    fn a_busy_machine_is_forgotten() {
        let mut length = learned(5.0, |n| n);
        assert_eq!(length.best(7, SURE), 0);
        length.took_plain(FORGOTTEN, MS * FORGOTTEN as u32);
        assert!(length.best(7, SURE) > 0);
    }

    #[test]
    fn the_first_step_of_a_length_does_not_count() {
        let mut length = Length::default();
        length.took_plain(1, 1000 * MS);
        assert_eq!(length.best(4, SURE), 0, "what a token takes is not known");
        length.took_plain(8, 8 * MS);
        length.took_step(4, 4, SURE, 1000 * MS);
        assert_eq!(length.best(4, SURE), 4);
        length.took_step(4, 4, SURE, 1000 * MS);
        assert!(length.best(4, SURE) < 4);
    }

    #[test]
    fn a_token_without_guesses_is_measured_now_and_then() {
        let mut length = learned(0.1, |n| n);
        let steps = (0..1000).take_while(|_| {
            length.took_step(7, 7, SURE, MS);
            length.best(7, SURE) > 0
        });
        assert!(steps.count() < WITHOUT_PLAIN);
        length.took_plain(1, MS);
        assert_eq!(length.best(7, SURE), 7);
    }
}
