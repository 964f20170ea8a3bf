"""The pages against the code: what is documented is there, and what is there is documented."""

from __future__ import annotations

import ast
import csv
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, cast, get_args

import pytest
from pydantic import BaseModel

import stage3_plugin
from host_stub import commands, contract, hookspecs
from host_stub.cli import parser
from host_stub.config.file import KNOWN, load_config
from host_stub.conformance.requirement import sentences
from host_stub.conformance.runner import read_known
from host_stub.contract import CostBasis, FailureCode
from host_stub.decisions.file import FIELDS, FORMAT, KEYS, read_decisions
from host_stub.errors import EXIT_INTERRUPTED, EXIT_STAGE, EXIT_STARTING, UsageError
from host_stub.events import schema
from host_stub.run import manifest, outcomes
from host_stub.scenes.fields import ALIASES
from host_stub.scenes.file import read_scenes
from host_stub.stage import exit_codes
from stage3_plugin.domain.events import StageWarned
from stage3_plugin.settings import Settings
from tests.rules.repository import (
    DOCS,
    PACKAGES,
    ROOT,
    blocks,
    code,
    modules,
    page,
    section,
    table_rows,
)

PAGES = sorted(path.relative_to(DOCS).as_posix() for path in DOCS.glob("*.md"))
FRONT = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md"]


def text_of(name: str) -> str:
    """Read a page of the documentation, or one of the front pages."""
    return (ROOT / name).read_text(encoding="utf-8") if name in FRONT else page(name)


# Settings ----------------------------------------------------------------------------------------


def test_the_tables_the_code_tells_are_up_to_date() -> None:
    """Settings and expected costs are written by a script, which finds nothing to change."""
    result = subprocess.run(
        [sys.executable, DOCS / "tables.py", "--check"],
        capture_output=True,
        check=False,
        encoding="utf-8",
    )

    assert (result.stderr, result.returncode) == ("", 0)


def test_a_table_that_is_out_of_date_is_found(tmp_path: Path) -> None:
    """The check above would see a setting that was added, and the script would write it."""
    docs = tmp_path / "docs"
    docs.mkdir()
    pages = (
        "configuration.md",
        "conformance.md",
        "costs-and-retries.md",
        "diffusers.md",
        "half-price.md",
        "json.md",
        "models.md",
        "options.md",
        "providers.md",
        "ray.md",
        "your-own-model.md",
    )
    for name in ("tables.py", *pages):
        content = (DOCS / name).read_text(encoding="utf-8")
        (docs / name).write_text(content.replace("| `capacity` |", "| `capacty` |"), "utf-8")
    script = [sys.executable, str(docs / "tables.py")]

    checked = subprocess.run(
        [*script, "--check"], capture_output=True, check=False, encoding="utf-8"
    )
    written = subprocess.run(script, capture_output=True, check=False, encoding="utf-8")

    assert checked.returncode == 1
    assert "configuration.md" in checked.stderr
    assert written.returncode == 0
    assert (docs / "configuration.md").read_text(encoding="utf-8") == page("configuration.md")


@pytest.mark.parametrize("table", ["run", "pipeline"])
def test_every_key_of_the_host_is_documented(table: str) -> None:
    """The host knows these and refuses all others."""
    rows = table_rows(section(page("configuration.md"), f"The host: `[{table}]`"))

    assert sorted(code(row[0]) for row in rows) == sorted(KNOWN[table])


# Events ------------------------------------------------------------------------------------------


def event_models() -> dict[str, type[BaseModel]]:
    """Return the model of every event of the contract by its name."""
    union = get_args(schema.StageEvent)[0]
    return {get_args(model.model_fields["event"].annotation)[0]: model for model in get_args(union)}


