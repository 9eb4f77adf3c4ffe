"""Which modules of a crate import which, read off their text."""
import re
from dataclasses import dataclass, field
from pathlib import Path

# What is no code: comments, strings (raw ones, too) and characters, as opposed to lifetimes.
NO_CODE = re.compile(
    r"""//[^\n]*|/\*.*?\*/|b?r(#*)".*?"\1|b?"(?:\\.|[^"\\])*"|b?'(?:\\[^']+|[^'\\])'""", re.S)
TESTS = re.compile(r"#\[cfg\((?:all\()?test\b[^\]]*\]\s*(?:#\[[^\]]*\]\s*)*")
USE = re.compile(r"\b(pub(?:\([^)]*\))?\s+)?use\s+([^;]+);")
PATH = re.compile(r"(?<![\w:$])(?:\$?crate|super)(?:::\w+)+")


@dataclass
class Module:
    """A module: its path from the crate's root, the paths that it names and the names that it brings in."""

    paths: list = field(default_factory=list)  # (line, path from here)
    names: dict = field(default_factory=dict)  # for a name: whether it is handed on, and the path that it stands for
    globs: list = field(default_factory=list)


def code(text):
    """The text with blanks for what is no code, in the same lines."""
    return NO_CODE.sub(lambda m: re.sub(r"[^\n]", " ", m.group()), text)


def end_of_item(text, at):
    """Where the item that begins here ends: after its braces, or its semicolon."""
    depth = 0
    for i in range(at, len(text)):
        if text[i] == "{":
            depth += 1
        elif text[i] == "}":
            depth -= 1
            if depth == 0:
                return i + 1
        elif text[i] == ";" and depth == 0:
            return i + 1
    return len(text)


def without_tests(text):
    """The text without items for tests, and the modules among these that are files."""
    files, at = [], 0
    while match := TESTS.search(text, at):
        end = end_of_item(text, match.end())
        item = text[match.end():end]
        if named := re.match(r"(?:pub(?:\([^)]*\))?\s+)?mod\s+(\w+)\s*;", item):
            files.append(named.group(1))
        text = text[:match.start()] + re.sub(r"[^\n]", " ", text[match.start():end]) + text[end:]
        at = end
    return text, files


def split(tree):
    """The parts of a list in braces, apart at its own commas."""
    parts, depth, start = [], 0, 0
    for i, c in enumerate(tree):
        depth += (c == "{") - (c == "}")
        if c == "," and depth == 0:
            parts.append(tree[start:i])
            start = i + 1
    return [p.strip() for p in parts + [tree[start:]] if p.strip()]


def leaves(tree, before=()):
    """The paths of a `use`, each with the name that it brings in (`*` for all)."""
    tree = tree.strip()
    if "{" in tree:
        head, rest = tree.split("{", 1)
        head = tuple(s.strip() for s in head.split("::") if s.strip())
        for part in split(rest.rsplit("}", 1)[0]):
            yield from leaves(part, before + head)
        return
    path, _, other = tree.partition(" as ")
    path = before + tuple(s.strip() for s in path.split("::") if s.strip())
    if path and path[-1] == "self":
        path = path[:-1]
    yield path, other.strip() or path[-1]


def read(source):
    """The modules of a crate, by their path from its root, which is ()."""
    modules = {}

    def file(path, name):
        text, tests = without_tests(code(path.read_text()))
        module = modules[name] = Module()
        for match in USE.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            for leaf, brings in leaves(match.group(2)):
                module.paths.append((line, leaf))
                if brings == "*":
                    module.globs.append(leaf[:-1])
                elif brings != "_":
                    module.names[brings] = (bool(match.group(1)), leaf)
        rest = USE.sub(lambda m: re.sub(r"[^\n]", " ", m.group()), text)
        for match in PATH.finditer(rest):
            line = rest.count("\n", 0, match.start()) + 1
            module.paths.append((line, tuple(match.group().replace("$", "").split("::"))))
        folder = path.parent if path.name in ("lib.rs", "main.rs", "mod.rs") else path.with_suffix("")
        for inner in re.findall(r"\bmod\s+(\w+)\s*;", text):
            for place in (folder / f"{inner}.rs", folder / inner / "mod.rs"):
                if place.exists() and inner not in tests:
                    file(place, name + (inner,))

    for root in ("lib.rs", "main.rs"):
        if (source / root).exists():
            kept = modules.get((), Module())
            file(source / root, ())
            modules[()].paths += kept.paths
            modules[()].names |= kept.names
    return modules


def leads(name, of, is_inside):
    """Whether a name that a module brings in leads on, and not to another crate of that name."""
    handed_on, path = name
    return (handed_on or is_inside) and path[0] != of


def resolve(modules, here, path, seen=()):
    """The module where a path that `here` names ends; none outside of the crate."""
    if (here, path) in seen:
        return None
    seen += ((here, path),)
    at, rest = here, list(path)
    if rest and rest[0] == "crate":
        at, rest = (), rest[1:]
    while rest and rest[0] in ("super", "self"):
        at, rest = at[:-1] if rest[0] == "super" else at, rest[1:]
    relative = at == here and path[:1] not in (("crate",), ("self",))
    while rest:
        module = modules[at]
        if at + (rest[0],) in modules:
            at, rest, relative = at + (rest[0],), rest[1:], False
        elif rest[0] in module.names and leads(module.names[rest[0]], rest[0], at == here[:len(at)]):
            return resolve(modules, at, module.names[rest[0]][1] + tuple(rest[1:]), seen)
        elif relative:
            return None
        else:
            # A name that a glob brings in, if what it opens has it by name.
            for opened in module.globs:
                end = resolve(modules, at, opened, seen)
                if end not in (None, at) and (end + (rest[0],) in modules or rest[0] in modules[end].names):
                    return resolve(modules, end, ("self",) + tuple(rest), seen)
            break
    return at


def edges(modules):
    """Each import between modules of which neither is inside of the other, with its line and path."""
    found = {}
    for here, module in modules.items():
        for line, path in module.paths:
            there = resolve(modules, here, path)
            if there is not None and here[:len(there)] != there and there[:len(here)] != here:
                found.setdefault((here, there), (line, "::".join(path)))
    return found


@dataclass
class Circle:
    """Modules that import each other, by their paths, and the imports between them."""

    members: list
    imports: list


def circles(found):
    """The circles of these imports: their strongly connected parts of more than one module."""
    reach = {}
    for here, there in found:
        reach.setdefault(here, set()).add(there)
        reach.setdefault(there, set())
    for via in reach:
        for others in reach.values():
            if via in others:
                others |= reach[via]
    done, name = set(), "::".join
    for module in sorted(reach):
        members = sorted(m for m in reach[module] if module in reach[m])
        if not members or module in done:
            continue
        done.update(members)
        inside = [(name(h), name(t), *at) for (h, t), at in sorted(found.items()) if h in members and t in members]
        yield Circle([name(m) for m in members], inside)
