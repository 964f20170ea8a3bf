"""``check --online`` as a user runs it: the command, a config, and the free pages over sockets."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from host_stub.cli import main
from stage3_plugin.testing.dialects.fal import FalDialect
from stage3_plugin.testing.dialects.xai import XAIDialect
from stage3_plugin.testing.wire import Asked, Said
from tests.fakes.behaviours import (
    Behaviour,
    CutBody,
    EchoedKey,
    Endless,
    Gzip,
    Hang,
    Raw,
    Redirect,
)
from tests.fakes.image_api import KEY, ImageApi
from tests.hostile.pages import serving
from tests.places import vendor_at
from tests.projects import wait_until

PROVIDERS = ("openai", "openrouter", "gemini")
MODEL = "a/painter"


class Checked:
    """What the command said, and how it ended."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def online(self) -> list[dict[str, Any]]:
        """Return what was found out, from ``--json``."""
        found: list[dict[str, Any]] = json.loads(self.out)["online"]
        return found

    @property
    def verdicts(self) -> dict[str, str]:
        return {one["asked"]: one["verdict"] for one in self.online}


class Online:
    """A project at the loopback API, and the command run in it, in this process."""

    def __init__(self, api: ImageApi, capsys: pytest.CaptureFixture[str]) -> None:
        self.api, self._capsys = api, capsys

    def config(self, provider: str, **more: object) -> None:
        values: dict[str, object] = {
            "provider": provider,
            "base_url": self.api.root_url if provider == "gemini" else self.api.base_url,
            "model": MODEL,
            "timeout_s": 10,
        }
        values |= more
        lines = [f"{name} = {json.dumps(one)}" for name, one in values.items() if one is not None]
        key = [] if "api_key" in more else ['api_key = { env = "LOOPBACK_KEY" }']
        table = ["[plugin.stage3]", *key, *lines]
        Path("host.toml").write_text("\n".join(table), encoding="utf-8")

    def check(self, *words: str) -> Checked:
        code = main(["check", "--online", *words])
        return self.said(code)

    def said(self, code: int = 0) -> Checked:
        """Return what was written since this was last asked."""
        said = self._capsys.readouterr()
        return Checked(code, said.out, said.err)


