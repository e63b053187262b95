"""The house keeps its shape: imports point one way, and every part fulfils its contract."""

import ast
import importlib
import inspect
import typing
from pathlib import Path

import pytest
from conftest import PACKAGE

from evoplastic.learners import LEARNERS
from evoplastic.modulation import MODULATIONS
from evoplastic.networks import NETWORKS
from evoplastic.rules import RULES
from evoplastic.tasks import TASKS

FILES = sorted(PACKAGE.rglob("*.py"))
ORDER = [  # each storey may use those before it
    {"errors", "explaining", "files", "stop", "plugins"},
    {"jit", "manifest"},
    {"random", "polynomials", "numbers", "vectors", "parts", "recorders"},
    {"networks", "rules", "modulation", "tasks", "learners", "genome", "strategies"},
    {"rollout", "contracts"},
    {"problems"},
    {"config"},
    {"evaluators"},
    {"evolution", "elites"},
    {"npz", "lines", "runs", "checkpoints", "lock", "genotypes", "recordings", "remembered"},
    {"analysis"},
    {"launch", "champions", "warm_start", "sweeps", "groups", "fleet", "tuning", "tuned", "analyses", "sinks"},
    {"api", "cli", "__main__", "bench", "timing", "plan", "progress", "gym", "checks"},
]
STOREY = {name: level for level, names in enumerate(ORDER) for name in names}
# Beside the storeys: these know vectors only, nothing of networks.
VECTORS_ONLY = {"strategies", "genome"}
KNOWN_TO_VECTORS = {"errors", "jit", "random", "polynomials", "vectors", *VECTORS_ONLY}
ONLY_IN = {
    "ray": lambda part: part.startswith("evaluators/ray"),
    "matplotlib": lambda part: part.startswith("analysis/"),
    "cma": lambda part: part.startswith("strategies/"),
    "gymnasium": lambda part: part.startswith("gym/"),
    "tensorboardX": lambda part: part == "sinks.py",
    "pickle": lambda part: False,
    "cloudpickle": lambda part: False,
    "shelve": lambda part: False,
    "marshal": lambda part: False,
    "dill": lambda part: False,
    "joblib": lambda part: False,
}


def imports(path):
    """Yield (line, module) of every import in a file, wherever it stands; modules are dotted and absolute."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno} imports relatively"
            if node.module == "evoplastic":
                for alias in node.names:
                    yield node.lineno, f"evoplastic.{alias.name}"
            else:
                yield node.lineno, node.module


def unit_of(path):
    """Return the package's part that a file belongs to: its top-level module or folder."""
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


EDGES = [
    (path.relative_to(PACKAGE.parent).as_posix(), line, unit_of(path), module.split(".")[1])
    for path in FILES
    for line, module in imports(path)
    if module.startswith("evoplastic.") and module.split(".")[1] != "__version__"
]


def test_every_part_has_its_storey():
    parts = {unit_of(path) for path in FILES} - {"__init__"}
    assert parts <= set(STOREY), f"give {parts - set(STOREY)} a storey in ORDER"


def test_imports_point_one_way():
    wrong = [
        f"{file}:{line} imports evoplastic.{used}"
        for file, line, user, used in EDGES
        if user != used and user in STOREY and STOREY.get(used, 99) > STOREY[user]
    ]
    assert not wrong, "\n".join(wrong)


def test_strategies_and_genome_know_vectors_only():
    wrong = [
        f"{file}:{line} imports evoplastic.{used}"
        for file, line, user, used in EDGES
        if user in VECTORS_ONLY and used not in KNOWN_TO_VECTORS
    ]
    assert not wrong, "\n".join(wrong)


def test_strategies_do_not_know_the_genome():
    assert not [edge for edge in EDGES if edge[2] == "strategies" and edge[3] == "genome"]


@pytest.mark.parametrize("library", ONLY_IN)
def test_library_is_imported_only_in_its_place(library):
    wrong = [
        f"{path.relative_to(PACKAGE.parent)}:{line} imports {module}"
        for path in FILES
        for line, module in imports(path)
        if module.split(".")[0] == library and not ONLY_IN[library](path.relative_to(PACKAGE).as_posix())
    ]
    assert not wrong, "\n".join(wrong)


def chains(path):
    """Yield (line, dotted name) of every attribute chain such as np.random.default_rng in a file."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute):
            names, root = [node.attr], node.value
            while isinstance(root, ast.Attribute):
                names.append(root.attr)
                root = root.value
            if isinstance(root, ast.Name):
                yield node.lineno, ".".join([root.id, *reversed(names)])


def test_numpy_random_gives_keys_and_nothing_else():
    allowed = {"np.random", "np.random.SeedSequence"}
    wrong = []
    for path in FILES:
        in_random = path == PACKAGE / "random.py"
        used = {(line, name) for line, name in chains(path) if name.startswith(("np.random", "numpy.random"))}
        used |= {(line, module) for line, module in imports(path) if module.split(".")[0] == "random"}
        used |= {(line, module) for line, module in imports(path) if module.startswith("numpy.random")}
        allowed_here = allowed if in_random else set()
        wrong += [
            f"{path.relative_to(PACKAGE.parent)}:{line} uses {name}" for line, name in used if name not in allowed_here
        ]
    assert not wrong, "\n".join(wrong)


def calls(path):
    """Yield (call node, dotted name of what is called) of a file."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            yield node, ast.unparse(node.func)


