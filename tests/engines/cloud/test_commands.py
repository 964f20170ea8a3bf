"""What a user sees of a bucket: the commands, as processes, against a real S3 server."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stage3_plugin.storage.bucket import Bucket
from tests.engines.cloud.s3_server import RADOSGW, SECRET, S3Server
from tests.engines.conftest import need
from tests.fakes.behaviours import Ok
from tests.fakes.image_api import ImageApi
from tests.projects import Project, ended, wait_until


@pytest.fixture(params=["asyncio", "trio"])
def project(request: pytest.FixtureRequest, tmp_path: Path) -> Project:
    return Project(tmp_path / "project", backend=request.param)


@pytest.fixture
def plain_project(tmp_path: Path) -> Project:
    return Project(tmp_path / "project")


@pytest.fixture
def own_server(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[S3Server]:
    """Run a server of this test's own, which it may kill; the environment is its owner's."""
    need("S3 server (radosgw)", is_there=RADOSGW is not None)
    server = S3Server(tmp_path_factory.mktemp("own"))
    server.start()
    for name, value in server.user("owner").items():
        monkeypatch.setenv(name, value)
    try:
        yield server
    finally:
        server.kill()


def verified(project: Project, *more: str) -> tuple[int, dict[str, Any]]:
    """Run ``stage3 verify --json``."""
    ran = project.stage3("verify", "--json", *more)
    document: dict[str, Any] = json.loads(ran.stdout)
    return ran.returncode, document


def holding(address: str) -> dict[str, int]:
    """Return what a bucket has, by name, with lengths."""
    return dict(Bucket.at(address).sizes())


def test_a_story_lies_in_both_and_its_manifest_says_where(
    plain_project: Project, image_api: ImageApi, bucket: str
) -> None:
    """The address opens nothing by itself, and stands there for what a later run reuses too."""
    project = plain_project
    project.scenes(3)
    project.config(image_api, store=bucket)
    ran = project.run("run", "scenes.json")
    images = project.manifest()["images"]
    again = project.run("run", "scenes.json")
    addresses = {one["scene_id"]: one["store_url"] for one in images}

    assert (ran.returncode, again.returncode) == (0, 0), ran.stderr + again.stderr
    assert addresses == {
        one["scene_id"]: f"{bucket}/{one['sha256'][:2]}/{one['sha256']}" for one in images
    }
    assert {one["scene_id"]: one["store_url"] for one in project.manifest()["images"]} == addresses
    assert holding(bucket).keys() == {one["sha256"] for one in images}
    assert image_api.billed() == 3
    assert SECRET not in (project.folder / "out" / "manifest.json").read_text("utf-8")
    assert verified(project) == (
        0,
        {
            "format": "stage3-verify/1",
            "ledger": str(project.folder / ".stage3" / "ledger.db"),
            "corrected": 0,
            "purchases": 3,
            "pictures": 3,
            "store": bucket,
            "filled": 0,
            "only_in_store": 0,
            "store_read": False,
            "problems": [],
            "next_actions": [],
        },
    )


def test_a_manifest_without_a_bucket_says_nothing_of_one(
    plain_project: Project, image_api: ImageApi
) -> None:
    """Not even that there is none: its readers know no such key."""
    plain_project.scenes(1)
    plain_project.config(image_api)
    plain_project.run("run", "scenes.json")
    code, document = verified(plain_project)
    filling = plain_project.stage3("verify", "--fill-store")

    assert "store_url" not in plain_project.manifest()["images"][0]
    assert (code, document["store"]) == (0, None)
    assert filling.returncode == 2
    assert "the last run had no bucket that could be filled" in filling.stderr


def test_what_a_bucket_lacks_is_named_and_put_there(
    plain_project: Project, image_api: ImageApi, bucket: str
) -> None:
    """As are pictures of before there was one; nothing is bought for it."""
    project = plain_project
    project.scenes(3)
    project.config(image_api)
    project.run("run", "scenes.json")
    project.config(image_api, store=bucket)
    project.run("run", "scenes.json")
    first = project.manifest()["images"][0]
    code, document = verified(project)
    told = project.stage3("verify")
    filled = project.stage3("verify", "--fill-store")
    after = verified(project)

    assert code == told.returncode == 1
    assert [one["kind"] for one in document["problems"]] == ["store"] * 3
    assert {one["scene_ids"][0]: one["url"] for one in document["problems"]}["s01"] == (
        first["store_url"]
    )
    assert f"{first['store_url']} of scene s01: the bucket lacks it" in told.stdout
    assert "next: 'stage3 verify --fill-store' puts it there" in told.stdout
    assert filled.returncode == 0
    assert f"put into {bucket}: 3 pictures" in filled.stdout
    assert (after[0], after[1]["problems"]) == (0, [])
    assert len(holding(bucket)) == 3
    assert image_api.billed() == 3


def test_a_picture_of_another_length_in_the_bucket_is_named(
    plain_project: Project, image_api: ImageApi, bucket: str, tmp_path: Path
) -> None:
    """It is no picture of ours, and is put right."""
    project = plain_project
    project.scenes(1)
    project.config(image_api, store=bucket)
    project.run("run", "scenes.json")
    (sha256, size) = next(iter(holding(bucket).items()))
    other = tmp_path / "other"
    other.write_bytes(b"half")
    Bucket.at(bucket).put(sha256, other)
    code, document = verified(project)
    verified(project, "--fill-store")

    assert code == 1
    assert document["problems"][0]["message"] == f"the bucket has 4 bytes of its {size:,}"
    assert holding(bucket) == {sha256: size}


def test_other_bytes_of_the_old_length_are_named_where_the_bucket_is_read(
    plain_project: Project, image_api: ImageApi, bucket: str, tmp_path: Path
) -> None:
    """A list of names cannot show them, and says so; what is read is named, and put right."""
    project = plain_project
    project.scenes(2)
    project.config(image_api, store=bucket)
    project.run("run", "scenes.json")
    (sha256, size) = next(iter(holding(bucket).items()))
    other = tmp_path / "other"
    other.write_bytes(b"x" * size)
    Bucket.at(bucket).put(sha256, other)
    listed = project.stage3("verify")
    code, document = verified(project, "--read-store")
    filled = project.stage3("verify", "--read-store", "--fill-store")
    after = verified(project, "--read-store")

    assert listed.returncode == 0
    assert f"{bucket} was compared by names and lengths; --read-store reads" in listed.stdout
    assert (code, [one["kind"] for one in document["problems"]]) == (1, ["store"])
    assert document["problems"][0]["message"] == "the bucket has other bytes by its name"
    assert document["problems"][0]["url"].endswith(sha256)
    assert {"--read-store", "--fill-store"} <= {*document["next_actions"][0]["command"]}
    assert f"put into {bucket}: 1 picture" in filled.stdout
    assert "was compared by" not in filled.stdout
    assert (after[0], after[1]["store_read"]) == (0, True)


def test_a_picture_that_only_a_damaged_bucket_has_is_named(
    plain_project: Project, image_api: ImageApi, bucket: str, tmp_path: Path
) -> None:
    """The run that needs it sends to ``verify``, which says how to see that."""
    project = plain_project
    project.scenes(1)
    project.config(image_api, store=bucket)
    project.run("run", "scenes.json")
    (sha256, size) = next(iter(holding(bucket).items()))
    other = tmp_path / "other"
    other.write_bytes(b"x" * size)
    Bucket.at(bucket).put(sha256, other)
    for name in ("out", ".story", ".stage3/objects"):
        shutil.rmtree(project.folder / name)
    ran = project.run("run", "scenes.json")
    listed = project.stage3("verify")
    code, document = verified(project, "--read-store")

    assert ran.returncode != 0
    assert "see 'stage3 verify'" in ran.stdout
    assert "--read-store reads its pictures" in listed.stdout
    assert code == 1
    assert {one["kind"] for one in document["problems"]} == {"store", "missing"}
    assert document["only_in_store"] == 0
    assert image_api.billed() == 1


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is a folder of Linux")
def test_a_folder_that_says_it_is_not_there_ends_the_run(
    plain_project: Project, image_api: ImageApi
) -> None:
    """At once and before anything is bought, though it was there to be looked at."""
    plain_project.scenes(1)
    plain_project.config(image_api, store="file:///proc")
    ran = plain_project.run("run", "scenes.json")

    assert ran.returncode == 2
    assert "cannot write file:///proc/stage3-probe: No such file or directory" in ran.stderr
    assert image_api.entries == []


def test_a_wiped_machine_has_everything_again(
    plain_project: Project, image_api: ImageApi, bucket: str
) -> None:
    """And until a run needs it, it is no problem that the bucket alone has it."""
    project = plain_project
    project.scenes(3)
    project.config(image_api, store=bucket)
    project.run("run", "scenes.json")
    for name in ("out", ".story", ".stage3/objects"):
        shutil.rmtree(project.folder / name)
    code, document = verified(project)
    told = project.stage3("verify")
    again = project.run("run", "scenes.json")

    assert (code, document["problems"], document["only_in_store"]) == (0, [], 3)
    assert f"only in {bucket}: 3 pictures; a run that needs one brings it back" in told.stdout
    assert again.returncode == 0
    assert len(list((project.folder / "out" / "images").iterdir())) == 3
    assert verified(project)[1]["only_in_store"] == 0
    assert image_api.billed() == 3


def test_what_both_lack_is_lost_and_named(
    plain_project: Project, image_api: ImageApi, own_server: S3Server
) -> None:
    """And only then."""
    project = plain_project
    address = own_server.bucket("mine", "owner")
    project.scenes(1)
    project.config(image_api, store=address)
    project.run("run", "scenes.json")
    for name in ("out", ".story", ".stage3/objects"):
        shutil.rmtree(project.folder / name)
    project.config(image_api, store=own_server.bucket("other", "owner"))
    again = project.run("run", "scenes.json")
    code, document = verified(project)

    assert again.returncode == 1
    assert "is gone or damaged" in project.manifest()["failures"][0]["message"]
    assert code == 1
    assert sorted(one["kind"] for one in document["problems"]) == ["missing", "store"]
    assert image_api.billed() == 1


def test_a_server_that_is_killed_in_mid_run_costs_nothing_twice(
    project: Project, image_api: ImageApi, own_server: S3Server
) -> None:
    """The run ends by itself; the next one takes in what was received, and makes the rest."""
    address = own_server.bucket("mine", "owner")
    image_api.always(Ok(delay_s=0.1))
    project.scenes(24)
    project.config(image_api, store=address, capacity=3)
    running = project.start("run", "scenes.json")
    wait_until(lambda: len(holding(address)) >= 3)
    own_server.kill()
    first = ended(running)
    made = sum(code == "made" for code in project.codes().values())
    billed = image_api.billed()
    refused = project.run("run", "scenes.json")
    own_server.start()
    second = project.run("run", "scenes.json")

    assert first.returncode == 3, first.stderr
    assert "the bucket's server does not answer" in first.stdout + first.stderr
    assert made < billed < 24
    assert refused.returncode == 2
    assert "the bucket's server does not answer" in refused.stderr
    assert second.returncode == 0, second.stderr
    assert len(holding(address)) == 24
    assert image_api.billed() == image_api.received() == 24


@pytest.mark.parametrize("left", ["nothing", "a folder of another disk"])
def test_a_folder_whose_disk_goes_away_in_mid_run_is_not_made_anew(
    plain_project: Project, image_api: ImageApi, tmp_path: Path, left: str
) -> None:
    """No picture goes where it would not be looked for; when the disk is back, nothing is lost."""
    project, store, disk = plain_project, tmp_path / "mounted" / "store", tmp_path / "disk"
    store.mkdir(parents=True)
    image_api.always(Ok(delay_s=0.2))
    project.scenes(24)
    project.config(image_api, store=f"file://{store}", capacity=3)
    running = project.start("run", "scenes.json")
    wait_until(lambda: len(list(store.glob("*/*"))) >= 3)
    store.rename(disk)
    if left != "nothing":
        store.mkdir()
    first = ended(running)
    made = list(store.rglob("*"))
    billed = image_api.billed()
    if left != "nothing":
        store.rmdir()
    disk.rename(store)
    second = project.run("run", "scenes.json")

    assert first.returncode == 3, first.stderr
    assert f"file://{store}: it is gone, or another folder than at the start" in first.stderr
    assert "see whether its disk is mounted" in first.stderr
    assert "; the whole answer is kept, and the next run takes it in" in first.stderr
    assert made == []
    assert billed < 24
    assert second.returncode == 0, second.stderr
    assert len([one for one in store.rglob("*") if one.is_file()]) == 24 + 1
    assert image_api.billed() == image_api.received() == 24


def test_a_server_that_is_frozen_keeps_nobody_from_leaving(
    plain_project: Project, image_api: ImageApi, own_server: S3Server
) -> None:
    """Two interrupts end a run whose pictures wait for the bucket; the next one takes them in."""
    project = plain_project
    address = own_server.bucket("mine", "owner")
    image_api.always(Ok(delay_s=0.1))
    project.scenes(12)
    project.config(image_api, store=address, capacity=3)
    running = project.start("run", "scenes.json")
    wait_until(lambda: len(holding(address)) >= 2)
    own_server.freeze()
    wait_until(lambda: image_api.billed() >= 5)
    time.sleep(0.3)  # what was billed is on its way to the bucket
    start = time.monotonic()
    running.send_signal(signal.SIGINT)
    time.sleep(0.2)
    running.send_signal(signal.SIGINT)
    first = ended(running)
    took_s = time.monotonic() - start
    own_server.thaw()
    second = project.run("run", "scenes.json")

    assert first.returncode == 130
    assert took_s < 10
    assert second.returncode == 0, second.stderr
    assert len(holding(address)) == 12
    assert image_api.billed() == image_api.received() == 12


def test_a_driver_that_is_killed_leaves_nothing_unpaid_in_the_bucket(
    plain_project: Project, image_api: ImageApi, bucket: str
) -> None:
    """What it had bought is taken in by the next one, and both have all."""
    project = plain_project
    image_api.always(Ok(delay_s=0.05))
    project.scenes(12)
    project.config(image_api, store=bucket, capacity=3, on_unknown="resend")
    running = project.start("run", "scenes.json")
    wait_until(lambda: len(holding(bucket)) >= 2)
    running.send_signal(signal.SIGKILL)
    ended(running)
    second = project.run("run", "scenes.json")
    pictures = {one["sha256"] for one in project.manifest()["images"]}

    assert second.returncode == 0, second.stderr
    assert len(project.manifest()["images"]) == 12
    assert holding(bucket).keys() >= pictures
    assert verified(project)[1]["problems"] == []


@pytest.mark.parametrize(
    "store",
    [
        "s3://AKIAEXAMPLE:s3cretword@bucket/stage3",
        "s3://bucket/stage3?X-Amz-Signature=s3cretword",
        "az://container?sv=2024&sig=s3cretword",
        "https://bucket.s3.amazonaws.com/a?X-Amz-Credential=s3cretword",
    ],
)
def test_credentials_in_the_address_are_refused_unseen(
    plain_project: Project, image_api: ImageApi, store: str
) -> None:
    """And it is said where they belong."""
    plain_project.scenes(1)
    plain_project.config(image_api, store=store)
    ran = plain_project.run("run", "scenes.json")
    said = ran.stdout + ran.stderr

    assert ran.returncode == 2
    assert "store: an address of a bucket has no user, password, signature or query" in said
    assert "credentials are read from the environment" in said
    assert "s3cretword" not in said
    assert image_api.received() == 0


REFUSED = {
    "an unknown scheme": ("ftp://host/x", "an address of a bucket starts with s3://"),
    "a folder that is not there": ("file:///nonesuch/at/all", "there is no folder"),
    "a relative folder": ("file://pictures", "three slashes"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_an_address_that_cannot_be_used_is_known_to_check(
    plain_project: Project, image_api: ImageApi, what: str
) -> None:
    """Before anything is sent."""
    store, says = REFUSED[what]
    plain_project.scenes(1)
    plain_project.config(image_api, store=store)
    check = plain_project.run("check")

    assert check.returncode == 2
    assert says in check.stderr
    assert "store" in check.stderr


def test_check_online_tries_the_bucket(
    plain_project: Project, image_api: ImageApi, s3: S3Server, bucket: str
) -> None:
    """Good, or not, with the next step; nothing of this machine is written."""
    project = plain_project
    project.config(image_api, store=bucket)
    good = project.run("check", "--online")
    project.config(image_api, store="s3://nonesuch")
    bad = project.run("check", "--online", "--json")
    plain = project.run("check")
    found = [one for one in json.loads(bad.stdout)["online"] if one["asked"] == "store"]

    assert f"{bucket} takes pictures, and gives them back" in good.stdout
    assert bad.returncode == 2
    assert found[0]["verdict"] == "bad"
    assert "there is no such bucket" in found[0]["message"]
    assert plain.returncode == 0
    assert not (project.folder / ".stage3").exists()


def test_a_server_that_is_silent_ends_a_run_in_time(
    plain_project: Project, image_api: ImageApi, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It takes connections and says nothing; a bucket's patience has an end."""
    from stage3_plugin.errors import BucketFailed
    from stage3_plugin.storage.bucket import Patience

    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "owner")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
        patience = Patience(connect_s=1, request_s=0.3, retries=1, retry_s=1)
        far = Bucket.at("s3://media", patience)
        start = time.monotonic()
        with pytest.raises(BucketFailed, match="the bucket's server does not answer"):
            far.probe()
        took_s = time.monotonic() - start

    assert took_s < patience.retry_s + patience.request_s + 2


def test_a_folder_that_cannot_be_written_is_known_before_anything_is_bought(
    plain_project: Project, image_api: ImageApi, tmp_path: Path
) -> None:
    """As on a disk that is mounted to be read."""
    far = tmp_path / "far"
    far.mkdir()
    (far / "stage3-probe").mkdir()  # whoever is root may write in any folder
    plain_project.scenes(1)
    plain_project.config(image_api, store=f"file://{far}")
    ran = plain_project.run("run", "scenes.json")

    assert ran.returncode == 2
    assert f"cannot write file://{far}/stage3-probe" in ran.stderr
    assert image_api.received() == 0


def test_storyboards_go_there_too(plain_project: Project, bucket: str) -> None:
    """Other machines need them like any other picture."""
    project = plain_project
    project.scenes(2)
    (project.folder / "host.toml").write_text(
        f'[plugin.stage3]\nsize = "256x144"\nstore = "{bucket}"\n', encoding="utf-8"
    )
    ran = project.run("run", "scenes.json")

    assert ran.returncode == 0, ran.stderr
    assert holding(bucket).keys() == {one["sha256"] for one in project.manifest()["images"]}