@pytest.fixture
def online(
    image_api: ImageApi,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Online:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LOOPBACK_KEY", KEY)
    return Online(image_api, capsys)


@pytest.fixture
def vendor(online: Online, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the loopback API be the vendors' own public address."""
    for name in PROVIDERS:
        vendor_at(
            monkeypatch, name, online.api.root_url if name == "gemini" else online.api.base_url
        )


@pytest.mark.parametrize("provider", PROVIDERS)
def test_all_is_good_and_nothing_is_bought(online: Online, provider: str) -> None:
    """In text and as JSON; every request is a GET with the key, and no picture is asked for."""
    online.config(provider)
    text, as_json = online.check(), online.check("--json")

    assert (text.code, as_json.code) == (0, 0)
    assert "#   key: good, " in text.out
    assert f"#   model {MODEL}: good, " in text.out
    assert text.out.endswith("# ok: the stage opens; no picture was asked for\n")
    assert "a key is set" not in text.out
    account = "good" if provider == "openrouter" else "unknown"
    assert as_json.verdicts == {"key": "good", "model": "good", "account": account}
    assert json.loads(as_json.out)["opens"] is True
    assert {entry.asked.method for entry in online.api.entries} == {"GET"}
    header = "x-goog-api-key" if provider == "gemini" else "authorization"
    assert all(KEY in entry.asked.headers[header] for entry in online.api.entries)
    assert [path.name for path in Path().iterdir()] == ["host.toml"]


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_key_that_is_refused_ends_the_command(online: Online, provider: str) -> None:
    """With what is wrong and the next step, as ``check`` ends for what else is wrong."""
    online.config(provider)
    online.api.key = "sk-another-0123456789"
    text, as_json = online.check(), online.check("--json")

    assert (text.code, as_json.code) == (2, 2)
    assert "error: the key is not good: HTTP 40" in text.err
    assert "hint: check api_key" in text.err
    assert "# ok" not in text.out
    assert as_json.verdicts["key"] == "bad"
    assert as_json.verdicts["model"] == "unknown"


@pytest.mark.usefixtures("vendor")
@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_model_that_the_vendor_lacks_is_warned_of(online: Online, provider: str) -> None:
    """At its own address, where nobody else can have it; nothing would be paid for that."""
    online.config(provider, base_url=None)
    online.api.free.models[MODEL] = None
    checked = online.check("--json")

    assert checked.code == 0
    assert checked.verdicts["model"] == "bad"
    assert checked.verdicts["key"] == "good"
    assert {one["asked"]: one["is_warning"] for one in checked.online}["model"]
    assert f"warning: the model {MODEL}: " in checked.err
    assert "error" not in checked.err


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_server_of_ones_own_needs_no_such_pages(online: Online, provider: str) -> None:
    """It answers 404 and makes pictures all the same: nothing is known, and nothing is bad."""
    online.config(provider)
    online.api.free.has_pages = False
    text, as_json = online.check(), online.check("--json")

    assert (text.code, as_json.code) == (0, 0)
    assert set(as_json.verdicts.values()) == {"unknown"}
    assert "HTTP 404" in text.out
    assert "makes one picture, for its price" in text.out


def test_an_account_that_is_used_up_ends_the_command(online: Online) -> None:
    """OpenRouter says it of a key, and of an account to those who may know."""
    online.config("openrouter")
    online.api.free.key |= {"limit_remaining": 0}
    limit = online.check()
    online.api.free.key |= {"limit_remaining": 12}
    online.api.free.balance = {"total_credits": 20, "total_usage": 20.01}
    balance = online.check()

    assert (limit.code, balance.code) == (2, 2)
    assert "error: the account is not good: the key's limit of $100.00 is used up" in limit.err
    assert "error: the account is not good: no credit is left of $20.00" in balance.err
    assert "hint: buy credit at https://openrouter.ai/settings/credits" in balance.err


@pytest.mark.usefixtures("vendor")
def test_the_end_of_a_model_is_said_by_the_vendor(online: Online) -> None:
    """Also where the shipped table does not know it yet."""
    online.config("openai", base_url=None, model="gpt-image-9")
    online.api.free.models["gpt-image-9"] = {"shutdown_date": "2199-01-01"}
    later = online.check()
    online.api.free.models["gpt-image-9"] = {"shutdown_date": "2020-01-01"}
    over = online.check()

    assert later.code == 0
    assert (
        "model gpt-image-9: good, OpenAI has it, and says that it ends on 2199-01-01" in later.out
    )
    assert over.code == 0
    assert "warning: the model gpt-image-9: OpenAI says that it ended on 2020-01-01" in over.err
    assert "    next: choose another model" in over.out


@pytest.mark.usefixtures("vendor")
def test_a_model_that_nobody_knows_is_said_with_what_to_write(online: Online) -> None:
    """By an ordinary check and by the plan; whoever has written it is told no more of it."""
    online.config("openai", base_url=None, model="gpt-image-3")
    Path("scenes.json").write_text('[{"scene_id": "a", "prompt": "a boat"}]', "utf-8")
    told = "nothing is known of model 'gpt-image-3' at OpenAI: neither what sizes"
    for words in (["check"], ["plan", "scenes.json"]):
        assert main(words) == 0
        said = online.said()
        assert told in said.out + said.err
        assert 'write like = "gpt-image-2"' in said.out + said.err
        assert main([*words, "--set", "plugin.stage3.like=gpt-image-2"]) == 0
        said = online.said()
        assert "nothing is known" not in said.out + said.err


@pytest.mark.usefixtures("vendor")
def test_a_model_that_has_ended_is_said_offline_with_its_successor(online: Online) -> None:
    """By ``check`` and ``plan``, with nobody asked; a run is not refused for it."""
    online.config("openai", base_url=None, model="gpt-image-1")
    Path("scenes.json").write_text('[{"scene_id": "a", "prompt": "a boat"}]', "utf-8")
    for words in (["check"], ["plan", "scenes.json"]):
        assert main(words) == 0
        said = online.said()
        assert "model 'gpt-image-1' was switched off by OpenAI on 2026-10-23" in said.out + said.err
        assert "in its place: gpt-image-2.6-flare" in said.out + said.err
    assert online.api.entries == []


PRICED = "openai/gpt-image-2"


def per_token(usd_per_million: object, **more: object) -> dict[str, Any]:
    """Return OpenRouter's page of a model whose picture tokens cost so much."""
    entry = {"billable": "output_image", "unit": "token", "cost_usd": usd_per_million} | more
    text = {"billable": "input_text", "unit": "token", "cost_usd": 9}
    return {"endpoints": [{"provider_name": "Somebody", "pricing": [text, entry]}]}


@pytest.mark.parametrize(
    "usd, code, is_warning, words",
    [
        ("0.00003", 0, None, ""),
        (0.00003, 0, None, ""),
        (
            0.000031,
            2,
            False,
            "OpenRouter asks $31 per million picture tokens, which is above the $",
        ),
        ("0.000029", 0, True, "asks $29 per million picture tokens, which is below the $30"),
        ("NaN", 0, None, ""),
        ("1e999999", 0, None, ""),
        ([], 0, None, ""),
    ],
)
@pytest.mark.usefixtures("vendor")
def test_a_vendors_price_is_compared_with_ours(
    online: Online, usd: object, code: int, words: str, *, is_warning: bool | None
) -> None:
    """What would be billed above what is held is an error, less a warning; nonsense is no price."""
    online.config("openrouter", base_url=None, model=PRICED)
    online.api.free.models[PRICED] = per_token(usd)
    checked = online.check("--json")
    models = [one for one in checked.online if one["asked"] == "model"]
    other = next((one for one in models if "asks" in one["message"]), None)

    assert checked.code == code, checked.err
    if other is None:
        assert is_warning is None
        assert [one["message"] for one in models] == ["OpenRouter has it"]
    else:
        assert words in other["message"]
        assert (other["verdict"], other["is_warning"]) == ("bad" if code else "good", is_warning)
        assert (other["hint"] or "").startswith("write prices = {") is bool(code)


@pytest.mark.usefixtures("vendor")
def test_the_line_that_a_higher_price_asks_for_makes_it_good(online: Online) -> None:
    """It is written as it is shown, with the prices that stay beside it."""
    online.config("openrouter", base_url=None, model=PRICED)
    online.api.free.models[PRICED] = per_token("0.00004")
    higher = online.check()
    config = Path("host.toml")
    (line,) = [
        line.removeprefix("hint: write ").removesuffix(", or install a newer table")
        for line in higher.err.splitlines()
        if line.startswith("hint: write ")
    ]
    config.write_text(f"{config.read_text('utf-8')}\n{line}\n", "utf-8")

    assert higher.code == 2
    assert f"error: the model {PRICED} is not good: OpenRouter asks $40" in higher.err
    assert line == 'prices = { input_text = "5", input_image = "8", output_image = "40" }'
    assert online.check().code == 0


@pytest.mark.usefixtures("vendor")
def test_the_dearest_service_and_the_usual_tier_are_what_counts(online: Online) -> None:
    """OpenRouter may choose any of them; a larger tier is not what a plain picture is."""
    model = "bytedance-seed/seedream-4.5"
    online.config("openrouter", base_url=None, model=model)

    def page(*prices: tuple[str, str, str]) -> dict[str, Any]:
        return {
            "endpoints": [
                {"pricing": [{"billable": "output_image", "unit": unit, "cost_usd": usd} | more]}
                for unit, usd, tier in prices
                for more in [{"variant": tier} if tier else {}]
            ]
        }

    codes = list[int]()
    for prices in (
        [("image", "0.04", ""), ("image", "0.04", "1K"), ("image", "0.09", "4K")],
        [("image", "0.04", ""), ("image", "0.041", "1K")],
        [("second", "9", "")],
    ):
        online.api.free.models[model] = page(*prices)
        codes.append(online.check().code)

    assert codes == [0, 2, 0]


@pytest.mark.parametrize(
    "provider, model, page, words",
    [
        ("xai", "grok-imagine-image", {"image_price": 200_000_000}, ""),
        ("xai", "grok-imagine-image", {"image_price": 250_000_000}, "asks $0.025 per picture"),
        ("xai", "grok-imagine-image", {"image_price": 7}, ""),  # in cents, as it once was
        ("fal", "fal-ai/flux-2/turbo", {"unit_price": 0.009, "unit": "megapixels"}, "$0.009"),
        ("fal", "fal-ai/ideogram/v3", {"unit_price": 0.05, "unit": "image"}, "below the $0.06"),
        ("fal", "fal-ai/ideogram/v3", {"unit_price": 9, "unit": "compute seconds"}, ""),
        (
            "fal",
            "fal-ai/ideogram/v3",
            {"unit_price": 9, "unit": "image", "currency": "EUR"},
            "",
        ),
    ],
)
def test_fal_and_xai_say_prices_on_their_pages(
    online: Online, provider: str, model: str, page: dict[str, Any], words: str
) -> None:
    """Each in a unit of its own; where a page has none, or another unit, nothing is said."""

    class PricedXAI(XAIDialect):
        def free(self, asked: Asked) -> Said:
            document: Any = super().free(asked).document
            return Said(200, {**document, **page} if "object" in document else document)

    class PricedFal(FalDialect):
        def free(self, asked: Asked) -> Said:
            return Said(200, {"prices": [{"endpoint_id": asked.query["endpoint_id"], **page}]})

    with ImageApi(dialect={"xai": PricedXAI, "fal": PricedFal}[provider]()) as api:
        online.config(provider, base_url=api.root_url, model=model)
        checked = online.check()

    is_higher = bool(words) and "below" not in words
    assert checked.code == (2 if is_higher else 0), checked.err
    assert words in (checked.err if words else checked.out)
    assert (" asks $" in checked.out) == bool(words)


LINE = 'write price_usd = "0.5", or install a newer table'
MOST = "install a newer table, or set price_usd to the most that one of your pictures costs"


@pytest.mark.parametrize(
    "model, usd, unit, hint",
    [
        ("fal-ai/ideogram/v3", 0.5, "images", LINE),
        ("fal-ai/flux-2/turbo", 0.5, "megapixels", MOST),
        ("fal-ai/nano-banana-2", 0.5, "images", MOST),
        ("of/tomorrow", 0.5, "images", MOST.partition(", or ")[2]),
        ("fal-ai/nano-banana-2", 0.001, "images", None),
        ("fal-ai/nano-banana-2", 0, "images", ""),
    ],
)
def test_no_line_is_told_that_would_hold_too_little(
    online: Online, model: str, usd: float, unit: str, hint: str | None
) -> None:
    """A price of a megapixel or of one tier is not that of every picture; 0 says nothing.

    Of several for one endpoint the dearest counts.
    """

    class PricedFal(FalDialect):
        def free(self, asked: Asked) -> Said:
            one = {"endpoint_id": asked.query["endpoint_id"], "unit": unit}
            listed = [one | {"unit_price": each} for each in (usd, usd / 2)]
            return Said(200, {"prices": [*listed[::-1], *listed, {"endpoint_id": "a/b"}]})

    with ImageApi(dialect=PricedFal()) as api:
        online.config("fal", base_url=api.root_url, model=model)
        checked = online.check("--json")

    hints = [one["hint"] for one in checked.online if " asks $" in one["message"]]
    assert hints == ([] if hint == "" else [hint])
    assert checked.code == (2 if hint in {LINE, MOST} else 0)


def test_every_model_that_the_settings_name_is_asked_about(online: Online) -> None:
    """A sheet may be made by another one than the scenes; each is asked about once."""
    sheet = "{ prompt = 'four views', model = 'gpt-image-2' }"
    online.config("openai")
    cast = [f"plugin.stage3.cast.{name}={sheet}" for name in ("mira", "tom")]
    checked = online.check("--json", "--set", cast[0], "--set", cast[1])

    models = [one["name"] for one in checked.online if one["asked"] == "model"]
    assert models == [MODEL, "gpt-image-2"]
    assert len(online.api.entries) == 2


def test_a_server_that_wants_no_key_is_not_praised_for_one(online: Online) -> None:
    """There is none that could be good."""
    online.config("openai", api_key=None)
    online.api.key = None
    (key, *_) = online.check("--json").online

    assert (key["verdict"], key["message"]) == ("good", "none is set, and none was asked for")


TROUBLE: dict[str, tuple[Behaviour, str]] = {
    "hangs": (Hang(), "no complete answer within 0.6 s"),
    "cuts": (CutBody(), "cut off|connection was lost|closed the connection"),
    "never ends": (Endless(), "the answer has over"),
    "is a bomb": (Gzip(bomb=True), "not the answer that was expected"),
    "is no JSON": (Raw(b"<html>"), "HTTP 200 OK, and not the answer that was expected"),
}


@pytest.mark.parametrize("kind", TROUBLE)
def test_a_server_in_trouble_leaves_it_unknown_and_soon(online: Online, kind: str) -> None:
    """Within the time that answers have, with little memory, and with exit code 0."""
    behaviour, words = TROUBLE[kind]
    online.config("openai", timeout_s=0.6 if "within" in words else 20)
    online.api.visit_always(behaviour)
    began = time.monotonic()
    checked = online.check("--json")

    assert checked.code == 0
    assert time.monotonic() - began < 15
    assert set(checked.verdicts.values()) == {"unknown"}
    assert any(word in checked.online[0]["message"] for word in words.split("|")), checked.out


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_redirect_is_not_followed_with_the_key(online: Online, host: str) -> None:
    """Wherever it leads: to another server, and to the same one by another name."""
    online.config("openai")
    with serving() as pages:
        online.api.visit_always(Redirect(f"http://{host}:{pages.port}/v1/models/x"))
        checked = online.check("--json")

        assert pages.heads == []
    assert checked.code == 0
    assert "a redirect, which is not followed" in checked.online[0]["message"]
    assert len(online.api.entries) == 1


@pytest.mark.parametrize("place", ["message", "header", "status line", "in base64"])
def test_a_key_that_is_quoted_is_not_shown(online: Online, place: Any) -> None:
    """Neither in text nor as JSON, in no spelling."""
    online.config("openai")
    online.api.visit_always(EchoedKey(place))
    text, as_json = online.check(), online.check("--json")

    assert (text.code, as_json.code) == (2, 2)
    for said in (text.out, text.err, as_json.out, as_json.err):
        assert KEY not in said
        assert KEY.removeprefix("sk-") not in said
        assert "c2stdGVzdC03ZjNhOWM1" not in said


def test_storyboards_have_nobody_to_ask(online: Online) -> None:
    """They are drawn here."""
    Path("host.toml").unlink(missing_ok=True)
    text, as_json = online.check(), online.check("--json")

    assert (text.code, as_json.code) == (0, 0)
    assert "# online: there is nobody to ask" in text.out
    assert as_json.online == []


def test_ctrl_c_ends_the_waiting_at_once(online: Online) -> None:
    """Nothing is bought, so there is nothing to wait for."""
    online.config("openrouter")
    online.api.visit_always(Hang())
    command = [sys.executable, "-m", "host_stub", "check", "--online"]
    with subprocess.Popen(
        command,
        env={**os.environ, "LOOPBACK_KEY": KEY},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    ) as process:
        wait_until(lambda: len(online.api.entries) == 3)
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)

    assert (process.returncode, errors) == (130, "error: interrupted\n")
    assert time.monotonic() - began < 5


def test_with_several_routes_each_line_says_whose_it_is(online: Online) -> None:
    """A key and an account are somebody's; a model has a name of its own."""
    online.config("openai")
    config = Path("host.toml")
    config.write_text(
        config.read_text(encoding="utf-8")
        + '\n[[plugin.stage3.fallback]]\nprovider = "openrouter"\nmodel = "a/painter"\n'
        + f'base_url = "{online.api.base_url}"\napi_key = {{ env = "LOOPBACK_KEY" }}\n',
        encoding="utf-8",
    )
    checked = online.check("--json")
    assert checked.code == 0, checked.out + checked.err
    named = [(one["asked"], one["name"]) for one in checked.online]

    assert {name for asked, name in named if asked in {"key", "account"}} == {
        "openai",
        "openrouter",
    }
    assert {name for asked, name in named if asked == "model"} == {MODEL}
