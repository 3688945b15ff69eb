"""`sitrepbench data segment`: rows to a file or a pipe, all or nothing."""

import csv
import io
import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from sitrepbench.cli import main
from sitrepbench.data import load_frame


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "articles"
    folder.mkdir()
    (folder / "b.txt").write_text('Osk burns\n\n"It burns," said Dr. Amon. They left.\nShare\n')
    (folder / "a.txt").write_text("They met, again.\n")
    return folder


def test_rows_go_to_standard_output(folder, capfdbinary):
    assert main(["data", "segment", str(folder)]) == 0
    out, err = capfdbinary.readouterr()
    rows = list(csv.DictReader(io.StringIO(out.decode(), newline="")))
    assert rows == [
        {"document_id": "a", "position": "0", "text": "They met, again.", "kind": "paragraph"},
        {"document_id": "b", "position": "0", "text": "Osk burns", "kind": "headline"},
        {
            "document_id": "b",
            "position": "1",
            "text": '"It burns," said Dr. Amon.',
            "kind": "paragraph",
        },
        {"document_id": "b", "position": "2", "text": "They left.", "kind": "paragraph"},
    ]
    assert b"left out 1 line" in err
    assert b"2 articles, 4 sentences" in err


def test_the_seed_article_gives_the_seed_sentences(repository, capfdbinary):
    assert main(["data", "segment", str(repository / "seeds")]) == 0
    rows = list(csv.DictReader(io.StringIO(capfdbinary.readouterr().out.decode(), newline="")))
    with (repository / "seeds" / "sentences.csv").open(encoding="utf-8", newline="") as stream:
        expected = list(csv.DictReader(stream))
    fields = ("document_id", "position", "text")
    assert [[row[f] for f in fields] for row in rows] == [
        [row[f] for f in fields] for row in expected
    ]


def test_a_file_is_written_beside_and_renamed(folder, tmp_path):
    output = tmp_path / "out.jsonl"
    output.write_text("older")
    assert main(["data", "segment", str(folder), "--output", str(output), "--all"]) == 0
    rows = [json.loads(line) for line in output.read_text(encoding="utf-8").splitlines()]
    assert [row["kind"] for row in rows][-1] == "furniture"
    assert [row["position"] for row in rows] == [0, 0, 1, 2, 3]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["articles", "out.jsonl"]


def test_a_problem_leaves_the_output_as_it_was(folder, tmp_path, capfdbinary):
    output = tmp_path / "out.csv"
    output.write_text("older")
    (folder / "c.txt").write_bytes(b"caf\xe9")
    (folder / "d.txt").write_bytes(b"")
    assert main(["data", "segment", str(folder), "--output", str(output)]) == 4
    assert output.read_text() == "older"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["articles", "out.csv"]
    assert main(["data", "segment", str(folder)]) == 4
    out, err = capfdbinary.readouterr()
    assert out == b""
    assert b"2 problems" in err
    assert b"Traceback" not in err


@pytest.mark.parametrize("output", [".", "none/out.csv", "a" * 300, "~nobody-here/out.csv"])
def test_an_output_that_cannot_be_written(folder, tmp_path, monkeypatch, output, capfd):
    monkeypatch.chdir(tmp_path)
    assert main(["data", "segment", str(folder), "--output", output]) == 4
    assert "cannot be written" in capfd.readouterr().err


@pytest.mark.parametrize("linked", [False, True])
def test_an_article_is_not_written_over(folder, tmp_path, linked, capfd):
    article = folder / "a.txt"
    before = article.read_bytes()
    output = article
    if linked:
        output = tmp_path / "out.csv"
        output.symlink_to(article)
    assert main(["data", "segment", str(folder), "--output", str(output)]) == 3
    assert "is one of the articles; give it another name" in capfd.readouterr().err
    assert article.read_bytes() == before


@pytest.mark.slow
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk_behind_standard_output_is_told(folder):
    script = "import sys; from sitrepbench.cli import main; sys.exit(main())"
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", script, "data", "segment", str(folder)],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert done.returncode != 0
    assert "standard output: cannot be written: No space left on device" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unknown_encoding(folder, capfd):
    assert main(["data", "segment", str(folder), "--encoding", "utf-9"]) == 3
    assert "--encoding: unknown encoding 'utf-9'" in capfd.readouterr().err


@pytest.mark.slow
def test_standard_output_by_another_name_is_not_replaced(folder, tmp_path):
    script = "import sys; from sitrepbench.cli import main; sys.exit(main(sys.argv[1:]))"
    into = tmp_path / "all.csv"
    into.write_text("kept\n")
    with into.open("a") as stream:
        command = ["data", "segment", str(folder), "--output", "/dev/stdout"]
        subprocess.run([sys.executable, "-c", script, *command], stdout=stream, check=True)
    assert into.read_text().splitlines()[:2] == ["kept", "document_id,position,text,kind"]


def test_a_device_is_written_to_and_not_replaced(folder, tmp_path):
    if not hasattr(os, "mkfifo"):
        pytest.skip("named pipes are of POSIX")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    script = "import sys; print(len(open(sys.argv[1]).readlines()))"
    reader = subprocess.Popen([sys.executable, "-c", script, str(pipe)], stdout=subprocess.PIPE)
    assert main(["data", "segment", str(folder), "--output", str(pipe)]) == 0
    assert int(reader.communicate()[0]) == 5
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_rows_are_what_a_dataset_takes(folder, tmp_path):
    import pandas as pd

    output = tmp_path / "out.csv"
    main(["data", "segment", str(folder), "--output", str(output)])
    frame = pd.read_csv(output, keep_default_na=False).assign(label="background")
    dataset = load_frame(frame)
    assert dataset.n_documents == 2
    assert dataset.frame["sentence_id"].tolist() == ["a:0", "b:0", "b:1", "b:2"]


@pytest.mark.slow
def test_a_reader_that_goes_away_ends_it_quietly(folder):
    (folder / "long.txt").write_text("They met again in Osk. " * 20_000)
    script = "import sys; from sitrepbench.cli import main; sys.exit(main())"
    done = subprocess.run(
        f"'{sys.executable}' -c '{script}' data segment '{folder}' | head -n 1",
        shell=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout == "document_id,position,text,kind\n"
    assert "Traceback" not in done.stderr
