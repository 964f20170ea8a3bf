"""Makes small pictures after the command that wants them has ended.

``python -m host_stub.review.later`` reads what to do from its standard input, as JSON, and says
nothing. Only a picture that is small already is worth waiting for nobody.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path

from host_stub.review.thumbs import made, make_thumbs
from host_stub.review.told import NAME, PULSE, THUMBS, Told, write_told


def begin(out_dir: Path, told: Told, pictures: Mapping[str, Path]) -> None:
    """Have a process of its own make the small pictures, and tell the page of them.

    Args:
        out_dir: The folder of the results.
        told: What the page was told.
        pictures: Where the picture of each hash is.

    Raises:
        OSError: It cannot be started.
    """
    work = {
        "out_dir": str(out_dir.absolute()),
        "told": {one.name: getattr(told, one.name) for one in fields(told)},
        "pictures": {sha256: str(path.absolute()) for sha256, path in pictures.items()},
    }
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "host_stub.review.later"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # an interrupt of the command is none of it
    )
    assert process.stdin is not None
    with process.stdin:
        process.stdin.write(json.dumps(work).encode("ascii"))
    process.returncode = 0  # it is left behind on purpose, and is no zombie of ours


def main() -> None:
    """Do what the standard input says."""
    work = json.load(sys.stdin)
    out_dir = Path(work["out_dir"])
    folder = out_dir / NAME / THUMBS
    told = Told(**work["told"])
    before = told.scripts()[PULSE]
    pictures = {sha256: Path(path) for sha256, path in work["pictures"].items()}
    for _ in make_thumbs(folder, pictures):
        pass
    thumbs = made(folder)
    for scene in told.scenes:
        for take in scene["takes"]:
            take["no_thumb"] = take["sha256"] not in thumbs
    if (out_dir / NAME / PULSE).read_bytes() == before:  # nobody has told anything newer
        write_told(out_dir, told)


if __name__ == "__main__":
    main()
