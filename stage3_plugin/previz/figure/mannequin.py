"""A body without clothes on: proportions, colours, and the map from body to picture.

Every part of a figure is drawn in heads: the middle of the head is (0, 0), one unit is a head's
height, y goes down. One body serves every shot; only scale and crop change. A mannequin may be a
silhouette, in which everything has one colour and nothing inside the outline is drawn.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from stage3_plugin.previz.canvas import Canvas
from stage3_plugin.previz.colour import darken, mix, multiply
from stage3_plugin.previz.figure.look import Look
from stage3_plugin.previz.palette import SKIN
from stage3_plugin.previz.svg import Point, curve, stroke

NECK: Final = 0.62
"""Where the shoulders begin."""
FIGURE_LIFT: Final = 0.34
"""How much lighter than the place figures are lit, so that they stand out from it."""


@dataclass(frozen=True, slots=True)
class Proportions:
    """Measures of one body in heads; widths are half widths.

    Attributes:
        shoulder: from the middle to a shoulder.
        waist: from the middle to the waist's side.
        hip: from the middle to a hip.
        hip_y: the height of the hips.
        foot_y: the height of the ankles.
        hem: how far down the outfit reaches.
        skirt: half the outfit's width down there.
    """

    shoulder: float
    waist: float
    hip: float
    hip_y: float
    foot_y: float
    hem: float
    skirt: float


def standing_foot_y(look: Look) -> float:
    """Return the height of the ankles in a standing figure."""
    return 5.0 if look.age == "child" else 6.55 if look.female else 6.7


def proportions(look: Look, *, seated: bool = False) -> Proportions:
    """Measure a body and its outfit."""
    is_child = look.age == "child"
    shoulder = (0.74 if look.female else 0.88) * (0.82 if is_child else 1)
    waist = shoulder * (0.66 if look.female else 0.78)
    hip = shoulder * (0.80 if look.female else 0.78)
    hip_y = 2.55 if is_child else 3.15
    foot_y = standing_foot_y(look)
    hems = {
        "labcoat": 4.55,
        "robe": foot_y - 0.15,
        "dress": 4.9,
        "coat": 4.1,
        "raincoat": 4.25,
        "suit": hip_y + 0.25,
        "armor": hip_y + 0.3,
        "spacesuit": hip_y + 0.2,
    }
    hem = hems.get(look.outfit, hip_y + 0.12)
    if is_child:
        hem = min(hem, hip_y + (1.0 if hem > hip_y + 0.5 else 0.2))
    if seated:
        foot_y = hip_y + (1.75 if is_child else 2.3)
        hem = min(hem, hip_y + 0.3)
    flare = {"labcoat": 1.02, "robe": 1.28, "dress": 1.45, "coat": 1.08, "raincoat": 1.2}.get(
        look.outfit, 1.0
    )
    skirt = hip * flare + (0.05 if look.outfit == "labcoat" else 0)
    if look.age == "old":
        shoulder *= 0.93
    return Proportions(shoulder, waist, hip, hip_y, foot_y, hem, skirt)


@dataclass(frozen=True, slots=True)
class Paint:
    """The colours of one figure in the light it stands in.

    Attributes:
        ambient: the light itself.
        skin: face and hands.
        hair: hair and brows.
        beard: hair on the face.
        main: the character's own colour.
        coat: the outfit.
        inner: what shows under it.
        trousers: the legs.
    """

    ambient: str
    skin: str
    hair: str
    beard: str
    main: str
    coat: str
    inner: str
    trousers: str


COATS: Final[Mapping[str, str]] = MappingProxyType(
    {"labcoat": "#f2f4f5", "suit": "#2c3346", "armor": "#a9b3c0", "spacesuit": "#eef0f3"}
)
"""Outfits with a colour of their own."""
OPEN_OUTFITS: Final = frozenset({"labcoat", "suit", "coat", "armor", "raincoat", "spacesuit"})
"""Outfits under which the character's colour shows."""


