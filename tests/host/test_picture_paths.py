from pathlib import Path

import pytest

from host_stub.run.picture_paths import MOST_FOLDERS, PicturePaths


@pytest.fixture
def out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for results in the current folder, with one picture."""
    monkeypatch.chdir(tmp_path)
    images = tmp_path / "out" / "images"
    images.mkdir(parents=True)
    (images / "a.png").write_bytes(b"png")
    return Path("out")


class TestFault:
    def test_a_folder_that_leads_out_is_noticed(self, out: Path) -> None:
        """A link planted in the folder for results does not make its target part of it."""
        Path("elsewhere").mkdir()
        Path("elsewhere/a.png").write_bytes(b"png")
        (out / "linked").symlink_to("../elsewhere")

        assert PicturePaths(out).look(out / "linked" / "a.png")[1] == "outside"
        assert PicturePaths(out).look(Path("elsewhere/a.png"))[1] == "outside"

    def test_a_folder_exchanged_for_a_link_is_looked_at_anew(self, out: Path) -> None:
        """What was found out holds for that folder only, not for another of its name."""
        places = PicturePaths(out)
        before = places.look(out / "images" / "a.png")[1]
        (out / "images").rename(out / "kept")
        Path("other").mkdir()
        Path("other/a.png").write_bytes(b"png")
        (out / "images").symlink_to("../other")

        assert before is None
        assert places.look(out / "images" / "a.png")[1] == "outside"


class TestShown:
    def test_the_folder_of_the_command_counts_though_a_plugin_moves_elsewhere(
        self, out: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Rows of one manifest are relative to one folder."""
        places = PicturePaths(out)
        picture = Path("out/images/a.png").absolute()
        before = places.look(picture)[0]
        monkeypatch.chdir("out")

        assert places.look(picture)[0] == before == "out/images/a.png"

    def test_a_plugin_with_a_folder_for_each_picture_fills_no_memory(self, out: Path) -> None:
        """Only so many folders are remembered, and the others are right all the same."""
        places = PicturePaths(out)
        for number in range(MOST_FOLDERS + 5):
            folder = out / str(number) / "of it"
            folder.mkdir(parents=True)
            (folder / "a.png").touch()

            assert places.look(folder / "a.png")[0] == f"out/{number}/of it/a.png"
        known = places._folder.cache_info().currsize  # pyright: ignore[reportPrivateUsage] - nothing else shows it
        assert known == MOST_FOLDERS
