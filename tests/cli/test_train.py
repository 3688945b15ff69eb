"""Training from the command line, MLflow's model, and real servers on loopback."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from sitrepbench.cli import main
from sitrepbench.errors import ConfigError, TrackingError
from sitrepbench.tracking.settings import tracking_settings
from sitrepbench.tracking.trained_models import fetched_model, pointed_at
from sitrepbench.trained import load_trained

TEXTS = ["Nine people were killed at the mill.", "The army denied that it had hit the camp."]
WANTED = ["casualty_report", "denial"]
FORMS: dict[str, Any] = {
    "dataframe_split": {"columns": ["text"], "data": [[text] for text in TEXTS]},
    "dataframe_records": [{"text": text} for text in TEXTS],
    "inputs": {"text": TEXTS},
    "instances": [{"text": text} for text in TEXTS],
}
#: Texts without a column name.
LISTS: dict[str, Any] = {
    "inputs": TEXTS,
    "instances": TEXTS,
    "dataframe_split": {"data": [[text] for text in TEXTS]},
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a trained and registered model in it."""
    folder = tmp_path_factory.mktemp("place")
    rows = [
        {"document_id": f"d{number}", "text": text.format(number, where), "label": label}
        for number, where in enumerate(("market", "mill", "camp", "bridge", "school", "depot"))
        for label, text in (
            ("casualty_report", "{} people were killed at the {}."),
            ("denial", "The army denied {} times that it had hit the {}."),
            ("background", "It is {} kilometres to the {}."),
        )
    ]
    pd.DataFrame(rows).to_csv(folder / "reports.csv", index=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        arguments = ["dataset=table", "dataset.path=reports.csv", "protocol=grouped_cv"]
        arguments += ["protocol.n_folds=2", "model=linear_svm", "features=word"]
        arguments += ["features.min_df=1", "calibrator=temperature"]
        assert main(["train", *arguments, "--output", "model", "--register", "reports"]) == 0
    return folder


def settings_of(place: Path) -> Any:
    return tracking_settings(place / "results", "adhoc")


@pytest.mark.slow
def test_mlflow_loads_the_registered_model(place: Path) -> None:
    script = (
        "import json, mlflow, numpy as np, pandas as pd\n"
        f"mlflow.set_tracking_uri({settings_of(place).uri!r})\n"
        "model = mlflow.pyfunc.load_model('models:/reports@newest')\n"
        f"texts = {TEXTS!r}\n"
        "for given in (pd.DataFrame({'text': texts}), [{'text': t} for t in texts],\n"
        "              {'text': texts}, pd.Series(texts, name='text'), pd.Series(texts),\n"
        "              texts, np.array(texts)):\n"
        "    print(json.dumps(model.predict(given).to_dict('list')))\n"
        "info = mlflow.models.get_model_info('models:/reports/1')\n"
        "run = mlflow.get_run(info.run_id)\n"
        "print(json.dumps([info.signature.inputs.input_names(), dict(run.data.tags)]))\n"
    )
    environment = {**os.environ, "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false"}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    expected, probabilities = load_trained(place / "model").answer(pd.DataFrame({"text": TEXTS}))
    assert expected.tolist() == WANTED
    for answer in lines[:7]:
        assert answer["label"] == WANTED
        assert answer["p_denial"] == probabilities[:, 1].tolist()
    names, tags = lines[7]
    assert names == [0, "text", "document_id", "position"]
    assert tags["kind"] == "trained"
    assert tags["content_key"] == load_trained(place / "model").key
    assert len(tags["evaluation_run_id"]) == 32
    assert "## Intended use" in tags["mlflow.note.content"]
    assert f"/runs/{tags['evaluation_run_id']})" in tags["mlflow.note.content"]


@pytest.mark.slow
def test_a_model_in_mlflow_is_fetched_as_its_folder(place: Path) -> None:
    with fetched_model("models:/reports/1", settings_of(place)) as folder:
        assert load_trained(folder).key == load_trained(place / "model").key
    with pytest.raises(TrackingError, match="cannot be fetched"):
        fetched_model("models:/nothing/1", settings_of(place)).__enter__()


@pytest.mark.slow
def test_a_foreign_mlflow_model_is_refused(place: Path, tmp_path: Path) -> None:
    import mlflow
    from sklearn.linear_model import LogisticRegression

    settings = settings_of(place)
    path = tmp_path / "foreign"
    mlflow.sklearn.save_model(
        LogisticRegression().fit([[0.0], [1.0]], [0, 1]),
        str(path),
        pip_requirements=["scikit-learn"],
    )
    with pointed_at(settings.uri), mlflow.start_run() as run:
        mlflow.log_artifacts(str(path), "model")
    assert "MLFLOW_REGISTRY_URI" not in os.environ
    with pytest.raises(ConfigError, match=r"is no model of 'sitrepbench train'"):
        fetched_model(f"runs:/{run.info.run_id}/model", settings).__enter__()


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextmanager
def served(command: list[str], port: int, place: Path) -> Iterator[None]:
    """Start a server and wait until it answers."""
    tools = str(Path(sys.executable).parent)
    environment = {**os.environ, "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"}
    environment["MLFLOW_TRACKING_URI"] = settings_of(place).uri
    log = place / f"server-{port}.log"
    with log.open("w") as out:
        server = subprocess.Popen(
            command,
            cwd=place,
            env=environment,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + 180
        while True:
            assert server.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            try:
                if ask(port, None, method="GET", path="/ping")[0] == 200:
                    break
            except OSError:
                time.sleep(0.3)
        yield
    finally:
        with suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGTERM)
        server.wait(30)


def ask(
    port: int, body: Any, *, method: str = "POST", path: str = "/invocations"
) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    data = json.dumps(body) if isinstance(body, dict) else body
    connection.request(method, path, data, {"Content-Type": "application/json"})
    response = connection.getresponse()
    text = response.read()
    connection.close()
    return response.status, json.loads(text) if text.strip() else None


def check_forms(port: int) -> None:
    for form, given in (*FORMS.items(), *LISTS.items()):
        status, answer = ask(port, {form: given})
        assert status == 200, answer
        assert [row["label"] for row in answer["predictions"]] == WANTED, form
        assert all(abs(sum(_shares(row)) - 1) < 1e-9 for row in answer["predictions"])
    status, answer = ask(port, {"inputs": {"txt": TEXTS}})
    assert status == 400
    assert "column 'text' is missing" in answer["message"]
    status, answer = ask(port, {"dataframe_records": [{"text": None}]})
    assert status == 400
    assert "text is not a string in row 1" in answer["message"]


def _shares(row: dict[str, Any]) -> list[float]:
    return [value for name, value in row.items() if name.startswith("p_")]


@pytest.mark.slow
def test_mlflow_serves_it(place: Path) -> None:
    port = free_port()
    command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", "models:/reports/1"]
    command += ["--env-manager", "local", "--host", "127.0.0.1", "--port", str(port)]
    with served(command, port, place):
        check_forms(port)
        many = {"inputs": {"text": ["a"] * 10_001}}
        status, answer = ask(port, many)
        assert status == 400
        assert "at most 10,000" in answer["message"]


@pytest.mark.slow
def test_the_program_serves_it_with_a_limit(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    port = free_port()
    command = [sys.executable, "-m", "sitrepbench", "serve", "model", "--port", str(port)]
    with served([*command, "--max-body-mb", "0.01"], port, place):
        check_forms(port)
        told = ask(port, json.dumps({"inputs": {"text": ["x" * 20_000]}}))
        assert told[0] == 413
        assert "larger than 10,000 bytes" in told[1]["message"]
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        connection.request(
            "POST",
            "/invocations",
            iter([b"x" * 6_000, b"x" * 6_000]),
            {"Content-Type": "application/json"},
            encode_chunked=True,
        )
        assert connection.getresponse().status == 413
        for kind, status in (("", 415), ("application/vnd.apache.parquet", 415), ("text/csv", 200)):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            connection.request("POST", "/invocations", "text\na\n", {"Content-Type": kind})
            assert connection.getresponse().status == status, kind
            connection.close()
        # A port that is taken is told before the model is loaded.
        assert main(["serve", "model", "--port", str(port)]) > 1
        assert "give another --port" in capsys.readouterr().err
        check_forms(port)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["protocol=score", "model=keyword_rules"], "trains on nothing"),
        (["model=linear_svm,nbsvm"], "one configuration|one value|multirun"),
        (["model=linear_svm", "--register", "a/b"], "without slashes"),
        (["model=linear_svm", "--trust", "x"], "MODULE.CLASS"),
        (["model=linear_svm", "tracking=none", "--register", "a"], "needs MLflow"),
    ],
)
def test_what_cannot_be_trained_is_told_at_once(
    arguments: list[str],
    told: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    unlock = ["unlock.reason=a test"] if "protocol=score" in arguments else []
    data = ["dataset=seeds"] if unlock else ["dataset=sitrep"]
    code = main(["train", *data, *unlock, *arguments, "--output", "model"])
    assert code > 1
    assert re.search(told, capsys.readouterr().err)
    assert not (tmp_path / "model").exists()
