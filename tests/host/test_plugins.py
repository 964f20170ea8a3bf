"""Loading plugins: only what is named, each with its own error, and nothing that fails silently."""

import traceback
import types
import warnings
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import (
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    SecretBytes,
    SecretStr,
    field_validator,
    model_validator,
)

from host_stub.config.file import HostConfig, load_config
from host_stub.config.plugin_settings import MASK, masked, validate
from host_stub.config.secrets import ResolvedTable
from host_stub.contract import (
    Capabilities,
    Event,
    ImagePlugin,
    ImageStage,
    RunInfo,
    Services,
    StageError,
)
from host_stub.errors import (
    ConfigError,
    ContractViolation,
    ObserverRefused,
    PluginIncompatible,
    PluginSettingsError,
    Problem,
)
from host_stub.hookspecs import hookimpl
from host_stub.plugins.loading import read_hooks
from host_stub.plugins.selection import PluginSet, select_plugins

SECRET = "sk-live-5ecret-0123456789"
RUN = RunInfo(run_id="r", state="started", plugin="x", scenes=1, out_dir=Path("out"))


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")


class PlainSettings(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


@asynccontextmanager
async def open_nothing(settings: Any, services: Services) -> AsyncGenerator[ImageStage]:
    raise NotImplementedError
    yield


def description(**changes: Any) -> ImagePlugin:
    """Describe a plugin that is right but for ``changes``."""
    fields: dict[str, Any] = {
        "name": "fake",
        "contract": (1, 0),
        "settings": PlainSettings,
        "capabilities": Capabilities(),
        "open": open_nothing,
    }
    return ImagePlugin(**(fields | changes))


def image_plugin(**changes: Any) -> object:
    """Make a plugin with an image hook."""

    @hookimpl
    def host_image_plugin() -> ImagePlugin:
        return description(**changes)

    return types.SimpleNamespace(host_image_plugin=host_image_plugin)


def plugin_of(**hooks: Callable[..., object]) -> object:
    """Make a plugin of functions that are marked as hooks."""
    return types.SimpleNamespace(**{name: hookimpl(hook) for name, hook in hooks.items()})


def config(*overrides: str) -> HostConfig:
    return load_config(None, overrides)


def select(plugin: object, *overrides: str) -> PluginSet:
    """Select a plugin that is given in process under the name ``fake``."""
    return select_plugins(config("pipeline.image=fake", *overrides), extra={"fake": plugin})


# Selection


class WithKey(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    api_key: SecretStr


def test_a_key_that_a_command_gives_can_be_had_anew(tmp_path: Path) -> None:
    """Whoever masks secrets knows the new one before the plugin does."""
    plugin = image_plugin(contract=(1, 0), settings=WithKey)
    (tmp_path / "key").write_text("first-key", "utf-8")
    command = f"""plugin.fake.api_key={{command = ["cat", '{tmp_path / "key"}']}}"""
    image = select(plugin, command).image
    heard: list[str] = []
    image.heed_secrets.append(heard.extend)
    assert image.services.settings_anew is not None
    (tmp_path / "key").write_text("second-key", "utf-8")
    anew = image.services.settings_anew()
    (tmp_path / "key").unlink()

    assert image.settings == WithKey(api_key=SecretStr("first-key"))
    assert anew == WithKey(api_key=SecretStr("second-key"))
    assert set(heard) == {"second-key"}
    assert image.services.settings_anew() is None
    assert select(plugin, "plugin.fake.api_key=plain").image.services.settings_anew is None


def test_a_plugin_given_in_process_comes_before_an_installed_one() -> None:
    """Tests can put a fake in the place of a real plugin."""
    chosen = select_plugins(config(), extra={"stage3": image_plugin(settings=OpenSettings)})

    assert chosen.image.description.name == "fake"
    assert chosen.image.source == "given in process"


# The contract


@pytest.mark.parametrize(
    "contract, hint",
    [((1, 1), "upgrade the host"), ((2, 0), "upgrade the host"), ((0, 9), "newer version")],
)
def test_another_contract_is_refused(contract: tuple[int, int], hint: str) -> None:
    """Both numbers are told, and which side has to move."""
    with pytest.raises(PluginIncompatible) as caught:
        select(image_plugin(contract=contract))

    assert f"needs contract {contract[0]}.{contract[1]}, this host speaks 1.0" in str(caught.value)
    assert hint in str(caught.value.hint)


async def bare_coroutine(settings: Any, services: Any) -> None:
    raise NotImplementedError


async def bare_generator(settings: Any, services: Any) -> AsyncGenerator[None]:
    yield


@pytest.mark.parametrize(
    "changes, requirement, detail",
    [
        ({"name": ""}, "hooks.described", "name is not a text"),
        ({"contract": "1.0"}, "hooks.described", "contract is not two numbers"),
        ({"contract": (1, 0, 0)}, "hooks.described", "contract is not two numbers"),
        ({"contract": (True, 0)}, "hooks.described", "contract is not two numbers"),
        ({"settings": dict}, "settings.typed", "pydantic.BaseModel"),
        ({"settings": PlainSettings()}, "settings.typed", "pydantic.BaseModel"),
        ({"capabilities": {}}, "hooks.described", "capabilities is not a Capabilities"),
        ({"open": None}, "hooks.described", "open cannot be called"),
        ({"open": bare_coroutine}, "hooks.described", "@asynccontextmanager"),
        ({"open": bare_generator}, "hooks.described", "@asynccontextmanager"),
    ],
)
def test_a_description_that_is_wrong_is_refused(
    changes: dict[str, Any], requirement: str, detail: str
) -> None:
    """A plugin whose author ignored the types is told which part is wrong."""
    with pytest.raises(ContractViolation) as caught:
        select(image_plugin(**changes))

    assert caught.value.requirement == requirement
    assert detail in str(caught.value)


def test_a_hook_that_raises_is_refused_with_its_cause() -> None:
    """The exception is told in one line and chained."""

    def host_image_plugin() -> ImagePlugin:
        raise RuntimeError("no licence\nat all")

    with pytest.raises(ContractViolation, match=r"raised RuntimeError: no licence$") as caught:
        select(plugin_of(host_image_plugin=host_image_plugin))

    assert isinstance(caught.value.__cause__, RuntimeError)


def test_a_hook_that_returns_a_coroutine_is_refused_without_a_warning() -> None:
    """What looks synchronous and is not is found when it answers, and leaves nothing behind."""

    async def describe() -> ImagePlugin:
        return description()

    def in_disguise() -> object:
        return describe()

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ContractViolation, match="returned coroutine and not ImagePlugin"):
            select(plugin_of(host_image_plugin=in_disguise))


# Hooks


async def async_generator_hook() -> AsyncGenerator[None]:
    yield


def generator_hook(event: Event) -> Generator[None]:
    yield


def wrapper_hook() -> Generator[None, Any, Any]:
    return (yield)


SILENT_HOOKS: list[tuple[dict[str, object], str, str, str]] = [
    (
        {"host_image_plugin": hookimpl(async_generator_hook)},
        "hooks.sync",
        "async_generator_hook is asynchronous",
        "ordinary function",
    ),
    (
        {"host_event": hookimpl(generator_hook)},
        "hooks.sync",
        "generator_hook is a generator, which does nothing when called",
        "make host_event an ordinary function",
    ),
    (
        {"host_image_plugin": hookimpl(hookwrapper=True)(wrapper_hook)},
        "hooks.no-wrappers",
        "wrapper_hook is a wrapper",
        "ordinary function",
    ),
    (
        {"host_imge_plugin": hookimpl(lambda: None)},
        "hooks.known",
        "there is no hook 'host_imge_plugin'",
        "did you mean 'host_image_plugin'?",
    ),
    (
        {"zzz": hookimpl(lambda: None)},
        "hooks.known",
        "there is no hook 'zzz'",
        (
            "the hooks are host_commands, host_event, host_image_plugin, "
            "host_observer_settings, host_run"
        ),
    ),
]


@pytest.mark.parametrize("hooks, requirement, detail, hint", SILENT_HOOKS)
def test_a_hook_that_would_fail_silently_is_refused(
    hooks: dict[str, object], requirement: str, detail: str, hint: str
) -> None:
    """Pluggy takes all of these without a word; the host does not."""
    with pytest.raises(ContractViolation) as caught:
        read_hooks(types.SimpleNamespace(**hooks), name="fake")

    assert caught.value.requirement == requirement
    assert detail in str(caught.value)
    assert hint in str(caught.value.hint)


# Observers


class Ledger:
    """An observer that remembers."""

    def __init__(self) -> None:
        self.heard: list[object] = []

    @hookimpl
    def host_event(self, event: Event) -> None:
        self.heard.append(event)

    @hookimpl
    def host_run(self, run: RunInfo) -> None:
        self.heard.append(run)


def observers_of(plugins: dict[str, object], *overrides: str) -> PluginSet:
    names = ", ".join(f'"{name}"' for name in plugins)
    return select_plugins(
        config("pipeline.image=plain", f"pipeline.observers=[{names}]", *overrides), extra=plugins
    )


def test_observers_come_in_the_configs_order_and_are_told_one_by_one() -> None:
    """Each has its own call, so that a raising one harms no other."""
    first, second = Ledger(), Ledger()

    chosen = observers_of({"zeta": first, "alpha": second})
    for observer in chosen.observers:
        assert observer.on_event is not None
        assert observer.on_run is not None
        observer.on_event({"event": observer.name})
        observer.on_run(RUN)

    assert [observer.name for observer in chosen.observers] == ["zeta", "alpha"]
    assert first.heard == [{"event": "zeta"}, RUN]
    assert second.heard == [{"event": "alpha"}, RUN]


def test_an_observer_may_answer_one_hook_and_leave_out_its_argument() -> None:
    """What is not answered is ``None``; an argument nobody needs is not forced on anybody."""
    calls: list[str] = []

    [observer] = observers_of(
        {"bell": plugin_of(host_event=lambda: calls.append("ding"))}
    ).observers
    assert observer.on_event is not None
    observer.on_event({"event": "scene.finished"})

    assert calls == ["ding"]
    assert observer.on_run is None


def test_an_observer_that_answers_no_hook_is_refused() -> None:
    """Somebody who would never hear anything was named by mistake."""
    with pytest.raises(ContractViolation) as caught:
        observers_of({"deaf": image_plugin()})

    assert caught.value.requirement == "hooks.observer"
    assert "take it out of observers" in str(caught.value.hint)


def test_an_observer_that_answers_with_a_coroutine_is_found_out() -> None:
    """The call raises, so that the observer is muted like any other that raises."""

    async def later() -> None:
        raise NotImplementedError

    def host_run(run: RunInfo) -> object:
        return later()

    [observer] = observers_of({"late": plugin_of(host_run=host_run)}).observers
    assert observer.on_run is not None

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ContractViolation, match="host_run returned an awaitable"):
            observer.on_run(RUN)


