"""Composing the jobs of a sweep gives what Hydra gives for each, and says all that is wrong."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hydra._internal.hydra import Hydra
from hydra.errors import HydraException
from hydra.types import RunMode
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from sitrepbench.config.choices import ChoiceComposer
from sitrepbench.config.compose import compose_with, explained, hydra_session
from sitrepbench.config.overrides import parse_override
from sitrepbench.config.run_config import RunConfig, check_config
from sitrepbench.config.sweeping import JobComposer, compose_jobs
from sitrepbench.errors import ConfigError

#: What can be chosen, and what can be set where it is.
FITTING: dict[str, list[str]] = {
    "dataset=sitrep": ["dataset.name=other", "dataset={name: other}"],
    "dataset=table": [
        "dataset.path=a.csv", "dataset.path='with space/a,b.csv'", "dataset.columns.text=body",
        "+dataset.label_map.killed=denial", "dataset.name=${study}", "dataset.allow=[long_text]",
    ],
    "protocol=official": ["protocol.train=[train,dev]", "protocol.score.0=test"],
    "protocol=grouped_cv": ["protocol.n_folds=3", "protocol.n_repeats=${seed}"],
    "protocol=cross_dataset": ["dataset@protocol.target=table", "protocol.target.name=${.x}"],
    "features=word": ["features.ngram_range=[1,3]", "+features.stop_words=[a,the]"],
    "features=char": ["features.ngram_range.1=4", "+features.max_df='${features.min_df}'"],
    "features=word_char": ["features.word_ngrams=[2,2]", "features.min_df=0.5"],
    "model=linear_svm": [
        "model.C=1e-3", "+model.max_iter=50", "model.class_weight={denial:2}", "model.C=${seed}",
        "++model.class_weight.denial=3", "~model.class_weight", "+model.random_state=${seed}",
        "+model.tol=${.C}",
    ],
    "model=complement_nb": ["model.alpha=1", "model.norm=TRUE", "+model._about_.note=hello"],
    "model=logistic_regression": ["++model.C=2", "++model.tol=1e-2", "model.class_weight=null"],
    "model=majority": ["model.label=denial", "model.label=${study}", "model.label='x y'"],
    "model=tied": [
        "model.C=4", "model._about_.deep.leaf=5", "model._about_.lent.leaf=7",
        "model._about_.lent={leaf: 8}",
    ],
    "model=nested": [
        "model.tol=1", "model._about_.deep={leaf: 6}", "model._about_.deep.leaf=${model.tol}",
    ],
    "experiments=mine": ["model.C=3", "model.random_state=1"],
}  # fmt: skip
GENERAL = [
    "seed=1", "seed=2", "++seed=4", "study=mine", "results_dir=elsewhere", "resume=never",
    "resume=failed", "unlock.reason='why not'", "unlock.reason=", "unlock={reason: because}",
    "tracking=none", "tracking.uri=http://h:1", "executor.blas_threads=2",
    "results_dir=r/${study}_${seed}", "study=null", "~tracking", "hydra.job.name=x",
]  # fmt: skip
MISTAKES = [
    "model=absent", "model=3", "++model=majority", "@model=x", "+dataset@model.extra=seeds",
    "seed=abc", "seed=1.5", "+seed=3", "~seed", "resume=mising", "~model._target_", "model.c=1",
    "dataset.path=???", "dataset.columns.doc_id=x", "protocol.n_folds=x", "unlock=null", "+new=1",
    "+new.deep.key=1", "model={C: 3}", "model.other=${model.C}", "model.C=$\\{seed}", "a.b",
    "hydra={a: 1}", "+hydra.x=1", "seed=1,2", "model.C=", "model=[majority,linear_svm]",
    "model._about_.lent=null", "dataset.path=${absent}", "model.C=[1,", "+model.C=5", "+model.CC=1",
]  # fmt: skip


@st.composite
def jobs(draw: st.DrawFn) -> list[str]:
    """Draw what a job sets: mostly what fits together, in any order."""
    given = []
    for group in ("dataset", "protocol", "features", "model", "experiments"):
        options = [name for name in FITTING if name.startswith(group)]
        option = draw(
            st.sampled_from([*options, ""]) if group != "dataset" else st.sampled_from(options)
        )
        if option:
            values = draw(st.lists(st.sampled_from(FITTING[option]), max_size=2, unique=True))
            given += [option, *values]
        if option == "dataset=table" and not any("dataset.path" in text for text in given):
            given.append("dataset.path=b.csv")
    given += draw(st.lists(st.sampled_from(GENERAL), max_size=2))
    if draw(st.integers(0, 9)) == 0:
        given.append(draw(st.sampled_from(MISTAKES)))
    return list(draw(st.permutations(given)))


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's folder: interpolations, a defaults list, and a study with settings of its own."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "model").mkdir()
    (folder / "model" / "tied.yaml").write_text(
        "_target_: sklearn.svm.LinearSVC\nC: 1.0\nrandom_state: ${seed}\nmax_iter: ${.C}\n"
        "_about_:\n  deep: {leaf: 1}\n  lent: ${model._about_.deep}\n"
    )
    (folder / "model" / "nested.yaml").write_text(
        "defaults:\n  - linear_svm\n  - _self_\ntol: 0.01\n_about_: {deep: {leaf: 1}}\n"
    )
    (folder / "experiments").mkdir()
    (folder / "experiments" / "mine.yaml").write_text(
        "# @package _global_\ndefaults:\n  - override /model: logistic_regression\n"
        "  - override /hydra/launcher: basic\nstudy: mine\nseed: 7\nmodel:\n  C: 2\n"
        "  random_state: ${seed}\nhydra:\n  mode: MULTIRUN\n  sweeper:\n    params:\n"
        "      model.C: 1,2\n"
    )
    return folder


@pytest.fixture(scope="module")
def hydra(own: Path) -> Iterator[Hydra]:
    with hydra_session([own]) as session:
        yield session


@pytest.fixture(scope="module")
def master(hydra: Hydra) -> DictConfig:
    return compose_with(hydra, ["dataset=sitrep"], run_mode=RunMode.MULTIRUN)


@pytest.fixture(scope="module")
def composer(hydra: Hydra, master: DictConfig) -> JobComposer:
    """One for all examples, so that what an example leaves behind would be found."""
    return JobComposer(hydra.config_loader, master)


def by_hydra(hydra: Hydra, master: DictConfig, job: Sequence[str]) -> RunConfig | ConfigError:
    try:
        return check_config(hydra.config_loader.load_sweep_config(master, list(job)))
    except ConfigError as error:
        return error
    except (HydraException, OmegaConfBaseException, ValueError) as error:
        return explained(hydra, error, job)


def same(one: RunConfig | ConfigError, two: RunConfig | ConfigError) -> bool:
    if isinstance(one, ConfigError) or isinstance(two, ConfigError):
        return type(one) is type(two) and str(one) == str(two)
    return repr(one) == repr(two)  # also tells 1 from 1.0 and the order of keys


def check(hydra: Hydra, master: DictConfig, composer: JobComposer, job: list[str]) -> bool:
    """Compare one job, and return whether it composed."""
    made: RunConfig | ConfigError
    try:
        (made,) = composer.compose([job])
    except ConfigError as error:
        made = error
    expected = by_hydra(hydra, master, job)
    assert same(made, expected), f"{job}\n{made}\n{expected}"
    return isinstance(expected, RunConfig)


PLAIN = settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.mark.slow
@PLAIN
@given(job=jobs())
def test_every_job_is_what_hydra_makes_of_it(
    hydra: Hydra, master: DictConfig, composer: JobComposer, job: list[str]
) -> None:
    check(hydra, master, composer, job)


@pytest.mark.slow
@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_told_as_hydra_tells_it(
    hydra: Hydra, master: DictConfig, composer: JobComposer, mistake: str
) -> None:
    check(hydra, master, composer, ["dataset=sitrep", "seed=1", mistake])


def test_most_jobs_are_composed_without_hydras_files(
    hydra: Hydra, master: DictConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fails when a sweep of plain values, or of interpolated ones, takes the long way."""
    full: list[list[str]] = []
    loader = hydra.config_loader
    real = loader.load_sweep_config

    def counted(given: DictConfig, overrides: list[str]) -> DictConfig:
        full.append(overrides)
        return real(given, overrides)

    monkeypatch.setattr(loader, "load_sweep_config", counted)
    jobs = [
        ["dataset=sitrep", f"model={model}", f"features={features}", f"seed={seed}", *more]
        for model in ("linear_svm", "tied", "complement_nb")
        for features in ("word", "char")
        for seed in range(5)
        for more in ([], ["features.min_df=${seed}"], ["~features.sublinear_tf"])
    ]
    assert len(compose_jobs(loader, master, jobs)) == 90
    assert len(full) == 1  # the first choice is composed both ways, to compare


