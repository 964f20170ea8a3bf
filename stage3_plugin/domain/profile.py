"""What is known of a provider beforehand, as data: its hosts, its key, and what it can do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from stage3_plugin.runtime.declared import Address, Header, Line, LineOrEmpty, Seconds

Unsayable: TypeAlias = Literal["output_format", "background", "quality"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """What a provider's listing of our jobs can prove of a request whose answer was lost.

    Attributes:
        proves_absence: It shows jobs of every state, those in work included: what is not in it
            never arrived. Else it can only find.
        settle_s: Seconds after which a job is sure to be in it.
        reaches_back_s: Seconds for which the provider promises to list a job.
    """

    proves_absence: bool = False
    settle_s: Seconds
    reaches_back_s: Seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What is known of a provider beforehand, as data.

    Attributes:
        name: Its name in the settings.
        vendor: Whose service it is, as people call them; empty where that is its name.
        base_url: Where its API lives, unless the settings say otherwise.
        key_variable: The environment variable its key usually sits in, for hints.
        needs_key: Whether a key must be given.
        key_header: The header the key goes into, lower case.
        key_prefix: What stands before the key there.
        billed_statuses: Statuses of its own error answers that may have been billed, beside those
            of ``unbilled``.
        empty_is_unbilled: Whether a success without a picture is documented as free.
        picture_hosts: Hosts its picture addresses may live on, beside the API's own; a name with
            a leading dot stands for every host below it.
        seed: Has a field for a seed.
        negative_prompt: Has a field for a negative prompt.
        references: Takes reference pictures.
        unsaid: Wishes about the file that its requests have no field for, and ``quality`` where
            they have none for that.
        reports_cost: Answers carry their cost.
        pictures_last_s: Seconds that its picture addresses are good for, where it says so.
        has_jobs: A request may be answered by an :class:`~stage3_plugin.domain.job.Accepted`, or a
            lost one asked for: its purchases have a row in ``jobs``.
        token_is_seed: The seed of a request stands for its token; one that a person set is none.
        job_hosts: Hosts beside the API's own where jobs and listings are asked for, with the key; a
            leading dot as above. Where ``base_url`` is another's, that alone is asked.
        keeps_s: Seconds for which its queue keeps a job and what came of it; ``None`` where every
            request is answered at once.
        listing: What its listing can prove; ``None`` where it has none that helps.
    """

    name: Line
    base_url: Address
    key_variable: Line
    needs_key: bool = True
    key_header: Header = "authorization"
    key_prefix: LineOrEmpty = "Bearer "
    billed_statuses: frozenset[int] = frozenset()
    empty_is_unbilled: bool = False
    picture_hosts: tuple[Line, ...] = ()
    seed: bool = False
    negative_prompt: bool = False
    references: bool = False
    unsaid: frozenset[Unsayable] = frozenset()
    reports_cost: bool = False
    pictures_last_s: Seconds | None = None
    vendor: LineOrEmpty = ""
    has_jobs: bool = False
    token_is_seed: bool = False
    job_hosts: tuple[Line, ...] = ()
    keeps_s: Seconds | None = None
    listing: Listing | None = None
