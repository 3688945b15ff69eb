"""Processes that each load the model once and answer blocks; the answers come back in order."""

from __future__ import annotations

import os
import signal
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from queue import SimpleQueue
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

from sitrepbench.errors import ModelError, SitrepBenchError
from sitrepbench.labelling.questions import Answers, ModelFacts, Question, answer
from sitrepbench.labelling.starting import one_thread, start_server, without_interrupts

#: Blocks that a worker has at once: one that it works on, and one that waits.
PER_WORKER = 2
#: Blocks in memory per worker: those, and answers that wait for an earlier one.
_WINDOW = 2 * PER_WORKER
_JOIN_SECONDS = 5.0

Kept = TypeVar("Kept")


@dataclass(frozen=True)
class ModelSource:
    """How a worker comes to its model.

    Parameters
    ----------
    folder : str
        As `sitrepbench.trained.load_trained` takes it.
    allow_pickle : bool
        Whether a model that is kept as pickle may be loaded.
    trust : tuple of str
        Types to trust beyond the known ones.
    probabilities : bool
        Whether probabilities are wanted.
    encoder : str or None
        Where the model's encoder lies, as `sitrepbench.trained.load_trained` takes it.
    """

    folder: str
    allow_pickle: bool = False
    trust: tuple[str, ...] = ()
    probabilities: bool = True
    encoder: str | None = None


