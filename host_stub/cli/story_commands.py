"""The commands of the director's chair: to look at a story, and to say what is wanted of it.

None of them buys anything: what is wanted is written down, and a run makes it. They work on the
story of the out folder, whose scene file the last run noted. ``show`` needs no plugin, as long as
nothing has to be asked of one; it is imported only then.
"""

# ruff: noqa: PLC0415  - like all commands, they import what they need when they are called

from __future__ import annotations

import re
from argparse import Namespace
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from host_stub.cli.commands import select
from host_stub.cli.next_steps import (
    MOST_TAKES_NAMED,
    about_story,
    after_status,
    as_json_too,
    buying,
    capped,
    in_a_line,
    safe,
)
from host_stub.errors import HostError, NoSuchTake, StoryError, UsageError
from host_stub.text.console import Console
from host_stub.text.escape import escaped
from host_stub.text.format import coded, counted, exact

if TYPE_CHECKING:
    from host_stub.commands import NextAction
    from host_stub.contract import Lane
    from host_stub.stage.look import Look
    from host_stub.standing.standing import SceneStanding
    from host_stub.standing.story_state import Price, Status, StoryState
    from host_stub.story.keeper import Story
    from host_stub.story.takes import Take

_NUMBER: Final = re.compile(r"[1-9][0-9]{0,5}")
_DIGEST: Final = re.compile(r"(?:sha256:)?([0-9a-f]{6,64})")
_LONGEST: Final = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class Chair:
    """A story and what can be asked about it."""

    project_dir: Path
    scenes_path: Path
    out_dir: Path
    story: Story
    look: Look
    settles_with: str | None
    plans: bool

    @contextmanager
    def as_it_is_now(self) -> Generator[Chair]:
        """Read the story once more: one that was read knows nothing of what came since."""
        from host_stub.story.keeper import Story

        with Story.copied(self.project_dir, self.out_dir) as story:
            yield replace(self, story=story, look=self.look.at_notes_of(story))

    def path_of(self, take: Take) -> str:
        """Return where a take's file lies, as seen from here."""
        from host_stub.run.picture_paths import from_here

        return from_here(_file_of(self.story, take))

    def note_takes(self, standings: Iterable[SceneStanding]) -> None:
        """Write down what only the plugin knew of, so that a number stays the same take's."""
        for standing in standings:
            noted = {take.number for take in self.story.book.takes_of(standing.scene_id)}
            self.story.book.add([take for take in standing.takes if take.number not in noted])


def status(options: Namespace, console: Console) -> int:
    """Tell how the scenes of a story stand, why, and what making them anew costs."""
    from host_stub.standing.story_state import Status

    with sitting(options, console, write=False) as chair:
        found = Status(path_of=chair.path_of, is_full=console.json_only)
        chair.look.at_all(found.add)
        if options.lane is None and (by_batch := _by_batch(chair, found)) is not None:
            found, options = by_batch, Namespace(**vars(options) | {"lane": "batch"})
        for line in found.as_lines():
            console.say(line)
        if found.state.make.pictures:
            console.say(f"next: {in_a_line(_run_command(options, chair))}")
        if console.json_only:
            console.result(
                found.as_json(),
                next_actions=_after(options, chair, found.state),
            )
    return 0


def _by_batch(chair: Chair, found: Status) -> Status | None:
    """Look once more by the batch lane, if what is on the way was bought so: at its prices."""
    from host_stub.standing.story_state import Status
    from host_stub.story.finding import is_on_the_way_by_batch

    state = found.state
    is_pending = state.states["pending"] or state.sheets["pending"]
    if not is_pending or not is_on_the_way_by_batch(chair.story.book):
        return None
    again = Status(path_of=found.path_of, is_full=found.is_full)
    try:
        chair.look.by_lane("batch").at_all(again.add)
    except HostError:  # the plugin's settings are others by now, and know no batches
        return None
    return again


def takes(options: Namespace, console: Console) -> int:
    """List the takes of a scene."""
    from host_stub.standing.take_list import TakeList

    scene_id: str = options.scene
    with sitting(options, console, write=False) as chair:
        book = chair.story.book
        noted = book.takes_of(scene_id)
        # One that left the file keeps its takes, though there is nothing to compare them with.
        find = chair.look.at_known if noted else chair.look.at
        standing = find([scene_id]).get(scene_id)
        number = book.shown(scene_id)
        shown = next((take for take in noted if take.number == number), None)
        listed = TakeList(
            scene_id=scene_id,
            role=noted[0].role if standing is None else standing.role,
            takes=noted if standing is None else standing.takes,
            shown=shown if standing is None else standing.shown,
            standing=standing,
            notes=[note.note for note in book.notes_of(scene_id)],
            path_of=chair.path_of,
        )
        for line in listed.as_lines():
            console.say(line)
        if console.json_only:
            console.result(
                listed.as_json(), next_actions=_to_look_at(options, scene_id, listed.others)
            )
    return 0


