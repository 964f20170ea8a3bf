"""Where a ledger's server is: what may stand in the address, and that no password ever shows."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote, quote_plus

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError

from host_stub.config.plugin_settings import validate
from host_stub.config.secrets import ResolvedTable, resolve
from host_stub.errors import PluginSettingsError
from stage3_plugin.engine.model_route import open_model
from stage3_plugin.errors import ExtraMissing
from stage3_plugin.executors import registry
from stage3_plugin.executors.base import Surroundings
from stage3_plugin.files.state_dir import StateDir
from stage3_plugin.ledger.place import place_of
from stage3_plugin.runtime import database_url
from stage3_plugin.runtime.database_url import DatabaseUrl
from stage3_plugin.settings import Settings, draft_settings
from stage3_plugin.storage.pictures import Pictures
from stage3_plugin.storage.spool.folders import SpoolFolders
from stage3_plugin.storage.store import PictureStore

PASSWORD = "hunter2/@:#?%"
ENCODED = "hunter2%2F%40%3A%23%3F%25"
LOCAL = f"postgresql://stage3:{ENCODED}@127.0.0.1:5433/media"


def test_an_address_is_read_as_libpq_reads_it() -> None:
    """Its parts are decoded, and what is shown of it has neither scheme nor password."""
    url = DatabaseUrl.parse(LOCAL)

    assert url.arguments() == {
        "host": "127.0.0.1",
        "port": 5433,
        "dbname": "media",
        "user": "stage3",
        "password": PASSWORD,
    }
    assert url.shown("lighthouse") == "stage3@127.0.0.1:5433/media (project lighthouse)"
    assert "hunter2" not in repr(url)
    assert "hunter2" not in str(Settings(ledger=SecretStr(LOCAL)))


@pytest.mark.parametrize(
    "address, host, port",
    [
        ("postgresql:///media?host=/run/postgresql", "/run/postgresql", 5432),
        ("postgres://%2Frun%2Fpostgresql/media", "/run/postgresql", 5432),
        ("postgresql://localhost/media?port=6000", "localhost", 6000),
        ("postgresql://[::1]:6000/media", "::1", 6000),
        ("postgresql://LOCALHOST/media?sslmode=disable", "localhost", 5432),
    ],
)
def test_nothing_is_encrypted_that_does_not_leave_the_machine(
    address: str, host: str, port: int
) -> None:
    """A socket and the loopback need no certificate."""
    url = DatabaseUrl.parse(address)

    assert (url.host, url.port, url.is_here) == (host, port, True)
    assert url.arguments().get("sslmode") in {None, "disable"}


def test_another_machine_has_to_prove_who_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the system's authorities, or by one that the address or the environment names."""
    monkeypatch.delenv("PGSSLROOTCERT", raising=False)
    monkeypatch.setenv("SSL_CERT_FILE", "/etc/authorities.pem")
    plain = DatabaseUrl.parse("postgresql://stage3@db.example.com/media").arguments()
    own = DatabaseUrl.parse(
        "postgresql://stage3@db.example.com/media?sslmode=verify-full&sslrootcert=/own.pem"
    ).arguments()

    assert (plain["sslmode"], plain["sslrootcert"]) == ("verify-full", "/etc/authorities.pem")
    assert (own["sslmode"], own["sslrootcert"]) == ("verify-full", "/own.pem")
    monkeypatch.delenv("SSL_CERT_FILE")
    assert Path(database_url.roots()).is_file()


