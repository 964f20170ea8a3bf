"""The config: what is read, what is refused and in which words, and that secrets stay unseen."""

import json
import string
import traceback
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host_stub.config.file import KNOWN, HostConfig, load_config, read_override
from host_stub.config.secrets import LONGEST_FILE_BYTES, resolve
from host_stub.errors import ConfigError, SecretUnavailable

SECRET = "sk-live-5ecret-0123456789"

EVERYTHING = """
[run]
out_dir = "pictures"
max_in_flight = 4
journal = "logs/events.jsonl"

[pipeline]
image = "plain"
observers = ["ledger", "bell"]

[plugin.plain]
colour = "#446688"

[plugin.unused]
anything = { goes = true }
"""


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")


def written(text: str | bytes, path: str = "host.toml") -> Path:
    """Write a config and return its path."""
    file = Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return file


def problems_of(text: str | bytes, *overrides: str) -> list[str]:
    """Load a config that is wrong and return what is said about it."""
    with pytest.raises(ConfigError) as caught:
        load_config(written(text), overrides)
    return [str(problem) for problem in caught.value.problems]


def test_nothing_is_searched_for_upward(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host.toml of a folder above is somebody else's."""
    written('[pipeline]\nimage = "plain"\n')
    Path("below").mkdir()
    monkeypatch.chdir("below")

    assert load_config().image == "stage3"


def test_every_key_is_read_and_paths_start_at_the_configs_folder() -> None:
    """Relative paths mean the same from wherever the command is run."""
    config = load_config(written(EVERYTHING, "project/host.toml"))
    project = Path.cwd() / "project"

    assert config.project_dir == project
    assert config.out_dir == project / "pictures"
    assert config.journal == project / "logs" / "events.jsonl"
    assert config.max_in_flight == 4
    assert config.image == "plain"
    assert config.observers == ("ledger", "bell")
    assert config.configured == ("plain", "unused")
    assert config.settings_of("unused").values == {"anything": {"goes": True}}
    assert config.settings_of("absent").values == {}


def test_a_byte_order_mark_is_accepted() -> None:
    """Editors on Windows write one."""
    assert load_config(written(b"\xef\xbb\xbf[run]\nmax_in_flight = 3\n")).max_in_flight == 3


@pytest.mark.parametrize(
    "text, expected",
    [
        ("[run\n", "is not valid TOML: "),
        ("[run]\nout_dir = \n", "at line 2, column 11"),
        (b"[run]\nout_dir = '\xff'\n", "line 2: is not UTF-8"),
        ("[run]\nmax_in_flight = " + "9" * 5000, "a number is too long"),
        ("[plugin.x]\na = " + "[" * 100_000, "tables are too deep"),
    ],
)
def test_what_is_not_toml_is_told_with_its_place(text: str | bytes, expected: str) -> None:
    """A syntax mistake names file, line and column, and shows nothing of the file."""
    [problem] = problems_of(text)

    assert expected in problem


@pytest.mark.parametrize(
    "text, expected",
    [
        ("[run]\noutdir = 'x'\n", "run.outdir: unknown setting; did you mean 'out_dir'?"),
        ("[pipeline]\nimages = 'x'\n", "pipeline.images: unknown setting; did you mean 'image'?"),
        ("[plugins.stage3]\n", "[plugins]: unknown table; did you mean 'plugin'?"),
        ("[zzz]\n", "[zzz]: unknown table; known are pipeline, plugin, run"),
        ("run = 3\n", "run: should be a table, [run]"),
        ("[plugin]\nstage3 = 3\n", "plugin.stage3: should be a table, [plugin.stage3]"),
        ("[run]\nmax_in_flight = 0\n", "run.max_in_flight: should be a whole number of at least 1"),
        ("[run]\nmax_in_flight = true\n", "run.max_in_flight: should be a whole number of at lea"),
        ("[run]\nmax_in_flight = 2.0\n", "run.max_in_flight: should be a whole number of at least"),
        ("[run]\nout_dir = 3\n", "run.out_dir: should be a path, as text"),
        ('[run]\nout_dir = ""\n', "run.out_dir: should be a path, as text"),
        ('[run]\nout_dir = "a\\u0000b"\n', "run.out_dir: should be a path, as text"),
        ('[run]\nout_dir = "~nobody-of-this-name/x"\n', "run.out_dir: should be a path; it starts"),
        ("[run]\njournal = true\n", "run.journal: should be a path, as text, or false"),
        ("[pipeline]\nimage = ['a']\n", "pipeline.image: should be the name of a plugin, as text"),
        ("[pipeline]\nobservers = 'a'\n", "pipeline.observers: should be a list of names"),
        ("[pipeline]\nobservers = ['a', 'a']\n", "pipeline.observers: should be a list that names"),
        ("[pipeline]\nobservers = [3]\n", "pipeline.observers: should be the name of a plugin"),
    ],
)
def test_what_the_host_does_not_know_is_refused(text: str, expected: str) -> None:
    """Unknown names come with the closest one, wrong values with what was expected."""
    [problem] = problems_of(text)

    assert problem.startswith(expected)


@pytest.mark.parametrize("override", ["run.outdir=x", "run.max_in_flight=many", "zzz.a=1"])
def test_a_wrong_override_blames_the_command_line(override: str) -> None:
    """The file is not accused of what --set did."""
    with pytest.raises(ConfigError) as caught:
        load_config(written(EVERYTHING), [override])

    assert str(caught.value).startswith("the command line: ")


def test_overrides_reach_every_table() -> None:
    """--set makes the tables it needs and leaves the others alone."""
    config = load_config(
        written(EVERYTHING),
        [
            "run.max_in_flight=9",
            "plugin.plain.size=512x512",
            "plugin.new.deep.er=true",
            'pipeline.observers=["one"]',
            'plugin."odd.name".x=1',
        ],
    )

    assert config.max_in_flight == 9
    assert config.observers == ("one",)
    assert config.settings_of("plain").values == {"colour": "#446688", "size": "512x512"}
    assert config.settings_of("new").values == {"deep": {"er": True}}
    assert config.settings_of("odd.name").values == {"x": 1}


def test_an_override_cannot_go_through_a_value() -> None:
    """A key below something that is no table is refused by its path."""
    [problem] = problems_of(EVERYTHING, "plugin.plain.colour.red=1")

    assert problem == (
        "--set plugin.plain.colour.red: plugin.plain.colour has a value and is not a table"
    )


NAMES = st.text(string.ascii_letters + string.digits + "_-", min_size=1, max_size=12)
# TOML has neither lone surrogates nor raw control characters; JSON's escapes write the latter.
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x7f"), max_size=30)
VALUES = st.recursive(
    st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | TEXTS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(NAMES, inner, max_size=3).filter(
            lambda it: not it.keys() <= {"env", "file"}
        )
    ),
    max_leaves=8,
)


