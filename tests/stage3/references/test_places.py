"""Which files a scene may name: a scene file is not trusted with the disk."""

import os
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stage3_plugin.domain.reference import Limits
from stage3_plugin.errors import ReferenceRefused, StorageFailed
from stage3_plugin.storage.references.locating import Places
from tests.fakes.pngs import make_png
from tests.stage3.references.opened import of_cast, opened, project, sha256, wish

pytestmark = pytest.mark.anyio

PNG = make_png("Mira", 64, 64)
ANY = Limits()
OUTSIDE = "lies outside of the folders that a scene file may name files in"


async def refusal(folder: Path, image: str | Path, *roots: str) -> ReferenceRefused:
    """Return how a reference of a scene is refused."""
    async with opened(folder, *roots) as references:
        with pytest.raises(ReferenceRefused) as refused:
            await references.show(wish(image), ANY)
    return refused.value


@pytest.mark.parametrize(
    "where, image",
    [
        ("story/refs/a.png", "refs/a.png"),
        ("story/a.png", "./refs/../a.png"),
        ("config/refs/a.png", "../config/refs/a.png"),
        ("elsewhere/a.png", "../elsewhere/a.png"),
        ("elsewhere/a.png", "{folder}/elsewhere/a.png"),
        ("story/refs/Mira\nund der Hund.png", "refs/Mira\nund der Hund.png"),
        ("story/refs/米拉.png", "refs/米拉.png"),
        ("story/scene:a.png", "./scene:a.png"),
    ],
)
async def test_a_scene_may_name_files_below_three_kinds_of_folder(
    tmp_path: Path, where: str, image: str
) -> None:
    """The scene file's own, the config's, and those that the config names."""
    (project(tmp_path) / where).write_bytes(PNG)

    async with opened(tmp_path, "../elsewhere") as references:
        shown = await references.show(wish(image.format(folder=tmp_path)), ANY)

    assert shown.sha256 == sha256(PNG)


async def test_links_may_be_used_within_those_folders(tmp_path: Path) -> None:
    """Where a link leads counts, and not where it lies."""
    story = project(tmp_path) / "story"
    (tmp_path / "config/refs/mira.png").write_bytes(PNG)
    (story / "all").symlink_to("../config/refs")
    (story / "mira.png").symlink_to("all/mira.png")

    async with opened(tmp_path) as references:
        shown = await references.show(wish("mira.png"), ANY)

    assert shown.sha256 == sha256(PNG)


async def test_the_scene_files_folder_may_be_a_link_itself(tmp_path: Path) -> None:
    """What lies below where it leads is below it; what lies beside the link is not."""
    project(tmp_path)
    (tmp_path / "story").rename(tmp_path / "real")
    (tmp_path / "story").symlink_to("real")
    (tmp_path / "real/a.png").write_bytes(PNG)
    (tmp_path / "b.png").write_bytes(PNG)

    async with opened(tmp_path) as references:
        shown = await references.show(wish("a.png"), ANY)
        with pytest.raises(ReferenceRefused, match=OUTSIDE):
            await references.show(wish("../b.png"), ANY)

    assert shown.sha256 == sha256(PNG)


@pytest.mark.parametrize(
    "image",
    ["../elsewhere/a.png", "{folder}/elsewhere/a.png", "link.png", "all/a.png", "chain.png"],
)
async def test_a_scene_may_name_nothing_else(tmp_path: Path, image: str) -> None:
    """By no path and by no link; and the next step is said."""
    story = project(tmp_path) / "story"
    (tmp_path / "elsewhere/a.png").write_bytes(PNG)
    (story / "link.png").symlink_to("../elsewhere/a.png")
    (story / "all").symlink_to("../elsewhere")
    (story / "chain.png").symlink_to("link.png")

    refused = await refusal(tmp_path, image.format(folder=tmp_path))

    assert refused.reason == OUTSIDE
    assert "reference_roots" in (refused.hint or "")


@pytest.mark.parametrize("name", ["a.png", "nothing.png"])
async def test_whether_something_is_there_outside_is_not_said(tmp_path: Path, name: str) -> None:
    """Who writes scene files learns nothing of the disk."""
    (project(tmp_path) / "elsewhere/a.png").write_bytes(PNG)

    assert (await refusal(tmp_path, f"../elsewhere/{name}")).reason == OUTSIDE


async def test_the_cast_may_name_any_file(tmp_path: Path) -> None:
    """It stands in the config, and starts at the config's folder."""
    (project(tmp_path) / "elsewhere/a.png").write_bytes(PNG)
    (tmp_path / "config/refs/b.png").write_bytes(PNG)

    async with opened(tmp_path) as references:
        outside = await references.show(of_cast("../elsewhere/a.png"), ANY)
        own = await references.show(of_cast("refs/b.png"), ANY)

    assert outside.sha256 == own.sha256 == sha256(PNG)