def logged(path: Path, *, method: str | None = None) -> Iterator[tuple[str, set[str]]]:
    """Return what a source logs: the event's name and the fields it gives to the call."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args):
            continue
        name = node.args[0]
        if not (isinstance(name, ast.Constant) and isinstance(name.value, str)):
            continue
        levels = {"debug", "info", "warning", "error"} if method is None else {method}
        if node.func.attr in levels and re.fullmatch(r"[a-z]+\.[a-z_]+", name.value):
            yield name.value, {keyword.arg for keyword in node.keywords if keyword.arg}


def sent_by_stage3() -> dict[str, set[str]]:
    """Return the events that the stage reports to its trace, with their fields."""
    return {kind.name: {one.name for one in fields(kind)} for kind in StageWarned.kinds}


def documented_events() -> dict[str, str]:
    """Return the section of each event in the page."""
    names = re.findall(r"^### `([\w.]+)`$", page("events.md"), re.MULTILINE)
    return {name: section(page("events.md"), f"`{name}`") for name in names}


def test_every_event_is_documented() -> None:
    """Those of the contract, and no others."""
    assert set(documented_events()) == set(event_models())


@pytest.mark.parametrize("event", sorted(event_models()))
def test_the_fields_of_an_event_are_documented(event: str) -> None:
    """The fields the contract knows and those Stage3 adds, with the needed ones marked."""
    stamped = {"event", "level", "timestamp", "run_id", "plugin"}
    model = event_models()[event].model_fields
    known = {name: field.is_required() for name, field in model.items() if name not in stamped}
    added = sent_by_stage3().get(event, set()) - stamped - set(known)
    expected = known | dict.fromkeys(added, False)

    assert fields_in(documented_events()[event]) == expected


def fields_in(told: str) -> dict[str, bool]:
    """Return the fields that an event's section names, with those that are needed."""
    lines = re.findall(r"^(Needed|Also): (.+)\.$", told, re.MULTILINE)
    return {name: kind == "Needed" for kind, said in lines for name in re.findall(r"`(\w+)`", said)}


def test_every_field_of_an_event_is_explained() -> None:
    """Once for all events, and none besides."""
    rows = table_rows(section(page("events.md"), "The fields"))
    named = {name for told in documented_events().values() for name in fields_in(told)}

    assert sorted(code(row[0]) for row in rows) == sorted(named)


@pytest.mark.parametrize("event", sorted(event_models()))
def test_the_level_of_an_event_is_documented(event: str) -> None:
    """Where the contract demands one level, the page names it."""
    levels = (
        get_args(event_models()[event].model_fields["level"].annotation)
        if ("level" in event_models()[event].model_fields)
        else ()
    )
    said = re.findall(r"Level\s+`(\w+)`", documented_events()[event])

    assert said == list(levels)


def test_the_hosts_own_events_are_documented() -> None:
    """They stand in the journal beside those of the stage."""
    found: dict[str, set[str]] = {}
    for _, path in modules("host_stub"):
        for name, given in logged(path, method="host"):
            found.setdefault(name, set()).update(given - {"level"})
    rows = table_rows(section(page("events.md"), "Of the host"))

    assert {code(row[0]): set(re.findall(r"`(\w+)`", row[2])) for row in rows} == found


def test_every_cost_basis_is_documented() -> None:
    """How a cost is known is a closed set."""
    rows = table_rows(section(page("events.md"), "How a cost is known"))

    assert [code(row[0]) for row in rows] == list(get_args(CostBasis))


# The contract ------------------------------------------------------------------------------------


def test_every_failure_code_is_documented() -> None:
    """Programs tell cases apart by them."""
    rows = table_rows(section(page("contract.md"), "Failure codes"))

    assert [code(row[0]) for row in rows] == list(get_args(FailureCode))


def test_the_failure_codes_that_stop_a_run_are_marked() -> None:
    """The page agrees with the decision function about keys, money, and disks."""
    rows = {
        code(row[0]): row[2] for row in table_rows(section(page("contract.md"), "Failure codes"))
    }

    assert {name for name, stops in rows.items() if re.match(r"yes\b", stops)} == {
        "credentials",
        "out_of_money",
        "budget",
        "storage",
        "cancelled",
    }


def test_every_shape_of_a_command_is_documented() -> None:
    """With its fields, in order."""
    rows = table_rows(section(page("contract.md"), "Commands of a plugin"))
    listed = {code(row[0]): re.findall(r"`(\w+)`", row[1]) for row in rows}

    assert listed == {
        name: fields_of(shape)
        for name, shape in vars(commands).items()
        if isinstance(shape, type) and shape.__module__ == commands.__name__ and fields_of(shape)
    }


