"""`sitrepbench annotation` and `sitrepbench data agreement`, from the command line."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from sitrepbench.cli import main

FILES = Path(__file__).parents[1] / "annotation" / "files"
NAMED = ["--annotator", "ana=1", "--annotator", "ben=2"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("sentences.csv", "long.csv", "blind.json"):
        shutil.copy(FILES / name, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    return tmp_path


def test_config_of_the_scheme_a_list_and_a_dataset(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["annotation", "config"]) == 0
    assert capsys.readouterr().out == (FILES / "labelling.xml").read_text(encoding="utf-8")
    assert main(["annotation", "config", "--labels", "fire,flood", "--output", "l.xml"]) == 0
    values = [node.get("value") for node in ET.parse("l.xml").getroot().iter("Choice")]
    assert values[:2] == ["fire", "flood"]
    capsys.readouterr()
    assert main(["annotation", "config", "sitrep"]) == 0
    assert capsys.readouterr().out == (FILES / "labelling.xml").read_text(encoding="utf-8")
    assert main(["annotation", "config", "sitrep", "--labels", "a,b"]) == 3


def test_export_and_import_and_back(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["annotation", "export", "sentences.csv", "--output", "tasks.json"]) == 0
    assert "10 tasks of 3 documents" in capsys.readouterr().err
    assert json.loads(Path("tasks.json").read_text(encoding="utf-8")) == json.loads(
        (FILES / "blind.tasks.json").read_text(encoding="utf-8")
    )
    assert main(["annotation", "import", "blind.json", "--output", "back.csv", *NAMED]) == 0
    told = capsys.readouterr().err
    assert "ben: 8 labelled, 1 skipped" in told
    assert "10 sentences, labelled by so many annotators: 2 by 1, 8 by 2" in told
    assert Path("back.csv").read_bytes() == Path("long.csv").read_bytes()


def test_what_is_not_settled_fails_unless_it_has_a_file(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["annotation", "import", "blind.json", "--output", "l.csv", "--resolve", "majority"]
    assert main([*command, *NAMED]) == 1
    told = capsys.readouterr().err
    assert "8 sentences settled" in told
    assert "river-12:3: ana: casualty_report, ben: denial" in told
    assert main([*command, *NAMED, "--undecided", "rest.csv"]) == 0
    assert main(["annotation", "export", "rest.csv", "--output", "r.json"]) == 3
    assert "--existing predictions" in capsys.readouterr().err
    assert main(["annotation", "export", "rest.csv", "--output", "r.json", "--existing=none"]) == 0
    assert "2 tasks of 2 documents" in capsys.readouterr().err
    assert main(["data", "validate", "l.csv"]) == 0


def test_a_name_for_an_account_that_the_file_lacks_is_told(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    named = ["--annotator", "ana=1", "--annotator", "zoe=9"]
    assert main(["annotation", "import", "blind.json", *named, "--output", "o.csv"]) == 0
    assert "Note: the file has no answer of zoe (account 9)" in capsys.readouterr().err


def test_bad_input_leaves_no_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("bad.json").write_text("[" * 5000, encoding="utf-8")
    assert main(["annotation", "import", "bad.json", "--output", "o.csv"]) == 4
    assert main(["annotation", "import", "blind.json", "--output", "o.txt"]) == 4
    assert main(["annotation", "export", "long.csv", "--output", "long.csv"]) == 4
    assert main(["annotation", "import", "blind.json", "--output", "o.csv", "--undecided=u"]) == 3
    assert main(["annotation", "export", "sentences.csv", "--output", ""]) == 4
    assert main(["annotation", "import", "~nobody-here/x.json", "--output", "o.csv"]) == 4
    assert main(["annotation", "export", "~nobody-here/x.csv", "--output", "o.json"]) == 4
    assert main(["data", "agreement", "sentences.csv"]) == 4
    assert main(["data", "agreement", "blind.json", "--annotators", "ana,ben"]) == 3
    assert main(["data", "agreement", "sentences.xml"]) == 3
    assert main(["annotation", "export", "sentences.xml", "--output", "o.json"]) == 3
    told = capsys.readouterr().err
    assert "nested too deeply" in told
    assert "dataset." not in told
    assert "is read as well" in told
    assert "at least two columns of labels, found none" in told
    assert sorted(path.name for path in folder.iterdir()) == [
        "bad.json",
        "blind.json",
        "long.csv",
        "sentences.csv",
    ]


def test_messages_name_the_options_that_the_command_has(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "western.csv").write_bytes(b"document_id,text\nd,caf\xe9\n")
    (folder / "long.csv").write_text(f"document_id,text\nd,{'word ' * 900}\n")
    export = ["annotation", "export", "--output", "tasks.json"]
    assert main([*export, "western.csv"]) == 4
    assert main([*export, "long.csv"]) == 4
    assert main([*export, "western.csv", "--encoding", "cp9"]) == 3
    told = capsys.readouterr().err
    assert "dataset." not in told
    assert told.count("--encoding") == 2
    assert main([*export, "western.csv", "--encoding", "cp1252"]) == 0


def test_agreement_fits_the_terminal_and_lists_disagreements(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["data", "agreement", "blind.json", *NAMED, "--csv", "differ.csv"]) == 0
    told = capsys.readouterr().out
    assert max(map(len, told.splitlines())) <= 80
    assert "2 annotators, 8 sentences that at least two labelled in 3 documents" in told
    assert "river-12:3 ana: casualty_report, ben: denial" in " ".join(told.split())
    lines = Path("differ.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "sentence_id,document_id,text,label_ana,label_ben"
    assert len(lines) == 3
    assert main(["data", "agreement", "long.csv", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["skipped"] == 1
    assert found["pairs"][0]["agreement"] == 0.75
    assert [row["sentence_id"] for row in found["disagreements"]] == ["river-12:3", "river-14:0"]


@pytest.mark.slow
def test_agreement_of_the_corpus(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    corpus = repository / "data" / "sitrep"
    command = ["data", "agreement", str(corpus / "annotations.csv"), "--json"]
    assert main([*command, "--sentences", str(corpus / "sentences.csv")]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["sentences"], found["documents"]) == (8364, 460)
    assert main(["data", "stats", "sitrep", "--json"]) == 0
    stats = json.loads(capsys.readouterr().out)["machine_agreement"]
    assert found["alpha"]["value"] == pytest.approx(stats["alpha"])
    assert len(found["disagreements"]) == stats["disagreements"]


@pytest.mark.slow
@pytest.mark.skipif(not Path("/dev/stdout").exists(), reason="there is no /dev/stdout here")
def test_what_a_shell_adds_to_a_file_is_added(folder: Path) -> None:
    told = Path("told.xml")
    told.write_text("<!-- before -->\n")
    command = "from sitrepbench.cli import main; raise SystemExit(main())"
    words = ["annotation", "config", "--output", "/dev/stdout"]
    with told.open("ab") as opened:
        done = subprocess.run([sys.executable, "-c", command, *words], stdout=opened)
    assert done.returncode == 0
    labelling = (FILES / "labelling.xml").read_text(encoding="utf-8")
    assert told.read_text(encoding="utf-8") == "<!-- before -->\n" + labelling