@pytest.mark.parametrize(
    "image, reason",
    [
        ("refs/nothing.png", "is not there"),
        ("refs/nothing/a.png", "is not there"),
        ("a.png/b.png", "is not there: a file stands where a folder should be"),
        ("refs", "is a folder"),
        (".", "is a folder"),
        ("/", OUTSIDE),
        ("", "is empty"),
        (" \n", "is empty"),
        ("a\0.png", "has a NUL in it, which no file's name has"),
        ("\ud800.png", "has signs in it that no file's name can have"),
        ("n" * 300, "has a name that is too long for a file"),
        ("d/" * 3_000 + "a.png", "is not there"),
        ("circle.png", "is a link that leads in a circle, or was put there just now"),
        ("pipe", "is a pipe"),
        ("socket", "is a socket"),
        ("link to null", OUTSIDE),
        ("http://host.example/a.png", "is an address, and only files are sent"),
        ("HTTPS://user:secret@host.example/a.png?sig=secret", "is an address, and only files"),
        ("file:///etc/passwd", "is an address, and only files are sent"),
        ("data:image/png;base64,iVBOR" + "x" * 9_999, "is a data URL"),
    ],
)
async def test_what_names_no_file_is_refused_by_name(
    tmp_path: Path, image: str, reason: str
) -> None:
    """At once, in few words, and without what may be a secret."""
    story = project(tmp_path) / "story"
    (story / "a.png").write_bytes(PNG)
    (story / "circle.png").symlink_to("circle.png")
    os.mkfifo(story / "pipe")
    (story / "link to null").symlink_to("/dev/null")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(story / "socket"))

        refused = await refusal(tmp_path, image)

    assert refused.reason.startswith(reason)
    assert len(str(refused)) < 400
    assert "secret" not in f"{refused} {refused.image}"
    assert str(refused) == f"reference {refused.image!r} {refused.reason}"


async def test_a_refusal_stays_for_as_long_as_the_run_goes_on(tmp_path: Path) -> None:
    """Two scenes are told the same; each in its own words for the file."""
    path = project(tmp_path) / "story/a.png"

    async with opened(tmp_path) as references:
        with pytest.raises(ReferenceRefused, match=r"reference 'a\.png' is not there") as first:
            await references.show(wish("a.png"), ANY)
        path.write_bytes(PNG)
        with pytest.raises(ReferenceRefused, match=r"reference '\./a\.png' is not there") as second:
            await references.show(wish("./a.png"), ANY)

    assert (
        first.value.hint
        == second.value.hint
        == ("a relative name starts at the scene file's folder")
    )


@pytest.mark.parametrize("swapped", ["a.png", "refs"])
async def test_a_link_that_is_put_there_meanwhile_is_not_followed(
    tmp_path: Path, swapped: str
) -> None:
    """Neither as the file nor as a folder on its way, once it was found to be allowed."""
    story = project(tmp_path) / "story"
    (story / "refs/a.png").write_bytes(PNG)
    (tmp_path / "elsewhere/a.png").write_bytes(make_png("a secret", 64, 64))
    place = Places(story, tmp_path / "config", ()).find(wish("refs/a.png"))

    (story / "refs/a.png").unlink()
    if swapped == "refs":
        (story / "refs").rmdir()
        (story / "refs").symlink_to("../elsewhere")
    else:
        (story / "refs/a.png").symlink_to("../../elsewhere/a.png")

    with pytest.raises(ReferenceRefused):
        Places.open(wish("refs/a.png"), place)


async def test_without_descriptors_it_is_no_reference_that_is_at_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So it is not refused for good: another scene may find it well."""
    (project(tmp_path) / "story/a.png").write_bytes(PNG)

    def lacking(*_: object, **__: object) -> int:
        raise OSError(24, "Too many open files")

    async with opened(tmp_path) as references:
        with monkeypatch.context() as meanwhile:
            meanwhile.setattr(os, "open", lacking)
            with pytest.raises(StorageFailed, match="Too many open files"):
                await references.show(wish("a.png"), ANY)
        shown = await references.show(wish("a.png"), ANY)

    assert shown.sha256 == sha256(PNG)


@given(st.text(max_size=40) | st.sampled_from(["http://", "data:", "scene:", "\n//"]))
def test_any_text_names_a_file_or_is_refused(image: str) -> None:
    """And nothing else is raised, whatever a model writes."""
    places = Places(Path("/nowhere/story"), Path("/nowhere"), ())

    with pytest.raises(ReferenceRefused) as refused:
        places.open(wish(image), places.find(wish(image)))

    assert refused.value.reason
    assert len(str(refused.value)) < 1_000