class OfAnObserver(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)
    loud: bool = False
    token: SecretStr | None = None


def with_settings(answer: Callable[[], object]) -> tuple[object, list[RunInfo]]:
    """Make an observer that takes settings, and the list of what it is told of runs."""
    told: list[RunInfo] = []

    def host_run(run: RunInfo) -> None:
        told.append(run)

    return plugin_of(host_run=host_run, host_observer_settings=answer), told


def test_an_observer_that_names_a_model_gets_its_table() -> None:
    """Validated, with every run, and what is secret in it is known to be."""
    plugin, told = with_settings(lambda: OfAnObserver)

    [observer] = observers_of(
        {"ledger": plugin}, "plugin.ledger.loud=true", f"plugin.ledger.token={SECRET}"
    ).observers
    assert observer.on_run is not None
    observer.on_run(RUN)

    assert [run.settings for run in told] == [OfAnObserver(loud=True, token=SecretStr(SECRET))]
    assert SECRET in observer.secrets
    assert SECRET not in repr(told)


def test_an_observer_may_say_that_it_cannot_observe_here() -> None:
    """One line and the next step, by its own word."""

    def answer() -> object:
        raise StageError("a package is missing", hint="install it")

    plugin, _ = with_settings(answer)

    with pytest.raises(ObserverRefused, match="cannot observe: a package is missing") as caught:
        observers_of({"ledger": plugin})

    assert caught.value.hint == "install it"


