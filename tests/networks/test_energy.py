"""Energy from counters, with a network that moves a counter of its own."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

from graphbo.errors import InputError
from graphbo.networks.deployment import Deployment
from graphbo.networks.energy import NvmlCounter, RaplCounter, energy, energy_counter

RANGE = 10_000  # microjoules


def counter(folder: Path, shows: int = 0) -> RaplCounter:
    (folder / "energy_uj").write_text(f"{shows}\n")
    (folder / "max_energy_range_uj").write_text(f"{RANGE - 1}\n")
    return RaplCounter(folder)


class Hungry(nn.Module):
    """Takes so many microjoules for an image, as a file says."""

    def __init__(self, folder: Path, microjoules: int) -> None:
        super().__init__()
        self.file, self.microjoules = folder / "energy_uj", microjoules

    def forward(self, x: Tensor) -> Tensor:
        shows = (int(self.file.read_text()) + self.microjoules * len(x)) % RANGE
        self.file.write_text(f"{shows}\n")
        return x


@pytest.mark.parametrize("shows", [0, RANGE - 5000])
def test_the_energy_of_a_pass_is_the_mean_of_what_the_counter_counts(
    tmp_path: Path, shows: int
) -> None:
    own = counter(tmp_path, shows)  # which begins anew in the second case
    network = Hungry(tmp_path, 700)
    assert energy(network, (1, 2, 2), counter=own, seconds=0, repeats=10) == pytest.approx(0.7)
    assert network.training


def test_passes_are_repeated_for_some_time(tmp_path: Path) -> None:
    own = counter(tmp_path)
    assert energy(Hungry(tmp_path, 1), (1, 2, 2), counter=own, seconds=0.05, repeats=2) == 0.001
    assert int((tmp_path / "energy_uj").read_text()) > 5


def test_a_counter_goes_round(tmp_path: Path) -> None:
    own = counter(tmp_path)
    assert own.millijoules(2000, 5000) == 3
    assert own.millijoules(9000, 1000) == 2


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"there is no counter .*energy_uj, which Linux has"):
        RaplCounter(tmp_path).read()
    own = counter(tmp_path)
    (tmp_path / "energy_uj").write_text("much")
    with pytest.raises(InputError, match=r"cannot be read \(it holds no number\); .* chmod a\+r"):
        own.read()
    counter(tmp_path)
    with pytest.raises(InputError, match="has not moved in 4 passes"):
        energy(Hungry(tmp_path, 0), (1, 1, 1), counter=own, seconds=0, repeats=4)
    with pytest.raises(InputError, match="repeats must be at least 1"):
        energy(nn.Identity(), (1, 1, 1), counter=own, repeats=0)
    with pytest.raises(InputError, match="on 'cpu' and 'cuda'; not on 'meta'"):
        energy_counter("meta")
    assert energy_counter("cpu") == RaplCounter()


class FakeNvml(ModuleType):
    """What of NVML is used; an old GPU has no counter."""

    class NVMLError(Exception):
        pass

    def __init__(self, shows: int | None) -> None:
        super().__init__("pynvml")
        self.shows = shows

    def nvmlInit(self) -> None:  # noqa: N802
        pass

    def nvmlDeviceGetHandleByUUID(self, name: str) -> str:  # noqa: N802
        assert name == "GPU-12ab"
        return name

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: str) -> int:  # noqa: N802
        if self.shows is None:
            raise self.NVMLError("Not Supported")
        return self.shows


def test_the_counter_of_a_gpu_is_that_of_nvml(monkeypatch: pytest.MonkeyPatch) -> None:
    own = energy_counter("cuda:0")
    assert own == NvmlCounter(torch.device("cuda:0"))
    monkeypatch.setattr(
        torch.cuda, "get_device_properties", lambda device: SimpleNamespace(uuid="12ab")
    )
    monkeypatch.setitem(sys.modules, "pynvml", FakeNvml(5000))
    assert own.read() == 5000
    assert own.millijoules(5000, 5250) == 250
    monkeypatch.setitem(sys.modules, "pynvml", FakeNvml(None))
    with pytest.raises(InputError, match="one of the Volta generation or later: Not Supported"):
        own.read()
    monkeypatch.setitem(sys.modules, "pynvml", None)
    with pytest.raises(InputError, match="needs pynvml; pip install nvidia-ml-py"):
        own.read()


def test_a_measurement_takes_the_threads_that_are_asked_for(tmp_path: Path) -> None:
    class Counting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.threads = set[int]()

        def forward(self, x: Tensor) -> Tensor:
            self.threads.add(torch.get_num_threads())
            return x

    before, network = torch.get_num_threads(), Counting()
    Deployment(threads=3, repeats=1).cost("latency_ms", network, (1, 1, 1))
    assert network.threads == {3}
    assert torch.get_num_threads() == before
