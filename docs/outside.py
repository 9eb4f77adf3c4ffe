"""mdBook preprocessor: links that lead out of the book (`../runtime/..`) become links to the repository.

Given by book.toml: the address of the repository's files.
"""

import json
import posixpath
import re
import sys

LINK = re.compile(r"(\]\()(\.\./[^)\s]+)(\))|(^\[[^\]]+\]:\s*)(\.\./\S+)()$", re.M)


def rewrite(chapter, base):
    folder = posixpath.dirname("docs/" + (chapter["path"] or ""))

    def outside(match):
        before, target, after = (match[i] or match[i + 3] or "" for i in (1, 2, 3))
        path = posixpath.normpath(posixpath.join(folder, target))
        inside = path.startswith("docs/")
        return match[0] if inside else f"{before}{base}/{path}{after}"

    chapter["content"] = LINK.sub(outside, chapter["content"])
    for item in chapter["sub_items"]:
        if "Chapter" in item:
            rewrite(item["Chapter"], base)


if sys.argv[2:] and sys.argv[2] == "supports":
    sys.exit(0)
_, book = json.load(sys.stdin)
for item in book["items"]:
    if "Chapter" in item:
        rewrite(item["Chapter"], sys.argv[1])
json.dump(book, sys.stdout)