@pytest.mark.parametrize("answer", [lambda: 3, lambda: 1 / 0])
def test_what_is_no_model_of_settings_is_refused(answer: Callable[[], object]) -> None:
    """A fault of the plugin, named as one."""
    plugin, _ = with_settings(answer)

    with pytest.raises(ContractViolation, match=r"breaks hooks\.observer: host_observer_settings"):
        observers_of({"ledger": plugin})


def test_settings_for_an_observer_are_refused() -> None:
    """One that names no model has none, and a table that does nothing misleads."""
    with pytest.raises(ConfigError, match="an observer that takes no settings") as caught:
        observers_of({"ledger": Ledger()}, "plugin.ledger.path=x")

    assert caught.value.hint == "take out the table [plugin.ledger]"


# Settings


class OpenSettings(BaseModel):
    model_config = ConfigDict(extra="allow")


class Prices(BaseModel):
    model_config = ConfigDict(extra="forbid")

    output_image: Decimal | None = None


class Cat(BaseModel):
    kind: Literal["cat"]


class Dog(BaseModel):
    kind: Literal["dog"]


class Loose(BaseModel):
    """Ignores unknown keys, which is pydantic's default."""

    name: str = "x"
    size_px: int = Field(8, validation_alias=AliasChoices("size_px", "size"))