def show(options: Namespace, console: Console) -> int:
    """Show another take of a scene, or take back what was chosen last; at once, and for nothing."""
    from host_stub.config.file import load_config
    from host_stub.run.picture_paths import from_here
    from host_stub.story.keeper import Story

    scene_id: str = options.scene
    if (options.take is None) != options.undo:
        raise UsageError(
            "'show' takes a scene and a take of it, or a scene and --undo",
            hint="'host-stub takes SCENE' lists a scene's takes",
        )
    config = load_config(options.config, options.overrides).choosing(out_dir=options.out)
    with Story.opened(config.project_dir, config.out_dir, write=True) as story:
        before = story.book.shown_take(scene_id)
        if options.undo:
            if not story.undo(scene_id):
                raise UsageError(
                    f"nobody has chosen a take of scene {scene_id[:_LONGEST]!r}",
                    hint="'host-stub show SCENE TAKE' shows another one",
                )
            take = story.book.shown_take(scene_id)
        else:
            take = _show(options, console, story, scene_id)
        warning = None if take is None else _goes_back(options, console, story, take)
        undoing = about_story(options, "show", scene_id, more=["--undo"])
        name = escaped(scene_id, limit=_LONGEST)
        number = None if take is None else take.number
        count = len(story.book.takes_of(scene_id))
        console.say(
            f"{name} shows nothing" if number is None else f"{name} shows take {number} of {count}"
        )
        if warning is not None:
            console.warn(f"warning: {warning}")
        if take is not None and take.role == "sheet" and take != before:
            console.say(
                "scenes that were made with another picture of it are stale now, as "
                "'host-stub status' tells, and the next run would make them anew"
            )
        if not options.undo:
            console.say(f"to take it back: {in_a_line(undoing)}")
        if console.json_only:
            console.result(
                {
                    "format": "stage3-show/1",
                    "scene": scene_id,
                    "take": number,
                    "before": None if before is None else before.number,
                    "shown": None if take is None else take.sha256,
                    "path": None if take is None else from_here(story.files.place_of(take)),
                    "warning": warning,
                },
                next_actions=[
                    safe(as_json_too(undoing), "takes back what was chosen last"),
                    safe(as_json_too(about_story(options, "takes", scene_id)), "lists its takes"),
                ],
            )
    return 0


def reroll(options: Namespace, console: Console) -> int:
    """Want one more take of each scene; a run makes it."""
    from host_stub.standing.take_list import price_of, reroll_of

    with sitting(options, console, write=True) as chair:
        standings = chair.look.at(options.scene)
        rerolls = [reroll_of(one) for one in standings.values()]
        with chair.story.book.transaction():
            chair.note_takes(standings.values())
            for one in rerolls:
                if one.basis is not None and (one.is_new or options.show):
                    chair.story.book.want(
                        one.scene_id, basis=one.basis, takes=one.takes, shows_newest=options.show
                    )
        wanted = [one for one in rerolls if one.problem is None]
        price = price_of(wanted)
        scenes = [part for one in wanted if one.role == "scene" for part in _only(one.scene_id)]
        making = _run_command(options, chair, *scenes)
        next_line = in_a_line(making) if wanted else None
        for one in rerolls:
            (console.say if one.problem is None else console.warn)(f"{one}")
        if next_line is not None:
            console.say(
                f"{counted(price.pictures, 'picture')} to make, {price}; nothing is spent yet"
            )
            console.say(f"next: {next_line}")
        if console.json_only:
            console.result(
                {
                    "format": "stage3-reroll/1",
                    "rerolls": [one.as_json() for one in rerolls],
                    "to_make": price.pictures,
                    "cost_high_usd": exact(price.usd),
                    "next": next_line,
                },
                next_actions=_to_make(chair, making, price) if wanted else (),
            )
    return 0 if len(wanted) == len(rerolls) else 1


