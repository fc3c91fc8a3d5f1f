"""Large content through the Python client and the command, against a real server."""

import asyncio
import hashlib
import json
import subprocess
import sys

import ketgate
import ketgate.aio
import numpy as np
import pytest
from ketgate import _references

MIB = 1 << 20


@pytest.fixture(scope="module")
def client(server):
    with ketgate.connect(ready_file=server.ready_file) as made:
        yield made
        for job in made.jobs.list('labels.suite = "artifacts"', limit=None):
            job.delete()
        for artifact in made.artifacts.list(limit=None):
            made.artifacts.delete(artifact.name)


def content(size: int, seed: int = 0) -> bytes:
    return np.random.default_rng(seed).bytes(size)


def test_a_file_goes_up_and_comes_down(client, tmp_path):
    data = content(3 * MIB + 5)
    (tmp_path / "in").write_bytes(data)
    told = []
    made = client.artifacts.upload(tmp_path / "in", progress=lambda *step: told.append(step))
    assert made.sha256 == hashlib.sha256(data).hexdigest()
    assert (told[0], told[-1]) == ((0, len(data)), (len(data), len(data)))
    assert told == sorted(told)
    assert client.artifacts.upload(data) == client.artifacts.get(made.sha256)
    path = client.artifacts.download(made.name, tmp_path / "out")
    assert path.read_bytes() == data
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in", "out"]
    assert made.name in [artifact.name for artifact in client.artifacts.list()]
    client.artifacts.delete(made.name)
    with pytest.raises(ketgate.NotFound):
        client.artifacts.get(made.name)


@pytest.mark.parametrize("size", [0, 1])
def test_next_to_nothing(client, tmp_path, size):
    made = client.artifacts.upload(bytes(size))
    assert client.artifacts.content(made.name) == bytes(size)
    assert client.artifacts.download(made.name, tmp_path / "x").read_bytes() == bytes(size)


@pytest.mark.parametrize("dtype", [">f8", "<f4", "i8", "u1"])
def test_an_array_comes_back_as_it_was(client, dtype):
    array = np.arange(24).reshape(4, 6).astype(dtype)[:, ::2]
    made = client.artifacts.upload(array)
    back = client.artifacts.array(made.name, dtype, (4, 3))
    np.testing.assert_array_equal(back, array)


def test_an_upload_that_was_left_goes_on_in_another_client(client, server):
    data = content(8 * MIB, 1)

    def leave(done, size):
        if done > size // 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        client.artifacts.upload(data, progress=leave)
    told = []
    with ketgate.connect(ready_file=server.ready_file) as other:
        made = other.artifacts.upload(data, progress=lambda done, _: told.append(done))
        assert told[0] > len(data) // 3
        assert other.artifacts.content(made.name) == data


def test_a_download_that_was_left_goes_on(client, tmp_path):
    data = content(4 * MIB, 2)
    made = client.artifacts.upload(data)

    def leave(done, size):
        if done > size // 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        client.artifacts.download(made.name, tmp_path / "x", progress=leave)
    assert not (tmp_path / "x").exists()
    told = []
    client.artifacts.download(made.name, tmp_path / "x", progress=lambda n, _: told.append(n))
    assert told[0] > len(data) // 2
    assert (tmp_path / "x").read_bytes() == data


def test_what_lies_there_damaged_is_not_taken_for_whole(client, tmp_path):
    data = content(MIB, 3)
    made = client.artifacts.upload(data)
    part = tmp_path / f".x.{made.sha256[:16]}.part"
    part.write_bytes(b"damaged")
    with pytest.raises(ketgate.DataLoss):
        client.artifacts.download(made.name, tmp_path / "x")
    assert client.artifacts.download(made.name, tmp_path / "x").read_bytes() == data


def covariance_problem():
    """770 names: a covariance of 4.7 MB."""
    size = 770
    rng = np.random.default_rng(0)
    factors = rng.normal(size=(size, 5))
    covariance = factors @ factors.T / 100 + np.diag(rng.uniform(0.01, 0.1, size))
    return {"expected_returns": rng.uniform(0, 0.1, size), "covariance": covariance}


def test_large_arrays_of_a_problem_travel_by_themselves(client, server):
    problem = covariance_problem()
    direct = client.optimize.portfolio(**problem, seed=1)
    tensors = list(_references.referred(direct.spec))
    assert len(tensors) == 1
    assert client.artifacts.get(tensors[0].artifact).size_bytes == problem["covariance"].nbytes
    job = client.optimize.portfolio(**problem, seed=1, durable=True, labels={"suite": "artifacts"})
    assert client.artifacts.get(tensors[0].artifact).reference_count == 1
    np.testing.assert_allclose(job.result(200).values, direct.values)
    with pytest.raises(ketgate.FailedPrecondition):
        client.artifacts.delete(tensors[0].artifact)
    job.delete()

    async def solve():
        async with ketgate.aio.connect(ready_file=server.ready_file) as other:
            return await other.optimize.portfolio(**problem, seed=1)

    np.testing.assert_allclose(asyncio.run(solve()).values, direct.values)


def test_large_arrays_of_a_result_are_fetched(start_server):
    server = start_server("--set", "limits.artifacts.inline_bytes_max=16")
    matrix = {(i, (i + 1) % 40): 1.0 for i in range(40)}
    with ketgate.connect(ready_file=server.ready_file) as client:
        direct = client.optimize.ising(None, matrix, seed=1)
        job = client.optimize.ising(None, matrix, seed=1, durable=True)
        np.testing.assert_array_equal(job.result(200).values, direct.values)
        [kept] = client.artifacts.list()
        assert (kept.size_bytes, kept.reference_count) == (40, 1)


def test_the_asynchronous_client_does_the_same(server, tmp_path):
    data = content(3 * MIB, 5)

    async def run():
        async with ketgate.aio.connect(ready_file=server.ready_file) as client:
            told = []
            made = await client.artifacts.upload(data, progress=lambda n, _: told.append(n))
            assert told[-1] == len(data)
            assert await client.artifacts.content(made.name) == data
            path = await client.artifacts.download(made.name, tmp_path / "x")
            assert path.read_bytes() == data
            array = np.arange(10.0)
            kept = await client.artifacts.upload(array)
            np.testing.assert_array_equal(await client.artifacts.array(kept.name), array)
            listed = await client.artifacts.list(limit=1)
            assert listed == [await client.artifacts.get(kept.name)]
            await client.artifacts.delete(made.name)

    asyncio.run(run())


def test_the_command(server, tmp_path):
    command = [sys.executable, "-m", "ketgate", "artifacts"]

    def run(*arguments):
        return subprocess.run(
            [*command, *map(str, arguments), "--ready-file", str(server.ready_file)],
            capture_output=True,
            text=True,
            timeout=200,
        )

    (tmp_path / "in").write_bytes(b"some content")
    put = run("put", tmp_path / "in")
    name = put.stdout.strip()
    assert name == f"artifacts/{hashlib.sha256(b'some content').hexdigest()}", put.stderr
    assert run("get", name, tmp_path / "out").returncode == 0
    assert (tmp_path / "out").read_bytes() == b"some content"
    listed = json.loads(run("list", "--json").stdout)
    assert [a["size_bytes"] for a in listed if a["name"] == name] == [12]
    assert run("delete", name).returncode == 0
    gone = run("get", name, tmp_path / "again")
    assert gone.returncode == 1
    assert "there is no" in gone.stderr
    assert run("put", tmp_path / "missing").returncode != 0