def toml(value: Any) -> str:
    """Write a value as TOML."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        parts = cast("dict[str, Any]", value).items()
        return "{" + ", ".join(f"{key} = {toml(part)}" for key, part in parts) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, cast("list[object]", value))) + "]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    return repr(value)


@given(table=NAMES, key=NAMES, value=VALUES)
def test_what_is_set_comes_back(table: str, key: str, value: Any) -> None:
    """Law: every TOML value written into --set is the value the plugin gets."""
    config = load_config(None, [f"plugin.{table}.{key}={toml(value)}"])

    assert config.settings_of(table).values[key] == value


@given(text=TEXTS)
def test_text_is_set_as_it_is_or_as_the_toml_it_is(text: str) -> None:
    """Law: quoted text comes back exactly; unquoted text too, unless it is TOML as a whole."""
    plain = read_override(f"a.b={text}").value

    assert read_override(f"a.b={json.dumps(text, ensure_ascii=False)}").value == text
    assert plain == text or not isinstance(plain, str) or text.strip()[0] in "\"'"


@given(table=st.sampled_from(["run", "pipeline"]), key=NAMES)
def test_unknown_keys_are_always_refused(table: str, key: str) -> None:
    """Law: whatever the host does not know ends in an error that names it."""
    if key in KNOWN[table]:
        return

    with pytest.raises(ConfigError) as caught:
        load_config(None, [f"{table}.{key}=1"])

    assert f"{table}.{key}: unknown setting" in str(caught.value)


def with_key(source: str) -> HostConfig:
    return load_config(written(f"[plugin.stage3]\nmodel = 'm'\napi_key = {source}\n"))


def test_secrets_come_from_variables_and_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """{env=…} and {file=…} are filled in, at any depth, files from the config's folder."""
    monkeypatch.setenv("IMAGE_API_KEY", SECRET)
    written(SECRET + "\n", "project/key.txt")
    text = (
        "[plugin.stage3]\n"
        'a = { env = "IMAGE_API_KEY" }\n'
        'b = { inner = [{ file = "key.txt" }, 3] }\n'
        'c = { env = "prod", region = "eu" }\n'
    )

    table = load_config(written(text, "project/host.toml")).settings_of("stage3")

    assert table.values == {
        "a": SECRET,
        "b": {"inner": [SECRET, 3]},
        "c": {"env": "prod", "region": "eu"},
    }
    assert table.secrets == (SECRET, SECRET)


