"""Who may import what: the walls of the house, read from the source and seen in fresh processes."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from stage3_plugin.runtime.offers import PROVIDERS
from tests.rules.repository import PACKAGES, imported, imports_of, modules

PURE = [
    "domain.money",
    "domain.states",
    *(
        module.removeprefix("stage3_plugin.")
        for module, _ in modules("stage3_plugin")
        if module.startswith("stage3_plugin.policy")
    ),
]
BLOCKING = {
    "anyio", "asyncio", "ctypes", "httpx", "io", "logging", "multiprocessing", "os", "pathlib",
    "random", "shutil", "signal", "socket", "sqlite3", "ssl", "subprocess", "sys", "tempfile",
    "threading", "time", "trio", "urllib",
}  # fmt: skip
"""What touches a clock, a disk, a network, chance or an event loop."""

CONTRACT = "host_stub.contract"
NO_HOST = (
    CONTRACT,
    "host_stub.plugins.offers",
    "host_stub.sqlite",
    "host_stub.text.addresses",
    "host_stub.text.columns",
    "host_stub.text.file_names",
)
"""What of the host's package is none: shapes, what is installed, what files are called."""
HEAVY = {"httpx", "PIL", "resvg_py", "rich"}
NOTHING: frozenset[str] = frozenset()


def importers(package: str, wanted: set[str]) -> dict[str, set[str]]:
    """Return which modules of a package import one of the ``wanted`` top-level names, and which."""
    found: dict[str, set[str]] = {}
    for module, path in modules(package):
        tops = {name.partition(".")[0] for name, _ in imports_of(module, path)} & wanted
        if tops:
            found[module] = tops
    return found