def test_batches_share_what_is_composed(hydra: Hydra, master: DictConfig) -> None:
    composer = JobComposer(hydra.config_loader, master)
    (one,) = composer.compose([["dataset=sitrep", "seed=1"]])
    (two,) = composer.compose([["dataset=sitrep", "seed=2"]])
    assert two.tree["model"] is one.tree["model"]
    assert (one.seed, two.seed) == (1, 2)


@pytest.mark.slow
@pytest.mark.parametrize(
    "chosen",
    [[], ["experiments=mine"], ["experiments=seeds", "model=nested"], ["protocol=cross_dataset"]],
)
def test_choices_compose_lightly_to_the_same(
    hydra: Hydra, master: DictConfig, chosen: list[str]
) -> None:
    composer = ChoiceComposer(hydra.config_loader, master)
    overrides = [parse_override(text) for text in chosen]
    full, light = composer.compose(overrides), composer.compose(overrides)
    assert "hydra/output" in full.names  # once by Hydra, then without its settings
    assert "hydra/output" not in light.names
    assert light.names.items() <= full.names.items()
    assert light.config == full.config
    assert list(light.config) == list(full.config)


def test_a_study_with_wrong_settings_for_hydra_is_told(
    own: Path, hydra: Hydra, master: DictConfig
) -> None:
    (own / "experiments" / "wrong.yaml").write_text(
        "# @package _global_\nstudy: wrong\nhydra:\n  sweper:\n    params: {}\n"
    )
    with pytest.raises(ConfigError, match="sweper"):
        compose_jobs(
            hydra.config_loader,
            master,
            [["dataset=sitrep"], ["dataset=sitrep", "experiments=wrong"]],
        )


