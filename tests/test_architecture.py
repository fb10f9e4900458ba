"""The walls of the house: who may import whom, and who alone knows what."""

import ast
import sys
from pathlib import Path

import pytest
from conftest import ROOT

from pipeline.config import read_config

PACKAGE = ROOT / "pipeline"
FILES = sorted(PACKAGE.rglob("*.py"))

# Rooms and the four files, in reading order, which is data order: each imports from those before it.
ROOMS = [
    *("errors", "config", "progress", "scoring", "manifest", "data", "classifiers", "bundle", "tracking", "prediction"),
    *("evaluation", "coverage", "reporting", "training", "labelling", "cli", "__main__"),
]
# Rooms that import torch, each of them only from inside a function.
TORCH_FILES = "adapter checkpoint encoding finetuning network"
TORCH = {f"classifiers/{name}.py" for name in TORCH_FILES.split()}
HEAVY = {
    *("torch", "transformers", "peft", "accelerate", "mlflow", "datasets", "sklearn", "pandas", "scipy"),
    *("matplotlib", "pyarrow", "ray", "trafilatura", "onnxruntime"),
}


def name_of(path):
    words = ["pipeline", *path.relative_to(PACKAGE).with_suffix("").parts]
    return ".".join(words[:-1] if words[-1] == "__init__" else words)


def place(path):
    return path.relative_to(PACKAGE).as_posix()


TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in FILES}
MODULES = {name_of(path) for path in FILES}


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


def room(module):
    return module.split(".")[1]


def users(*wanted):
    return {place(path) for path in FILES if packages(path) & set(wanted)}


def offenders(broken):
    """Return the files that break a rule."""
    return [place(path) for path in FILES if broken(path)]


def calls(path):
    return {ast.unparse(node.func) for node in ast.walk(TREES[path]) if isinstance(node, ast.Call)}


def test_each_file_stands_in_a_room():
    assert offenders(lambda path: path.parent == PACKAGE and path.stem not in {*ROOMS, "__init__"}) == []
    assert (
        offenders(lambda path: path.relative_to(PACKAGE).parts[0].removesuffix(".py") not in {*ROOMS, "__init__"}) == []
    )


@pytest.mark.parametrize("path", [path for path in FILES if path != PACKAGE / "__init__.py"], ids=place)
def test_imports_point_down(path):
    own = room(name_of(path))
    others = {room(name) for name in imports(path) if name in MODULES - {"pipeline"}} - {own}
    assert {other for other in others if ROOMS.index(other) > ROOMS.index(own)} == set()


def test_only_the_served_model_in_tracking_knows_the_bundle():
    tracking = {place(path) for path in FILES if "pipeline.bundle" in imports(path) and "tracking" in place(path)}
    assert tracking == {"tracking/served.py"}


def test_only_tracking_imports_mlflow():
    assert {Path(file).parts[0] for file in users("mlflow")} == {"tracking"}


def test_only_the_rooms_of_encoders_import_torch():
    inside_fit = {"classifiers/contrastive.py"}
    assert users("torch", "transformers", "peft", "accelerate") == TORCH | inside_fit


def test_nothing_heavy_is_imported_before_it_is_needed():
    allowed = dict.fromkeys(TORCH, {"torch", "transformers", "peft"}) | {"tracking/served.py": {"mlflow", "pandas"}}
    early = {place(path): packages(path, inside_functions=False) & HEAVY for path in FILES}
    assert {file: names for file, names in early.items() if names - allowed.get(file, set())} == {}


def test_rooms_that_import_torch_are_opened_inside_functions():
    closed = {f"pipeline.{file.removesuffix('.py').replace('/', '.')}" for file in TORCH}
    assert set(offenders(lambda path: closed & set(imports(path, inside_functions=False)))) <= TORCH


@pytest.mark.parametrize("name", ["manifest.json", "arrays.safetensors", "values.json"])
def test_only_the_bundle_knows_the_names_of_its_files(name):
    assert offenders(lambda path: name in path.read_text(encoding="utf-8")) == ["bundle.py"]


def test_no_code_knows_a_label():
    labels = set(read_config(ROOT / "configs" / "default.yaml").label_names) - {"neutral"}  # a word of its own
    files = [file for file in PACKAGE.rglob("*") if file.suffix in (".py", ".jinja")]
    known = {word for label in labels for word in (label, label.replace("-", "_"))}
    assert len(known) == 4
    assert [place(file) for file in files if any(word in file.read_text("utf-8") for word in known)] == []


def test_no_module_is_a_drawer_for_everything():
    drawers = {"utils", "util", "common", "helpers", "misc"}
    assert offenders(lambda path: drawers & set(path.relative_to(PACKAGE).with_suffix("").parts)) == []


def test_no_module_has_the_name_of_one_in_the_standard_library():
    assert offenders(lambda path: path.stem in sys.stdlib_module_names and path.stem != "__main__") == []


def test_nothing_is_printed_past_the_console():
    assert offenders(lambda path: "print" in calls(path)) == []


def test_nothing_is_loaded_that_runs_code():
    forbidden = {"torch.load", "joblib.load", "eval", "exec", "yaml.load", "yaml.unsafe_load"}
    assert offenders(lambda path: calls(path) & forbidden) == []


def test_nothing_is_pickled():
    assert users("pickle", "cloudpickle", "joblib", "dill", "marshal") == set()


def test_arrays_are_loaded_without_pickle():
    loads = [node for tree in TREES.values() for node in ast.walk(tree) if isinstance(node, ast.Call)]
    loads = [ast.unparse(node) for node in loads if ast.unparse(node.func) == "np.load"]
    assert [load for load in loads if "allow_pickle=False" not in load] == []


def test_no_variable_is_called_pipeline():
    def stored(path):
        nodes = (node for node in ast.walk(TREES[path]) if isinstance(node, ast.Name))
        return {node.id for node in nodes if isinstance(node.ctx, ast.Store)}

    assert offenders(lambda path: "pipeline" in stored(path)) == []


def test_randomness_has_a_state():
    shared = {"random.random", "random.shuffle", "random.choice", "random.sample", "random.randint"}
    shared |= {"np.random.rand", "np.random.normal", "np.random.shuffle", "np.random.choice", "np.random.permutation"}
    assert offenders(lambda path: calls(path) & shared) == []
