"""What goes wrong around `sitrepbench predict`: streams, disks, workers, signals."""

from __future__ import annotations

import contextlib
import gzip
import io
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import psutil
import pytest

from sitrepbench.errors import ModelError
from sitrepbench.labelling import ModelSource, Order, label_file, readers, sources
from sitrepbench.labelling.questions import Question
from sitrepbench.labelling.workers import Workers
from sitrepbench.trained import load_trained

TEXTS = ["Nine people were killed.", "The army denied it.", "Buses took families out."] * 40
GOOD = ("text\n" + "".join(f"{text}\n" for text in TEXTS)).encode()
COMMAND = [sys.executable, "-m", "sitrepbench", "predict"]
WAIT = 120.0
unix = pytest.mark.skipif(sys.platform == "win32", reason="signals and limits of Unix")


def wait_for(look) -> None:
    deadline = time.monotonic() + WAIT
    while not look():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@contextlib.contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """Let no file grow beyond a size, which the program sees as it sees a full disk."""
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_gzip_in_and_out(tmp_path, predict):
    (tmp_path / "in.csv.gz").write_bytes(gzip.compress(GOOD))
    code, _, err = predict("svm", tmp_path / "in.csv.gz", "-o", tmp_path / "out.jsonl.gz")
    assert code == 0, err
    found = pd.read_json(tmp_path / "out.jsonl.gz", lines=True)
    assert found["text"].tolist() == TEXTS
    (tmp_path / "cut.csv.gz").write_bytes(gzip.compress(GOOD)[:-20])
    code, out, err = predict("svm", tmp_path / "cut.csv.gz")
    assert (code, out) == (4, b"")
    assert "cannot be read on" in err


@pytest.mark.parametrize("format", ["csv", "text", "jsonl"])
def test_standard_input(predict, monkeypatch, models, format):
    data = {
        "csv": GOOD,
        "text": GOOD.partition(b"\n")[2],
        "jsonl": b"".join(b'{"text": "%s"}\n' % text.encode() for text in TEXTS),
    }[format]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    given = [] if format == "csv" else ["--format", format, "--output-format", "csv"]
    code, out, err = predict("svm", "-", *given)
    assert code == 0, err
    labels, _ = load_trained(models / "svm").answer(pd.DataFrame({"text": TEXTS}))
    assert pd.read_csv(io.BytesIO(out))["predicted"].tolist() == list(labels)


def test_a_pipe_is_read_as_it_comes(tmp_path, models, monkeypatch):
    monkeypatch.setattr(readers, "BLOCK_ROWS", 7)
    monkeypatch.setattr(sources, "_PIECE", 11)
    (tmp_path / "in.csv").write_bytes(GOOD)
    order = Order(str(tmp_path / "in.csv"), str(tmp_path / "out.csv"))
    assert label_file(order, ModelSource(str(models / "svm"))).n_rows == len(TEXTS)
    assert (tmp_path / "out.csv").read_bytes().startswith(b"text,predicted\nNine people")


@unix
@pytest.mark.parametrize("suffix", ["csv", "csv.gz", "jsonl", "parquet"])
def test_a_full_disk_leaves_what_was_there(tmp_path, predict, suffix):
    rows = "".join(f"Row {number * 7919 % 10007} of {number}.\n" for number in range(3000))
    (tmp_path / "in.txt").write_text(rows)
    output = tmp_path / f"out.{suffix}"
    output.write_bytes(b"before")
    with files_of_at_most(2000):
        code, _, err = predict("svm", tmp_path / "in.txt", "-o", output)
    assert code == 4, err
    assert "cannot be written: " in err
    assert output.read_bytes() == b"before"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.txt", output.name]
    assert predict("svm", tmp_path / "in.txt", "-o", output)[0] == 0


@unix
def test_a_device_that_is_full(tmp_path, predict, require):
    require(Path("/dev/full").exists(), "there is no /dev/full")
    (tmp_path / "in.csv").write_bytes(GOOD)
    code, _, err = predict("svm", tmp_path / "in.csv", "-o", "/dev/full", "--output-format", "csv")
    assert code == 4
    assert "/dev/full: cannot be written: " in err


