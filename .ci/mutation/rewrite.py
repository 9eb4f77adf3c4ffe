"""Turns the source of a file into the same with a switch at every place that can be changed."""

SWAPS = {
    "<": ["<="], "<=": ["<"], ">": [">="], ">=": [">"], "==": ["!="], "!=": ["=="], "&&": ["||"], "||": ["&&"],
    "+": ["-"], "-": ["+"], "*": ["+"], "/": ["*"], "%": ["/"], "&": ["|"], "|": ["&"], "^": ["|"], "<<": [">>"], ">>": ["<<"],
    "+=": ["-="], "-=": ["+="], "|=": ["&="], "&=": ["|="], "^=": ["|="], "<<=": [">>="], ">>=": ["<<="], "*=": ["+="],
}
# Here an expression must be constant, is a pattern, or is not an expression at all.
CLOSED = {
    "const_item", "static_item", "attribute_item", "inner_attribute_item", "macro_invocation", "macro_definition",
    "type_arguments", "array_type", "enum_variant_list", "const_block", "use_declaration", "parameters",
    "where_clause", "type_parameters", "string_literal", "line_comment", "block_comment",
}
VALUES = {
    "bool": ["true", "false"], "String": ["String::new()"], "()": ["()"],
    **{t: ["0", "1"] for t in ("u8", "u16", "u32", "u64", "usize", "i32", "i64")},
}


class Rewriter:
    """Rewrites one file; `mutants` gets {id, file, line, what, from, to}."""

    def __init__(self, tree, source, name, first, dropped, mutants):
        self.tree, self.source, self.name, self.dropped, self.mutants = tree, source, name, dropped, mutants
        self.next = first

    def text(self, node):
        return self.source[node.start_byte:node.end_byte].decode()

    def new(self, node, what, before, after):
        """The switch of a new mutant, or none if it does not compile."""
        number = self.next
        self.next += 1
        if number in self.dropped:
            return None
        shorten = lambda s: " ".join(s.split())[:120]
        self.mutants.append({"id": number, "file": self.name, "line": node.start_point[0] + 1, "what": what,
                             "from": shorten(before), "to": shorten(after)})
        return f"crate::mutation::on({number})"

    def choice(self, node, original, alternatives):
        """`original` (already rewritten) unless one of the (what, text) is switched on."""
        out = ""
        for what, text in alternatives:
            on = self.new(node, what, self.text(node), text)
            if on:
                out += f"if {on} {{ {text} }} else "
        return f"({out}{{ {original} }})" if out else original

    def children(self, node, skip=()):
        """The node's text with its children rewritten."""
        out, at = [], node.start_byte
        for child in node.children:
            out.append(self.source[at:child.start_byte].decode())
            out.append(self.text(child) if child.id in skip else self.rewrite(child))
            at = child.end_byte
        out.append(self.source[at:node.end_byte].decode())
        return "".join(out)

    def is_test(self, node):
        before = node.prev_named_sibling
        while before is not None and before.type in ("attribute_item", "line_comment"):
            if "cfg(test)" in self.text(before) or self.text(before) == "#[test]":
                return True
            before = before.prev_named_sibling
        return False

    def rewrite(self, node):
        kind = node.type
        if kind in CLOSED or not node.children and kind not in ("integer_literal", "boolean_literal"):
            return self.text(node)
        if kind in ("mod_item", "function_item", "impl_item") and self.is_test(node):
            return self.text(node)
        handler = getattr(self, kind, None)
        return handler(node) if handler else self.children(node)

    def binary_expression(self, node):
        op = self.text(node.child_by_field_name("operator"))
        left, right = (self.text(node.child_by_field_name(f)) for f in ("left", "right"))
        swaps = [(f"{op} to {new}", f"{left} {new} {right}") for new in SWAPS.get(op, [])]
        return self.choice(node, self.children(node), swaps)

    def compound_assignment_expr(self, node):
        op = self.text(node.child_by_field_name("operator"))
        left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
        swaps = [(f"{op} to {new}", f"{self.text(left)} {new} {self.text(right)}") for new in SWAPS.get(op, [])]
        return self.choice(node, self.children(node, (left.id,)), swaps)

    def assignment_expression(self, node):
        left = node.child_by_field_name("left")
        return self.children(node, (left.id,))

    def unary_expression(self, node):
        if self.text(node.children[0]) != "!":
            return self.children(node)
        return self.choice(node, self.children(node), [("! left out", self.text(node.children[1]))])

    def integer_literal(self, node):
        text = self.text(node)
        digits = text.replace("_", "")
        try:
            value = int(digits, 0)
        except ValueError:
            return text
        parent = node.parent.type
        if parent in ("field_expression", "range_pattern", "match_pattern", "tuple_struct_pattern", "tuple_pattern"):
            return text
        return self.choice(node, text, [(f"{value} to {value + 1}", str(value + 1))])

    def boolean_literal(self, node):
        other = "false" if self.text(node) == "true" else "true"
        return self.choice(node, self.text(node), [(f"to {other}", other)])

    def array_expression(self, node):
        length = node.child_by_field_name("length")
        return self.children(node, (length.id,) if length else ())

    def let_declaration(self, node):
        return self.patterns(node)

    def let_condition(self, node):
        return self.patterns(node)

    def for_expression(self, node):
        return self.patterns(node)

    def closure_expression(self, node):
        return self.patterns(node)

    def patterns(self, node):
        skip = [node.child_by_field_name(f) for f in ("pattern", "type", "parameters", "return_type")]
        return self.children(node, tuple(n.id for n in skip if n is not None))

    def match_pattern(self, node):
        guard = node.child_by_field_name("condition")
        if guard is None:
            return self.text(node)
        head = self.source[node.start_byte:guard.start_byte].decode()
        if guard.type in ("let_chain", "let_condition"):
            return head + self.rewrite(guard)
        alternatives = [("guard to true", "true"), ("guard to false", "false")]
        return head + self.choice(guard, self.rewrite(guard), alternatives)

    def if_expression(self, node):
        condition = node.child_by_field_name("condition")
        if condition.type not in ("call_expression", "identifier", "field_expression", "macro_invocation"):
            return self.children(node)
        text = self.text(condition)
        negated = self.choice(condition, self.rewrite(condition), [("condition negated", f"!({text})")])
        head = self.source[node.start_byte:condition.start_byte].decode()
        out, at = [head, negated], condition.end_byte
        for child in node.children:
            if child.start_byte >= condition.end_byte:
                out += [self.source[at:child.start_byte].decode(), self.rewrite(child)]
                at = child.end_byte
        return "".join(out)

    def expression_statement(self, node):
        inner = node.children[0]
        kinds = ("call_expression", "assignment_expression", "compound_assignment_expr")
        if len(node.children) < 2 or inner.type not in kinds:
            return self.children(node)
        on = self.new(node, "left out", self.text(node), "")
        rewritten = self.children(node)
        return f"if !{on} {{ {rewritten} }}" if on else rewritten

    def function_item(self, node):
        head = self.source[node.start_byte:node.child_by_field_name("body").start_byte].decode()
        if any(c.type == "function_modifiers" and "const" in self.text(c) for c in node.children):
            return self.text(node)
        body = node.child_by_field_name("body")
        result = node.child_by_field_name("return_type")
        result = self.text(result) if result is not None else "()"
        values = VALUES.get(result, [])
        if result.startswith("Option<"):
            values = ["None"]
        elif result.startswith("Vec<"):
            values = ["Vec::new()"]
        elif result.startswith("Result<(),"):
            values = ["Ok(())"]
        if self.text(node.child_by_field_name("name")) == "fmt" or not body.named_children:
            values = []
        early = ""
        for value in values:
            on = self.new(node, "whole function", head, f"returns {value}")
            if on:
                early += f" if {on} {{ return {value}; }}"
        rewritten = self.rewrite(body)
        return f"{head}{{{early}{rewritten[1:]}"


