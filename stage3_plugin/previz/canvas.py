"""One picture being drawn: its size, its light, its chance, and what its ``<defs>`` will hold.

Shapes are plain strings, but gradients and filters must be defined once and named; the canvas
hands out the names and keeps the definitions until the document is put together.
"""

# Coordinates come in the order of SVG itself; naming each would drown the drawing.

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from stage3_plugin.previz.chance import Chance
from stage3_plugin.previz.colour import darken, mix, multiply
from stage3_plugin.previz.palette import Palette
from stage3_plugin.previz.svg import circle, number

Stop: TypeAlias = tuple[float, str] | tuple[float, str, float]
"""Where along a gradient (0 to 1), which colour, and how solid if not fully."""


@dataclass(slots=True)
class Canvas:
    """What every drawing function needs to know, and the definitions it leaves behind.

    Attributes:
        width_px: the picture's width.
        height_px: the picture's height.
        chance: where every choice comes from, in drawing order.
        palette: the light; a room replaces its ambient part (``lit_by``).
        people: how many characters will stand in front, so that landmarks make room for them.
        bamboo: whether a forest is one of bamboo.
        features: what else the place shows: words of ``scenes.toml``, and who is afloat.
        definitions: what goes between ``<defs>`` and ``</defs>``.
    """

    width_px: int
    height_px: int
    chance: Chance
    palette: Palette
    people: int = 0
    bamboo: bool = False
    features: frozenset[str] = frozenset()
    definitions: list[str] = field(default_factory=list[str])
    _named: int = 0

    @property
    def short_px(self) -> int:
        """Return the shorter side: sizes of things are shares of it."""
        return min(self.width_px, self.height_px)

    def identifier(self, prefix: str = "g") -> str:
        """Return a name that no other definition of this picture has."""
        self._named += 1
        return f"{prefix}{self._named}"

    def linear(
        self,
        stops: Iterable[Stop],
        x1: float = 0,
        y1: float = 0,
        x2: float = 0,
        y2: float = 1,
        *,
        user_space: bool = False,
    ) -> str:
        """Define a straight gradient, from top to bottom by default; return the fill to use.

        The ends are shares of the shape's box, or pixels of the picture with ``user_space``.
        """
        ends = {"x1": x1, "y1": y1, "x2": x2, "y2": y2}
        return self._gradient("linearGradient", ends, stops, user_space=user_space)

    def radial(
        self,
        stops: Iterable[Stop],
        cx: float = 0.5,
        cy: float = 0.5,
        r: float = 0.5,
        *,
        user_space: bool = False,
    ) -> str:
        """Define a round gradient, from the middle outwards; return the fill to use.

        The circle is in shares of the shape's box, or pixels of the picture with ``user_space``.
        """
        ends = {"cx": cx, "cy": cy, "r": r}
        return self._gradient("radialGradient", ends, stops, user_space=user_space)

    def _gradient(
        self, element: str, ends: dict[str, float], stops: Iterable[Stop], *, user_space: bool
    ) -> str:
        name = self.identifier()
        where = " ".join(
            f'{key}="{number(value) if user_space else value}"' for key, value in ends.items()
        )
        units = ' gradientUnits="userSpaceOnUse"' if user_space else ""
        body = "".join(map(_stop, stops))
        self.definitions.append(f'<{element} id="{name}" {where}{units}>{body}</{element}>')
        return f"url(#{name})"

    def blur(self, sd: float) -> str:
        """Define a soft-focus filter of ``sd`` pixels. Expensive: 0.3 s for a whole frame."""
        name = self.identifier("b")
        self.definitions.append(
            f'<filter id="{name}" x="-20%" y="-20%" width="140%" height="140%">'
            f'<feGaussianBlur stdDeviation="{number(sd)}"/></filter>'
        )
        return f"url(#{name})"

    def clip(self, shape: str) -> str:
        """Define a stencil from one shape; return the value for a ``clip-path`` attribute."""
        name = self.identifier("cp")
        self.definitions.append(f'<clipPath id="{name}">{shape}</clipPath>')
        return f"url(#{name})"

    def glow(
        self, x: float, y: float, r: float, colour: str, a: float = 0.8, mid: float = 0.35
    ) -> str:
        """Draw a light that fades outwards.

        Args:
            x: its middle in pixels.
            y: its middle in pixels.
            r: how far it reaches in pixels.
            colour: its colour.
            a: how solid it is in the middle.
            mid: at which share of ``r`` it has faded to a third.
        """
        fill = self.radial([(0, colour, a), (mid, colour, a * 0.35), (1, colour, 0)])
        return circle(x, y, r, fill)

    def tone(self, base: str, depth: float = 0.0, shade: float = 0.0) -> str:
        """Return a thing's own colour under this light.

        Args:
            base: its colour in white light.
            depth: 0 is here, 1 is swallowed by the haze.
            shade: how much to darken it at last.
        """
        lit = mix(multiply(base, self.palette.ambient), self.palette.haze, depth)
        return darken(lit, shade) if shade else lit

    def lit_by(self, ambient: str) -> None:
        """Change the ambient light for everything drawn from now on."""
        self.palette = replace(self.palette, ambient=ambient)


def _stop(stop: Stop) -> str:
    alpha = stop[2] if len(stop) == 3 else 1
    solid = f' stop-opacity="{alpha:.3g}"' if alpha < 1 else ""
    return f'<stop offset="{stop[0]:.3g}" stop-color="{stop[1]}"{solid}/>'
