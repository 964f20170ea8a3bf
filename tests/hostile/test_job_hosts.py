"""Where the key may go for a job: what an answer names decides nothing."""

from __future__ import annotations

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stage3_plugin.transport.fetching import place_of
from stage3_plugin.transport.job_hosts import JobHosts
from stage3_plugin.transport.picture_hosts import Place

VENDOR = "https://queue.fal.example"
OTHERS = ("api.fal.example", ".region.example")
MINE = "http://127.0.0.1:8080/fal"


def may_ask(url: str, api: str = VENDOR) -> bool:
    """Return whether a job is asked for at an address, read as the one who connects reads it."""
    return JobHosts(api, VENDOR, OTHERS).objection(place_of(httpx.URL(url))) is None


@pytest.mark.parametrize(
    "url, at_the_vendors, at_mine",
    [
        ("https://queue.fal.example/requests/1", True, False),
        ("https://QUEUE.fal.example.:443/requests/1", True, False),
        ("https://api.fal.example/v1/models/requests", True, False),
        ("https://eu1.region.example/v1/get_result?id=1", True, False),
        ("https://a.b.region.example/", True, False),
        ("http://127.0.0.1:8080/requests/1", False, True),
        ("http://127.0.0.1:8081/requests/1", False, False),
        ("http://127.0.0.1/requests/1", False, False),
        ("https://127.0.0.1:8080/requests/1", False, False),
        ("http://queue.fal.example/requests/1", False, False),
        ("https://queue.fal.example:8443/requests/1", False, False),
        ("https://api.fal.example:8443/requests/1", False, False),
        ("http://api.fal.example/requests/1", False, False),
        ("https://region.example/", False, False),
        ("https://.region.example/", False, False),
        ("https://notregion.example/", False, False),
        ("https://region.example.evil.example/", False, False),
        ("https://queue.fal.example@evil.example/requests/1", False, False),
        ("https://evil.example/https://queue.fal.example/", False, False),
        ("https://evil.example#@queue.fal.example/", False, False),
    ],
)
def test_a_job_is_asked_for_at_the_vendors_hosts_or_at_ones_own_server(
    url: str, *, at_the_vendors: bool, at_mine: bool
) -> None:
    """Over TLS and at the usual port; ``base_url`` alone moves all of them elsewhere."""
    assert may_ask(url) == at_the_vendors
    assert may_ask(url, MINE) == at_mine


@pytest.mark.parametrize(
    "api, is_vendors",
    [
        ("https://Queue.fal.example:443/", True),
        ("https://us.region.example", True),  # one of its regions
        ("https://api.fal.example/proxy", True),
        ("http://queue.fal.example", False),
        ("https://queue.fal.example:8443", False),
        ("https://gateway.example/fal", False),
        ("not an address", False),
        ("https://[", False),
    ],
)
def test_the_vendors_address_can_be_written_in_many_ways(api: str, *, is_vendors: bool) -> None:
    """A region of the vendor's is the vendor, and a server before it is not."""
    assert may_ask("https://eu1.region.example/v1/get_result", api) == is_vendors


def test_an_objection_names_the_place_and_no_control_characters() -> None:
    """What an answer names is shown to a person."""
    place = Place("https", "evil.example\x1b[2J", 443)

    assert JobHosts(MINE, VENDOR, OTHERS).objection(place) == (
        r"'https://evil.example\x1b[2J:443' is not where jobs of "
        f"'{MINE}' are asked for"
    )


@pytest.mark.parametrize("url", ["https://queue.fal.example/requests/1", "http://127.0.0.1:8080/"])
def test_of_an_api_that_the_key_is_not_for_nothing_is_asked(url: str) -> None:
    """Such as one that earlier settings named: its jobs wait for a run that has its key."""
    place = place_of(httpx.URL(url))
    objections = [
        JobHosts(api, VENDOR, OTHERS, is_ours=False).objection(place) for api in (VENDOR, MINE)
    ]

    assert all("these settings have no key for" in str(one) for one in objections)


NAMES = st.sampled_from(
    ["queue.fal.example", "api.fal.example", "region.example", "eu.region.example", "a.example"]
) | st.from_regex(r"[a-z0-9.-]{0,20}", fullmatch=True)
PLACES = st.builds(
    Place,
    st.sampled_from(["https", "http"]),
    NAMES,
    st.sampled_from([443, 80, 8080]) | st.integers(1, 65535),
)


def is_vendors(place: Place) -> bool:
    known = place.host in {"queue.fal.example", "api.fal.example"}
    below = place.host.endswith(".region.example") and place.host != ".region.example"
    return (known or below) and (place.scheme, place.port) == ("https", 443)


@given(PLACES, PLACES)
def test_the_key_goes_to_the_server_that_was_set_or_to_the_vendors_that_it_is_of(
    api: Place, place: Place
) -> None:
    """Whatever an answer names, and wherever ``base_url`` leads."""
    hosts = JobHosts(f"{api.scheme}://{api.host}:{api.port}/v1", VENDOR, OTHERS)
    own = Place.of(api.scheme, api.host, api.port)
    may_be_asked = (place == own and own.host != "") or (is_vendors(own) and is_vendors(place))

    assert (hosts.objection(place) is None) == may_be_asked
