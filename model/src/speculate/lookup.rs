//! Guesses from the text itself.

use super::{Grade, Guesser};
use std::collections::HashMap;

/// Guesses that the text goes on as it did where its end stood before (prompt lookup decoding): good for text that quotes
/// or changes what the prompt has.
///
/// Of the last [`Lookup::PLACES`] places at which the last two tokens stood, it takes the one at which most tokens
/// before them are the same, and of several the last.
#[derive(Clone, Debug, Default)]
pub struct Lookup {
    text: Vec<u32>,
    /// Where each pair of tokens ended last.
    last: HashMap<[u32; 2], u32>,
    /// For each place, where the pair that ends there ended before.
    before: Vec<Option<u32>>,
}

impl Lookup {
    /// Places that are compared at most.
    pub const PLACES: usize = 32;

    /// Tokens that are compared at each place, at most.
    const LONGEST: usize = 32;

    /// Without a text.
    pub fn new() -> Self {
        Self::default()
    }

    /// The place where the text's end stood before, and how many tokens are the same.
    fn place(&self) -> Option<(usize, usize)> {
        let end = self.text.len().checked_sub(1)?;
        let same = |at: usize| {
            let pairs = self.text[..=at].iter().rev().zip(self.text.iter().rev());
            pairs.take(Self::LONGEST).take_while(|(a, b)| a == b).count()
        };
        let places = std::iter::successors(self.before[end], |at| self.before[*at as usize]);
        let all = places.take(Self::PLACES).map(|at| (at as usize, same(at as usize)));
        all.reduce(|best, other| if other.1 > best.1 { other } else { best })
    }

    /// Forgets the last token.
    fn pop(&mut self) {
        let pair = self.text.last_chunk().copied();
        self.text.pop();
        let before = self.before.pop().flatten();
        if let Some(pair) = pair {
            match before {
                Some(before) => self.last.insert(pair, before),
                None => self.last.remove(&pair),
            };
        }
    }
}

impl Guesser for Lookup {
    fn begin(&mut self, text: &[u32]) {
        let same = self.text.iter().zip(text).take_while(|(a, b)| a == b).count();
        while self.text.len() > same {
            self.pop();
        }
        for token in &text[same..] {
            self.take(*token);
        }
    }

    fn take(&mut self, token: u32) {
        self.text.push(token);
        let at = u32::try_from(self.text.len() - 1).ok();
        let pair = self.text.last_chunk::<2>().copied();
        self.before.push(pair.zip(at).and_then(|(pair, at)| self.last.insert(pair, at)));
    }

    fn grade(&mut self) -> Option<Grade> {
        let (_, same) = self.place()?;
        Some(Grade::new(match same {
            ..=2 => 0,
            3..=4 => 1,
            5..=9 => 2,
            _ => 3,
        }))
    }

    fn guess(&mut self, most: usize, guesses: &mut Vec<u32>) -> Result<(), crate::EngineError> {
        let Some((place, _)) = self.place() else { return Ok(()) };
        // What repeats itself goes on to do so: after the text come the guesses.
        let first = guesses.len();
        for i in place + 1..place + 1 + most {
            let token = self.text.get(i).or_else(|| guesses.get(first + i - self.text.len())).copied();
            guesses.extend(token);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn guessed(lookup: &mut Lookup, most: usize) -> Vec<u32> {
        let mut guesses = Vec::new();
        lookup.guess(most, &mut guesses).unwrap();
        guesses
    }

    #[test]
    fn what_stood_before_is_guessed() {
        let mut lookup = Lookup::new();
        assert_eq!(lookup.grade(), None);
        lookup.begin(&[1, 2, 3, 4, 9, 2, 3]);
        assert_eq!((guessed(&mut lookup, 3), lookup.grade()), (vec![4, 9, 2], Some(Grade::new(0))));
        // The longer match counts more than the later one.
        lookup.begin(&[7, 1, 2, 5, 6, 1, 2, 8, 7, 1, 2]);
        assert_eq!((guessed(&mut lookup, 2), lookup.grade()), (vec![5, 6], Some(Grade::new(1))));
        lookup.begin(&[6, 1, 2, 5, 6, 1, 2, 8, 6, 1, 2]);
        assert_eq!(guessed(&mut lookup, 2), [8, 6], "of equals the last");
        lookup.begin(&[1, 2, 3]);
        assert_eq!(lookup.grade(), None);
    }

    #[test]
    fn repetition_goes_on_beyond_the_text() {
        let mut lookup = Lookup::new();
        lookup.begin(&[5, 5, 5]);
        assert_eq!(guessed(&mut lookup, 4), [5; 4]);
        lookup.begin(&[1, 2, 1, 2]);
        assert_eq!(guessed(&mut lookup, 5), [1, 2, 1, 2, 1]);
        let mut after_others = vec![9, 9];
        lookup.guess(3, &mut after_others).unwrap();
        assert_eq!(after_others, [9, 9, 1, 2, 1]);
    }

    proptest! {
        /// However a text came about, what is known of it is the same.
        #[test]
        fn a_text_begun_anew_is_that_text(
            texts in prop::collection::vec(prop::collection::vec(0u32..4, 0..40), 1..6),
            shared in 0usize..40,
        ) {
            let mut lookup = Lookup::new();
            let mut before: Vec<u32> = Vec::new();
            for text in texts {
                let text: Vec<u32> = before.iter().take(shared).copied().chain(text).collect();
                lookup.begin(&text);
                let mut fresh = Lookup::new();
                text.iter().for_each(|t| fresh.take(*t));
                prop_assert_eq!(lookup.grade(), fresh.grade());
                prop_assert_eq!(guessed(&mut lookup, 9), guessed(&mut fresh, 9));
                prop_assert_eq!(&lookup.last, &fresh.last);
                prop_assert_eq!(&lookup.before, &fresh.before);
                before = text;
            }
        }
    }
}
