"""A real Slurm of one host for tests: munged, slurmctld and slurmd in a folder, on own ports.

Nothing of the machine's own Slurm is read or touched, and only processes started here are ended.
"""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Self

DAEMONS = ("munged", "slurmctld", "slurmd")
_START_SECONDS = 60.0
_CONF = """\
ClusterName=tests
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
# A requeued job waits until its old credential has expired; 5 s is the least that is taken.
AuthInfo=socket={folder}/munge.socket,cred_expire=5
SlurmctldPort={control_port}
SlurmdPort={node_port}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
ReturnToService=2
MpiDefault=none
SlurmdParameters=config_overrides
SchedulerParameters=batch_sched_delay=0,sched_interval=1,sched_min_interval=0,bf_interval=1
# Longer than a test waits: a cancelled job has to end at the first signal.
KillWait=120
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory=1000 State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


def missing_parts() -> list[str]:
    """Return which programs of Slurm are not installed."""
    names = (*DAEMONS, "sbatch", "squeue", "setpriv")
    return [name for name in names if find_program(name) is None]


def find_program(name: str) -> str | None:
    """Find a program, also where only root's PATH looks."""
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


def until(condition: Callable[[], object], seconds: float = 30.0) -> None:
    """Wait until something holds, and fail if it does not come true."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{condition} does not hold after {seconds:g} s")
        time.sleep(0.02)


class SlurmCluster:
    """One host with a controller and a node; a context manager.

    Parameters
    ----------
    folder : Path
        For its configuration, state and logs; its path must be short enough for a socket's name.
    cpus : int
        Processors that the node claims to have.
    """

    def __init__(self, folder: Path, *, cpus: int = 2) -> None:
        self.folder = folder
        self.cpus = cpus
        self.conf = folder / "slurm.conf"
        self._stack = ExitStack()
        self._controller: subprocess.Popen[bytes] | None = None

    @property
    def environment(self) -> dict[str, str]:
        """The variables by which Slurm's commands find this cluster."""
        return {"SLURM_CONF": str(self.conf)}

    def __enter__(self) -> Self:
        with self._stack as stack:
            self._write_files()
            self._start_munge()
            self.start_controller()
            self._start("slurmd", "-D", "-f", str(self.conf), "-N", _host())
            until(lambda: "idle" in self.ask("sinfo", "--noheader"), _START_SECONDS)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        if self._controller is None:
            self.start_controller()
        with suppress(TimeoutError, subprocess.CalledProcessError):
            # A node that ends before its jobs would leave their processes behind.
            self.ask("scancel", f"--user={os.getuid()}")
            until(self.is_free)
        self.stop_controller()
        self._stack.close()

    def start_controller(self) -> None:
        """Start slurmctld, and wait until it answers."""
        self._controller = self._popen("slurmctld", "-D", "-f", str(self.conf))
        until(self._answers, _START_SECONDS)

    def stop_controller(self) -> None:
        """Stop slurmctld, as for maintenance: jobs go on."""
        if self._controller is not None:
            _end(self._controller)
            self._controller = None

    def ask(self, *command: str) -> str:
        """Return what one of Slurm's commands prints."""
        done = subprocess.run(
            command,
            check=True,
            capture_output=True,
            text=True,
            env={**os.environ, **self.environment},
        )
        return done.stdout.strip()

    def queue(self) -> list[str]:
        """Return the numbers of the jobs that wait or run."""
        lines = self.ask("squeue", "--noheader", "--format=%i %T").splitlines()
        return [line.split()[0] for line in lines if not line.endswith("COMPLETING")]

    def is_free(self) -> bool:
        """Return whether nothing holds a processor, nor waits for one."""
        return not self.ask("squeue", "--noheader")

    def _write_files(self) -> None:
        self.folder.chmod(0o755)
        for name in ("state", "spool"):
            (self.folder / name).mkdir(mode=0o755)
        key = self.folder / "munge.key"
        key.touch(mode=0o600)
        key.write_bytes(os.urandom(1024))
        control_port, node_port = _free_ports(2)
        self.conf.write_text(
            _CONF.format(
                host=_host(),
                user=getpass.getuser(),
                folder=self.folder,
                cpus=self.cpus,
                control_port=control_port,
                node_port=node_port,
            ),
            encoding="utf-8",
        )

    def _start_munge(self) -> None:
        socket_file = self.folder / "munge.socket"
        files = {
            "socket": socket_file,
            "key-file": self.folder / "munge.key",
            "log-file": self.folder / "munge.log",
            "pid-file": self.folder / "munge.pid",
            "seed-file": self.folder / "munge.seed",
        }
        # --force: a temporary folder is not one that munge likes for its files.
        options = [f"--{name}={file}" for name, file in files.items()]
        self._start("munged", "--foreground", "--force", *options)
        until(socket_file.exists, _START_SECONDS)

    def _start(self, name: str, *arguments: str) -> None:
        self._stack.callback(_end, self._popen(name, *arguments))

    def _popen(self, name: str, *arguments: str) -> subprocess.Popen[bytes]:
        program = find_program(name)
        assert program is not None
        with (self.folder / f"{name}.out").open("ab") as output:
            return subprocess.Popen(
                # With the tests' own end, also by force, the daemons end.
                ["setpriv", "--pdeathsig", "TERM", program, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**os.environ, **self.environment},
                start_new_session=True,
            )

    def _answers(self) -> bool:
        with suppress(subprocess.CalledProcessError):
            return "UP" in self.ask("scontrol", "ping")
        return False


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _host() -> str:
    return socket.gethostname().split(".")[0]


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
