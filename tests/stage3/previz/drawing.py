"""A canvas to draw on, and the eyes of the drawing tests: XML, identifiers, pixels."""

import io
import re
from xml.etree import ElementTree

import resvg_py
from PIL import Image

from stage3_plugin.previz.backdrop import INTERIORS, Backdrop, exterior, interior
from stage3_plugin.previz.canvas import Canvas
from stage3_plugin.previz.cast import Cast
from stage3_plugin.previz.chance import Chance
from stage3_plugin.previz.frame import Frame, divide
from stage3_plugin.previz.palette import PALETTES
from stage3_plugin.previz.plate import Plate
from stage3_plugin.previz.props import Chosen, choose
from stage3_plugin.previz.reading import Reading, read
from stage3_plugin.previz.staging import Staging, stage

SMALL = (96, 64)
SIZE = (640, 360)
PLACE = Backdrop(markup="", ground_px=230)


def reading_of(prompt: str, *characters: str) -> Reading:
    """Read a prompt without a story around it."""
    return read(Plate("scene_001", prompt, characters), Cast())


def staged(prompt: str, *characters: str, caption: bool = False) -> tuple[Staging, Chosen, Frame]:
    """Put the people of a prompt in their places."""
    reading = reading_of(prompt, *characters)
    frame, chosen = divide(reading, SIZE, caption=caption), choose(reading)
    return stage(reading, frame, PLACE, chosen, Chance(1)), chosen, frame


def blank(
    size: tuple[int, int] = SMALL,
    *,
    seed: int = 1,
    time: str = "day",
    people: int = 0,
    bamboo: bool = False,
) -> Canvas:
    """Return an empty canvas in the light of a time of day."""
    return Canvas(*size, chance=Chance(seed), palette=PALETTES[time], people=people, bamboo=bamboo)


def backdrop(canvas: Canvas, place: str, time: str, weather: str, *, dim: bool = False) -> Backdrop:
    """Draw a place, indoors or out, with the horizon a little below the middle."""
    horizon_px = canvas.height_px * 0.57
    if place in INTERIORS:
        return interior(canvas, place, horizon_px, time, weather, dim)
    return exterior(canvas, place, horizon_px, time, weather)


def document(canvas: Canvas, markup: str) -> str:
    """Put definitions and markup together into a whole SVG."""
    size = f'width="{canvas.width_px}" height="{canvas.height_px}"'
    definitions = "".join(canvas.definitions)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size}><defs>{definitions}</defs>{markup}</svg>'
    )


def check(canvas: Canvas, markup: str) -> int:
    """Assert that a drawing is well-formed, finite and well-referenced; give its elements."""
    svg = document(canvas, markup)
    elements = list(ElementTree.fromstring(svg).iter())
    names = [element.get("id") for element in elements if element.get("id")]
    used = set(re.findall(r"url\(#(\w+)\)", svg))

    assert len(names) == len(set(names)), "an identifier is used twice"
    assert used <= set(names), "something refers to a definition that is not there"
    assert not re.search(r"\b(nan|inf)\b", svg), "a number is not finite"
    return len(elements)


def pixels(canvas: Canvas, markup: str) -> Image.Image:
    """Let resvg draw it."""
    png = resvg_py.svg_to_bytes(svg_string=document(canvas, markup), skip_system_fonts=True)
    return Image.open(io.BytesIO(bytes(png))).convert("RGB")


def lightness(picture: Image.Image, box: tuple[int, int, int, int]) -> float:
    """Return the mean lightness of a part of a picture, 0 to 255."""
    data = picture.crop(box).convert("L").tobytes()
    return sum(data) / len(data)


def colour_at(picture: Image.Image, x: int, y: int) -> tuple[int, int, int]:
    """Return red, green and blue of one pixel."""
    red, green, blue = picture.crop((x, y, x + 1, y + 1)).tobytes()
    return red, green, blue
