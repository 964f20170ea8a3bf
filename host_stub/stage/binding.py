"""Holds a run to what was confirmed: asked of its open stage, before anything else happens.

Nothing is sent, and but for the note of what was confirmed nothing is written, not even what
decisions say: that comes to be only once it is known that the run may go on.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from host_stub.contract import ImageStage
from host_stub.decisions.merge import Merged
from host_stub.errors import NotConfirmed, PluginError, StoryError
from host_stub.plugins.selection import SelectedPlugin
from host_stub.stage.asking import RunOptions
from host_stub.stage.confirming import Foreseen
from host_stub.stage.question import Answered, answered
from host_stub.stage.survey import Inquiry
from host_stub.story.confirmed import HINT, keep_confirmed, path_of, read_confirmed
from host_stub.story.keeper import Story
from host_stub.text.format import exact

_ANOTHER: Final = "what would be bought is not what was confirmed"


async def hold_to(
    confirm: str,
    plugin: SelectedPlugin,
    stage: ImageStage,
    options: RunOptions,
    merged: Merged | None,
) -> None:
    """See that a run would buy what was confirmed, or less.

    Args:
        confirm: The hash of it.
        plugin: Whose stage it is.
        stage: It, open.
        options: What the run is asked to do.
        merged: Decisions that it would obey first.

    Raises:
        NotConfirmed: It would buy something else, more, or for more.
        PluginError: The plugin makes no plans.
        HostError: The scenes cannot be read, or the plugin cannot tell.
    """
    if not plugin.description.capabilities.plans:
        raise PluginError(
            plugin.name,
            plugin.source,
            "cannot tell what a run would make and cost, so nobody can confirm it",
            hint="leave --confirm out; --max-cost bounds a run",
        )
    project_dir = plugin.services.project_dir
    with Story.copied(project_dir, options.out_dir) as story:
        found = await answered(Inquiry.about(plugin, options, story), merged, stage)
    _need_room(found)
    foreseen = found.foreseen
    assert foreseen is not None, "what cannot be confirmed was refused"
    if foreseen.hash == confirm:
        _need_cap(found, options, confirm)
        keep_confirmed(project_dir, confirm, foreseen.as_record())
        return
    # Read only now: who has bought something of it in the meantime has written it down before.
    kept = _kept(project_dir, confirm)
    why = [_ANOTHER] if kept is None else foreseen.beyond(kept)
    if why:
        raise NotConfirmed(why, confirm=foreseen.hash, cost_high_usd=foreseen.cost_usd)
    _need_cap(found, options, confirm)


def _kept(project_dir: Path, confirm: str) -> Foreseen | None:
    """Return what was written down of a confirmation, if a run was started with it here."""
    record = read_confirmed(project_dir, confirm)
    if record is None:
        return None
    try:
        return Foreseen.from_record(record)
    except ValueError as error:
        path = path_of(project_dir, confirm)
        raise StoryError(path, "it is no confirmation", hint=HINT) from error


def _need_room(found: Answered) -> None:
    """Refuse what nobody can confirm; where only the run's own cap is too low, say which is not."""
    why = found.unconfirmable()
    if why is None:
        return
    whole = found.whole
    if whole is None:
        raise NotConfirmed([why], confirm=None, cost_high_usd=None)
    needs_usd = exact(whole.cost_high_usd)
    now = found.question.foreseen(whole)
    raise NotConfirmed([why], confirm=now.hash, cost_high_usd=needs_usd, needs_usd=needs_usd)


def _need_cap(found: Answered, options: RunOptions, confirm: str) -> None:
    """Refuse to spend under no cap."""
    high = found.answer.cost_high_usd
    if high and options.max_cost_usd is None:
        raise NotConfirmed(
            ["a confirmed run needs a cap"],
            confirm=confirm,
            cost_high_usd=exact(high),
            needs_usd=exact(high),
        )