def fields_of(shape: type[Any]) -> list[str]:
    """Return the fields of a model or a dataclass; none of anything else."""
    if issubclass(shape, BaseModel):
        return list(shape.model_fields)
    return [field.name for field in fields(shape)] if is_dataclass(shape) else []


def test_every_hook_is_documented() -> None:
    """By name and arguments, as an author has to write them."""
    rows = table_rows(section(page("contract.md"), "Hooks"))
    hooks = {
        name: ", ".join(hook.__code__.co_varnames[: hook.__code__.co_argcount])
        for name, hook in vars(hookspecs).items()
        if hasattr(hook, "host_stub_spec")
    }

    assert [code(row[0]) for row in rows] == [f"{name}({given})" for name, given in hooks.items()]


def test_the_contracts_number_is_documented() -> None:
    """Authors write it as a literal."""
    major, minor = contract.CONTRACT

    assert f"**contract {major}.{minor}**" in page("contract.md")
    assert f"contract=({major}, {minor})" in page("contract.md")


# The command line --------------------------------------------------------------------------------


def test_every_command_is_documented() -> None:
    """Those that are there, and no others."""
    rows = table_rows(page("command-line.md").partition("## Make pictures")[0])

    assert [code(row[0]) for row in rows] == list(parser.COMMANDS)


def test_every_exit_code_is_documented() -> None:
    """The page, the program's own help and the code say the same numbers."""
    rows = table_rows(section(page("command-line.md"), "Exit codes"))
    listed = [int(row[0]) for row in rows]
    helped = {
        int(number) for number in re.findall(r"(?<![\w.])\d+\b", parser.ENDINGS.split("where")[0])
    }

    assert helped == set(listed)
    assert listed == [
        exit_codes.EXIT_DONE,
        exit_codes.EXIT_FAILURES,
        EXIT_STARTING,
        EXIT_STAGE,
        exit_codes.EXIT_UNKNOWN,
        exit_codes.EXIT_PENDING,
        128 + signal.SIGHUP,
        EXIT_INTERRUPTED,
        128 + signal.SIGTERM,
    ]


def test_every_field_of_a_scene_is_documented() -> None:
    """Under its own name and under the original's."""
    rows = table_rows(section(page("command-line.md"), "Scene files"))
    listed = {name for row in rows for name in re.findall(r"`(\w+)`", row[0])}
    known = set(contract.Scene.model_fields) - {"extra"}

    assert listed == known | set(ALIASES) | {"size"}


def test_every_key_of_the_manifest_is_documented() -> None:
    """In the order in which it stands there."""
    rows = table_rows(section(page("command-line.md"), "The manifest"))
    listed = [name for row in rows for name in re.findall(r"`(\w+)`", row[0])]
    facts = manifest.RunFacts(
        run_id="run",
        plugin="plain",
        source="stage3-plugin 0.1.0",
        started_at="2026-01-01T00:00:00+00:00",
        elapsed_s=1.0,
        mode="serial",
        stopped=None,
        exit_code=0,
        events_rejected=0,
    )
    totals = outcomes.Totals()
    first, last = manifest.figures(totals, facts), manifest.further(totals, facts)

    assert listed == [*first, "images", "failures", "sheets", *last, "story"]


# Examples ----------------------------------------------------------------------------------------


CAST = (DOCS / "examples" / "lighthouse.toml").read_text(encoding="utf-8")


def toml_examples() -> list[Any]:
    """Return every piece of TOML in the pages, named by page and number, and the example's."""
    in_pages = [
        pytest.param(name, block, id=f"{name}-{number}")
        for name in [*PAGES, *FRONT]
        for number, block in enumerate(blocks(text_of(name), "toml"), start=1)
    ]
    return [*in_pages, pytest.param("lighthouse.toml", CAST, id="lighthouse.toml")]


