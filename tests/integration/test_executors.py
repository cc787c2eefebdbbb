"""Every executor keeps the one contract: all tasks, their results, errors told apart, workers that die replaced."""

import os
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
from executor_workers import Broken, Squares

from rfcodec.errors import ConfigError, UnknownPlugin, WorkerError
from rfcodec.executors.base import RETRIES, Outcome, in_order, open_executor

pytest.importorskip("ray")
pytest.importorskip("submitit")


@pytest.fixture(scope="module")
def cluster():
    """A small Ray cluster on this machine, its workers able to import the tests."""
    import ray

    ray.init(
        num_cpus=2,
        include_dashboard=False,
        object_store_memory=100 << 20,
        log_to_driver=False,
        runtime_env={"env_vars": {"PYTHONPATH": ":".join(sys.path)}},
    )
    yield
    ray.shutdown()


@pytest.fixture(params=["serial", "local", "ray", "slurm"])
def executor(request, tmp_path, monkeypatch):
    """Each executor with two workers."""
    if request.param == "ray":
        request.getfixturevalue("cluster")
    monkeypatch.setenv("PYTHONPATH", ":".join(sys.path))
    options = {"slurm": {"cluster": "local", "folder": str(tmp_path / "logs"), "chunk": "3", "timeout_min": "2"}}
    return open_executor(request.param, 2, options.get(request.param, {}))


@pytest.fixture
def folder(tmp_path):
    """Where workers leave their marks."""
    (tmp_path / "marks").mkdir()
    return tmp_path / "marks"


def test_results_and_errors_come_back(executor, folder):
    outcomes = {o.index: o for o in executor.run(partial(Squares, folder), iter([1, 2, "bad", "odd", 5]))}
    assert sorted(outcomes) == list(range(5))
    assert [outcomes[i].result for i in (0, 1, 4)] == [1, 4, 25]
    assert outcomes[2].error == "ConfigError: a bad task"
    assert "ZeroDivisionError: odd things happen" in outcomes[3].error
    assert "executor_workers.py" in outcomes[3].error
    assert len(list(folder.glob("odd-*"))) == 1 + RETRIES  # what may pass is tried again
    assert 1 <= len(list(folder.glob("made-*"))) <= 2  # a worker is made once a process


def test_a_worker_that_cannot_be_made_says_why(executor):
    outcomes = list(executor.run(Broken, [1, 2]))
    assert sorted(outcome.index for outcome in outcomes) == [0, 1]
    assert all("no weights" in outcome.error for outcome in outcomes)


@pytest.mark.parametrize("executor", ["local", "ray"], indirect=True)
def test_a_worker_that_dies_is_replaced(executor, folder):
    outcomes = {o.index: o for o in executor.run(partial(Squares, folder), [1, "deadly once", 3, 4])}
    assert (folder / "died").exists()
    assert {index: outcome.result for index, outcome in outcomes.items()} == {0: 1, 1: "deadly once", 2: 9, 3: 16}


@pytest.mark.parametrize("executor", ["local", "ray"], indirect=True)
def test_a_task_that_kills_every_worker_fails_alone(executor, folder):
    outcomes = {o.index: o for o in executor.run(partial(Squares, folder), ["deadly", 2, "slow", 4, "slow"])}
    assert "its worker died" in outcomes[0].error
    assert [outcomes[index].result for index in range(1, 5)] == [4, "slow", 16, "slow"]


def test_ray_takes_as_many_workers_as_there_is_room_for(cluster, folder):
    outcomes = list(open_executor("ray", 8, {}).run(partial(Squares, folder), range(4)))
    assert sorted(outcome.result for outcome in outcomes) == [0, 1, 4, 9]
    with pytest.raises(ConfigError, match="no room"):
        list(open_executor("ray", 1, {"gpus": "1"}).run(partial(Squares, folder), [1]))


def test_no_tasks_no_outcomes(executor, folder):
    assert list(executor.run(partial(Squares, folder), [])) == []


def test_results_are_put_in_order():
    assert list(in_order([Outcome(1, "b"), Outcome(0, "a"), Outcome(2, "c")])) == ["a", "b", "c"]
    with pytest.raises(ConfigError, match="a bad"):
        list(in_order([Outcome(0, error="ConfigError: a bad", cause=ConfigError("a bad"))]))
    with pytest.raises(WorkerError, match=r"task 1 .* no weights"):
        list(in_order([Outcome(0, "a"), Outcome(1, error="MissingWeights: no weights")]))


def test_local_workers_share_out_devices(tmp_path):
    executor = open_executor("local", 2, {"gpus": "4,7"})
    seen = {outcome.result for outcome in executor.run(_Device, range(6))}
    assert seen <= {"4", "7"}


class _Device:
    def __call__(self, task):
        time.sleep(0.2)
        return os.environ["CUDA_VISIBLE_DEVICES"]


def test_workers_end_with_a_parent_that_is_killed(tmp_path):
    code = (
        "import sys; from functools import partial; from executor_workers import Sleeper\n"
        "from rfcodec.executors.base import open_executor\n"
        "if __name__ == '__main__': list(open_executor('local', 1, {}).run(partial(Sleeper, sys.argv[1]), [1]))"
    )
    (tmp_path / "run.py").write_text(code)
    environment = os.environ | {"PYTHONPATH": ":".join(sys.path)}
    parent = subprocess.Popen([sys.executable, str(tmp_path / "run.py"), str(tmp_path)], env=environment)
    child = int(_awaited(lambda: next((path.suffix[1:] for path in tmp_path.glob("at-work.*")), None)))
    parent.kill()
    parent.wait()
    assert _awaited(lambda: not _alive(child))


def _awaited(look, seconds=60):
    end = time.monotonic() + seconds
    while not (found := look()) and time.monotonic() < end:
        time.sleep(0.05)
    return found


def _alive(pid):
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False


@pytest.mark.parametrize("name", ["serial", "local", "ray"])
def test_unknown_options_are_named(name):
    with pytest.raises(ConfigError, match="gpu_count"):
        open_executor(name, 1, {"gpu_count": "1"})


def test_bad_values():
    with pytest.raises(ConfigError, match="numbers"):
        open_executor("ray", 1, {"gpus": "many"})
    with pytest.raises(ConfigError, match="chunk"):
        open_executor("slurm", 1, {"chunk": "0"})
    with pytest.raises(ConfigError, match="jobs is 0"):
        open_executor("local", 0, {})
    with pytest.raises(UnknownPlugin, match="dask"):
        open_executor("dask", 1, {})


def test_no_slurm_here_is_said(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    executor = open_executor("slurm", 1, {"folder": str(tmp_path)})
    with pytest.raises(ConfigError, match="SLURM cannot be used"):
        list(executor.run(_Device, [1]))
