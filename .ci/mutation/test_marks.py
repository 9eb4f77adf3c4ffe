"""python3 -B -m unittest discover .ci/mutation"""
import tempfile
import unittest
from pathlib import Path

from marks import Wrong, apply, marks, only_tests, shares

SOURCE = """fn f(a: u32) -> u32 {
    let b = a.max(4); // mutants: same, only time
    // Why it is so.
    // mutants: same [3 to 4; + to -], nothing comes so far
    // More of it.
    let c = b + 3;
    b + c
}
"""


def mutant(line, what, **more):
    return {"file": "a/src/f.rs", "line": line, "what": what, "to": ""} | more


class Marks(unittest.TestCase):
    def test_a_mark_speaks_for_its_line_or_the_next(self):
        self.assertEqual(marks(SOURCE, "f"), {2: (None, "only time"), 6: (["3 to 4", "+ to -"], "nothing comes so far")})

    def test_a_mark_needs_a_reason_and_a_line_of_its_own(self):
        for text in ["x; // mutants: same", "x; // mutants: same, ", "x; // mutants: other, why", "x; // mutants: same [a]"]:
            with self.assertRaisesRegex(Wrong, "f:1: expected"):
                marks(text, "f")
        with self.assertRaisesRegex(Wrong, "f:2: two marks"):
            marks("// mutants: same, why\nx; // mutants: same, why", "f")

    def test_only_what_is_named_is_marked(self):
        mutants = [mutant(2, "4 to 5"), mutant(6, "3 to 4"), mutant(6, "+ to -"), mutant(6, "left out"), mutant(7, "+ to -")]
        apply(mutants, marks(SOURCE, "f"), "f")
        self.assertEqual([m.get("marked") for m in mutants],
                         ["only time", "nothing comes so far", "nothing comes so far", None, None])

    def test_a_mutant_is_named_by_what_it_becomes_as_well(self):
        both = [mutant(1, "whole function", to="returns true"), mutant(1, "whole function", to="returns false")]
        apply(both, marks("// mutants: same [returns false], only time", "f"), "f")
        self.assertEqual([m.get("marked") for m in both], [None, "only time"])

    def test_a_mark_without_a_mutant_is_wrong(self):
        with self.assertRaisesRegex(Wrong, r"f:2: no mutant  for this mark; this line has \[\]"):
            apply([], {2: (None, "why")}, "f")
        with self.assertRaisesRegex(Wrong, r"no mutant < to <= for this mark; this line has \['3 to 4'\]"):
            apply([mutant(6, "3 to 4")], {6: (["3 to 4", "< to <="], "why")}, "f")

    def test_shares_count_the_marked_both_ways_and_a_dead_one_as_dead(self):
        judged = [mutant(1, "a", verdict="died"), mutant(2, "b", verdict="survived"),
                  mutant(3, "c", verdict="survived", marked="why"), mutant(4, "d", verdict="died (too long)", marked="why")]
        self.assertEqual(shares(judged), [
            "a/src: 2 of 4 died, 50.0%; 1 marked, 66.7% of the rest",
            "all: 2 of 4 died, 50.0%; 1 marked, 66.7% of the rest",
            "of the dead, 1 by time",
            "marked: 1, why (a/src/f.rs:3)",
            "marked, but it dies: a/src/f.rs:4 d",
        ])


class OnlyTests(unittest.TestCase):
    def test_modules_of_tests_and_what_lies_in_them(self):
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            (root / "src/wide").mkdir(parents=True)
            (root / "src/lib.rs").write_text("mod wide;\n#[cfg(test)]\n#[path = \"x.rs\"]\nmod sound;\n")
            (root / "src/wide/mod.rs").write_text("mod real;\n#[cfg(test)]\npub(crate) mod testing;\n#[cfg(test)]\nmod tables;\n")
            (root / "src/real.rs").write_text("#[cfg(test)]\nmod tests;\n")
            found = {name: only_tests(root, name) for name in [
                "src/wide/mod.rs", "src/wide/real.rs", "src/wide/testing.rs", "src/wide/tables.rs",
                "src/wide/tables/errors.rs", "src/sound.rs", "src/real/tests.rs", "src/real/other.rs"]}
            self.assertEqual([name for name, only in found.items() if only], [
                "src/wide/testing.rs", "src/wide/tables.rs", "src/wide/tables/errors.rs", "src/sound.rs", "src/real/tests.rs"])


if __name__ == "__main__":
    unittest.main()