def import_picture(options: Namespace, console: Console) -> int:
    """Make one's own picture a take of a scene, and show it."""
    scene_id: str = options.scene
    with sitting(options, console, write=True) as chair:
        standing = chair.look.at([scene_id])[scene_id]
        chair.note_takes([standing])
        take = chair.story.import_file(
            scene_id, options.file, basis=standing.basis, role=standing.role
        )
        path = chair.path_of(take)
        name = escaped(scene_id, limit=_LONGEST)
        console.say(f"{name} shows take {take.number}, imported from {options.file}")
        warning = None
        if standing.basis is None:
            names = ", ".join(escaped(one, limit=_LONGEST) for one in standing.waits_for[:5])
            line = f"{names or 'what it shows'} is to be made anew first: the next run makes {name}"
            warning = coded("not_for_long", line)
            console.warn(f"warning: {warning}")
        else:
            console.say("as long as the scene stays as it is, a run makes no other one by itself")
        undoing = about_story(options, "show", scene_id, more=["--undo"])
        console.say(f"to take it back: {in_a_line(undoing)}")
        if console.json_only:
            console.result(
                {
                    "format": "stage3-import/1",
                    "scene": scene_id,
                    "take": take.number,
                    "sha256": take.sha256,
                    "path": path,
                    "width": take.width,
                    "height": take.height,
                    "warning": warning,
                },
                next_actions=[safe(as_json_too(undoing), "shows what was shown before")],
            )
    return 0


def sheet(options: Namespace, console: Console) -> int:
    """Draw what every scene shows on one picture, or a few where the story is long."""
    from host_stub.review.contact_sheet import CELLS, Cell, write_pages
    from host_stub.run.picture_paths import from_here
    from host_stub.standing.story_state import StoryState

    with sitting(options, console, write=False) as chair:
        state = StoryState()
        cells: list[Cell] = []

        def add(standing: SceneStanding) -> None:
            state.add(standing)
            cells.append(_cell(chair, standing))

        chair.look.at_all(add)
        title = f"{chair.scenes_path.name} · {state.in_words()}"
        pages: list[dict[str, Any]] = []
        try:
            for path in write_pages(chair.out_dir, title, cells):
                first = len(pages) * CELLS
                names = [cell.name for cell in cells[first : first + CELLS]]
                pages.append({"path": from_here(path), "scenes": names})
                console.progress(f"page {len(pages)} of {-(-len(cells) // CELLS)}")
        except OSError as error:
            from host_stub.errors import ResultsNotWritten

            raise ResultsNotWritten(chair.out_dir, error) from error
        console.progress("")
        for page in pages:
            console.say(f"wrote {page['path']}")
        if console.json_only:
            told = {"format": "stage3-contact-sheet/1", "pages": pages, "story": state.as_json()}
            console.result(told, next_actions=_after(options, chair, state))
    return 0


@contextmanager
def sitting(options: Namespace, console: Console, *, write: bool) -> Generator[Chair]:
    """Open the story of the out folder for a command that asks its plugin about it.

    Raises:
        HostError: The config, the plugin, the scene file or the story cannot be used.
    """
    from host_stub.stage.asking import RunOptions
    from host_stub.stage.look import Look
    from host_stub.story.finding import remember_scenes, remembered_scenes
    from host_stub.story.keeper import Story

    config, chosen = select(options, console, is_looking=True)
    lane: Lane | None = getattr(options, "lane", None)
    folders = (config.project_dir, config.out_dir)
    with Story.opened(*folders, write=True) if write else Story.copied(*folders) as story:
        if write:
            story.keep_edited()
        path: Path | None = options.scenes
        if path is None:
            path = remembered_scenes(story.book, config.project_dir)
        elif write:
            remember_scenes(story.book, config.project_dir, path)
        asked = RunOptions(
            scenes_path=path,
            lane=lane,
            out_dir=config.out_dir,
            journal=None,
            max_in_flight=config.max_in_flight,
        )
        look = Look(chosen.image, asked, story)
        can = chosen.image.description.capabilities
        yield Chair(
            project_dir=config.project_dir,
            scenes_path=path,
            out_dir=config.out_dir,
            story=story,
            look=look,
            settles_with=chosen.image.name if can.resumes else None,
            plans=can.plans,
        )


def _to_look_at(options: Namespace, scene_id: str, others: Sequence[int]) -> Iterator[NextAction]:
    """Return the commands that show another take of a scene, the newest first."""
    for number in sorted(others, reverse=True)[:MOST_TAKES_NAMED]:
        yield safe(
            as_json_too(about_story(options, "show", scene_id, str(number))),
            f"shows take {number} instead",
        )


def _to_make(chair: Chair, making: tuple[str, ...], price: Price) -> Iterator[NextAction]:
    """Return the commands that price and make what is wanted."""
    if chair.plans:
        yield safe(
            as_json_too((making[0], "plan", *making[2:])),
            "tells what that run would buy, and the hash that confirms it",
        )
    run = as_json_too(capped(making, price.usd))
    yield buying(run, "makes what is wanted of these scenes", price.usd)


