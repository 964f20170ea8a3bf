"""Laws about what is sent."""

from __future__ import annotations

import json
import os
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace

from stage3_plugin.domain.exchange import Send
from stage3_plugin.domain.free_checks import Ask
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.testing.subject import AT, TOKEN, WISH, Subject, must
from stage3_plugin.transport.bodies import body_of

WISHES: dict[str, PictureRequest] = {
    "plain": WISH,
    "without a token": replace(WISH, token=None),
    "a seed": replace(WISH, seed=7),
    "a negative prompt": replace(WISH, negative_prompt="people"),
    "JPEG": replace(WISH, output_format="jpeg"),
    "WebP": replace(WISH, output_format="webp"),
    "transparent": replace(WISH, background="transparent"),
    "low quality": replace(WISH, quality="low"),
    "high quality": replace(WISH, quality="high"),
    "wide": replace(WISH, width_px=1536, height_px=1024),
    "a strange prompt": replace(WISH, prompt='"\\\n\0 {"a": 1} \u202e \U0001f4a1 </script>'),
}
"""What people want, one thing at a time."""

ELSEWHERE = f"{AT}/elsewhere"
_KEY = "sk-of-the-environment-0123456789"
KEY_HEADERS = {"authorization", "proxy-authorization", "cookie", "x-api-key", "api-key"}


def begin_has_no_side_effects_and_sends_no_key(subject: Subject) -> int:
    """The same wish is the same request; it goes where the settings say, and holds no key."""
    provider, moved = subject.at(), subject.at(ELSEWHERE)
    with key_in_environment(provider.profile.key_variable):
        for name, wish in WISHES.items():
            where = f"begin, asked for {name}"
            send, again = provider.begin(wish), provider.begin(replace(wish))
            must(send == again, f"{where}: it does not return the same for the same wish")
            body = _body(send, where)
            must(body == _body(again, where), f"{where}: its body is another one each time")
            must(_KEY not in f"{send.url} {send.headers} {body!r}", f"{where}: the key is in it")
            named = {header.lower() for header in send.headers}
            taken = named & (KEY_HEADERS | {provider.profile.key_header})
            must(not taken, f"{where}: it sets the header {taken}, which is the key's")
            must(
                moved.begin(wish).url.startswith(ELSEWHERE),
                f"{where}: with another base_url it still asks {moved.begin(wish).url}",
            )
            is_unsaid = wish.seed is not None and not provider.profile.seed
            must(
                not is_unsaid or "seed" in send.dropped,
                f"{where}: its profile has no seed, so it has to name it in dropped",
            )
            provider.estimate(wish)
    return len(WISHES)


def a_token_is_sent_where_it_will_be_listed(subject: Subject) -> int:
    """Each request has its own; where it is the seed, a person's seed goes before it."""
    provider = subject.at()
    if provider.profile.listing is None:
        return 0
    other = "f" * len(TOKEN)
    must(
        provider.begin(WISH) != provider.begin(replace(WISH, token=other)),
        "begin sends nothing of a request's token, so that no listing can show whose job it is",
    )
    seeded = replace(WISH, seed=7)
    is_same = provider.begin(seeded) == provider.begin(replace(seeded, token=other))
    must(
        is_same == provider.profile.token_is_seed,
        "token_is_seed of its profile is not what begin does where a person has set the seed",
    )
    return 2


def free_checks_stay_with_the_api(subject: Subject) -> int:
    """What is asked for nothing is asked where the settings say."""
    checks = subject.at(ELSEWHERE).checks(("some-model",))
    asks = [check for check in checks if isinstance(check, Ask)]
    for ask in asks:
        must(ask.url.startswith(ELSEWHERE), f"checks asks {ask.url}, which is not at base_url")
    return len(asks)


def _body(send: Send, where: str) -> bytes:
    try:
        body = b"".join(map(bytes, body_of(send.payload)))
        json.loads(body)
    except (TypeError, ValueError, LookupError) as error:
        raise AssertionError(f"{where}: its payload is no JSON: {error}") from error
    return body


@contextmanager
def key_in_environment(variable: str) -> Generator[str]:
    """Have a key in a variable of the environment, and yield it."""
    before = os.environ.get(variable)
    os.environ[variable] = _KEY
    try:
        yield _KEY
    finally:
        if before is None:
            del os.environ[variable]
        else:
            os.environ[variable] = before