class Colour(Enum):
    RED = "red"


class Rich(BaseModel):
    """Settings with something of everything."""

    model_config = ConfigDict(extra="forbid")

    capacity: Annotated[int, Field(ge=1)] = 1
    api_key: SecretStr | None = None
    keys: list[SecretStr] = []
    raw: SecretBytes | None = None
    prices: Prices | None = None
    table: dict[str, Prices] = {}
    loose: Loose | None = None
    pet: Annotated[Cat | Dog, Field(discriminator="kind")] | None = None
    label: str = ""
    hidden: str | None = Field(None, repr=False)
    colour: Colour = Colour.RED
    ratio: float = 1.0
    where: Path = Path("here")

    @field_validator("label")
    @classmethod
    def _label_is_short(cls, label: str) -> str:
        if len(label) > 40:
            raise ValueError(f"too long a label: {label!r}")
        return label

    @model_validator(mode="after")
    def _key_and_label(self) -> "Rich":
        if self.label == "tell" and self.api_key is not None:
            raise ValueError(f"the key {self.api_key.get_secret_value()} is odd")
        if self.label == "crash":
            raise RuntimeError(SECRET)
        return self


def problems(
    values: dict[str, Any], *, model: type[BaseModel] = Rich, secrets: tuple[str, ...] = ()
) -> list[Problem]:
    """Validate values that are wrong; no part of the error may show what they were."""
    with pytest.raises(PluginSettingsError) as caught:
        validate(model, ResolvedTable(values, secrets), plugin="x", source="x 1")
    told = "".join(traceback.format_exception(caught.value))

    assert SECRET not in told
    assert caught.value.__context__ is None
    assert caught.value.hint == "'host-stub schema x' lists its settings"
    return list(caught.value.problems)


@pytest.mark.parametrize(
    "values, where, what",
    [
        ({"capcity": 3}, "plugin.x.capcity", "unknown setting; did you mean 'capacity'?"),
        ({"zzz": 3}, "plugin.x.zzz", "unknown setting"),
        ({"capacity": 0}, "plugin.x.capacity", "should be greater than or equal to 1"),
        ({"capacity": SECRET}, "plugin.x.capacity", "should be a whole number, without quotes"),
        ({"api_key": 3}, "plugin.x.api_key", "should be text, in quotes"),
        (
            {"prices": {"output_imge": 1}},
            "plugin.x.prices.output_imge",
            "unknown setting; did you mean 'output_image'?",
        ),
        (
            {"table": {"model": {"output_imge": 1}}},
            "plugin.x.table.model.output_imge",
            "unknown setting; did you mean 'output_image'?",
        ),
        ({"loose": {"nam": 1}}, "plugin.x.loose.nam", "unknown setting; did you mean 'name'?"),
        ({"pet": {"kind": SECRET}}, "plugin.x.pet", "should be one of the kinds 'cat', 'dog'"),
        ({"pet": {}}, "plugin.x.pet", "Unable to extract tag"),
        ({"label": SECRET * 2}, "plugin.x.label", "too long a label: '…'"),
        ({"label": "tell", "api_key": SECRET}, "plugin.x", f"the key {MASK} is odd"),
        ({"label": "crash"}, "plugin.x", "its settings model raised RuntimeError"),
    ],
)
def test_settings_that_do_not_fit_are_told_by_path(
    values: dict[str, Any], where: str, what: str
) -> None:
    """Each problem has the path --set takes, and never a value."""
    [problem] = problems(values)

    assert problem.where == where
    assert problem.what.startswith(what)