@pytest.mark.parametrize("name, block", toml_examples())
def test_an_example_config_is_accepted(name: str, block: str, tmp_path: Path) -> None:
    """The host reads it, and Stage3's table fits its settings."""
    document = tomllib.loads(block)
    if document.keys() & {"project", "known"}:
        return  # a pyproject.toml, or known deviations; the tests of the plugin use them
    path = tmp_path / "host.toml"
    path.write_text(block, encoding="utf-8")
    if "known" in document:  # what the conformance kit is told
        assert read_known(path).keys() <= sentences().keys()
        return
    load_config(path)
    table = document.get("plugin", {}).get("stage3")
    if table is not None:
        secret = table.get("api_key")
        values = _with_secrets(table)
        if isinstance(table.get("ledger"), dict):
            values["ledger"] = "postgresql://stage3@db.example.com/media"
        settings = Settings.model_validate(values)

        assert settings.model_fields_set == set(table)
        assert secret is None or set(secret) <= {"env", "file"}


def _with_secrets(value: Any, name: str = "") -> Any:
    """Put a text wherever a value says where a secret comes from."""
    if isinstance(value, list):
        return [_with_secrets(part, name) for part in cast("Sequence[object]", value)]
    if not isinstance(value, dict):
        return value
    table = cast("dict[str, Any]", value)
    if set(table) <= {"env", "file"}:
        return "postgresql://stage3:test@localhost/media" if name == "ledger" else "test"
    return {name: _with_secrets(part, name) for name, part in table.items()}


def json_examples() -> list[Any]:
    """Return every piece of JSON in the pages that holds scenes."""
    return [
        pytest.param(block, id=f"{name}-{number}")
        for name in [*PAGES, *FRONT]
        for number, block in enumerate(blocks(text_of(name), "json"), start=1)
        if not any(word in block for word in ('"event"', '"replies"', '"command"', FORMAT))
    ]  # those are a line of a log, a recording, what programs are told, and decisions


@pytest.mark.parametrize("block", json_examples())
def test_an_example_scene_file_is_accepted(block: str, tmp_path: Path) -> None:
    """Whoever copies it gets pictures of it."""
    path = tmp_path / "scenes.json"
    path.write_text(block, encoding="utf-8")

    assert len(read_scenes(path)) >= 1


_SIGNS_OF_A_SHELL = re.compile(r"\s(\||>|&|&&|2>)(\s.*|$)")
_NO_COMMAND = re.compile(r"…|\s\|\s+-|\b(ID|WORD|HASH|FILE|NAME|SCENE|TAKE|DAY)\b|--help|\[")
"""What stands for something else: a choice, a word to be put there; and what only prints."""


def commands_of_pages() -> list[Any]:
    """Return each command of ours that a page has to be typed, with its page."""
    lines = {
        (name, _SIGNS_OF_A_SHELL.sub("", line.removeprefix("$ ")))
        for name in [*PAGES, *FRONT]
        for block in blocks(text_of(name), "console")
        for line in block.splitlines()
        if re.match(r"\$ (host-stub|stage3) ", line)
    }
    return [
        pytest.param(line, id=f"{name}: {line}")
        for name, line in sorted(lines)
        if not _NO_COMMAND.search(line.partition("#")[0])
    ]


@pytest.mark.parametrize("line", commands_of_pages())
def test_a_command_of_a_page_can_be_typed(line: str) -> None:
    """It is understood as it stands there; ``stage3 X`` is short for ``host-stub stage3 X``."""
    program, *words = shlex.split(line, comments=True)

    options = parser.parse(words if program == "host-stub" else ["stage3", *words])

    assert callable(options.command)


def test_a_command_that_is_misspelt_is_found() -> None:
    """The test above would see it, by whichever program."""
    for words in (["run", "story.jsonl", "--shards", "1/3"], ["stage3", "move-leger"]):
        with pytest.raises(UsageError):
            parser.parse(words)


def test_the_example_decisions_are_read(tmp_path: Path) -> None:
    """Its fields are those that the page has in its tables."""
    path = tmp_path / "decisions.json"
    (example,) = (block for block in blocks(page("takes.md"), "json") if FORMAT in block)
    path.write_text(example, encoding="utf-8")
    listed = [code(row[0]) for row in table_rows(section(page("takes.md"), "The format"))]

    assert len(list(read_decisions([path]))) == 1
    assert sorted([*listed, "decisions"]) == sorted([*KEYS, *FIELDS])


def test_the_example_event_is_as_the_contract_has_it() -> None:
    """A program written after the page reads real journals."""
    (example,) = (block for block in blocks(page("events.md"), "json") if '"event"' in block)

    assert schema.checked(json.loads(example))["event"] == "scene.finished"


