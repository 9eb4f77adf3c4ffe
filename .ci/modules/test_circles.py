"""python3 -B -m unittest discover .ci/modules"""
import tempfile
import unittest
from pathlib import Path

from circles import circles, edges, read


def found(**files):
    """The circles of a crate with these files; `a__b` is a/b.rs."""
    with tempfile.TemporaryDirectory() as folder:
        for name, text in files.items():
            path = Path(folder, name.replace("__", "/") + ".rs")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return [(c.members, c.imports) for c in circles(edges(read(Path(folder))))]


class Circles(unittest.TestCase):
    def test_two_that_import_each_other(self):
        lib = "mod a;\nmod b;\n"
        self.assertEqual(found(lib=lib, a="use super::b::B;", b="\nfn f() -> crate::a::A {}"),
                         [(["a", "b"], [("a", "b", 1, "super::b::B"), ("b", "a", 2, "crate::a::A")])])
        self.assertEqual(found(lib=lib, a="use super::b::B;", b="struct B;"), [])

    def test_names_lead_to_where_they_come_from(self):
        lib = "mod a;\nmod b;\nmod c;\npub use a::{self, x::A as Renamed};\npub use b::*;\n"
        circle = found(lib=lib, a="mod x;", a__x="use crate::{c::C, b};", b="pub use crate::c::C;",
                       c="use super::{Renamed, C};")
        self.assertEqual([members for members, _ in circle], [["a::x", "b", "c"]])

    def test_an_outer_module_is_common_ground(self):
        self.assertEqual(found(lib="mod a;", a="mod x;\nuse x::X;\nuse self::x::Y;", a__x="use super::A;"), [])

    def test_tests_comments_and_texts_do_not_count(self):
        lib = "mod a;\nmod b;"
        a = """
            //! [`B`](super::b::B)
            const S: &str = "use super::b::B;"; const C: char = '"'; // super::b::B
            #[cfg(test)]
            mod tests { use crate::b::B; fn f() { if true {} } }
            fn f<'a>(x: &'a str) {}
            """
        self.assertEqual(found(lib=lib, a=a, b="use crate::a::S;"), [])
        self.assertEqual(found(lib=lib + "#[cfg(test)] mod t;", a="", b="use crate::a::S;", t="use super::a;"), [])

    def test_a_circle_of_many_is_one(self):
        files = {m: f"use crate::{n}::X;" for m, n in ["ab", "bc", "cd", "da", "ea"]}
        circle = found(lib="mod a;mod b;mod c;mod d;mod e;", **files)
        self.assertEqual([members for members, _ in circle], [["a", "b", "c", "d"]])


if __name__ == "__main__":
    unittest.main()