def test_a_required_setting_is_named() -> None:
    """What is missing is told as such."""
    assert problems({}, model=Cat) == [Problem("plugin.x.kind", "is required")]


def test_a_model_that_ignores_unknown_keys_gets_the_hosts_check() -> None:
    """A misspelt setting never does nothing; an alias is a valid name."""
    assert problems({"siez": 3}, model=Loose) == [
        Problem("plugin.x.siez", "unknown setting; did you mean 'size'?")
    ]
    assert validate(
        Loose, ResolvedTable({"size": 3}, ()), plugin="x", source="x 1"
    ) == Loose.model_validate({"size": 3})


@given(
    secret=st.text("0123456789§µ¶", min_size=8, max_size=40).map("§{}".format),  # no number
    where=st.sampled_from(["api_key", "keys", "raw", "label", "capacity", "table", "pet", "zzz"]),
    crash=st.booleans(),
)
def test_no_error_about_settings_ever_shows_a_secret(
    secret: str, where: str, *, crash: bool
) -> None:
    """Law: wherever a secret was written, rightly or wrongly, no message or traceback has it."""
    values: dict[str, Any] = {where: secret, "capacity": 0 if where != "capacity" else secret}
    if crash:
        values["label"] = secret * 6

    with pytest.raises(PluginSettingsError) as caught:
        validate(Rich, ResolvedTable(values, ()), plugin="x", source="x 1")

    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value.details())
    assert secret not in shown


def test_settings_are_shown_masked() -> None:
    """Every secret becomes ****, wherever it sits, and all else is plain JSON."""
    settings = Rich(
        api_key=SecretStr(SECRET),
        keys=[SecretStr(SECRET)],
        raw=SecretBytes(SECRET.encode()),
        label=f"has {SECRET} inside"[:40],
        hidden=SECRET,
        ratio=float("inf"),
        table={"m": Prices(output_image=Decimal("0.50"))},
    )

    assert masked(settings, [SECRET]) == {
        "capacity": 1,
        "api_key": MASK,
        "keys": [MASK],
        "raw": MASK,
        "prices": None,
        "table": {"m": {"output_image": "0.50"}},
        "loose": None,
        "pet": None,
        "label": f"has {MASK} inside",
        "hidden": MASK,
        "colour": "red",
        "ratio": "inf",
        "where": "here",
    }


@given(secret=st.text("0123456789§µ¶", min_size=8, max_size=40))
def test_a_selected_plugin_never_prints_its_secrets(secret: str) -> None:
    """Law: no repr or str of what a run is made of shows a key."""
    Path("key.txt").write_text(secret, encoding="utf-8")
    overrides = ['plugin.fake.api_key={file="key.txt"}', f'plugin.fake.label="{secret}"']
    chosen = select(image_plugin(settings=Rich), *overrides)

    assert cast("Rich", chosen.image.settings).api_key == SecretStr(secret)
    assert chosen.image.secrets == (secret,)
    assert secret not in f"{chosen!r} {chosen} {chosen.image!r} {chosen.image}"


class Account(BaseModel):
    """Keeps a key below the top."""

    token: SecretStr


class Chatterbox(BaseModel):
    """Quotes every key it was given."""

    one: Account | None = None
    many: list[Account] = []
    named: dict[str, SecretStr] = {}

    @model_validator(mode="after")
    def _tell_all(self) -> "Chatterbox":
        accounts = [account for account in (self.one, *self.many) if account is not None]
        keys = [account.token for account in accounts] + list(self.named.values())
        raise ValueError(" ".join(key.get_secret_value() for key in keys))


@pytest.mark.parametrize(
    "values",
    [
        {"one": {"token": SECRET}},
        {"many": [{"token": SECRET}]},
        {"named": {"first": SECRET}},
    ],
)
def test_a_key_below_the_top_is_masked_in_a_plugins_own_words(values: dict[str, Any]) -> None:
    """However deep a secret sits, a validator that quotes it gives nothing away."""
    assert problems(values, model=Chatterbox) == [Problem("plugin.x", MASK)]


# Survey