def test_the_service_of_the_original_is_imported_as_the_page_says() -> None:
    """The one line that callers change works."""
    for block in blocks(page("getting-started.md"), "python"):
        exec(compile(block, "getting-started.md", "exec"), {})


def test_the_lines_of_the_readme_make_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a config and scenes beside them, as they are after ``host-stub init``."""
    config = '[plugin.stage3]\nprovider = "previz"\nsize = "320x180"\n'
    (tmp_path / "host.toml").write_text(config, encoding="utf-8")
    scenes = [{"scene_id": "pier", "prompt": "a foggy pier"}]
    (tmp_path / "scenes.json").write_text(json.dumps(scenes), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    (block,) = blocks(text_of("README.md"), "python")
    names: dict[str, Any] = {}

    exec(compile(block, "README.md", "exec"), names)

    (picture,) = names["pictures"]
    assert picture.scene_id == "pier"
    assert picture.image.is_file()


# The plugin of the page --------------------------------------------------------------------------


@pytest.fixture
def authors_folder(tmp_path: Path) -> Path:
    """Lay out what the page tells an author to write, as it would be installed."""
    text = page("writing-a-plugin.md")
    cards, *costs = blocks(text, "python")
    project = tomllib.loads(blocks(text, "toml")[0])
    site = tmp_path / "site"
    metadata = site / "cards_plugin-0.1.0.dist-info"
    metadata.mkdir(parents=True)
    name, version = project["project"]["name"], project["project"]["version"]
    (metadata / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", encoding="utf-8"
    )
    announced = next(block for block in blocks(text, "toml") if "costs = " in block)
    offered = tomllib.loads(announced)["project"]["entry-points"]["host_stub.plugins"]
    assert offered.items() >= project["project"]["entry-points"]["host_stub.plugins"].items()
    lines = "".join(f"{word} = {target}\n" for word, target in offered.items())
    (metadata / "entry_points.txt").write_text(f"[host_stub.plugins]\n{lines}", encoding="utf-8")
    (site / f"{offered['cards']}.py").write_text(cards, encoding="utf-8")
    (site / f"{offered['costs']}.py").write_text("\n".join(costs), encoding="utf-8")
    return tmp_path


def host_stub(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the host where the author's distribution is installed."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "host_stub", *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder / "site"), "PYTHONWARNDEFAULTENCODING": ""},
        capture_output=True,
        check=False,
        encoding="utf-8",
    )


FULL_DISK = """
from PIL import Image

def full(*_, **__):
    raise OSError(28, "No space left on device")

Image.Image.save = full
"""


def test_the_plugin_of_the_page_fails_as_a_value(authors_folder: Path) -> None:
    """A disk that does not take the picture is a failure of the scene, not of the run."""
    (authors_folder / "site" / "sitecustomize.py").write_text(FULL_DISK, encoding="utf-8")
    story = DOCS / "examples" / "lighthouse.json"

    result = host_stub(authors_folder, "run", str(story), "--image", "cards", "--json")

    told = json.loads(result.stdout)
    assert (result.returncode, told["failures_by_code"]) == (1, {"storage": 6})
    assert told["errors"] == []


def test_the_observer_of_the_page_writes_its_table(authors_folder: Path) -> None:
    """It hears every scene, beside the plugin that makes them."""
    story = DOCS / "examples" / "lighthouse.json"
    observers = 'pipeline.observers=["costs"]'

    result = host_stub(authors_folder, "run", str(story), "--image", "cards", "--set", observers)

    assert result.returncode == 0, result.stderr
    with (authors_folder / "out" / "costs.csv").open(encoding="utf-8", newline="") as table:
        rows = list(csv.DictReader(table))
    assert sorted(row["scene"] for row in rows) == [f"scene_{number:03d}" for number in range(1, 7)]
    assert {(row["usd"], row["basis"]) for row in rows} == {("0", "free")}


def test_the_command_of_the_page_adds_up(authors_folder: Path) -> None:
    """An observer's module can bring a command, too; the host speaks for it."""
    (authors_folder / "costs.csv").write_text(
        "scene,usd,basis\na,0.04,flat\nb,,unknown\n", encoding="utf-8"
    )

    good = host_stub(authors_folder, "costs", "sum", "costs.csv")
    bad = host_stub(authors_folder, "costs", "sum", "not-there.csv", "--json")

    assert (good.returncode, good.stdout, good.stderr) == (0, "0.04 USD\n", "")
    assert bad.returncode == 2
    assert json.loads(bad.stdout)["error"]["hint"] == "a run writes it beside its manifest"