@unix
@pytest.mark.slow
def test_standard_output_that_is_full_or_closed(tmp_path, models, require):
    require(Path("/dev/full").exists(), "there is no /dev/full")
    (tmp_path / "in.csv").write_bytes(GOOD * 50)
    command = [*COMMAND, str(models / "svm"), str(tmp_path / "in.csv"), "--on-error", "skip"]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 4
    assert done.stderr.startswith("sitrepbench: standard output: cannot be written")
    assert done.stderr.count("\n") == 1
    shell = subprocess.run(
        ["sh", "-c", f"{shlex.join(command)} | head -n 1"], capture_output=True, text=True
    )
    assert (shell.stdout, shell.stderr) == ("text,predicted\n", "")


@pytest.mark.slow
def test_a_killed_worker_ends_it_all(models):
    with Workers(ModelSource(str(models / "svm")), 2) as workers:
        pids = [worker.process.pid for worker in workers._workers]

        def questions() -> Iterator[tuple[int, Question]]:
            for number in range(1000):
                if number == 3:
                    os.kill(pids[0], signal.SIGKILL)
                yield number, {"text": TEXTS}

        with pytest.raises(ModelError, match=r"killed by signal 9 \(SIGKILL\).*fewer than"):
            list(workers.answers(questions()))
    wait_for(lambda: not any(map(psutil.pid_exists, pids)))


@pytest.mark.slow
def test_what_a_worker_cannot_load_is_told(tmp_path, predict):
    (tmp_path / "in.csv").write_bytes(GOOD)
    code, out, err = predict("pickled", tmp_path / "in.csv", "--processes", "2")
    assert (code, out) == (4, b"")
    assert "--allow-pickle" in err
    assert predict("absent", tmp_path / "in.csv", "--processes", "2")[0] == 3


@contextlib.contextmanager
def under_way(models: Path, output: Path) -> Iterator[tuple[subprocess.Popen[bytes], list]]:
    """A command with two workers that has begun to write, and waits for more input."""
    process = subprocess.Popen(
        [*COMMAND, str(models / "svm"), "-", "-o", str(output), "--processes", "2"],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    with process:
        assert process.stdin is not None
        process.stdin.write(b"text\n" + b"They denied it.\n" * 60_000)
        process.stdin.flush()
        wait_for(lambda: list(output.parent.glob(".*.partial")) or process.poll() is not None)
        assert process.poll() is None
        family = psutil.Process(process.pid).children(recursive=True)
        assert len(family) >= 2
        yield process, family
        process.stdin.close()


def gone(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@unix
@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)]
)
def test_signals_leave_no_process_and_no_output(tmp_path, models, number, code):
    with under_way(models, tmp_path / "out.csv") as (process, family):
        # Ctrl-C reaches the whole group.
        (os.killpg if number == signal.SIGINT else os.kill)(process.pid, number)
        assert process.wait(WAIT) == code
        wait_for(lambda: all(map(gone, family)))
        assert process.stderr is not None
        assert b"Traceback" not in process.stderr.read()
    assert not (tmp_path / "out.csv").exists()
    assert not list(tmp_path.glob(".*")) or number == signal.SIGKILL


@unix
@pytest.mark.slow
def test_articles_become_a_labelled_table_in_one_pipe(tmp_path, models, repository):
    program = shlex.join([sys.executable, "-m", "sitrepbench"])
    model = shlex.quote(str(models / "neighbours"))
    (tmp_path / "articles").mkdir()
    article = next((repository / "seeds").glob("*.txt"))
    (tmp_path / "articles" / article.name).write_bytes(article.read_bytes())
    (tmp_path / "articles" / "own.txt").write_text("They met at noon. Nothing was agreed.\n")
    line = f"{program} data segment articles/ | {program} predict {model} - > labelled.csv"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", line], cwd=tmp_path, capture_output=True)
    assert done.returncode == 0, done.stderr
    found = pd.read_csv(tmp_path / "labelled.csv")
    own = found[found["document_id"] == "own"]
    assert own["text"].tolist() == ["They met at noon.", "Nothing was agreed."]
    seed = found[found["document_id"] == article.stem]
    expected = pd.read_csv(repository / "seeds" / "sentences.csv")
    assert set(expected.iloc[:, expected.columns.get_loc("text")]) <= set(seed["text"])
    labels, _ = load_trained(models / "neighbours").answer(
        found[["document_id", "position", "text"]]
    )
    assert found["predicted"].tolist() == list(labels)
