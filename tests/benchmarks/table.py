"""The figures of the benchmarks as one table: what was wanted, what came, and what others need.

Kept as JSON and written as Markdown, both whole; the page about performance includes the latter.
Apart from the run, so that figures can be put beside those of another hour and a table be written
again from what is kept.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

JSON_NAME, MARKDOWN_NAME = "table.json", "table.md"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One figure.

    Attributes:
        name: What was measured.
        value: The figure.
        unit: Of the figure.
        bound: What it should keep to, if anything was promised.
        better: Whether it should be at most or at least that.
        peers: The same figure of others in the same run, by their names.
    """

    name: str
    value: float
    unit: str
    bound: float | None = None
    better: Literal["less", "more"] = "less"
    peers: Mapping[str, float] = field(default_factory=dict[str, float])

    @classmethod
    def of(cls, measured: Mapping[str, Any]) -> Self:
        """Take what a benchmark's ``measure`` gives; a lone peer is the plain way."""
        peer: float | dict[str, float] | None = measured.get("peer")
        peers = peer if isinstance(peer, dict) else {} if peer is None else {"peer": peer}
        return cls(
            name=measured["name"],
            value=measured["value"],
            unit=measured["unit"],
            bound=measured["bound"],
            better=measured.get("better", "less"),
            peers=peers,
        )

    @property
    def holds(self) -> bool | None:
        """Return whether the figure keeps to its bound; ``None`` where nothing was promised."""
        if self.bound is None:
            return None
        return self.value <= self.bound if self.better == "less" else self.value >= self.bound

    @property
    def ratios(self) -> dict[str, float]:
        """Return the figure as a multiple of each peer's."""
        return {name: self.value / other for name, other in self.peers.items() if other}


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """What one benchmark found.

    Attributes:
        name: Of the benchmark.
        about: What it asks, in one line.
        began: When, in UTC.
        took_s: How long it took.
        load: How busy the machine was when it began.
        rows: The figures.
        failed: Why it could not run.
        skipped: What this system lacks for it, or for a part of it.
    """

    name: str
    about: str
    began: str
    took_s: float
    load: float | None
    rows: tuple[Row, ...] = ()
    failed: str | None = None
    skipped: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """All sections, and on what they ran.

    Attributes:
        is_quick: Small numbers, to see that everything runs: no figure is held to a bound.
        command: What was run.
        machine: See :func:`tests.benchmarks.machine.machine`.
        versions: Likewise.
        sections: In the order of the suite.
    """

    is_quick: bool
    command: str
    machine: Mapping[str, str]
    versions: Mapping[str, str]
    sections: tuple[Section, ...]

    @property
    def missed(self) -> list[Row]:
        """Return the figures that do not keep to their bounds."""
        if self.is_quick:
            return []
        return [row for section in self.sections for row in section.rows if row.holds is False]

    @property
    def failed(self) -> list[Section]:
        """Return the benchmarks that could not run."""
        return [section for section in self.sections if section.failed is not None]

    def beside(self, earlier: Table, order: Iterable[str]) -> Table:
        """Put these sections in the place of an earlier table's, if it is of the same machine."""
        is_other = (earlier.machine, earlier.versions) != (self.machine, self.versions)
        if is_other or earlier.is_quick is not self.is_quick:
            return self
        found = {section.name: section for section in (*earlier.sections, *self.sections)}
        return Table(
            is_quick=self.is_quick,
            command=self.command,
            machine=self.machine,
            versions=self.versions,
            sections=tuple(found[name] for name in order if name in found),
        )

    def write(self, folder: Path) -> None:
        """Write both files."""
        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps(_as_json(self), indent=1, ensure_ascii=False) + "\n"
        (folder / JSON_NAME).write_text(text, encoding="utf-8")
        (folder / MARKDOWN_NAME).write_text(self.markdown(), encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> Table | None:
        """Read what :meth:`write` wrote; ``None`` if there is nothing."""
        path = folder / JSON_NAME
        if not path.exists():
            return None
        kept: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        sections: list[Section] = []
        for section in kept.pop("sections"):
            rows = tuple(
                Row(**{name: row[name] for name in Row.__dataclass_fields__})
                for row in section.pop("rows")
            )
            sections.append(Section(**section, rows=rows))
        return cls(**kept, sections=tuple(sections))

    def markdown(self) -> str:
        """Write the table for people."""
        facts = [("Command", f"`{self.command}`"), *self.machine.items()]
        facts.append(("versions", ", ".join(f"{name} {at}" for name, at in self.versions.items())))
        lines = ["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in facts), ""]
        for section in self.sections:
            lines += _section_lines(section, is_quick=self.is_quick)
        return "\n".join(lines)


def _as_json(table: Table) -> dict[str, Any]:
    """Return plain values; ``holds`` and ``ratios`` are there for who reads the file alone."""
    sections = [
        asdict(section)
        | {
            "rows": [
                asdict(row) | {"holds": None if table.is_quick else row.holds, "ratios": row.ratios}
                for row in section.rows
            ]
        }
        for section in table.sections
    ]
    return asdict(table) | {"sections": sections}


def _section_lines(section: Section, *, is_quick: bool) -> list[str]:
    load = "" if section.load is None else f", load average {section.load:g} at its beginning"
    lines = [
        f"**{section.name}**: {section.about}",
        "",
        f"Begun {section.began} UTC, took {section.took_s:.0f} s{load}.",
        "",
    ]
    if section.failed is not None:
        return [*lines, f"It could not run: {section.failed}", ""]
    if section.skipped is not None:
        lines += [f"Not measured: {section.skipped}", ""]
    if not section.rows:
        return lines
    lines += [
        "| figure | value | wanted | holds | others in the same run |",
        "|---|--:|--:|---|---|",
    ]
    return [*lines, *(_row_line(row, is_quick=is_quick) for row in section.rows), ""]


def _row_line(row: Row, *, is_quick: bool) -> str:
    bound = sign = ""
    if row.bound is not None and not is_quick:
        bound = f"{'≤' if row.better == 'less' else '≥'} {_figure(row.bound)}"
        sign = "yes" if row.holds else "**no**"
    ratios = row.ratios
    peers = [
        f"{name} {_figure(other)}" + (f" ({ratios[name]:.2f}×)" if name in ratios else "")
        for name, other in row.peers.items()
    ]
    cells = (row.name, _figure(row.value), row.unit, bound, sign, ", ".join(peers))
    return f"| {' | '.join(cells)} |"


def _figure(value: float) -> str:
    """Write three digits that count, or all of a large one."""
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"