@pytest.mark.slow
def test_every_problem_is_told_once_with_its_count(hydra: Hydra, master: DictConfig) -> None:
    jobs = [
        ["dataset=sitrep", f"seed={seed}", *wrong]
        for seed in range(50)
        for wrong in (
            [],
            ["model=liner_svm"],
            ["+model.cc=1", "+features.max=1"],
            [f"model.c={seed}"],
        )
    ]
    with pytest.raises(ConfigError) as caught:
        compose_jobs(hydra.config_loader, master, jobs)
    said = str(caught.value)
    assert said.startswith("150 of 200 combinations cannot be composed, so none was started:")
    assert said.count("Did you mean 'linear_svm'?") == 1
    assert "model.cc: LinearSVC takes no argument 'cc'" in said
    assert "features.max: word_char_tfidf takes no argument 'max'" in said
    assert said.count("(50 of 200 combinations)") == 3
    assert "model.c=0: unknown key 'model.c'. Did you mean model.C=0?" in said
    assert "model.c=...: likewise with other values (47 of 200 combinations)" in said


def test_one_job_with_a_problem_is_told_as_a_run(hydra: Hydra, master: DictConfig) -> None:
    with pytest.raises(ConfigError) as caught:
        compose_jobs(hydra.config_loader, master, [["dataset=sitrep", "modle=linear_svm"]])
    assert str(caught.value).startswith("modle=linear_svm: unknown key 'modle'. Did you mean")
    assert "combinations" not in str(caught.value)
