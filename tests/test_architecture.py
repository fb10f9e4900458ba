"""The walls of the house: who may import whom, and who alone knows what."""

import ast
from pathlib import Path

import pytest
from conftest import ROOT

PACKAGE = ROOT / "pipeline"
FILES = sorted(PACKAGE.rglob("*.py"))

# Reading order is data order: a room imports from the floors below it.
FLOORS = [
    ["pipeline.errors"],
    ["pipeline.config"],
    ["articles", "sentences", "labels", "splitting", "metrics"],
    ["calibration", "dataset", "corpora"],
    ["classifiers"],
    ["bundle", "tracking", "figures", "progress", "model_card", "selection"],
    ["training", "evaluation", "prediction", "adaptation"],
    ["cli", "tracking.served"],
    ["__main__"],
]
# MLflow runs `tracking/served.py` by itself, so it is a door like the command line.
LEVELS = {"pipeline." + room.removeprefix("pipeline."): n for n, rooms in enumerate(FLOORS) for room in rooms}
# Rooms that import torch, each of them only from inside a function.
TORCH = {f"classifiers/{name}.py" for name in ("checkpoint", "finetune", "network", "adapter")}
HEAVY = {
    *("torch", "transformers", "peft", "accelerate", "mlflow", "datasets", "sklearn", "pandas", "scipy"),
    *("matplotlib", "pyarrow", "trafilatura", "onnxruntime"),
}
# Imports that point up and wait to be turned round.
KNOWN = {("pipeline.tracking", "pipeline.prediction")}


def name_of(path):
    words = ["pipeline", *path.relative_to(PACKAGE).with_suffix("").parts]
    return ".".join(words[:-1] if words[-1] == "__init__" else words)


def place(path):
    return path.relative_to(PACKAGE).as_posix()


TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in FILES}
MODULES = {name_of(path) for path in FILES}
every_file = pytest.mark.parametrize("path", FILES, ids=place)


def for_types_alone(node):
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def statements(node, *, inside_functions=True):
    """Yield what runs: nothing under TYPE_CHECKING, and functions only if asked for."""
    for child in ast.iter_child_nodes(node):
        if for_types_alone(child) or (not inside_functions and isinstance(child, ast.FunctionDef)):
            continue
        yield child
        yield from statements(child, inside_functions=inside_functions)


def imports(path, *, inside_functions=True):
    """Yield the modules that a file imports, `from package import module` by the module."""
    for node in statements(TREES[path], inside_functions=inside_functions):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            full = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if name in MODULES else node.module for name in full)


def packages(path, **options):
    return {name.partition(".")[0] for name in imports(path, **options)}


def level(module):
    """Return the floor of a module, that of its package if it has none of its own."""
    while module not in LEVELS:
        module = module.rpartition(".")[0]
    return LEVELS[module]


def room(module):
    return ".".join(module.split(".")[:2])


def users(*wanted):
    return {place(path) for path in FILES if packages(path) & set(wanted)}


@every_file
def test_every_module_has_its_floor(path):
    assert name_of(path) == "pipeline" or level(name_of(path)) >= 0


@every_file
def test_imports_point_down(path):
    own = name_of(path)
    others = {name for name in imports(path) if name in MODULES and name != "pipeline" and room(name) != room(own)}
    assert {name for name in others if level(name) >= level(own)} <= {up for down, up in KNOWN if down == own}


def test_served_is_the_only_part_of_tracking_that_knows_the_bundle():
    knowing = {place(path) for path in FILES if "pipeline.bundle" in imports(path) and "tracking" in place(path)}
    assert knowing == {"tracking/served.py"}


def test_only_tracking_imports_mlflow():
    assert {Path(file).parts[0] for file in users("mlflow")} == {"tracking"}


def test_only_the_rooms_of_encoders_import_torch():
    assert users("torch", "transformers", "peft", "accelerate") == TORCH


@every_file
def test_nothing_heavy_is_imported_before_it_is_needed(path):
    allowed = {"torch", "transformers", "peft"} if place(path) in TORCH else set()
    allowed |= {"mlflow", "pandas"} if place(path) == "tracking/served.py" else set()
    assert packages(path, inside_functions=False) & HEAVY <= allowed


@every_file
def test_rooms_that_import_torch_are_opened_inside_functions(path):
    closed = {f"pipeline.{file.removesuffix('.py').replace('/', '.')}" for file in TORCH}
    assert place(path) in TORCH or not closed & set(imports(path, inside_functions=False))


@pytest.mark.parametrize("name", ["manifest.json", "arrays.safetensors", "values.json"])
def test_only_the_bundle_knows_the_names_of_its_files(name):
    assert [place(path) for path in FILES if name in path.read_text(encoding="utf-8")] == ["bundle.py"]


@every_file
def test_no_module_is_a_drawer_for_everything(path):
    assert not {"utils", "util", "common", "helpers", "misc"} & set(path.relative_to(PACKAGE).with_suffix("").parts)


@every_file
def test_no_module_has_the_name_of_one_in_the_standard_library(path):
    assert path.stem not in {"select", "types", "logging", "io", "json", "csv", "random", "statistics"}


@every_file
def test_nothing_is_printed_past_the_console(path):
    called = {ast.unparse(node.func) for node in ast.walk(TREES[path]) if isinstance(node, ast.Call)}
    assert "print" not in called


@every_file
def test_nothing_that_runs_code_when_loaded_is_loaded(path):
    called = {ast.unparse(node.func) for node in ast.walk(TREES[path]) if isinstance(node, ast.Call)}
    forbidden = {"torch.load", "eval", "exec", "yaml.load", "yaml.unsafe_load", "joblib.load"}
    assert not called & forbidden and not packages(path) & {"pickle", "cloudpickle", "joblib", "dill", "marshal"}


@every_file
def test_arrays_are_loaded_without_pickle(path):
    loads = [node for node in ast.walk(TREES[path]) if isinstance(node, ast.Call) and ast.unparse(node.func) == "np.load"]
    assert all("allow_pickle=False" in ast.unparse(node) for node in loads)


@every_file
def test_no_variable_is_called_pipeline(path):
    assert "pipeline" not in {
        node.id for node in ast.walk(TREES[path]) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }


@every_file
def test_randomness_has_a_state(path):
    called = {ast.unparse(node.func) for node in ast.walk(TREES[path]) if isinstance(node, ast.Call)}
    drawn = {"random.random", "random.shuffle", "random.choice", "random.randint", "np.random.rand", "np.random.normal"}
    assert not called & drawn