# The pages themselves ----------------------------------------------------------------------------


def test_every_page_is_in_the_contents() -> None:
    """A page that nothing leads to is not read; the site's contents are made of these links."""
    listed = set(re.findall(r"\]\(([a-z0-9-]+\.md)[)#]", page("index.md")))

    assert listed == set(PAGES) - {"index.md"}


def test_the_names_that_may_be_imported_are_up_to_date() -> None:
    """Their page is written by a script, which finds nothing to change."""
    result = subprocess.run(
        [sys.executable, DOCS / "api.py", "--check"],
        capture_output=True,
        check=False,
        encoding="utf-8",
    )

    assert (result.stderr, result.returncode) == ("", 0)


def test_a_docstring_that_changed_is_found(tmp_path: Path) -> None:
    """The check above would see it, and the script would write it."""
    shutil.copytree(DOCS, tmp_path / "docs", ignore=shutil.ignore_patterns("images", "benchmarks"))
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=_all_but_sources)
    contract_file = tmp_path / "host_stub" / "contract.py"
    text = contract_file.read_text(encoding="utf-8")
    contract_file.write_text(text.replace('"""One picture to make.', '"""A wish.'), "utf-8")
    script = [sys.executable, str(tmp_path / "docs" / "api.py")]

    checked = subprocess.run(
        [*script, "--check"], capture_output=True, check=False, encoding="utf-8"
    )
    subprocess.run(script, capture_output=True, check=True, encoding="utf-8")

    assert (checked.returncode, checked.stderr) == (
        1,
        "api.md out of date; run python docs/api.py\n",
    )
    assert "A wish.\n" in (tmp_path / "docs" / "api.md").read_text(encoding="utf-8")


def _all_but_sources(folder: str, names: list[str]) -> set[str]:
    return {name for name in names if not name.endswith(".py") and not Path(folder, name).is_dir()}


def test_every_name_that_a_program_may_import_is_documented() -> None:
    """Settings are described where they are set."""
    told = page("api.md")
    names = set(stage3_plugin.__all__) - {"Settings"}
    shapes = {name for name, shape in vars(contract).items() if _is_of_the_contract(shape)}
    names |= {name for name in shapes if not name.startswith("_")}

    assert sorted(name for name in names if f"\n### `{name}`\n" not in told) == []


def _is_of_the_contract(shape: object) -> bool:
    return isinstance(shape, type) and shape.__module__ == contract.__name__


def test_every_file_a_page_names_is_there() -> None:
    """A page that points to a renamed file sends its reader nowhere."""
    pattern = r"`((?:stage3_plugin|host_stub|docs|tests)/[\w./-]+\.\w+)`"
    named = {place for name in [*PAGES, *FRONT] for place in re.findall(pattern, text_of(name))}

    assert named
    assert sorted(place for place in named if not (ROOT / place).exists()) == []


def test_the_packages_of_the_pages_are_those_we_ship() -> None:
    """The design speaks of two packages in one distribution."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))

    assert project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"] == list(PACKAGES)


def test_the_map_names_files_and_functions_that_there_are() -> None:
    """Who looks for a line finds it: each file of the table has the functions of its row."""
    rows = [row for row in table_rows(section(page("design.md"), "Map")) if len(row) == 3]
    found = [row for row in rows if re.search(r"`\w+/[\w/]+\.py`", row[1])]
    missing = [
        (row[0], name)
        for row in found
        for name in re.findall(r"`(\w+)`", row[2])
        if not any(
            f"def {name}(" in (ROOT / path).read_text(encoding="utf-8")
            for path in re.findall(r"`(\w+/[\w/]+\.py)`", row[1])
        )
    ]

    assert len(found) >= 8
    assert missing == []