@pytest.mark.parametrize(
    "source, expected, hint",
    [
        (
            '{ env = "NOT_SET_ANYWHERE" }',
            "environment variable NOT_SET_ANYWHERE is not set",
            "expo",
        ),
        ('{ env = "SET_BUT_EMPTY" }', "environment variable SET_BUT_EMPTY is empty", "export"),
        ('{ file = "no.txt" }', "no.txt cannot be read: No such file or directory", "correct the"),
        ('{ file = "empty.txt" }', "empty.txt is empty", "write the secret"),
        ('{ file = "." }', "cannot be read: Is a directory", "correct the path"),
        ('{ file = "binary.txt" }', "binary.txt is not UTF-8 text", "nothing else"),
        ('{ file = "long.txt" }', f"long.txt has more than {LONGEST_FILE_BYTES} bytes", "nothing"),
        ('{ file = "nul\\u0000.txt" }', "cannot be read: ValueError", "correct the path"),
        ('{ file = "~nobody-of-this-name/x" }', "cannot be read: RuntimeError", "correct the path"),
        ("{ env = 3 }", "should name one source", "{ env ="),
        ('{ env = "A", file = "b" }', "should name one source", "{ env ="),
    ],
)
def test_a_secret_that_is_not_there_is_told_with_its_place(
    source: str, expected: str, hint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error names table, key, and variable or file, and says what to do."""
    monkeypatch.setenv("SET_BUT_EMPTY", "")
    written("\n", "empty.txt")
    written(b"\xff\xfe" + SECRET.encode(), "binary.txt")
    written("x" * (LONGEST_FILE_BYTES + 1), "long.txt")
    config = with_key(source)

    with pytest.raises(SecretUnavailable) as caught:
        config.settings_of("stage3")

    assert "config host.toml: [plugin.stage3] api_key: " in str(caught.value)
    assert expected in str(caught.value)
    assert hint in str(caught.value.hint)
    assert caught.value.table == "plugin.stage3"
    assert caught.value.key == "api_key"


def test_a_secret_in_the_place_of_a_variables_name_is_not_shown() -> None:
    """``{ env = "sk-…" }`` is a common mistake."""
    config = with_key(f'{{ env = "{SECRET}" }}')

    with pytest.raises(SecretUnavailable) as caught:
        config.settings_of("stage3")

    assert SECRET not in "".join(traceback.format_exception(caught.value))
    assert "never the value" in str(caught.value.hint)


def test_only_the_last_line_break_of_a_file_is_taken_off() -> None:
    """A secret may begin or end with spaces."""
    written(" spaced \r\n", "key.txt")

    assert with_key('{ file = "key.txt" }').settings_of("stage3").values["api_key"] == " spaced "


# Texts a secret may be; letters that stand in our own words would prove nothing.
SECRETS = st.text("0123456789§µ¶", min_size=8, max_size=40)


@given(secret=SECRETS)
def test_secrets_are_never_seen_in_anything_printed(
    secret: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Law: no repr, str or format of a config, override or resolved table shows a value."""
    folder = tmp_path_factory.mktemp("secret")
    (folder / "key.txt").write_text(secret, encoding="utf-8")
    override = f"plugin.stage3.api_key={json.dumps(secret, ensure_ascii=False)}"
    config = load_config(None, [override])
    table = resolve({"key": {"file": "key.txt"}}, table="plugin.x", config=None, project_dir=folder)
    literal = config.settings_of("stage3")
    things: list[object] = [config, config.choosing(image="x"), table, literal]
    things.append(read_override(override))
    shown = "".join(f"{thing!r}{thing!s}{thing}" for thing in things)

    assert table.values == {"key": secret}
    assert literal.values["api_key"] == secret
    assert secret not in shown


@given(secret=SECRETS, broken=st.sampled_from(["[run]\nx = 1\n", "[run\n", "a = 1\na = 2\n"]))
def test_no_error_of_the_config_shows_a_value(
    secret: str, broken: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Law: neither the message nor the traceback of a broken config shows a key in it."""
    file = tmp_path_factory.mktemp("broken") / "host.toml"
    file.write_text(f'[plugin.x]\napi_key = "{secret}"\n{broken}', encoding="utf-8")

    with pytest.raises(ConfigError) as caught:
        load_config(file)

    assert secret not in "".join(traceback.format_exception(caught.value))
    assert caught.value.__context__ is None
