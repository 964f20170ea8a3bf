from pathlib import Path

import pytest

from host_stub.run.picture_paths import PicturePaths


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