@pytest.mark.parametrize(
    "address, says",
    [
        ("mysql://h/d", "should begin with postgresql://"),
        ("postgresql:h/d", "should begin with postgresql://"),
        ("postgresql://h", "names no database"),
        ("postgresql://h/a/b", "names no database, or more than one"),
        ("postgresql:///d", "names no host"),
        ("postgresql://a,b/d", "several hosts"),
        ("postgresql://h:0/d", "from 1 to 65535"),
        ("postgresql://h/d?port=x", "from 1 to 65535"),
        ("postgresql://h_^/d", "its host is a name"),
        ("postgresql://-h/d", "its host is a name"),
        (
            "postgresql://h/d?options=-csynchronous_commit%3Doff",
            "`options` does not belong",
        ),
        ("postgresql://h/d?password=hunter2", "a password behind the user"),
        ("postgresql://u:p@h/d?password=hunter2", "a password behind the user"),
        ("postgresql://h/d?service=x", "`service` does not belong"),
        ("postgresql://h/d?hunter2=x", "a word that stands behind the ? is not known"),
        ("postgresql://h/d?sslmode=no", "sslmode is one of"),
        ("postgresql://h/d?sslmode=verify-full&sslmode=disable", "whoever answers"),
        ("postgresql://h/d?sslrootcert=db.pem", "by its whole path"),
        ("postgresql://h/d?connect_timeout=0", "from 1 to 600"),
        ("postgresql://u:hunter2/x@h/d", "write %2F for /"),
        ("postgresql://u:12/hunter2@h", "write %2F for /"),
        ("postgresql://u:p@h/hunter2%0A", "no control characters"),
        ("postgresql://hunter2%1B@h/d", "no control characters"),
        ("postgresql:///hunter2?host=/run%0A", "no control characters"),
        ("postgresql://u:hunter2 x@h/d", "without spaces"),
        ("postgresql://h/d#hunter2", "has no #"),
        ("postgresql://h/" + "d" * 2_000, "up to 2,000"),
        *(
            (f"postgresql://u:hunter2@db.example.com/d?sslmode={mode}", "whoever answers")
            for mode in ("disable", "allow", "prefer", "require", "verify-ca")
        ),
    ],
)
def test_what_cannot_be_used_is_refused_without_being_quoted(address: str, says: str) -> None:
    """Each with what is wrong; a word that may be a part of a password is not named."""
    with pytest.raises(ValueError, match=r".") as refused:
        DatabaseUrl.parse(address)

    assert says in str(refused.value)
    assert "hunter2" not in str(refused.value)


@given(st.text(max_size=60), st.sampled_from(["", "postgresql://", "@127.0.0.1/d"]))
def test_no_address_makes_it_raise_anything_else(text: str, part: str) -> None:
    """Whatever stands there is taken or refused."""
    address = f"postgresql://{text}{part}" if part.startswith("@") else f"{part}{text}"
    with suppress(ValueError):
        DatabaseUrl.parse(address)


@given(st.text(st.sampled_from("abc019 %/@:+?#[]'\"\\é"), min_size=6, max_size=30))
def test_no_password_is_left_in_what_a_driver_says(password: str) -> None:
    """In any of the spellings that an address may have."""
    url = DatabaseUrl.parse(f"postgresql://u:{quote(password, safe='')}@127.0.0.1/d")
    said = f"<{password}> <{quote(password, safe='')}> <{quote_plus(password)}>"

    assert url.password == password
    assert url.without_password(said) == "<****> <****> <****>"
    assert password in url.secrets()


