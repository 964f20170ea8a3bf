"""No story that somebody brings holds the interpreter, ends in a surprise or writes a bad file."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host_stub.scenes.importing.reading import problems_of, read_bytes, scene_file
from host_stub.scenes.importing.story import MOST_BYTES, NotAStory, Read

WORDS = st.sampled_from(
    [
        *(
            "# A",
            "## B\n",
            "### Style\n",
            "\n",
            "```",
            "~~~\n",
            "---\n",
            "===\n",
            "- ",
            "Seed: 7\n",
        ),
        *(
            "prompt",
            "id",
            ",",
            ";",
            "\t",
            '"',
            '""',
            "\r\n",
            "a",
            "é",
            "日本",
            "\ufeff",
            "\0",
            "\u2028",
        ),
        *("<!--", "-->", "![x](y)", "**b**", "_e_", "[", "](", "* ", "> ", "style: [a, b]\n", ":"),
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    *("$mulmocast", "beats", "imageParams", "images", "source", "path", "prompt"),
                    *("imagePrompt", "imageNames", "id", "text", "canvasSize", "width", "height"),
                    *("scenes", "description", "required_assets", "shot_language", "type", "style"),
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


def tried(data: bytes, suffix: str) -> None:
    """Read a story: it is refused with words, or becomes a file that can be written."""
    read: Read | None = None
    refused: NotAStory | None = None
    try:
        read = read_bytes(data, suffix=suffix)
    except NotAStory as error:
        refused = error
    if read is None:
        assert refused is not None
        assert refused.hint
        assert refused.problems
        assert all(str(problem).isprintable() for problem in refused.problems)
        return
    assert read.entries
    if not problems_of(read):
        document = json.loads(scene_file(read).encode())

        assert document == {"prompts": list(read.entries)}


@given(st.lists(WORDS, max_size=40).map("".join), st.sampled_from(["", ".md", ".csv", ".txt"]))
def test_a_text_of_marks_is_read_or_refused(text: str, suffix: str) -> None:
    """Whatever the marks of Markdown and of tables meet in."""
    tried(text.encode(), suffix)


@given(JSON, st.sampled_from(["beats", "scenes", "imageParams", ""]))
def test_a_document_of_any_shape_is_read_or_refused(document: object, name: str) -> None:
    """Whatever stands where something else is expected."""
    whole: dict[str, object] = {name: document, "$mulmocast": 1}
    if name == "scenes":
        whole = {"scenes": [document]}
    tried(json.dumps(whole if name else document).encode(), ".json")


@given(st.binary(max_size=60), st.sampled_from(["", ".md", ".csv", ".json"]))
def test_bytes_are_read_or_refused(data: bytes, suffix: str) -> None:
    """Whatever they are."""
    tried(data, suffix)


BURDENS = {
    "stars": (".md", b"## a\n" + b"**a" * (MOST_BYTES // 4)),
    "brackets": (".md", b"## a\n" + b"[" * (MOST_BYTES // 2) + b"![" * (MOST_BYTES // 8)),
    "comments": (".md", b"## a\n" + b"<!--" * (MOST_BYTES // 8)),
    "spaces": (".md", b"## a\n# " + b" #" * (MOST_BYTES // 4) + b" x\n" + b" " * (MOST_BYTES // 4)),
    "same headings": (".md", b"## a\nb\n" * 20_000),
    "levels": (".md", b"".join(b"#" * (n % 6 + 1) + b" a\nb\n" for n in range(20_000))),
    "fences": (".md", b"## a\n" + b"```\n" * (MOST_BYTES // 32)),
    "list marks": (".md", b"## a\n" + b"- " * (MOST_BYTES // 4)),
    "rules": (".md", b"## a\n" + b"* " * (MOST_BYTES // 4) + b"x\n"),
    "colons": (".md", b"## a\n" + b"Style: a\n" * (MOST_BYTES // 64)),
    "words below a field": (".md", b"## a\nStyle:\n" + b"a\n" * (MOST_BYTES // 32)),
    "front matter": (".md", b"---\n" + b"a: b\n- c\n" * (MOST_BYTES // 64) + b"---\n## a\n"),
    "columns": (".csv", b"prompt" + b",a" * (MOST_BYTES // 4)),
    "cells": (".csv", b"prompt,b\n" + b"a" + b"," * (MOST_BYTES // 2)),
    "quotes": (".csv", b"prompt\n" + b'"' * (MOST_BYTES // 2 + 1)),
    "lists": (".json", b"[" + b"[]," * (MOST_BYTES // 4) + b"1]"),
    "depth": (".json", b"[" * (MOST_BYTES // 2)),
    "beats": (".json", b'{"beats":[' + b"{}," * (MOST_BYTES // 4) + b"{}]}"),
}
READ = """
import sys
from host_stub.scenes.importing.reading import problems_of, read_bytes
from host_stub.scenes.importing.story import NotAStory
try:
    problems_of(read_bytes(sys.stdin.buffer.read(), suffix=sys.argv[1]))
except NotAStory as error:
    assert error.hint
"""


@pytest.mark.parametrize("name", BURDENS)
def test_a_heavy_story_holds_nobody(name: str, tmp_path: Path) -> None:
    """What takes a time that grows with its square would take hours: it is cut off long before."""
    suffix, data = BURDENS[name]

    ended = subprocess.run(
        [sys.executable, "-c", READ, suffix],
        input=data,
        capture_output=True,
        check=False,
        timeout=300,
        cwd=tmp_path,
    )

    assert ended.returncode == 0, ended.stderr[-2000:]