class Answerer(Protocol):
    """Answers questions about a model's labels, in order."""

    @property
    def facts(self) -> ModelFacts:
        """What is to be known of the model."""

    def answers(self, asked: Iterable[tuple[Kept, Question]]) -> Iterator[tuple[Kept, Answers]]:
        """Yield what belongs to each question with its answer, in the order of the questions."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


def answerer(source: ModelSource, processes: int) -> Answerer:
    """Return what answers: this process for one, workers for more."""
    return ThisProcess(source) if processes == 1 else Workers(source, processes)


class ThisProcess:
    """The model in this process, with as many threads as its libraries take."""

    def __init__(self, source: ModelSource) -> None:
        self._source = source
        self._model = _load(source)
        self.facts = ModelFacts.of(self._model)

    def answers(self, asked: Iterable[tuple[Kept, Question]]) -> Iterator[tuple[Kept, Answers]]:
        """Answer one question after the other."""
        for kept, one in asked:
            yield kept, answer(self._model, one, probabilities=self._source.probabilities)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        return None


@dataclass
class _Worker:
    process: BaseProcess
    connection: Connection[Any, Any]
    under_way: int = 0


@dataclass
class Workers:
    """Processes with one thread each; a context manager that leaves none behind.

    Parameters
    ----------
    source : ModelSource
        Where each takes its model from.
    processes : int
        How many.

    Raises
    ------
    SitrepBenchError
        On entering: what loading the model raised.
    ModelError
        When a worker ends without an answer.
    """

    source: ModelSource
    processes: int
    _workers: list[_Worker] = field(default_factory=list, init=False, repr=False)
    _facts: ModelFacts | None = field(default=None, init=False, repr=False)

    @property
    def facts(self) -> ModelFacts:
        """What is to be known of the model; workers tell it when they have loaded it."""
        if self._facts is None:
            raise ModelError("the workers are not started")
        return self._facts

    def __enter__(self) -> Self:
        with ExitStack() as undone:
            undone.callback(self._end)
            context = start_server()
            with without_interrupts(), one_thread():
                for _ in range(self.processes):
                    ours, theirs = context.Pipe()
                    process = context.Process(
                        target=work, args=(theirs, self.source), daemon=True, name="labelling"
                    )
                    process.start()
                    theirs.close()
                    self._workers.append(_Worker(process, ours))
            for worker in self._workers:
                self._facts = self._receive(worker)
            undone.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end()

    def answers(self, asked: Iterable[tuple[Kept, Question]]) -> Iterator[tuple[Kept, Answers]]:
        """Hand questions out to whoever is free; yield the answers in order."""
        questions = enumerate(asked)
        waiting: deque[tuple[int, Kept]] = deque()
        answered: dict[int, Answers] = {}
        more = True
        while more or waiting:
            while more and len(waiting) < _WINDOW * self.processes:
                free = min(self._workers, key=lambda worker: worker.under_way)
                if free.under_way >= PER_WORKER:
                    break
                found = next(questions, None)
                if found is None:
                    more = False
                    break
                place, (kept, one) = found
                waiting.append((place, kept))
                self._send(free, (place, one))
                # An answer that lies there frees its worker for the next question.
                answered.update(self._arrived(timeout=0))
            while waiting and waiting[0][0] in answered:
                place, kept = waiting.popleft()
                yield kept, answered.pop(place)
            if waiting and not (more and self._has_room(len(waiting))):
                answered.update(self._arrived(timeout=None))

    def _has_room(self, n_waiting: int) -> bool:
        return n_waiting < _WINDOW * self.processes and any(
            worker.under_way < PER_WORKER for worker in self._workers
        )

    def _arrived(self, timeout: float | None) -> dict[int, Answers]:
        by_connection = {worker.connection: worker for worker in self._workers}
        found: dict[int, Answers] = {}
        for connection in wait(list(by_connection), timeout):
            worker = by_connection[connection]  # type: ignore[index]
            place, given = self._receive(worker)
            worker.under_way -= 1
            found[place] = given
        return found

    def _send(self, worker: _Worker, message: tuple[int, Question]) -> None:
        try:
            worker.connection.send(message)
        except OSError:
            # It may have said why before it ended.
            self._receive(worker)
            raise self._dead(worker) from None
        worker.under_way += 1

    def _receive(self, worker: _Worker) -> Any:
        try:
            found = worker.connection.recv()
        except (EOFError, OSError):
            raise self._dead(worker) from None
        if isinstance(found, SitrepBenchError):
            raise found
        return found

    def _dead(self, worker: _Worker) -> ModelError:
        worker.process.join(_JOIN_SECONDS)
        code = worker.process.exitcode
        how = "ended" if code is None else f"ended with exit code {code}"
        if code is not None and code < 0:
            how = f"was killed by signal {-code} ({signal.Signals(-code).name})"
        return ModelError(
            f"a worker process {how} without an answer. The system ends processes when memory "
            f"runs out: try fewer than --processes {self.processes}"
        )

    def _end(self) -> None:
        for worker in self._workers:
            worker.process.terminate()
        for worker in self._workers:
            worker.process.join(_JOIN_SECONDS)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
            worker.connection.close()
        self._workers.clear()


def work(connection: Connection[Any, Any], source: ModelSource) -> None:
    """Load the model, say what it is, and answer questions until nobody asks any more."""
    inbox: SimpleQueue[tuple[int, Question]] = SimpleQueue()
    try:
        from threadpoolctl import threadpool_limits

        model = _load(source)
        with threadpool_limits(limits=1):
            connection.send(ModelFacts.of(model))
            # Whoever asks must never wait for this process to have time to listen: it might be
            # about to hand an answer over, and both would wait for each other.
            threading.Thread(target=_listen, args=(connection, inbox), daemon=True).start()
            while True:
                place, one = inbox.get()
                connection.send((place, answer(model, one, probabilities=source.probabilities)))
    except SitrepBenchError as error:
        _tell(connection, error)
    except BrokenPipeError:
        return
    except Exception as error:  # a model is anybody's code
        _tell(connection, ModelError(f"a worker failed: {type(error).__name__}: {error}"))


def _listen(connection: Connection[Any, Any], inbox: SimpleQueue[tuple[int, Question]]) -> None:
    """Take questions; end the process when the one that asks is gone, however it went."""
    while True:
        try:
            inbox.put(connection.recv())
        except (EOFError, OSError):
            os._exit(0)


def _tell(connection: Connection[Any, Any], error: SitrepBenchError) -> None:
    try:
        connection.send(error)
    except OSError:
        return


def _load(source: ModelSource) -> Any:
    from sitrepbench.labelling.counting import freeze_vocabularies
    from sitrepbench.trained import load_trained

    model = load_trained(
        source.folder,
        allow_pickle=source.allow_pickle,
        trust=source.trust,
        encoder=source.encoder,
    )
    freeze_vocabularies(model.pipeline)
    return model
