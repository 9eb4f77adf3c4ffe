//! Patterns that a text must match, in order.

use filecheck::{CheckerBuilder, NO_VARIABLES};
use thiserror::Error;

/// Errors in a text, or in the patterns.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PatternError {
    /// A line that would check nothing.
    #[error(
        "line {line} of the patterns, `{text}`, is not a directive: expected \
         `check:`, `sameln:`, `nextln:`, `unordered:`, `not:`, `regex:`, or a comment after `#`"
    )]
    NoDirective {
        /// The line, from 1.
        line: usize,
        /// The text of the line.
        text: String,
    },
    /// Nothing is checked.
    #[error("the patterns have no directive, so they check nothing; write `check: ...`")]
    Empty,
    /// A directive that cannot be read.
    #[error("line {line} of the patterns, `{text}`")]
    Syntax {
        /// The line, from 1.
        line: usize,
        /// The text of the line.
        text: String,
        /// The error.
        source: filecheck::Error,
    },
    /// A pattern uses a variable that was not defined before.
    #[error("the patterns cannot be matched")]
    Undefined(#[source] filecheck::Error),
    /// The text does not match.
    #[error("the text does not match:\n{explanation}")]
    NoMatch {
        /// How far the patterns matched, and which did not.
        explanation: String,
    },
}

/// Checks that a text, such as a kernel's [`ptx`](super::ptx), matches
/// patterns: a directive a line, in the language of the crate [`filecheck`].
///
/// `check: P` matches P after the last match, `nextln:` and `sameln:` on the next or the same line, `not: P` forbids P
/// between the matches around it, `unordered:` matches in any order. `$(x=REGEX)` matches a regular expression and
/// names it, `$x` is the matched text, and `regex: X=REGEX` makes `$X` a name for an expression. Lines that start with
/// `#` are comments. To keep patterns in a file, pass `include_str!("...")`.
///
/// # Errors
/// If the text does not match; the error shows how far it does. Also if a line is not a directive (otherwise a misspelt
/// one would check nothing), or there are no directives.
pub fn check_patterns(text: &str, patterns: &str) -> Result<(), PatternError> {
    let mut builder = CheckerBuilder::new();
    let mut any = false;
    for (line, pattern) in (1..).zip(patterns.lines()) {
        let pattern = pattern.trim();
        if pattern.is_empty() || pattern.starts_with('#') {
            continue;
        }
        match builder.directive(pattern) {
            Ok(true) => any = true,
            Ok(false) => return Err(PatternError::NoDirective { line, text: pattern.to_owned() }),
            Err(source) => return Err(PatternError::Syntax { line, text: pattern.to_owned(), source }),
        }
    }
    if !any {
        return Err(PatternError::Empty);
    }
    match builder.finish().explain(text, NO_VARIABLES).map_err(PatternError::Undefined)? {
        (true, _) => Ok(()),
        (false, explanation) => {
            // Without the text itself, which is shown between the steps.
            let steps = explanation.lines().filter(|l| !l.starts_with(['>', ' ']));
            Err(PatternError::NoMatch { explanation: steps.collect::<Vec<_>>().join("\n") })
        }
    }
}

/// As [`check_patterns`], for a test.
///
/// # Panics
/// With the error and the text, if the text does not match.
#[track_caller]
pub fn assert_patterns(text: &str, patterns: &str) {
    if let Err(error) = check_patterns(text, patterns) {
        let cause = std::error::Error::source(&error).map(|c| format!(": {c}")).unwrap_or_default();
        panic!("{error}{cause}\n\nThe text:\n{text}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "mul.rn.f32 %f1, %f0, %f0;\nadd.rn.f32 %f2, %f1, %f0;\nst.global.f32 [%rd0], %f2;\n";

    #[test]
    fn a_match() {
        let patterns = "
            # The sum is what is stored.
            regex: F=%f\\d+
            check: add.rn.f32 $(sum=$F),
            not: cvt
            nextln: st.global.f32 $(=\\S+), $sum;
        ";
        check_patterns(TEXT, patterns).unwrap();
    }

    #[test]
    fn a_text_that_does_not_match_says_which_directive() {
        let error = check_patterns(TEXT, "check: mul\ncheck: fma.rn.f64").unwrap_err();
        assert!(matches!(error, PatternError::NoMatch { .. }));
        assert!(error.to_string().contains("fma"), "{error}");
        let error = check_patterns(TEXT, "check: mul\nnot: add\ncheck: st.global").unwrap_err();
        assert!(matches!(error, PatternError::NoMatch { .. }), "{error}");
    }

    #[test]
    fn patterns_that_check_nothing_are_errors() {
        let error = check_patterns(TEXT, "check: mul\nchek: add").unwrap_err();
        assert!(error.to_string().starts_with("line 2 of the patterns, `chek: add`, is not a directive"), "{error}");
        assert!(matches!(check_patterns(TEXT, "# nothing\n\n"), Err(PatternError::Empty)));
        assert!(matches!(check_patterns(TEXT, "check: $(x=["), Err(PatternError::Syntax { line: 1, .. })));
        assert!(matches!(check_patterns(TEXT, "check: $x"), Err(PatternError::Undefined(_))));
    }
}
