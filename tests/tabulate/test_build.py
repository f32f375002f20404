"""Making a table in chunks that survive a stop."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from graphbo.errors import InputError
from graphbo.problems.curves import MISSING, CurveTable
from graphbo.spaces.declarative import space_from_settings
from graphbo.tabulate import Protocol, build
from graphbo.tabulate.build import train_cells
from graphbo.tabulate.check import check, retrain
from graphbo.tabulate.equivalence import networks
from graphbo.tabulate.statistics import cells
from graphbo.training.hyperparameters import tuned
from graphbo.training.trainer import train


def test_it_holds_every_cell_and_trains_every_network_once(
    protocol: Protocol, table: CurveTable
) -> None:
    space = space_from_settings(protocol.space)
    architectures = cells(table)
    assert architectures == [design.architecture for design in space.enumerate()]
    assert table.valid is not None
    assert table.valid.shape == (len(architectures), 2, 2)
    groups = networks(architectures)
    assert len(groups) < len(architectures)
    for group in groups.values():
        assert (table.valid[group] == table.valid[group[0]]).all()
        assert len(set(table.facts["parameters"][group])) == 1


def test_a_result_is_that_of_training_alone(protocol: Protocol, table: CurveTable) -> None:
    data = protocol.data()
    architectures = cells(table)
    groups = networks(architectures)
    for i in [list(groups.values())[k][0] for k in (3, 20)]:
        network = protocol.network(architectures[i], protocol.seeds[1], data)
        alone = train(
            network, protocol.recipe, data.train, data.validation, data.test, seed=protocol.seeds[1]
        )
        for kind, errors in (("valid", alone.validation_error), ("test", alone.test_error)):
            one_image = 100 / table.images[kind]  # rounding may turn one that is on the fence
            recorded = table.percent(kind)[i, 1]
            np.testing.assert_allclose(recorded, 100 - np.array(errors), atol=1.01 * one_image)


def test_it_can_be_searched(table: CurveTable) -> None:
    problem = table.problem()
    assert problem.space.size == len(table.rows)
    assert problem.fidelity == {"epochs": 2}
    assert problem.optimum == pytest.approx(100 - table.percent("valid")[:, :, -1].mean(1).max())


def test_it_goes_on_where_it_was(
    protocol: Protocol, table: CurveTable, small_chunks: int, tmp_path: Path
) -> None:
    assert build(protocol, tmp_path, only=1) is None
    (chunk,) = tmp_path.iterdir()
    written = chunk.stat().st_mtime_ns
    leftover = tmp_path / (chunk.name.replace("00000", "00001") + ".123.tmp")
    leftover.write_bytes(b"half")
    progress: list[tuple[float, int]] = []
    whole = build(
        protocol, tmp_path, on_progress=lambda done, total: progress.append((done, total))
    )
    assert whole is not None
    assert chunk.stat().st_mtime_ns == written
    assert not leftover.exists()
    assert without_seconds(whole) == without_seconds(table)
    total = len(networks(cells(table)))
    assert progress[0] == (small_chunks, total)
    assert progress == sorted(progress)
    assert progress[-1] == (total, total)


def without_seconds(table: CurveTable) -> str:
    """The checksum of all that does not depend on the machine's mood."""
    return replace(table, seconds=None).checksum


def test_a_finished_build_only_reads(protocol: Protocol, tmp_path: Path) -> None:
    first = build(protocol, tmp_path)
    second = build(protocol, tmp_path)
    assert first is not None
    assert second is not None
    assert second.checksum == first.checksum  # which measured seconds are part of


def test_a_damaged_chunk_is_named(protocol: Protocol, tmp_path: Path) -> None:
    build(protocol, tmp_path, only=1)
    (chunk,) = tmp_path.iterdir()
    for i in range(1, 10):  # one of another table in place of the rest
        (tmp_path / chunk.name.replace("00000", f"{i:05d}")).write_bytes(b"PK")
    with pytest.raises(InputError, match=r"00001\.npz"):
        build(protocol, tmp_path)


def test_what_diverges_is_missing_and_does_not_touch_the_others(protocol: Protocol) -> None:
    data = protocol.data().subset(train=64, validation=20, test=20)
    space = space_from_settings(protocol.space)
    chosen = [space.decode(row) for row in ((0, 3, 0), (0, 0, 0))]
    wild = replace(protocol, recipe=replace(protocol.recipe, learning_rate=1e38))
    counted: list[int] = []
    valid, test = train_cells(wild, data, chosen, on_epochs=counted.append)
    assert (valid[0] == MISSING).all()
    assert (test[0] == MISSING).all()
    assert sum(counted) == 2 * 2 * 2  # networks, seeds, epochs