def test_without_psycopg_a_password_is_covered_all_the_same(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Nothing is taken apart then: whoever opens it is told what to install."""
    monkeypatch.setitem(sys.modules, "psycopg", None)
    settings = Settings(ledger=SecretStr(LOCAL))

    assert {LOCAL, PASSWORD, ENCODED} <= set(settings.secrets())
    with pytest.raises(PluginSettingsError, match="does not stand in a config"):
        _validated(LOCAL, tmp_path)
    with pytest.raises(ExtraMissing, match="psycopg") as missing:
        place_of(LOCAL, "lighthouse", tmp_path)
    assert "[postgres]" in str(missing.value.hint)


def _validated(ledger: object, tmp_path: Path, **more: Any) -> Settings:
    table = resolve(
        {"ledger": ledger, **more}, table="plugin.stage3", config=None, project_dir=tmp_path
    )
    settings = validate(Settings, table, plugin="stage3", source="stage3-plugin")
    assert isinstance(settings, Settings)
    return settings


def test_a_password_does_not_stand_in_a_config(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It comes from a variable, a file or a command; the refusal names the field, and no value."""
    monkeypatch.setenv("STAGE3_LEDGER", LOCAL)
    tmp_path.joinpath("url").write_text(LOCAL + "\n", encoding="utf-8")

    for source in ({"env": "STAGE3_LEDGER"}, {"file": "url"}, {"command": ["echo", LOCAL]}):
        assert PASSWORD in _validated(source, tmp_path).secrets()
    with pytest.raises(PluginSettingsError) as refused:
        _validated(LOCAL, tmp_path)
    assert "plugin.stage3.ledger" in str(refused.value)
    assert "does not stand in a config" in str(refused.value)
    assert "hunter2" not in str(refused.value)
    assert _validated("postgresql://stage3@localhost/media", tmp_path).ledger is not None


def test_what_a_program_gives_it_may_give_in_clear() -> None:
    """Without a host that says where its texts come from, nothing stands in a config."""
    assert Settings(ledger=SecretStr(LOCAL)).ledger == SecretStr(LOCAL)
    with pytest.raises(ValidationError) as refused:
        Settings(ledger=SecretStr(f"{LOCAL}?sslmode=hunter2"))
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("ledger", ["ledger.db", "/var/lib/ledger.db"])
def test_a_file_is_no_server(ledger: str, tmp_path: Path) -> None:
    """Whoever writes a path is told which setting is meant."""
    with pytest.raises(PluginSettingsError, match="state_dir"):
        _validated(ledger, tmp_path)


@pytest.mark.parametrize(
    "project", ["", "Lighthouse", "2nd", "a-b", "a b", "public", "pg_mine", "é", "a" * 64]
)
def test_a_project_is_a_plain_word(project: str, tmp_path: Path) -> None:
    """It is a schema of the database, so that nobody has to quote it."""
    with pytest.raises(PluginSettingsError, match="project"):
        _validated("postgresql://stage3@localhost/media", tmp_path, project=project)


def test_a_project_without_a_server_is_refused() -> None:
    """It would do nothing, and its author would believe that it does."""
    with pytest.raises(ValidationError, match="`project` is set, but no `ledger`"):
        Settings(project="lighthouse")


def test_drafts_stay_in_the_same_ledger() -> None:
    """What is drawn for nothing stands in the ledger of the pictures that it is a draft of."""
    settings = Settings(ledger=SecretStr(LOCAL), project="lighthouse")

    drafts = draft_settings(settings)
    assert (drafts.ledger, drafts.project) == (settings.ledger, "lighthouse")


def test_a_model_is_told_what_came_from_elsewhere() -> None:
    """The host's own promise, whatever the plugin is."""
    table = ResolvedTable({"ledger": LOCAL}, (LOCAL,))

    assert validate(Settings, table, plugin="stage3", source="x") == Settings(
        ledger=SecretStr(LOCAL)
    )


@pytest.mark.anyio
async def test_no_replica_of_a_model_gets_a_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither that of the address, in any spelling, nor the one that libpq is given."""
    got: list[Surroundings] = []

    class Noted:
        slots = 1

        def __init__(self, _work: object, _options: object, *, surroundings: Surroundings) -> None:
            got.append(surroundings)

        async def __aenter__(self) -> Self:
            return self

        async def __aexit__(self, *_: object) -> None:
            pass

    def noted(_kind: object) -> tuple[type[Noted], None]:
        return Noted, None

    monkeypatch.setattr(registry, "executor_of", noted)
    monkeypatch.setenv("PGPASSWORD", "another secret")
    model = "class Mine:\n    def render(self, request): ...\n"
    (tmp_path / "models.py").write_text(model, encoding="utf-8")
    settings = Settings(provider="local", model_class="models:Mine", ledger=SecretStr(LOCAL))
    state = StateDir(tmp_path / ".stage3")
    blocking = anyio.to_thread.run_sync
    pictures = Pictures(PictureStore(state), SpoolFolders(state), max_pixels=1, blocking=blocking)

    async with open_model(settings, tmp_path, pictures, ()):
        (surroundings,) = got
    assert {LOCAL, PASSWORD, ENCODED, "another secret"} <= set(surroundings.secrets)
