from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from scale_core.errors import ConfigurationError
from scale_core.settings import CHECKOUT, Settings
from scale_worker.executor.failures import Failed
from scale_worker.executor.gpus import Gpus
from tests.worker.executions import Bench

HOLD = """
import sys
from pathlib import Path
from scale_worker.executor.gpus import Gpus
with Gpus(["0", "1"], Path(sys.argv[1])).lent(1) as gpus:
    print(*gpus, flush=True)
    sys.stdin.read()
"""


def test_no_two_executions_have_the_same(tmp_path: Path) -> None:
    gpus = Gpus(["0", "GPU-a/b", "2"], tmp_path / "locks")
    with gpus.lent(2) as one, gpus.lent(1) as other, gpus.lent(0) as none:
        assert (one, other, none) == (["0", "GPU-a/b"], ["2"], [])
        with pytest.raises(Failed, match=r"needs 1 GPU; .*\(0, GPU-a/b, 2\) 0 are free"), gpus.lent(1):
            pass
    with gpus.lent(3) as all_of_them:
        assert len(all_of_them) == 3


def test_a_failed_execution_gives_them_back(tmp_path: Path) -> None:
    gpus = Gpus(["0", "1"], tmp_path)
    with pytest.raises(ValueError, match="it fails"), gpus.lent(2):
        raise ValueError("it fails")
    with pytest.raises(Failed), gpus.lent(3):
        pass
    with gpus.lent(2) as again:
        assert again == ["0", "1"]


def test_two_executors_of_a_machine_share_them_and_a_dead_one_has_none(tmp_path: Path) -> None:
    other = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)],
        cwd=CHECKOUT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert other.stdout is not None
    assert other.stdout.readline() == "0\n"
    gpus = Gpus(["0", "1"], tmp_path)
    with gpus.lent(1) as mine:
        assert mine == ["1"]
    with pytest.raises(Failed), gpus.lent(2):
        pass
    other.kill()
    other.wait()
    with gpus.lent(2) as both:
        assert both == ["0", "1"]


def test_those_of_the_machine_are_found_unless_they_are_named(tmp_path: Path) -> None:
    for name in ("nvidia10", "nvidia2", "nvidia0", "nvidiactl", "nvidia-uvm", "null"):
        (tmp_path / name).touch()
    with Gpus.of_machine(None, tmp_path, tmp_path / "locks").lent(3) as found:
        assert found == ["0", "2", "10"]
    with Gpus.of_machine(["7"], tmp_path, tmp_path / "locks").lent(1) as named:
        assert named == ["7"]
    assert Settings.from_environ({}).node_gpus is None
    assert Settings.from_environ({"SCALE_NODE_GPUS": "none"}).node_gpus == ()
    assert Settings.from_environ({"SCALE_NODE_GPUS": "0, GPU-1"}).node_gpus == ("0", "GPU-1")
    with pytest.raises(ConfigurationError, match="names one twice"):
        Settings.from_environ({"SCALE_NODE_GPUS": "0,0"})


def test_a_command_is_told_which_are_its_own_and_the_execution_says_so(tmp_path: Path) -> None:
    bench = Bench(tmp_path, gpus=Gpus(["4", "5"], tmp_path / "locks"))
    outcome = bench.run(bench.spec("'echo $CUDA_VISIBLE_DEVICES $NVIDIA_VISIBLE_DEVICES'", gpus=2.0))
    assert outcome.stdout == "4,5 4,5\n"
    assert outcome.used["gpus"] == ["4", "5"]
    without = bench.run(bench.spec("'echo ${CUDA_VISIBLE_DEVICES-unset} $NVIDIA_VISIBLE_DEVICES'"))
    assert without.stdout == " void\n" or without.stdout.split() == ["void"]
    assert "gpus" not in without.used
    too_many = bench.run(bench.spec("'echo ran'", gpus=3.0))
    assert (too_many.succeeded, too_many.error, too_many.stdout) == (False, "gpu-unavailable", "")
    assert "it needs 3 GPUs" in too_many.message


def test_a_container_is_not_told_the_nodes_numbers(tmp_path: Path) -> None:
    gpus = Gpus(["4", "5"], tmp_path)
    assert gpus.variables(["5"], in_container=True) == {"NVIDIA_VISIBLE_DEVICES": "5"}
    assert gpus.variables([], in_container=True)["NVIDIA_VISIBLE_DEVICES"] == "void"


def test_what_a_dead_executors_containers_have_is_waited_for(tmp_path: Path) -> None:
    looks = iter([{"0", "9"}, {"0", "9"}, {"9"}])
    with Gpus(["0", "1"], tmp_path).lent(2, lambda: next(looks)) as both:
        assert both == ["0", "1"]
    assert next(looks, None) is None
    with pytest.raises(Failed, match="1 are free"), Gpus(["0", "1"], tmp_path, wait_s=0).lent(2, lambda: {"0"}):
        pass


def test_where_there_are_none_nothing_is_said_of_them(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    assert bench.run(bench.spec("'echo ${CUDA_VISIBLE_DEVICES-unset}'")).stdout.strip() in ("unset", "")
