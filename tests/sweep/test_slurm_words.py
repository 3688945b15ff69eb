"""What the Slurm pool makes of what Slurm's commands say, with commands that the tests write."""

from __future__ import annotations

import pickle
import shlex
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import slurm_work
from slurm_cluster import until

from sitrepbench.errors import ConfigError, SitrepBenchError
from sitrepbench.sweep.jobs import Reply, State
from sitrepbench.sweep.pools import WorkerDiedError
from sitrepbench.sweep.slurm import SlurmExecutor, SlurmPool
from sitrepbench.sweep.slurm_jobs import submission_command
from sitrepbench.sweep.slurm_queue import (
    COMMANDS,
    Queued,
    SlurmCommandError,
    ask_queue,
    check_commands,
    say_what_became_of,
)

SECONDS = 30.0
QUICK: dict[str, Any] = {"jobs": 2, "poll": 0.01, "grace": 0.2, "patience": 30.0}
DOWN = "slurm_load_jobs error: Unable to contact slurm controller (connect failure)"


class Commands:
    """Slurm's commands as scripts, which print what they are told to and note their calls."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in COMMANDS:
            script = folder / name
            here = shlex.quote(str(folder / name))
            script.write_text(
                f'#!/bin/sh\necho "{name} $*" >> {here}.calls\n'
                f"if [ -e {here}.fails ]; then cat {here}.fails >&2; exit 1; fi\n"
                f"if [ -e {here}.says ]; then cat {here}.says; fi\n"
            )
            script.chmod(0o755)
        self.says("sbatch", "Submitted batch job 7")

    def says(self, name: str, text: str) -> None:
        """From now on, a command prints this."""
        (self.folder / f"{name}.fails").unlink(missing_ok=True)
        self._write(f"{name}.says", text + "\n")

    def fails(self, name: str, text: str) -> None:
        """From now on, a command fails with this."""
        self._write(f"{name}.fails", text + "\n")

    def shows(self, *rows: str) -> None:
        """From now on, squeue shows these jobs."""
        self.says("squeue", "\n".join(rows))

    def calls(self, name: str) -> list[str]:
        """Return how a command was called so far."""
        file = self.folder / f"{name}.calls"
        return file.read_text().splitlines() if file.exists() else []

    def wait_for_calls(self, name: str, more: int) -> None:
        """Wait until a command was called so many more times."""
        before = len(self.calls(name))
        until(lambda: len(self.calls(name)) >= before + more, SECONDS)

    def _write(self, name: str, text: str) -> None:
        beside = self.folder / f"{name}.new"
        beside.write_text(text)
        beside.replace(self.folder / name)


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Commands:
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return Commands(folder)


@pytest.fixture
def submitit(require: Callable[[bool, str], None]) -> None:
    require(find_spec("submitit") is not None, "submitit is not installed: sitrepbench[slurm]")


def pool_of(folder: Path, **settings: Any) -> SlurmPool:
    return SlurmExecutor(**{**QUICK, **settings}).pool(folder / "pool", work=slurm_work.answer)


def own_folder(folder: Path) -> Path:
    (found,) = (folder / "pool").iterdir()
    return found


def leave_answer(folder: Path, *, cut: bool = False, job: int = 7) -> list[Reply]:
    """Do what a job does at its end."""
    replies = [Reply("a", State.done)]
    whole = pickle.dumps(("success", replies))
    beside = own_folder(folder) / "beside"
    beside.write_bytes(whole[:20] if cut else whole)
    beside.replace(own_folder(folder) / f"{job}_0_result.pkl")
    return replies


def test_all_wrong_settings_are_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        SlurmExecutor(
            jobs=0,
            memory_gb=-1,
            setup="module load gcc",
            additional={"job_name": "x", "mem": "1G", "gres": ["gpu:1"], "qos": "long"},
        )
    assert str(caught.value).splitlines() == [
        "executor.jobs=0: a whole number of at least 1 is expected",
        "executor.memory_gb=-1: a number over 0 is expected",
        "executor.setup='module load gcc': a list of lines is expected",
        "executor.additional.job_name: the program sets it itself",
        "executor.additional.mem: use executor.memory_gb",
        "executor.additional.gres=['gpu:1']: true, a number or a text is expected",
    ]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"blas_threads": 2}, r"executor\.cpus=1"),
        ({"retries": -1}, r"executor\.retries=-1"),
        ({"time": 1.5}, r"executor\.time=1\.5: a whole number"),
    ],
)
def test_wrong_settings(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        SlurmExecutor(**settings)


def test_a_missing_submitit_names_its_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(ConfigError, match=r"pip install 'sitrepbench\[slurm\]'"):
        pool_of(tmp_path)


def test_missing_commands_are_named(commands: Commands) -> None:
    for name in ("sbatch", "scontrol"):
        (commands.folder / name).unlink()
    # The machine may have a Slurm of its own.
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", str(commands.folder))
        with pytest.raises(ConfigError, match="PATH: sbatch, scontrol"):
            check_commands()


@pytest.mark.usefixtures("submitit")
def test_a_silent_controller_is_told_at_the_start(commands: Commands, tmp_path: Path) -> None:
    commands.fails("squeue", DOWN)
    with pytest.raises(ConfigError, match="Unable to contact"), pool_of(tmp_path):
        pass
    assert not (tmp_path / "pool").exists()


@pytest.mark.usefixtures("submitit")
def test_nodes_that_are_not_available_now_stop_nothing(
    commands: Commands, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    commands.fails("sbatch", "allocation failure: Requested node configuration is not available")
    with pool_of(tmp_path):
        pass
    assert "Requested node configuration is not available" in caplog.text


@pytest.mark.usefixtures("submitit")
def test_the_script_says_what_was_asked_for(commands: Commands, tmp_path: Path) -> None:
    settings = {"cpus": 2, "blas_threads": 2, "setup": ("module load gcc",), "account": "team"}
    with pool_of(tmp_path, additional={"qos": "long", "exclusive": True}, **settings) as pool:
        pool.submit(slurm_work.errand(tmp_path, "a"), 0)
        script = own_folder(tmp_path) / "7_submission.sh"
        until(script.exists, SECONDS)
        lines = script.read_text().splitlines()
        commands.shows()
    for line in ("account=team", "cpus-per-task=2", "qos=long", "exclusive", "time=60"):
        assert f"#SBATCH --{line}" in lines
    assert not any("partition" in line or "--mem" in line for line in lines)
    # A limit must be known before python starts, whatever the lines before it do.
    steps = ["module load gcc", "export OMP_NUM_THREADS=2", "srun "]
    places = [next(n for n, line in enumerate(lines) if line.startswith(step)) for step in steps]
    assert places == sorted(places)
    assert " --cpus-per-task=2 " in lines[places[-1]]


@pytest.mark.slow
@pytest.mark.usefixtures("submitit")
def test_a_first_refusal_is_final_and_a_later_one_is_not(
    commands: Commands, tmp_path: Path
) -> None:
    limit = "sbatch: error: Batch job submission failed: job submit limit"
    commands.shows("7|RUNNING|None")
    with pool_of(tmp_path) as pool:
        commands.fails("sbatch", limit)
        error = pool.submit(slurm_work.errand(tmp_path, "a"), 0).exception(SECONDS)
        assert isinstance(error, ConfigError)
        assert limit in str(error)
        commands.says("sbatch", "Submitted batch job 7")
        first = pool.submit(slurm_work.errand(tmp_path, "a"), 0)
        commands.wait_for_calls("squeue", 1)
        commands.fails("sbatch", limit)
        second = pool.submit(slurm_work.errand(tmp_path, "a"), 1)
        commands.wait_for_calls("sbatch", 2)
        commands.says("sbatch", "Submitted batch job 8")
        commands.shows("7|RUNNING|None", "8|PENDING|Priority")
        until(lambda: pool.where() == "2 Slurm jobs (1 running, 1 waiting: Priority)", SECONDS)
        assert not first.done()
        assert leave_answer(tmp_path, job=8) == second.result(SECONDS)
        assert leave_answer(tmp_path, job=7) == first.result(SECONDS)
        commands.shows()
    assert not (tmp_path / "pool").exists() or not list((tmp_path / "pool").iterdir())


@pytest.mark.usefixtures("submitit")
def test_a_refusal_that_lasts_ends_the_patience(commands: Commands, tmp_path: Path) -> None:
    commands.shows("7|RUNNING|None")
    with pool_of(tmp_path, patience=0.3) as pool:
        pool.submit(slurm_work.errand(tmp_path, "a"), 0)
        until(lambda: "running" in pool.where(), SECONDS)
        commands.fails("sbatch", "sbatch: error: no more")
        error = pool.submit(slurm_work.errand(tmp_path, "a"), 1).exception(SECONDS)
        commands.shows()
    assert type(error) is SitrepBenchError
    assert "sbatch: error: no more" in str(error)


@pytest.mark.fault
@pytest.mark.usefixtures("submitit")
def test_silence_is_no_death(
    commands: Commands, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    commands.shows("7|RUNNING|None")
    with pool_of(tmp_path) as pool:
        future = pool.submit(slurm_work.errand(tmp_path, "a"), 0)
        commands.wait_for_calls("squeue", 2)
        commands.fails("squeue", DOWN)
        commands.wait_for_calls("squeue", 4)
        assert not future.done()
        commands.shows("7|RUNNING|None")
        commands.wait_for_calls("squeue", 2)
        assert not future.done()
        assert leave_answer(tmp_path) == future.result(SECONDS)
        commands.shows()
    assert [record.message for record in caplog.records] == [
        f"Slurm does not answer, which is waited for: squeue: {DOWN}",
        "Slurm answers again",
    ]


@pytest.mark.fault
@pytest.mark.usefixtures("submitit")
def test_silence_that_lasts_ends_the_patience(
    commands: Commands, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with pool_of(tmp_path, patience=0.3) as pool:
        commands.fails("squeue", DOWN)
        future = pool.submit(slurm_work.errand(tmp_path, "a"), 0)
        error = future.exception(SECONDS)
        # And the way out says what may be left.
    assert type(error) is SitrepBenchError
    assert "run the same command again" in str(error)
    assert f"scancel --name=sitrepbench-{own_folder(tmp_path).name}" in caplog.text


@pytest.mark.fault
@pytest.mark.usefixtures("submitit")
def test_a_preempted_job_that_comes_back_is_waited_for(commands: Commands, tmp_path: Path) -> None:
    commands.shows("7|RUNNING|None")
    with pool_of(tmp_path, grace=30.0) as pool:
        future = pool.submit(slurm_work.errand(tmp_path, "a"), 0)
        for row in ("7|PREEMPTED|None", "7|PENDING|BeginTime", "7|RUNNING|None"):
            commands.shows(row)
            commands.wait_for_calls("squeue", 2)
        assert leave_answer(tmp_path) == future.result(SECONDS)
        commands.shows()


@pytest.mark.fault
@pytest.mark.usefixtures("submitit")
@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("", "is no longer in the queue"),
        ("7|COMPLETED|None", "do its nodes see the results folder?"),
        ("7|TIMEOUT|TimeLimit", "ran out of its time of 60 min"),
        ("7|PENDING|launch failed requeued held", "ended as PENDING (launch_failed)"),
        ("7|COMPLETING|None", "ended as COMPLETING (None)"),
    ],
)
def test_a_job_without_an_answer_is_dead(
    commands: Commands, tmp_path: Path, row: str, said: str
) -> None:
    state = row.split("|")[1] if row else ""
    reason = "launch_failed" if state == "PENDING" else "None"
    if row:
        commands.says("scontrol", f"JobId=7 JobState={state} Reason={reason} ExitCode=0:0")
    else:
        commands.fails("scontrol", "slurm_load_jobs error: Invalid job id specified")
    commands.shows(row)
    with pool_of(tmp_path, patience=0.5) as pool:
        future = pool.submit(slurm_work.errand(tmp_path, "a"), 0)
        error = future.exception(SECONDS)
        assert isinstance(error, WorkerDiedError)
        assert str(error).startswith("Slurm job 7 ")
        assert said in str(error)
        # What Slurm still holds is cancelled.
        if state in ("PENDING", "COMPLETING"):
            until(lambda: "scancel --quiet 7" in commands.calls("scancel"), SECONDS)
        commands.shows()


@pytest.mark.fault
@pytest.mark.usefixtures("submitit")
def test_a_cut_answer_is_read_again_while_the_job_lives(commands: Commands, tmp_path: Path) -> None:
    commands.shows("7|RUNNING|None")
    with pool_of(tmp_path) as pool:
        future = pool.submit(slurm_work.errand(tmp_path, "a"), 0)
        commands.wait_for_calls("squeue", 2)
        leave_answer(tmp_path, cut=True)
        commands.wait_for_calls("squeue", 2)
        assert not future.done()
        assert leave_answer(tmp_path) == future.result(SECONDS)

        future = pool.submit(slurm_work.errand(tmp_path, "a"), 0)
        commands.wait_for_calls("squeue", 2)
        leave_answer(tmp_path, cut=True)
        commands.shows()
        commands.fails("scontrol", "slurm_load_jobs error: Invalid job id specified")
        error = future.exception(SECONDS)
    assert isinstance(error, WorkerDiedError)
    assert "its answer cannot be read: " in str(error)


@pytest.mark.usefixtures("submitit")
def test_a_long_wait_tells_its_reason_once(
    commands: Commands,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sitrepbench.sweep.slurm_pool._WAITING_SECONDS", 0.0)
    commands.shows("7|PENDING|InvalidQOS")
    with pool_of(tmp_path) as pool:
        pool.submit(slurm_work.errand(tmp_path, "a"), 0)
        commands.wait_for_calls("squeue", 4)
        assert pool.where() == "2 Slurm jobs (1 waiting: InvalidQOS)"
        commands.shows()
    waits = "Slurm job 7 waits in the queue: InvalidQOS"
    assert [record.message for record in caplog.records].count(waits) == 1


@pytest.mark.usefixtures("submitit")
def test_a_job_whose_number_was_never_learnt_is_cancelled(
    commands: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sitrepbench.sweep.slurm_pool._ENDING_SECONDS", 0.0)
    says = shlex.quote(str(commands.folder / "squeue.says"))
    calls = shlex.quote(str(commands.folder / "scancel.calls"))
    (commands.folder / "scancel").write_text(f'#!/bin/sh\necho "$*" >> {calls}\n: > {says}\n')
    with pool_of(tmp_path):
        script = own_folder(tmp_path) / ".submission_file_1.sh"
        others = tmp_path / "other" / ".submission_file_2.sh"
        commands.shows(f"11|RUNNING|{script}", f"12|RUNNING|{others}", f"13|COMPLETING|{script}")
    assert commands.calls("scancel") == ["--quiet 11"]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ("JobState=CANCELLED Reason=None ExitCode=0:15", "was cancelled (scancel)"),
        ("JobState=OUT_OF_MEMORY ExitCode=0:125", "ran out of memory; more is given by"),
        ("JobState=PREEMPTED ExitCode=0:0", "was preempted"),
        ("JobState=NODE_FAIL Reason=NodeDown ExitCode=0:0", "ended as NODE_FAIL (NodeDown)"),
        ("JobState=FAILED ExitCode=0:9", "was killed by signal 9 (SIGKILL)"),
        ("JobState=FAILED ExitCode=200:0", "ended with exit code 200"),
    ],
)
def test_ends_are_told_in_words(commands: Commands, fields: str, said: str) -> None:
    commands.says("scontrol", f"JobId=7 JobName=JobState=COMPLETED {fields} RunTime=00:00:01")
    assert say_what_became_of("7", minutes=60).startswith(said)


def test_a_forgotten_job_is_no_silence(commands: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SQUEUE_PARTITION", "elsewhere")
    (commands.folder / "squeue").write_text(
        '#!/bin/sh\n[ -z "$SQUEUE_PARTITION" ] || exit 3\necho "7|RUNNING|None"\n'
    )
    assert ask_queue(["7", "8"]) == {"7": Queued("RUNNING", "None")}
    (commands.folder / "squeue").write_text(
        "#!/bin/sh\necho 'slurm_load_jobs error: Invalid job id specified' >&2\nexit 1\n"
    )
    assert ask_queue(["7"]) == {}
    (commands.folder / "squeue").write_text(f"#!/bin/sh\necho '{DOWN}' >&2\nexit 1\n")
    with pytest.raises(SlurmCommandError, match="Unable to contact"):
        ask_queue(["7"])


def test_an_allocations_variables_are_not_inherited(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SLURM_JOB_ID", "SLURM_MEM_PER_CPU"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SLURM_CONF", "/etc/slurm/slurm.conf")
    assert submission_command(Path("x.sh")) == ["sbatch", "x.sh"]
    monkeypatch.setenv("SLURM_JOB_ID", "1")
    monkeypatch.setenv("SLURM_MEM_PER_CPU", "100")
    command = submission_command(Path("x.sh"), "--test-only")
    assert command[0] == "env"
    assert command[-3:] == ["sbatch", "--test-only", "x.sh"]
    assert "--unset=SLURM_MEM_PER_CPU" in command
    assert "--unset=SLURM_CONF" not in command