def loaded_by(script: str) -> set[str]:
    """Run a line of Python in a fresh process and return the modules it left loaded.

    Without coverage, which would load modules of its own.
    """
    environment = {name: value for name, value in os.environ.items() if "COVERAGE" not in name}
    result = subprocess.run(
        [sys.executable, "-c", f"import sys\n{script}\nprint(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
        encoding="utf-8",
        env=environment,
    )
    return set(result.stdout.split())


def hosts(loaded: set[str]) -> set[str]:
    """Return the modules of the host among those that were loaded."""
    return {name for name in loaded if name.startswith("host_stub.")}


def test_the_walker_sees_imports_of_every_form() -> None:
    """The rules below rest on it: plain, renamed, relative, late and guarded imports all count."""
    source = (
        "import a.b\nimport c as d\nfrom e import f\nfrom . import g\nfrom ..h import i\n"
        "def late():\n    import j\nif TYPE_CHECKING:\n    from k.l import m\n"
    )

    found = {name for name, _ in imported(source, "top.inner.module")}

    assert found == {"a.b", "c", "e.f", "top.inner.g", "top.h.i", "j", "k.l.m"}
    assert dict(imported("from .x import y", "top", is_package=True)) == {"top.x.y": 1}


def test_only_the_doors_know_the_host() -> None:
    """Another host needs only other files like ``hooks.py`` and, for commands, ``cli.py``.

    The library reads the host's scenes and configs. The contract is no host: its shapes are the
    stage's own; and a ledger's file is opened as a story's book is. What the host's own kit needs
    is no part of the product.
    """
    found = {
        module
        for module, path in modules("stage3_plugin")
        for name, _ in imports_of(module, path)
        if f"{name}.".startswith("host_stub.")
        and not any(f"{name}.".startswith(f"{one}.") for one in NO_HOST)
    }

    assert {module for module in found if not module.startswith("stage3_plugin.library.")} == {
        "stage3_plugin.hooks",
        "stage3_plugin.cli",
        "stage3_plugin.testing.conforming",
    }


def test_the_host_knows_no_plugin() -> None:
    """The host runs any image plugin; if it knew ours, it would be no host."""
    assert importers("host_stub", {"stage3_plugin"}) == {}


def test_only_the_transport_knows_httpx() -> None:
    """What is known of connections is known in three layers, each one import to exchange."""
    found = {package: importers(package, {"httpx", "httpcore"}) for package in PACKAGES}

    assert found == {
        "stage3_plugin": {
            "stage3_plugin.transport.client": {"httpx"},
            "stage3_plugin.transport.fetching": {"httpx"},
            "stage3_plugin.transport.exchange": {"httpx", "httpcore"},
            "stage3_plugin.transport.connection": {"httpx", "httpcore"},
            "stage3_plugin.transport.sockets": {"httpcore"},
            "stage3_plugin.transport.uploading": {"httpx"},
        },
        "host_stub": {},
    }


@pytest.mark.parametrize("name", PURE)
def test_a_decision_touches_no_clock_disk_network_or_chance(name: str) -> None:
    """A retry, a price and a plan are functions of their arguments."""
    module = f"stage3_plugin.{name}"
    path = dict(modules("stage3_plugin"))[module]

    assert {
        top
        for found, _ in imports_of(module, path)
        if (top := found.split(".")[0]) in BLOCKING and not found.startswith("urllib.parse.")
    } == set()


def test_decisions_bring_in_no_event_loop_or_network() -> None:
    """Nor does what a pure module imports of ours."""
    names = {f"stage3_plugin.{name}" for name in PURE}
    loaded = loaded_by("\n".join(f"import {name}" for name in sorted(names)))

    assert names <= loaded
    assert loaded & {"anyio", "asyncio", "httpx", "sqlite3", "ssl"} == set()
    assert hosts(loaded) <= {CONTRACT}


def provider_modules() -> list[tuple[str, Path]]:
    """Return the providers over HTTP, and what they share."""
    return [
        (module, path)
        for module, path in modules("stage3_plugin")
        if module.startswith("stage3_plugin.providers")
    ]


def test_what_is_for_tests_needs_no_test_runner() -> None:
    """An author tries a provider with what the wheel brings; certificates are for our tests."""
    wanted = {"hypothesis", "pytest", "trustme"}
    loaded = loaded_by(
        "import stage3_plugin.testing.laws, stage3_plugin.testing.__main__, "
        "stage3_plugin.testing.dialects.fal, stage3_plugin.testing.storyboards"
    )

    assert importers("stage3_plugin", wanted) == {"stage3_plugin.testing.image_api": {"trustme"}}
    assert "stage3_plugin.testing.laws" in loaded
    assert loaded & wanted == set()
    assert hosts(loaded) <= {*NO_HOST, "host_stub.plugins", "host_stub.text"}


def test_commands_are_described_without_the_loopback_server_and_the_drawing() -> None:
    """Only ``stage3 rehearse`` loads it, when it is called."""
    loaded = loaded_by("from stage3_plugin.cli import main; main(['resolve', '--json'])")

    assert "stage3_plugin.cli" in loaded
    assert {name for name in loaded if name.startswith(("stage3_plugin.testing", "PIL"))} == set()
    assert not any(name.startswith("stage3_plugin.previz") for name in loaded)


def test_a_provider_over_http_opens_nothing() -> None:
    """``begin`` and ``next`` are pure: no event loop and no socket; the floors keep the rest."""
    forbidden = {"anyio", "asyncio", "httpx", "socket", "ssl", "trio", "threading", "subprocess"}
    found = {
        module: name
        for module, path in provider_modules()
        for name, _ in imports_of(module, path)
        if name.split(".")[0] in forbidden
    }

    assert provider_modules()
    assert found == {}


def test_a_provider_over_http_does_not_sleep() -> None:
    """Waiting belongs to dispatch alone."""
    sleepers = [
        f"{module}:{node.lineno}"
        for module, path in provider_modules()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if (isinstance(node, ast.Attribute) and node.attr.startswith("sleep"))
        or (isinstance(node, ast.Name) and node.id.startswith("sleep"))
    ]

    assert sleepers == []


def test_only_the_worker_sides_draw_and_decode() -> None:
    """Pillow and resvg are imported in the worker processes; the main process stays light."""
    found = importers("stage3_plugin", {"PIL", "resvg_py"})

    assert set(found) <= {
        "stage3_plugin.previz.board",
        "stage3_plugin.previz.grade",
        "stage3_plugin.previz.png",
        "stage3_plugin.previz.render",
        "stage3_plugin.storage.copies.shrinking",
    }


def test_only_its_renderer_knows_previz() -> None:
    """What executors run of it they import by name, in their workers."""
    rooms = {
        module.split(".")[1]
        for module, path in modules("stage3_plugin")
        for name, _ in imports_of(module, path)
        if f"{name}.".startswith("stage3_plugin.previz.")
    }

    assert rooms == {"previz", "renderers"}


def test_structlog_and_logging_are_never_configured() -> None:
    """Their configuration belongs to the whole process, which is not ours."""
    configuring = {"configure", "configure_once", "basicConfig", "dictConfig", "fileConfig"}
    found = [
        f"{module}:{node.lineno}"
        for package in PACKAGES
        for module, path in modules(package)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr in configuring
    ]

    assert found == []


@pytest.mark.parametrize(
    "module, spared",
    [
        ("stage3_plugin", NOTHING),
        (
            "stage3_plugin.hooks",
            frozenset({"rich"}),
        ),  # structlog, whose types the contract names, loads it
        ("stage3_plugin.renderers.previz", NOTHING),
        ("host_stub.cli", NOTHING),
    ],
)
def test_importing_a_face_loads_nothing_heavy(module: str, spared: frozenset[str]) -> None:
    """A host lists and describes the plugin without an HTTP client or an imaging library."""
    loaded = loaded_by(f"import {module}")

    assert module in loaded
    assert loaded & HEAVY - spared == set()


def test_a_stage_that_draws_loads_no_http_client() -> None:
    """What opens a stage names the client only where one is needed."""
    loaded = loaded_by("import stage3_plugin.engine.build, stage3_plugin.renderers.previz")

    assert "stage3_plugin.engine.stage" in loaded
    assert loaded & {"httpx", "httpcore", "PIL", "resvg_py"} == set()  # structlog brings rich


def test_settings_that_are_refused_load_no_http_client() -> None:
    """Whoever makes the pictures is asked what it needs, and that alone opens nothing."""
    loaded = loaded_by(
        "from stage3_plugin.settings import Settings\n"
        "for name in ('openai', 'previz'):\n"
        "    try:\n        Settings(provider=name, size='9000x9000')\n"
        "    except ValueError as error:\n        assert 'max_pixels' in str(error)\n"
        "    else:\n        raise SystemExit('nothing was refused')"
    )

    assert {"stage3_plugin.providers.openai_images", "stage3_plugin.renderers.previz"} <= loaded
    assert loaded & {"httpx", "httpcore", "PIL", "resvg_py", "sqlite3"} == set()


NOT_PLANNED = {
    *("httpx", "httpcore", "structlog", "rich", "filelock", "PIL", "resvg_py", "trio"),
    *("host_stub.run.pipeline", "host_stub.events.stream", "stage3_plugin.transport.client"),
    *("stage3_plugin.purchase.conversation", "stage3_plugin.purchase.drive"),
    "stage3_plugin.storage.spool.writing",
    *("stage3_plugin.purchase.checkout", "stage3_plugin.purchase.recovery"),
    *("stage3_plugin.engine.run", "stage3_plugin.engine.scene", "stage3_plugin.engine.reporter"),
    *("stage3_plugin.policy.capacity", "stage3_plugin.policy.retry"),
}
"""What only a run needs: its events, and what sends, waits, receives, holds money and settles."""


@pytest.mark.parametrize("provider", ["openai", "previz"])
def test_a_plan_loads_nothing_of_what_only_a_run_needs(provider: str, tmp_path: Path) -> None:
    """It is asked for most often, and sends nothing: half of its time was loading what sends."""
    (tmp_path / "host.toml").write_text(
        f'[plugin.stage3]\nprovider = "{provider}"\nmodel = "gpt-image-2"\napi_key = "k"\n'
        if provider == "openai"
        else "[plugin.stage3]\n",
        encoding="utf-8",
    )
    (tmp_path / "scenes.json").write_text(
        '[{"scene_id": "s1", "prompt": "a harbour"}]', encoding="utf-8"
    )

    loaded = loaded_by(
        f"import os; os.chdir({str(tmp_path)!r})\nfrom host_stub.cli import main\n"
        "assert main(['plan', 'scenes.json', '--json']) == 0\nprint()"
    )

    assert "stage3_plugin.engine.stage" in loaded
    assert loaded & NOT_PLANNED == set()


def test_a_run_imports_only_the_providers_that_it_names() -> None:
    """Those of its ladder; whoever else is installed, broken or slow, is not its affair."""
    loaded = loaded_by(
        "import anyio, tempfile; from pathlib import Path\n"
        "from stage3_plugin.engine.build import open_stage\n"
        "from host_stub.contract import ImageRequest\n"
        "from stage3_plugin.settings import Settings\n"
        "settings = Settings(provider='openai', model='m', api_key='k',\n"
        "    fallback=[{'provider': 'openrouter', 'model': 'a/m', 'api_key': 'k'}])\n"
        "async def look(folder):\n"
        "    async with open_stage(settings, Path(folder)) as stage:\n"
        "        await stage.plan(ImageRequest(run_id='r', scenes=[], out_dir=Path(folder)))\n"
        "with tempfile.TemporaryDirectory() as folder:\n    anyio.run(look, folder)"
    )
    named = {"stage3_plugin.providers.openai_images", "stage3_plugin.providers.openrouter"}
    offered = {offer.target.partition(":")[0] for offer in PROVIDERS.all}

    assert named <= offered
    assert loaded & offered <= named
    assert "stage3_plugin.providers.openai_images" in loaded
