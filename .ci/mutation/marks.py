"""What mutation tests leave out, and what the code says of mutants that change nothing.

A comment on a line, or alone on the line before it, speaks for the mutants of that line:

    let mut known = a.max(b);  // mutants: same, REASON
    // mutants: same [3 to 4; + to -], REASON
    let wide = 3 + n;

The second speaks only for those that it names, as they are called in survivors.md, or by what they become. It is for code that is right as it
is, where a mutant does the same thing in another way. One that dies nevertheless counts as dead, and is told of.
"""
import re

MARK = re.compile(r"// mutants: same(?: \[([^\]]*)\])?(?:, (.*))?$")


class Wrong(Exception):
    """A mark that says nothing, or not why."""


def marks(source, name):
    """{line: (the mutants named or none for all, reason)} of a file, lines counted from 1."""
    lines, found = source.split("\n"), {}
    for number, line in enumerate(lines, 1):
        at = line.find("// mutants:")
        if at < 0:
            continue
        match = MARK.match(line[at:].rstrip())
        if not match or not match[2]:
            raise Wrong(f"{name}:{number}: expected `// mutants: same, REASON` or `// mutants: same [WHAT; WHAT], REASON`")
        named = [what.strip() for what in match[1].split(";")] if match[1] is not None else None
        if not line[:at].strip():
            number = next((n for n in range(number + 1, len(lines) + 1)
                           if not lines[n - 1].lstrip().startswith("//")), number)
        if number in found:
            raise Wrong(f"{name}:{number}: two marks speak for this line")
        found[number] = (named, match[2])
    return found


def apply(mutants, found, name):
    """Gives the mutants of a file that its marks speak for their reasons."""
    for line, (named, reason) in found.items():
        here = [m for m in mutants if m["line"] == line]
        for what in named if named is not None else [None]:
            chosen = [m for m in here if what is None or what in (m["what"], m["to"])]
            if not chosen:
                whats = sorted({m["what"] for m in here})
                raise Wrong(f"{name}:{line}: no mutant {what or ''} for this mark; this line has {whats}")
            for mutant in chosen:
                mutant["marked"] = reason


def only_tests(root, name):
    """Whether a file is a module of tests alone, or lies inside of one: a mutant of a test says nothing of the code."""
    path = root / name
    while path != root:
        above = [path.parent / "mod.rs", path.parent / "lib.rs", path.parent.with_suffix(".rs")]
        stem = path.parent.name if path.name == "mod.rs" else path.stem
        declared = re.compile(rf"#\[cfg\(test\)\]\n(?:#\[[^\n]*\]\n)*(?:pub(?:\([^)]*\))? )?mod {re.escape(stem)};")
        if any(file.is_file() and declared.search(file.read_text()) for file in above):
            return True
        path = path.parent
    return False


def shares(judged):
    """What a run comes to, in lines of text."""
    folders = sorted({m["file"].rsplit("/", 1)[0] for m in judged})
    rows = [(folder, [m for m in judged if m["file"].rsplit("/", 1)[0] == folder]) for folder in folders]
    lines = []
    for name, own in [*rows, ("all", judged)]:
        dead = sum(m["verdict"].startswith("died") for m in own)
        marked = sum("marked" in m and not m["verdict"].startswith("died") for m in own)
        line = f"{name}: {dead} of {len(own)} died, {share(dead, len(own))}"
        lines.append(line + (f"; {marked} marked, {share(dead, len(own) - marked)} of the rest" if marked else ""))
    long = sum(m["verdict"] == "died (too long)" for m in judged)
    lines.append(f"of the dead, {long} by time")
    reasons = {}
    for m in judged:
        if "marked" in m and not m["verdict"].startswith("died"):
            reasons.setdefault(m["marked"], []).append(f"{m['file']}:{m['line']}")
    lines += [f"marked: {len(places)}, {reason} ({', '.join(sorted(set(places)))})" for reason, places in sorted(reasons.items())]
    lines += [f"marked, but it dies: {m['file']}:{m['line']} {m['what']}"
              for m in judged if "marked" in m and m["verdict"].startswith("died")]
    return lines


def share(part, whole):
    return f"{100 * part / max(1, whole):.1f}%"