def _only(scene_id: str) -> tuple[str, ...]:
    """Return the words that choose a scene; an id that begins like an option stands behind a =."""
    if scene_id.startswith("-"):
        return (f"--scene={scene_id}",)
    return ("--scene", scene_id)


def _show(options: Namespace, console: Console, story: Story, scene_id: str) -> Take:
    """Show the take that is named; what the story lacks is asked of the plugin.

    A take that no note has is one that the plugin still knows of, where notes were lost; a file
    that is not there is one that the plugin still has.
    """
    from host_stub.stage.look import fetch_from

    number = _numbered(story, scene_id, options.take)
    if number is None:
        with sitting(options, console, write=True) as chair:
            chair.note_takes(chair.look.at([scene_id]).values())
        number = _numbered(story, scene_id, options.take)
    if number is None:
        there = [take.number for take in story.book.takes_of(scene_id)]
        if _NUMBER.fullmatch(options.take):
            raise NoSuchTake(scene_id, int(options.take), there)
        raise UsageError(
            f"scene {scene_id[:_LONGEST]!r} has no take {options.take[:_LONGEST]!r}; a take is "
            "named by its number, or by 6 or more digits of its sha256",
            hint="'host-stub takes SCENE' lists a scene's takes",
        )
    try:
        return story.show(scene_id, number)
    except StoryError:
        plugin = select(options, console, is_looking=True)[1].image
        story.put_back(
            lambda one: one == scene_id, lambda sha256, into: fetch_from(plugin, sha256, into)
        )
        return story.show(scene_id, number)


def _numbered(story: Story, scene_id: str, named: str) -> int | None:
    """Return the number of a take that is named by it, or by digits of its hash."""
    takes = story.book.takes_of(scene_id)
    if _NUMBER.fullmatch(named):
        number = int(named)
        if any(take.number == number for take in takes):
            return number
    digest = _DIGEST.fullmatch(named)
    found = [take.number for take in takes if digest and take.sha256.startswith(digest[1])]
    return found[0] if found else None


def _goes_back(options: Namespace, console: Console, story: Story, take: Take) -> str | None:
    """Say so if the next run shows another take than the one that was chosen.

    Only where takes were made from different wishes: else there is nothing to ask, and a scene
    shows another take without its plugin.
    """
    if len({(one.basis, one.is_draft) for one in story.book.takes_of(take.scene_id)}) < 2:
        return None
    try:
        with sitting(options, console, write=False) as chair:
            standing = chair.look.at([take.scene_id])[take.scene_id]
    except HostError:
        return None  # it is shown all the same, and a run will say
    due = standing.due
    if due is None or due.number == take.number:
        return None
    what = "is a draft" if take.is_draft else "was made from what the scene was then"
    return coded(
        "not_for_long",
        f"take {take.number} {what}, so the next run shows take {due.number} again; "
        f"to keep it, import its file: host-stub import SCENE FILE",
    )


def _file_of(story: Story, take: Take) -> Path:
    """Return a file with a take's bytes: its place, or what is shown where it lies nowhere else.

    So it is with a picture that was edited by hand.
    """
    place = story.files.place_of(take)
    if place.exists():
        return place
    image = story.files.image_of(take)
    is_it = image.is_file() and story.files.digest_of_image(image.name) == take.sha256
    return image if is_it else place


def _cell(chair: Chair, standing: SceneStanding) -> Any:
    """Lay out what the contact sheet says of one scene."""
    from host_stub.review.contact_sheet import Cell

    shown = standing.shown
    about = [", ".join(standing.reasons)] if standing.reasons else []
    if shown is not None:
        kind = "draft" if shown.is_draft else "take"
        about.append(f"{kind} {shown.number} of {len(standing.takes)}")
        about += ["imported"] if shown.is_import else []
        about += ["wrong aspect"] if standing.wrong_aspect else []
    scene = standing.scene
    return Cell(
        name=standing.scene_id,
        state=standing.state,
        about=" · ".join(about),
        words="a sheet" if scene is None else scene.prompt,
        picture=None if shown is None else _file_of(chair.story, shown),
    )


def _run_command(options: Namespace, chair: Chair, *more: str) -> tuple[str, ...]:
    """Return the command that makes what is wanted."""
    from host_stub.run.picture_paths import from_here

    return about_story(options, "run", from_here(chair.scenes_path), more=more)


def _after(options: Namespace, chair: Chair, state: StoryState) -> Iterator[NextAction]:
    """Return what may come after a look at the story."""
    from host_stub.run.picture_paths import from_here

    scenes, can_settle = from_here(chair.scenes_path), chair.settles_with
    return after_status(options, scenes, state, settles_with=can_settle, plans=chair.plans)
