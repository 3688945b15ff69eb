"""The training of one network: epochs, early stopping, and going on after a kill. Needs torch.

An own loop rather than transformers' Trainer: that one writes checkpoints in place, so that a kill
in the middle leaves half of one; it seeds the whole process, keeps state in globals between fits,
and takes longer to import than a small fit takes. Everything random in an epoch follows from the
seed and the epoch's number alone, so that an epoch begun anew is the same epoch.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import load_file
from sklearn.metrics import f1_score
from torch import Tensor, nn

from sitrepbench.errors import ConfigError, ModelError
from sitrepbench.finetuning.checkpoints import (
    DAMAGED,
    LAST_FILE,
    Progress,
    best_file,
    mark_done,
)
from sitrepbench.finetuning.curves import CURVE_FILE, CurveFile, read_points
from sitrepbench.finetuning.network import (
    PooledClassifier,
    answers,
    check_trained,
    padded,
    read_trained,
    softmax,
    take_trained,
    trained,
    write_trained,
)
from sitrepbench.finetuning.pinning import pinned
from sitrepbench.finetuning.place import clear
from sitrepbench.finetuning.starting import Start, check_start, probe_head, train_mode
from sitrepbench.seeding import seed_for

#: Gradients longer than this are shortened to it, as is usual with transformers.
_LONGEST_GRADIENT = 1.0
#: The training loss is told about so often per epoch.
_POINTS_PER_EPOCH = 8
#: Batches of texts of like length are drawn from pools of so many batches.
_POOL = 20
Codes = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Recipe:
    """How a network is trained; see `sitrepbench.finetuning.FineTuned` for the fields."""

    epochs: int
    patience: int
    choose_by: str
    learning_rate: float
    warmup: float
    weight_decay: float
    batch_size: int
    accumulate: int
    probe: bool
    trained_share: float
    precision: str
    seed: int


@dataclass(frozen=True)
class Rows:
    """Sentences to train on or to watch: their tokens and the numbers of their labels."""

    tokens: Sequence[Mapping[str, list[int]]]
    codes: Codes


class Training:
    """One network's training; `run` leaves it with its best weights.

    Parameters
    ----------
    network : Module
        From `load_pretrained`, on its device.
    tokenizer : tokenizer
        Of its encoder.
    train, dev : Rows
        What to learn from, and what to watch; without watched rows all epochs are done, and the
        last one's weights taken.
    weights : float ndarray, shape (n_labels,)
        How much an error counts, by the sentence's label.
    recipe : Recipe
        How to train.
    folder : Path
        Where checkpoints and the curve are kept. What a killed process left is gone on with.
    last_epoch : int or None
        After which epoch to end though the learning rate falls until ``recipe.epochs``.
    """

    def __init__(
        self,
        network: nn.Module,
        tokenizer: Any,
        train: Rows,
        dev: Rows,
        *,
        weights: npt.NDArray[np.float64],
        recipe: Recipe,
        folder: Path,
        last_epoch: int | None = None,
    ) -> None:
        self.network, self.tokenizer, self.train, self.dev = network, tokenizer, train, dev
        self.recipe, self.folder = recipe, folder
        self._last_epoch = recipe.epochs if last_epoch is None else last_epoch
        self.device = next(network.parameters()).device
        self.progress = Progress()
        self._began = Start(network)
        self._weights = torch.tensor(weights, dtype=torch.float32, device=self.device)
        self._dtype = _dtype(recipe.precision, self.device)
        self._scaler = torch.amp.GradScaler("cuda", enabled=self._dtype == torch.float16)
        self._optimizer = torch.optim.AdamW(
            _groups(network, recipe.weight_decay),
            lr=recipe.learning_rate,
            fused=self.device.type in ("cpu", "cuda"),
        )
        self._total = max(1, recipe.epochs * self._steps_per_epoch)
        warm = max(1, round(recipe.warmup * self._total))
        self._schedule = torch.optim.lr_scheduler.LambdaLR(
            self._optimizer,
            lambda step: min((step + 1) / warm, (self._total - step) / max(1, self._total - warm)),
        )

    @property
    def _steps_per_epoch(self) -> int:
        return -(-len(self.train.codes) // (self.recipe.batch_size * self.recipe.accumulate))

    def run(self) -> Progress:
        """Train, or go on with training, and return how it went."""
        with pinned(self.device):
            watched = {} if self._resumed() else self._start()
            curve = CurveFile(self.folder)
            if len(self.dev.codes) and not read_points(self.folder / CURVE_FILE):
                # Killed between its first state and the curve's first point, it lacks that.
                curve.add(step=0, epoch=0, **(watched or self._watched()))
            while not self._is_over():
                self._epoch(curve)
            read_trained(self.network, best_file(self.folder, self.progress.best_epoch))
        mark_done(self.folder, self.progress)
        return self.progress

    def _is_over(self) -> bool:
        done = self.progress
        waited = done.epoch - done.best_epoch
        stopped = len(self.dev.codes) > 0 and waited >= self.recipe.patience
        return done.epoch >= self._last_epoch or stopped

    def _start(self) -> dict[str, float]:
        """Begin at epoch 0, and return what is watched there."""
        torch.manual_seed(seed_for("fine-tuning", seed=self.recipe.seed, epoch=0))
        _fresh_head(self.network)
        check_start(self.network, self.tokenizer, self.train.tokens)
        if self.recipe.probe and isinstance(self.network, PooledClassifier):
            by_code = self._weights.cpu().numpy().astype(np.float64)
            probe_head(self.network, self.tokenizer, self.train.tokens, self.train.codes, by_code)
        self._began = Start(self.network)
        watched = self._watched() if len(self.dev.codes) else {}
        self._keep(Progress(best_score=self._score(watched) if watched else float("-inf")))
        return watched

    def _epoch(self, curve: CurveFile) -> None:
        epoch, step = self.progress.epoch + 1, self.progress.step
        seed = seed_for("fine-tuning", seed=self.recipe.seed, epoch=epoch)
        torch.manual_seed(seed)
        train_mode(self.network)
        losses: list[Tensor] = []
        told_every = max(1, self._steps_per_epoch // _POINTS_PER_EPOCH)
        for rows in self._batches(np.random.default_rng(seed)):
            rate = self._schedule.get_last_lr()[0]
            losses.append(self._step(rows))
            step += 1
            if step % told_every == 0:
                loss = float(torch.stack(losses).mean())
                losses.clear()
                self._check_number(loss, step)
                curve.add(step=step, epoch=epoch, train_loss=loss, learning_rate=rate)
        best_epoch, best_score = epoch, self.progress.best_score
        if len(self.dev.codes):
            watched = self._watched()
            self._check_number(watched["dev_loss"], step)
            curve.add(step=step, epoch=epoch, **watched)
            score = self._score(watched)
            best_epoch = epoch if score > best_score else self.progress.best_epoch
            best_score = max(score, best_score)
        self._keep(Progress(epoch, step, best_epoch, best_score))

    def _check_number(self, loss: float, step: int) -> None:
        """Refuse to go on with a loss that is no number: the encoder's start gave numbers."""
        if not np.isfinite(loss):
            raise ModelError(
                f"the loss is {loss} after {step} steps; lower learning_rate"
                f"={self.recipe.learning_rate:g}, or use precision=float32"
            )

    def _batches(self, random: np.random.Generator) -> Iterator[list[int]]:
        """Yield the rows of every step, each row once; texts of like length come together."""
        size = self.recipe.batch_size * self.recipe.accumulate
        order = random.permutation(len(self.train.codes))
        batches: list[list[int]] = []
        for start in range(0, len(order), size * _POOL):
            pool = order[start : start + size * _POOL].tolist()
            pool.sort(key=lambda row: len(self.train.tokens[row]["input_ids"]))
            batches += [pool[at : at + size] for at in range(0, len(pool), size)]
        for number in random.permutation(len(batches)):
            yield batches[number]

    def _step(self, rows: list[int]) -> Tensor:
        """Take one step of the optimizer, and return the mean loss of its rows."""
        total = torch.zeros((), device=self.device)
        for start in range(0, len(rows), self.recipe.batch_size):
            some = rows[start : start + self.recipe.batch_size]
            # Over all rows of the step, so that small batches add up to the large one.
            loss = self._loss_sum(some) / len(rows)
            self._scaler.scale(loss).backward()
            total += loss.detach()
        self._scaler.unscale_(self._optimizer)
        nn.utils.clip_grad_norm_(self.network.parameters(), _LONGEST_GRADIENT)
        self._scaler.step(self._optimizer)
        self._scaler.update()
        self._schedule.step()
        self._optimizer.zero_grad(set_to_none=True)
        return total

    def _loss_sum(self, rows: list[int]) -> Tensor:
        batch = padded(self.tokenizer, [self.train.tokens[row] for row in rows], self.device)
        codes = torch.from_numpy(self.train.codes[rows]).to(self.device)
        half = self._dtype != torch.float32
        with torch.autocast(self.device.type, dtype=self._dtype) if half else nullcontext():
            logits = self.network(batch)
        found: Tensor = nn.functional.cross_entropy(
            logits.float(), codes, weight=self._weights, reduction="sum"
        )
        return found

    def _watched(self) -> dict[str, float]:
        """Return the loss and the macro-F1 of the averaged network on the watched rows."""
        self.network.eval()
        with self._began.averaged(self.recipe.trained_share):
            logits = answers(self.network, self.tokenizer, self.dev.tokens, self.device)
        codes, by_code = self.dev.codes, self._weights.cpu().numpy()
        likelihood = np.maximum(softmax(logits)[np.arange(len(codes)), codes], 1e-30)
        present = np.unique(np.append(codes, logits.argmax(axis=1)))
        return {
            "dev_loss": float(-(by_code[codes] * np.log(likelihood)).mean()),
            "dev_macro_f1": float(
                f1_score(
                    codes, logits.argmax(axis=1), labels=present, average="macro", zero_division=0
                )
            ),
        }

    def _score(self, watched: Mapping[str, float]) -> float:
        if self.recipe.choose_by == "loss":
            return -watched["dev_loss"]
        return watched["dev_macro_f1"]

    def _keep(self, now: Progress) -> None:
        """Write down where the training stands, so that a kill at any moment loses an epoch."""
        best = best_file(self.folder, now.best_epoch)
        if now.best_epoch == now.epoch:
            with self._began.averaged(self.recipe.trained_share):
                write_trained(self.network, best)
        beside = self.folder / (LAST_FILE + ".new")
        state = {
            "progress": asdict(now),
            "network": {name: value.detach() for name, value in trained(self.network)},
            "start": self._began.head(),
            "optimizer": self._optimizer.state_dict(),
            "schedule": {"last_epoch": self._schedule.last_epoch},
            "scaler": self._scaler.state_dict(),
        }
        with beside.open("wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self.folder / LAST_FILE)
        for old in self.folder.glob("best-*.safetensors"):
            if old != best:
                old.unlink(missing_ok=True)
        self.progress = now

    def _resumed(self) -> bool:
        """Take up what a killed process left; what cannot be read is begun anew."""
        path = self.folder / LAST_FILE
        if not path.is_file():
            clear(self.folder)
            return False
        try:
            state = torch.load(path, map_location=self.device, weights_only=True)
            progress = Progress(**state["progress"])
            best = best_file(self.folder, progress.best_epoch)
            check_trained(self.network, load_file(best))
            self._optimizer.load_state_dict(state["optimizer"])
            self._scaler.load_state_dict(state["scaler"])
            self._began.take_head(state["start"])
            # The last, for a network that was changed is no start.
            take_trained(self.network, state["network"])
        except (*DAMAGED, pickle.UnpicklingError):
            clear(self.folder)
            return False
        # The rates in the optimizer's state are those of the step that comes next.
        self._schedule.last_epoch = state["schedule"]["last_epoch"]
        self._schedule._last_lr = [group["lr"] for group in self._optimizer.param_groups]
        self.progress = progress
        return True


def _groups(network: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Return the parameters for AdamW: biases and norms are not drawn towards zero."""
    free: list[nn.Parameter] = []
    drawn: list[nn.Parameter] = []
    for parameter in network.parameters():
        if not parameter.requires_grad:
            continue
        (drawn if parameter.ndim > 1 else free).append(parameter)
    return [
        {"params": drawn, "weight_decay": weight_decay},
        {"params": free, "weight_decay": 0.0},
    ]


def _fresh_head(network: nn.Module) -> None:
    """Draw the head's weights anew, by the seed; an own head was drawn when it was loaded."""
    if isinstance(network, PooledClassifier):
        network.head.reset_parameters()


def _dtype(precision: str, device: torch.device) -> torch.dtype:
    """Return the type of numbers in which a network is trained."""
    if precision == "auto":
        if device.type != "cuda":
            return torch.float32
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    if precision == "float16" and device.type != "cuda":
        raise ConfigError(
            f"precision=float16 needs a CUDA device, found {device.type}; use precision=auto"
        )
    found: torch.dtype = getattr(torch, precision)
    return found