@pytest.mark.parametrize("setting", ["jobs", "size", "only"])
def test_a_build_of_nothing_is_refused(setting: str, protocol: Protocol, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"{setting} must be at least 1; got 0"):
        build(protocol, tmp_path / "out", **{setting: 0})
    assert not (tmp_path / "out").exists()


def test_a_device_that_is_not_there_is_refused(protocol: Protocol, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="the device 'abacus' cannot be used"):
        build(protocol, tmp_path, device="abacus")


SCRIPT = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in some background jobs
from graphbo.cli import main
from graphbo.tabulate import Protocol
from graphbo.tabulate.protocols import PROTOCOLS

sys.modules["graphbo.tabulate.build"].CHUNK = {chunk}

if __name__ == "__main__":
    protocol = Protocol.from_json({record!r})
    PROTOCOLS[protocol.name] = protocol
    main(["table", "build", protocol.name, "--output", sys.argv[1], "--jobs", "2"])
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").exists(), reason="looks for processes in /proc")
def test_a_stopped_build_leaves_no_process_behind_and_goes_on(
    protocol: Protocol, table: CurveTable, small_chunks: int, tmp_path: Path
) -> None:
    script, output = tmp_path / "script.py", tmp_path / "out"
    script.write_text(SCRIPT.format(record=protocol.to_json(), chunk=small_chunks))
    command = [sys.executable, str(script), str(output)]
    environment = os.environ | {"TABLE_BUILD": str(script)}
    before: dict[str, int] = {}
    for how in (signal.SIGINT, signal.SIGKILL):
        with (tmp_path / how.name).open("w") as errors:
            process = subprocess.Popen(
                command, env=environment, stderr=errors, start_new_session=True
            )
        until(lambda: len(chunks(output)) > len(before))  # noqa: B023
        if how == signal.SIGINT:
            os.killpg(process.pid, how)  # as Ctrl-C does
        else:
            process.send_signal(how)  # the workers must see to their end themselves
        code = process.wait(timeout=20)
        until(lambda: not still_running(str(script)), seconds=5)
        said = (tmp_path / how.name).read_text()
        assert "Traceback" not in said
        if how == signal.SIGINT:
            assert code == 130
            assert said.splitlines()[-1] == "graphbo: stopped; the same command goes on from here"
        assert not (output / "tiny.npz").exists()
        assert before.items() < chunks(output).items(), "a chunk was made again"
        before = chunks(output)
    resumed = build(protocol, output)
    assert resumed is not None
    assert before.items() < chunks(output).items(), "a chunk was made again"
    assert not list(output.glob("*.tmp"))
    assert without_seconds(resumed) == without_seconds(table)


def chunks(folder: Path) -> dict[str, int]:
    """When each chunk was written."""
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("tiny-*.npz")}


def still_running(script: str) -> bool:
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and script.encode() in (entry / "environ").read_bytes():
                return True
        except OSError:
            continue
    return False


def until(condition: Callable[[], bool], seconds: float = 180.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)


def test_a_sample_with_hyperparameters_is_trained_with_them(
    protocol: Protocol, tmp_path: Path
) -> None:
    joint = replace(
        protocol,
        name="tiny-joint",
        seeds=(0,),
        hyperparameters={
            "learning_rate": {"low": 0.01, "high": 0.5, "log": True},
            "channels": {"low": 2, "high": 5},
        },
        sample=6,
    )
    table = build(Protocol.from_json(joint.to_json()), tmp_path)
    assert table is not None
    designs = table.designs()
    assert designs == joint.designs()
    assert [finding.name for finding in check(table) if finding.passed] == [
        "completeness",
        "results",
    ]
    data = joint.data()
    chosen = designs[1].hyperparameters
    alone = train(
        joint.network(designs[1].architecture, 0, data, chosen),
        tuned(joint.recipe, chosen),
        data.train,
        data.validation,
        data.test,
        seed=0,
    )
    found = 100 - table.percent("valid")[1, 0]
    np.testing.assert_allclose(
        found, alone.validation_error, atol=1.01 * 100 / table.images["valid"]
    )
    assert table.problem().space.size == 6
    with pytest.raises(InputError, match="has a single seed, which tells nothing of the noise"):
        retrain(table, 1)
