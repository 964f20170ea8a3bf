"""Whole pictures: of every size, from any prompt, the same every time."""

import hashlib
import io
import os
import subprocess
import sys

import pytest
import resvg_py
from PIL import Image, ImageChops

from stage3_plugin.previz.cast import Cast, study
from stage3_plugin.previz.compose import compose
from stage3_plugin.previz.fonts import files_in
from stage3_plugin.previz.icons import icons
from stage3_plugin.previz.lettering import drawable, text
from stage3_plugin.previz.lexicon import prop_words
from stage3_plugin.previz.plate import Plate
from stage3_plugin.previz.reading import read
from stage3_plugin.previz.render import render
from stage3_plugin.previz.shapes import SHAPES

SMALL = (160, 160)
PROMPT = "Medium shot of Ann Lee, a woman in a red coat, in a library at night, tea on the table"


def picture_of(
    prompt: str,
    *characters: str,
    size: tuple[int, int] = SMALL,
    caption: bool = True,
    seed: int = 0,
) -> Image.Image:
    """Render a prompt and open the picture."""
    png = render(Plate("scene_007", prompt, characters), size, Cast(), seed=seed, caption=caption)
    picture = Image.open(io.BytesIO(png))
    picture.load()
    return picture


@pytest.mark.parametrize(
    "size", [(64, 64), (100, 300), (512, 512), (1024, 1024), (1024, 1792), (1792, 1024)]
)
def test_every_size_is_met_exactly(size: tuple[int, int]) -> None:
    """From a thumbnail to the largest size that providers offer."""
    picture = picture_of(PROMPT, "a", "b", size=size)

    assert (picture.format, picture.mode, picture.size) == ("PNG", "RGB", size)


@pytest.mark.parametrize(
    "prompt",
    [
        pytest.param("", id="empty"),
        pytest.param("masterpiece, best quality, 4k, 杰作", id="boilerplate only"),
        pytest.param(("A keeper reads letters. " * 200)[:4000], id="4,000 characters"),
        pytest.param("a" * 1020, id="one word of 1,020 letters"),
        pytest.param("مشهد: فتاة في المدينة at night (ليلى)", id="Arabic"),
        pytest.param("אישה בספרייה, library", id="Hebrew"),
        pytest.param("नमस्ते สวัสดี Привет Ωmega 한국어", id="scripts"),
        pytest.param("😀 👩‍🚀 🚀 family 👨‍👩‍👧", id="emoji"),
        pytest.param('<script>alert(1)</script> & "q" \'', id="script"),
        pytest.param("]]> <!-- --> <![CDATA[", id="CDATA"),
        pytest.param("nul \0 in a man", id="NUL"),
        pytest.param("lone \ud800 surrogate \udfff woman", id="lone surrogate"),
    ],
)
def test_no_prompt_breaks_the_renderer(prompt: str) -> None:
    """Whatever is written, there is a picture, with a slate or without."""
    with_caption = picture_of(prompt, "a", "b", caption=True)
    without = picture_of(prompt, "a", "b", caption=False)

    assert with_caption.tobytes() != without.tobytes()


def test_every_prop_has_an_icon() -> None:
    """A word list can name only what can be drawn, as an icon or by a drawing of our own."""
    assert set(prop_words()) <= set(icons()) | set(SHAPES)
    assert set(SHAPES) <= set(prop_words())


def ink(line: str) -> Image.Image:
    """Draw one line of text on nothing, cut to what can be seen of it."""
    markup = text(20, 60, drawable(line), 32, "#ffffff")
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" width="900" height="90">{markup}</svg>'
    png = resvg_py.svg_to_bytes(svg_string=svg, skip_system_fonts=True, font_files=files_in(svg))
    alpha = Image.open(io.BytesIO(bytes(png))).convert("RGBA").getchannel("A")
    return alpha.crop(alpha.getbbox())


def test_arabic_keeps_its_letters_beside_another_script() -> None:
    """Letters are joined as they are alone, and the first word stands at the right end."""
    alone, mixed = ink("مرحبا بالعالم"), ink("مرحبا بالعالم at")

    def unlike(shift_px: int) -> float:
        """Return the share of ink that differs if the one is laid over the other's right end."""
        left = mixed.width - alone.width + shift_px
        right_end = mixed.crop((left, 0, left + alone.width, alone.height))
        difference = ImageChops.difference(right_end, alone).tobytes()
        return sum(difference) / sum(alone.tobytes())

    assert min(unlike(shift_px) for shift_px in (-1, 0, 1)) < 0.3  # fractions of a pixel remain


def test_a_clean_plate_has_no_word_on_it() -> None:
    """Without a caption there is no slate and no scrim; with one, its words are on the slate."""
    reading = read(Plate("scene_007", "two friends in a cafe", ("Ann Lee", "b")), Cast())
    clean = compose(reading, SMALL, seed=0, caption=False)
    slated = compose(reading, SMALL, seed=0, caption=True)

    assert (clean.overlay, clean.scrim) == (None, None)
    assert "<text" not in clean.background + (clean.foreground or "")
    assert slated.overlay is not None
    for words in ("007", "PREVIZ", "INT. CAFE", "Ann Lee", "Two friends in a cafe"):
        assert words in slated.overlay


def test_bytes_do_not_depend_on_the_hash_seed() -> None:
    """Another process with another order of its sets draws the same picture."""
    script = (
        "import hashlib\n"
        "from stage3_plugin.previz.cast import Cast\n"
        "from stage3_plugin.previz.plate import Plate\n"
        "from stage3_plugin.previz.render import render\n"
        f"png = render(Plate('scene_001', {PROMPT!r}), {SMALL!r}, Cast(), seed=0, caption=True)\n"
        "print(hashlib.sha256(png).hexdigest())\n"
    )

    def digest(hash_seed: str) -> str:
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        done = subprocess.run(
            [sys.executable, "-c", script],
            env=environment,
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=True,
        )
        return done.stdout.strip()

    here = render(Plate("scene_001", PROMPT), SMALL, Cast(), seed=0, caption=True)
    assert digest("1") == digest("4242") == hashlib.sha256(here).hexdigest()


def test_what_a_story_knows_of_somebody_is_drawn() -> None:
    """The same frame with and without its cast differs by that person's look."""
    story = [
        Plate("1", "Close-up of Ann Lee, an old woman with glasses in a yellow coat.", ("c1",)),
        Plate("2", "Close-up of Ann Lee.", ("c1",)),
    ]
    cast = study(story)

    alone = render(story[1], SMALL, Cast(), seed=0, caption=False)
    in_story = render(story[1], SMALL, cast, seed=0, caption=False)
    assert alone != in_story


# Sixty characters fill two lines of a thumbnail; longer texts only repeat what wrapping does.
