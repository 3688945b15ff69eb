"""The import rules of docs/design.md, checked on the sources and in a fresh interpreter."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import sitrepbench

PACKAGE = Path(sitrepbench.__file__).parent


def imported(file: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


def files_of(part: str) -> list[Path]:
    path = PACKAGE / part
    found = [path] if path.is_file() else sorted(path.rglob("*.py"))
    assert found, f"{part} does not exist"
    return found


def offenders(parts: list[str], forbidden: tuple[str, ...]) -> list[str]:
    return [
        f"{file.relative_to(PACKAGE)} imports {name}"
        for part in parts
        for file in files_of(part)
        for name in sorted(imported(file))
        if name.split(".")[0] in forbidden or name in forbidden
    ]


ALL = sorted(p.name for p in PACKAGE.iterdir() if p.suffix == ".py" or (p / "__init__.py").exists())
PURE = [
    "data",
    "protocols",
    "features",
    "models",
    "metrics",
    "stats",
    "reuse",
    "tuning",
    "calibration",
    "articles",
    "annotation",
    "trained/loading.py",
    "trained/model.py",
    "labelling",
    "finetuning",
    "encoders.py",
    "analysis/judged.py",
    "analysis/slices.py",
    "analysis/label_errors.py",
    "analysis/mistakes.py",
    "fitting.py",
    "execution.py",
    "predictions.py",
    "parts.py",
    "labels.py",
    "errors.py",
    "seeding.py",
]


def test_only_tracking_imports_mlflow() -> None:
    assert not offenders([name for name in ALL if name != "tracking"], ("mlflow",))


def test_only_config_and_the_run_command_import_hydra() -> None:
    parts = [name for name in ALL if name not in ("config", "cli")]
    parts += [
        f"cli/{file.name}" for file in (PACKAGE / "cli").glob("*.py") if file.name != "run.py"
    ]
    assert not offenders(parts, ("hydra", "omegaconf", "hydra_plugins"))


@pytest.mark.parametrize("part", PURE)
def test_pure_parts_know_nothing_of_what_is_built_on_them(part: str) -> None:
    above = ("config", "store", "tracking", "report", "cli", "runs", "sweep")
    assert not offenders([part], tuple(f"sitrepbench.{name}" for name in above))


def test_scores_are_computed_without_sklearn() -> None:
    assert not offenders(["metrics", "stats", "store", "predictions.py"], ("sklearn",))


def test_help_imports_nothing_heavy() -> None:
    script = (
        "import sys\n"
        "from sitrepbench.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "heavy = {'mlflow', 'sklearn', 'pandas', 'numpy', 'hydra'} & set(sys.modules)\n"
        "sys.exit(', '.join(sorted(heavy)) or 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "run" in done.stdout