def test_nothing_is_evaluated_or_unpickled():
    banned = {"eval", "exec", "compile", "__import__"}
    wrong = []
    for path in FILES:
        for node, name in calls(path):
            keywords = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
            loads = name in ("np.load", "numpy.load") and keywords.get("allow_pickle") != "False"
            if name in banned or loads or keywords.get("allow_pickle") == "True":
                wrong.append(f"{path.relative_to(PACKAGE.parent)}:{node.lineno} calls {ast.unparse(node)}")
    assert not wrong, "\n".join(wrong)


def test_kernels_use_no_fastmath_and_no_threads():
    wrong = [
        f"{path.relative_to(PACKAGE.parent)}:{node.lineno}"
        for path in FILES
        for node, name in calls(path)
        if {keyword.arg for keyword in node.keywords} & {"fastmath", "parallel"} or name.endswith("prange")
    ]
    assert not wrong, "\n".join(wrong)


def test_help_can_be_fast():
    """Ray, Numba, Matplotlib and pycma are imported inside functions of the command line, never at its top."""
    bodies = [ast.parse(path.read_text()).body for path in (PACKAGE / "cli").glob("*.py")]
    nodes = [node for body in bodies for node in body]
    top = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    top |= {node.module for node in nodes if isinstance(node, ast.ImportFrom)}
    light = {"evoplastic.cli", "evoplastic.errors", "evoplastic.plugins"}
    light |= {f"evoplastic.cli.{path.stem}" for path in (PACKAGE / "cli").glob("*.py")}
    assert {module for module in top if module.startswith("evoplastic.")} <= light
    assert not {name.split(".")[0] for name in top} & {"ray", "numba", "matplotlib", "cma", "scipy"}


# ---- contracts of what fills the open functions

PARTS = {"learners": LEARNERS, "networks": NETWORKS, "rules": RULES, "modulation": MODULATIONS, "tasks": TASKS}


def stubs(part):
    """Return the open functions of a part's contract by name."""
    contract = importlib.import_module(f"evoplastic.{part}.contract")
    functions = inspect.getmembers(contract, inspect.isfunction)
    return {name: stub for name, stub in functions if hasattr(stub, "__wrapped__")}


def built(settings):
    """Return the kernel struct that a settings class builds."""
    return typing.get_type_hints(settings.build)["return"]


MEMBERS = [
    pytest.param(part, built(settings), id=f"{part}-{name}")
    for part, table in PARTS.items()
    for name, settings in table.items()
]


@pytest.mark.parametrize(("part", "struct"), MEMBERS)
def test_struct_has_every_method_of_its_contract_with_the_stub_s_parameters(part, struct):
    wanted = {name: list(inspect.signature(stub).parameters) for name, stub in stubs(part).items()}
    assert wanted
    found = {name: list(inspect.signature(getattr(struct, name, lambda: 0)).parameters) for name in wanted}
    assert found == wanted


def fields(struct):
    """Yield the annotation of every number and array of a NamedTuple, those of nested ones included."""
    for annotation in typing.get_type_hints(struct).values():
        if hasattr(annotation, "_fields"):
            yield from fields(annotation)
        else:
            yield annotation


def named_tuples(part):
    for path in sorted((PACKAGE / part).glob("*.py")):
        module = importlib.import_module(f"evoplastic.{part}.{path.stem}")
        for name, struct in inspect.getmembers(module, inspect.isclass):
            if hasattr(struct, "_fields") and struct.__module__ == module.__name__:
                yield pytest.param(struct, id=f"{part}-{name}")


@pytest.mark.parametrize("struct", [param for part in PARTS for param in named_tuples(part)])
def test_struct_holds_at_most_eight_arrays(struct):
    assert sum("ndarray" in str(kind) for kind in fields(struct)) <= 8


@pytest.mark.parametrize(("part", "struct"), MEMBERS)
def test_file_of_a_struct_says_what_it_is(part, struct):
    assert Path(inspect.getfile(struct)).is_relative_to(PACKAGE / part)
    assert inspect.getdoc(inspect.getmodule(struct)), "a file opens with what it is, its equation and its source"


def decorators(function):
    return {name.id for name in function.decorator_list if isinstance(name, ast.Name)}


def returns(function):
    return any(isinstance(node, ast.Return) and node.value is not None for node in ast.walk(function))


def is_function(node):
    return isinstance(node, ast.FunctionDef)


def is_struct(node):
    return isinstance(node, ast.ClassDef) and any(getattr(base, "id", "") == "NamedTuple" for base in node.bases)


def test_nothing_that_borrows_its_arrays_calls_what_makes_and_returns_some():
    nodes = [node for path in FILES for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))]
    functions = [node for node in nodes if is_function(node)]
    methods = [node for struct in filter(is_struct, nodes) for node in struct.body if is_function(node)]
    opened = {node.name for node in functions if "open_function" in decorators(node)}
    makers = {node.name for node in functions if "making_kernel" in decorators(node) and returns(node)}
    makers |= {node.name for node in functions if "making_open_function" in decorators(node)}
    borrowing = [node for node in functions if decorators(node) & {"kernel", "inlined_kernel"}]
    borrowing += [node for node in methods if node.name in opened]
    called = {
        (node.name, call.func.id)
        for node in borrowing
        for call in ast.walk(node)
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name)
    }
    assert ("consolidate", "add_affine") in called and {"unborn", "rest", "newborn"} <= makers
    assert {(caller, maker) for caller, maker in called if maker in makers} == set()