def paint(canvas: Canvas, look: Look, colour: str) -> Paint:
    """Choose a figure's colours; ``colour`` is the character's own."""
    ambient = mix(canvas.palette.ambient, "#ffffff", FIGURE_LIFT)
    dyed = {"robe": mix(colour, "#f3ece0", 0.12), "coat": mix(colour, "#3a3233", 0.45)}
    dyed["raincoat"] = "#e3b53b"  # the usual one
    coat = COATS.get(look.outfit) or dyed.get(look.outfit, colour)
    if look.garment and look.outfit not in {"labcoat", "spacesuit"}:
        coat = look.garment
    shows_main = look.outfit in OPEN_OUTFITS or look.garment
    return Paint(
        ambient=ambient,
        skin=multiply(SKIN, ambient),
        hair=multiply(look.hair_colour, ambient),
        beard=multiply(look.beard_colour or look.hair_colour, ambient),
        main=multiply(colour, ambient),
        coat=multiply(coat, ambient),
        inner=multiply(colour if shows_main else mix(colour, "#ffffff", 0.75), ambient),
        trousers=multiply(_trousers(look, coat), ambient),
    )


def _trousers(look: Look, coat: str) -> str:
    """Return the legs' own colour: cut from the outfit's cloth where the two belong together."""
    match look.outfit:
        case "suit":
            return darken(coat, 0.12)
        case "spacesuit":
            return darken(coat, 0.16)
        case "armor":
            return darken(coat, 0.42)
        case "labcoat":
            return "#454b5c"
        case _:
            return "#3c4257"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mannequin:
    """One figure about to be dressed and drawn.

    Attributes:
        canvas: where to.
        x: the middle of the head in pixels.
        y: the middle of the head in pixels.
        unit: a head's height in pixels.
        look: what it looks like.
        facing: -1 is to the left, 0 to the viewer, 1 to the right.
        full: whether its legs can be seen.
        seated: whether it sits.
        body: its measures.
        paint: its colours.
        seed: what this character's own numbers come from, the same in every frame.
        silhouette: the one colour of everything, if it is a silhouette.
        lean: by how much everything is turned around the hip, in radians, to where it faces.
        room: how far from the middle an arm may reach, in heads.
        clasp: where the hand is that holds a neighbour's, in pixels.
    """

    canvas: Canvas
    x: float
    y: float
    unit: float
    look: Look
    facing: float
    full: bool
    seated: bool
    body: Proportions
    paint: Paint
    seed: int
    silhouette: str | None = None
    lean: float = 0.0
    room: float = math.inf
    clasp: Point | None = None

    @property
    def near(self) -> int:
        """Return the side it turns to: 1 for the right, -1 for the left."""
        return 1 if self.facing >= 0 else -1

    @property
    def is_solid(self) -> bool:
        """Return whether details inside the outline are left out."""
        return self.silhouette is not None

    def at(self, x: float, y: float) -> Point:
        """Return a place on the body in pixels of the picture."""
        if self.lean:
            x, y = self._turned(x, y, self.lean)
        return self.x + x * self.unit, self.y + y * self.unit

    def on_body(self, place: Point) -> Point:
        """Return the place on the body that is at ``place`` in the picture: undoes ``at``."""
        x, y = (place[0] - self.x) / self.unit, (place[1] - self.y) / self.unit
        return self._turned(x, y, -self.lean) if self.lean else (x, y)

    def _turned(self, x: float, y: float, angle: float) -> Point:
        turn, hip = angle * self.near, self.body.hip_y
        across, down = math.cos(turn), math.sin(turn)
        return x * across - (y - hip) * down, hip + x * down + (y - hip) * across

    def px(self, length: float) -> float:
        """Return a length in pixels."""
        return length * self.unit

    def outline(self, *parts: str | Point) -> str:
        """Write path data from commands and places on the body."""
        return curve(*(part if isinstance(part, str) else self.at(*part) for part in parts))

    def ink(self, colour: str) -> str:
        """Return the colour to use for a part: its own, or the silhouette's."""
        return colour if self.silhouette is None else self.silhouette

    def lit(self, colour: str) -> str:
        """Return a thing's colour in the light the figure stands in."""
        return multiply(colour, self.paint.ambient)

    def limb(self, colour: str, width: float) -> str:
        """Return the stroke of something with round ends and corners, ``width`` in heads."""
        return stroke(self.ink(colour), self.px(width), cap=True, join=True)

    def pen(self, colour: str, width: float) -> str:
        """Return the stroke of a drawn line with round ends, ``width`` in heads."""
        return stroke(colour, self.px(width), cap=True)