SWITCH = """//! The switches of mutation tests (`.ci/mutants`).
use std::io::Write;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::sync::{Mutex, OnceLock};

const OFF: u32 = u32::MAX;
const RECORD: u32 = u32::MAX - 1;
const UNKNOWN: u32 = u32::MAX - 2;
/// More than there are numbers of switches.
const MOST: usize = 1 << 20;

static CHOSEN: AtomicU32 = AtomicU32::new(UNKNOWN);
static SEEN: [AtomicBool; MOST] = [const { AtomicBool::new(false) }; MOST];
static FILE: OnceLock<Mutex<std::fs::File>> = OnceLock::new();

/// Whether this mutant is switched on.
#[inline(always)]
pub fn on(id: u32) -> bool {
    let chosen = CHOSEN.load(Relaxed);
    chosen == id || (chosen < OFF && chosen >= UNKNOWN && slow(id))
}

#[cold]
#[inline(never)]
fn slow(id: u32) -> bool {
    if CHOSEN.load(Relaxed) == UNKNOWN { start(); }
    let chosen = CHOSEN.load(Relaxed);
    if chosen == RECORD && !SEEN[id as usize].swap(true, Relaxed) {
        let mut file = FILE.get().unwrap().lock().unwrap_or_else(|e| e.into_inner());
        let _ = file.write_all(&id.to_le_bytes());
    }
    chosen == id
}

fn start() {
    let chosen = match (std::env::var("MUTANT"), std::env::var("MUTANT_RECORD")) {
        (Ok(n), _) => n.parse().unwrap(),
        (_, Ok(file)) => {
            FILE.get_or_init(|| Mutex::new(std::fs::OpenOptions::new().create(true).append(true).open(file).unwrap()));
            RECORD
        }
        _ => OFF,
    };
    CHOSEN.store(chosen, Relaxed);
}
"""
