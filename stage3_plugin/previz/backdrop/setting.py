"""What the drawing of a backdrop takes and what it returns.

Apart from the places themselves, because all twenty-eight use these few types and none of them
needs to know another.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

from stage3_plugin.previz.canvas import Canvas
from stage3_plugin.previz.colour import mix, multiply
from stage3_plugin.previz.svg import Point

Box: TypeAlias = tuple[float, float, float, float]
"""x, y, width and height in pixels."""

SUNLESS: Final = frozenset({"rain", "storm", "overcast"})
"""Weathers that hide sun and moon altogether."""
VEILED: Final = SUNLESS | {"fog", "snow"}
"""Weathers in which the sky is not clear."""
SNOW: Final = "#e6eef6"


@dataclass(frozen=True, slots=True)
class Berth:
    """A place for a boat: the middle of its waterline, and how it is tilted, in degrees."""

    x: float
    y: float
    tilt: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Backdrop:
    """A drawn place, and what figures and light need to know about it.

    Attributes:
        markup: SVG elements; their gradients are in the canvas' definitions.
        ground_px: the y on which something in the middle distance stands.
        indoors: whether there are walls around.
        sun_px: where the sun or moon is, or would be behind clouds; None without a sky.
        door: the foot of a house's door, if there is one to stand at.
        door_height_px: its height; 0 without a door.
        lamp: where a room's own light hangs; None outdoors.
        window: a room's window, if it has one.
        window_left: whether the window, or what stands for it, is to the left.
        waterline_px: the y on which boats float; None for a little below the horizon.
        berth: where the waves put a boat, if they do.
    """

    markup: str
    ground_px: float
    indoors: bool = False
    sun_px: Point | None = None
    door: Point | None = None
    door_height_px: float = 0.0
    lamp: Point | None = None
    window: Box | None = None
    window_left: bool = False
    waterline_px: float | None = None
    berth: Berth | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outdoors:
    """The conditions an outdoor place is drawn under.

    Attributes:
        canvas: where to.
        horizon_px: the y of the horizon.
        time: a key of ``PALETTES``.
        weather: one word, ``clear`` if nothing is said.
        sun_px: where the sky has put the sun; the corner (0, 0) without a sky.
    """

    canvas: Canvas
    horizon_px: float
    time: str
    weather: str
    sun_px: Point = (0.0, 0.0)

    @property
    def is_night(self) -> bool:
        """Return whether lamps are on."""
        return self.time == "night"

    @property
    def is_snowy(self) -> bool:
        """Return whether the ground is white."""
        return self.weather == "snow"

    def snowed(self, colour: str) -> str:
        """Return the ground's own colour: nearly white while it snows."""
        return mix(colour, SNOW, 0.85) if self.is_snowy else colour

    def powdered(self, colour: str) -> str:
        """Return the own colour of what stands up out of the snow and catches some of it."""
        return mix(colour, SNOW, 0.45) if self.is_snowy else colour

    @property
    def lit_share(self) -> float:
        """Return the share of windows with light in them."""
        return {"night": 0.42, "evening": 0.36, "sunset": 0.22}.get(self.time, 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenery:
    """What one outdoor place adds to its sky.

    Attributes:
        markup: SVG elements.
        ground_px: as in ``Backdrop``; None for a little below the horizon.
        door: as in ``Backdrop``.
        door_height_px: as in ``Backdrop``.
        hides_sky: whether the sky need not be drawn behind it.
        waterline_px: as in ``Backdrop``.
        berth: as in ``Backdrop``.
    """

    markup: str
    ground_px: float | None = None
    door: Point | None = None
    door_height_px: float = 0.0
    hides_sky: bool = False
    waterline_px: float | None = None
    berth: Berth | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """The conditions an indoor place is furnished under.

    Attributes:
        canvas: where to.
        horizon_px: the y of the eye.
        time: a key of ``PALETTES``.
        weather: what the window shows.
        is_dim: whether the light is low.
        light: what furniture's own colours are multiplied with.
        wall: the wall's colour in this light.
        floor: the floor's colour in this light.
        frame: the window frame's colour in this light.
        floor_px: the y where wall and floor meet.
        window: where the window goes, if there is one.
        window_left: to which side it goes.
    """

    canvas: Canvas
    horizon_px: float
    time: str
    weather: str
    is_dim: bool
    light: str
    wall: str
    floor: str
    frame: str
    floor_px: float
    window: Box | None
    window_left: bool

    @property
    def is_night(self) -> bool:
        """Return whether it is dark outside."""
        return self.time == "night"

    @property
    def needs_lamps(self) -> bool:
        """Return whether lamps are on."""
        return self.is_night or self.is_dim or self.time == "evening"

    @property
    def is_sunless(self) -> bool:
        """Return whether no sun comes in: it is gone, or clouds hide it."""
        return self.time in {"night", "evening"} or self.weather in SUNLESS

    @property
    def furniture_px(self) -> float:
        """Return the x of the furniture's middle: across from the window."""
        if self.window is None:
            return self.canvas.width_px * 0.5
        return self.canvas.width_px - (self.window[0] + self.window[2] / 2)

    def beside_window(self, half_px: float) -> float:
        """Return the middle of something on the wall, ``half_px`` to each side, next to the window.

        What does not fit there leaves the picture and does not hang over the glass.
        """
        if self.window is None:
            return self.furniture_px
        x, _, width, _ = self.window
        gap = width * 0.18
        if self.window_left:
            return max(self.furniture_px, x + width + gap + half_px)
        return min(self.furniture_px, x - gap - half_px)

    def painted(self, colour: str) -> str:
        """Return a thing's colour in this room's light."""
        return multiply(colour, self.light)


@dataclass(frozen=True, slots=True, kw_only=True)
class Furnishing:
    """What one indoor place adds to its walls.

    Attributes:
        markup: SVG elements.
        hides_walls: whether the plain walls and floor need not be drawn behind it.
        floor_px: where its floor begins, if not where the plain one does.
    """

    markup: str
    hides_walls: bool = False
    floor_px: float | None = None
