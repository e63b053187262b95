"""One cache folder, several processes, a full disk: a kernel gives the right answer or is compiled anew."""

import json
import shutil
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from conftest import PACKAGE, child

# ---- a package of one kernel and two rules, and processes that use it

RULES = """
from typing import NamedTuple
class Double(NamedTuple):
    eta: float
    def change(rule, x):
        return rule.eta * x * 2
class Square(NamedTuple):
    eta: float
    def change(rule, x):
        return rule.eta * x * x
"""
HOT = """
from evoplastic.jit import kernel, open_function
@open_function
def change(rule, x):
    "Return the change."
@kernel
def run(rule, x):
    return change(rule, x)
"""
RIGHT = {"Double": 30.0, "Square": 75.0}
PROCESSES = """
import contextlib, itertools, json, os, pathlib, resource, shutil, sys, time, traceback
import numba, numba.extending, numpy as np, platformdirs

numba.njit(lambda x: x)(np.float32(1))  # what takes long is done before the forks

def live(rule):
    "Return what the kernel answers, and how many kernels this process compiled."
    from evoplastic import hot, rules
    answer = hot.run(getattr(rules, rule)(np.float32(3)), np.float32(5))
    return float(answer), sum(hot.run.stats.cache_misses.values())

def start(act, *arguments):
    "Call `act` in a fork; return what `end` takes."
    source, sink = os.pipe()
    if not (pid := os.fork()):
        try:
            told = act(*arguments)
        except BaseException:
            told = traceback.format_exc()
        os.write(sink, json.dumps(told).encode())
        os._exit(0)
    os.close(sink)
    return pid, source

def end(started):
    pid, source = started
    with open(source) as told:
        text = told.read()
    return json.loads(text) if os.waitpid(pid, 0)[1] == 0 else "died"

def until(happened, seconds=10):
    give_up = time.monotonic() + seconds
    while not happened() and time.monotonic() < give_up:
        time.sleep(0.001)

def obey(code, folder):
    os.chdir(folder)
    os.environ.update(EVOPLASTIC_CACHE=f"{folder}/cache", TMPDIR=folder)
    sys.path.insert(0, f"{folder}/install")
    os.dup2(os.open("stderr", os.O_WRONLY | os.O_CREAT), 2)
    scope = dict(globals())
    exec(code, scope)
    return scope["told"]

for order in sys.stdin:
    print(json.dumps(end(start(obey, *json.loads(order)))), flush=True)
"""


@pytest.fixture
def small_package(tmp_path):
    """A folder with a package `evoplastic` of our jit.py, one kernel and two rules."""
    package = tmp_path / "install" / "evoplastic"
    package.mkdir(parents=True)
    for name in ("jit", "plugins", "errors"):  # the last two are what the first needs
        shutil.copy(PACKAGE / f"{name}.py", package)
    for name, text in {"__init__": "", "rules": RULES, "hot": HOT}.items():
        (package / f"{name}.py").write_text(text)
    return package


@pytest.fixture(scope="module")
def forks():
    """A process that runs orders in forks of itself, so that the compiler is imported once."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", PROCESSES], **pipes, text=True) as process:
        yield process
        process.stdin.close()


@pytest.fixture
def processes(forks, small_package, tmp_path):
    """Return a caller of code that starts processes with one empty cache: its `told`, and their stderr."""

    def call(code):
        print(json.dumps([code, str(tmp_path)]), file=forks.stdin, flush=True)
        told = json.loads(forks.stdout.readline())
        assert isinstance(told, list), told
        return told, (tmp_path / "stderr").read_text()

    return call


def test_processes_that_compile_at_one_moment_answer_alike_and_a_later_one_compiles_nothing(processes):
    told, err = processes("""
def live_at_once(moment):
    time.sleep(max(0.0, moment - time.monotonic()))
    return live("Double")
moment = time.monotonic() + 0.1
together = [start(live_at_once, moment) for _ in range(3)]
told = [*map(end, together), end(start(live, "Double"))]
""")
    *together, later = told
    assert all(answer == RIGHT["Double"] and compiled <= 1 for answer, compiled in together)
    assert later == [RIGHT["Double"], 0] and err == ""


def test_processes_that_compile_different_rules_at_one_moment_never_mix_them_up(processes):
    told, err = processes("""
def in_turn(name, waits):
    "Announce each renaming of this process, before and after; the n-th waits for the announcement waits[n]."
    replace, numbers = os.replace, itertools.count()
    def turn(*paths):
        number = next(numbers)
        pathlib.Path(f"{name} at {number}").touch()
        until(lambda: number not in waits or pathlib.Path(waits[number]).exists())
        replace(*paths)
        pathlib.Path(f"{name} did {number}").touch()
    os.replace = turn

def in_turn_live(name, waits, rule):
    in_turn(name, waits)
    return live(rule)

# Both look into the empty cache; one writes its first file, the other both, then the one its second.
one = start(in_turn_live, "one", {0: "other at 0", 1: "other did 1"}, "Double")
other = start(in_turn_live, "other", {0: "one did 0"}, "Square")
told = [end(one), end(other), end(start(live, "Double")), end(start(live, "Square"))]
""")
    assert [answer for answer, _ in told] == [RIGHT["Double"], RIGHT["Square"]] * 2 and err == ""


def test_a_process_that_finds_its_cache_dropped_at_any_moment_answers_all_the_same(processes):
    told, _ = processes("""
def drop_until(ended):
    from evoplastic import jit
    folder = jit.cache_folder()
    for number in itertools.count():
        if ended.exists():
            return number
        with contextlib.suppress(OSError):
            os.utime(folder, (0, 0))
        time.sleep(0.01)
        jit.source_hash = lambda: f"{number:016x}"
        jit.cache_folder.__wrapped__()

ended = pathlib.Path("ended")
dropper = start(drop_until, ended)
until(pathlib.Path(f"cache/{9:016x}").exists)
answers = [end(start(live, rule)) for rule in ("Double", "Square") * 3]
ended.touch()
told = [answers, end(dropper)]
""")
    answers, drops = told
    assert [answer for answer, _ in answers] == [RIGHT["Double"], RIGHT["Square"]] * 3
    assert drops > 9 and sum(compiled for _, compiled in answers) > 2, "the cache was not dropped"


def test_a_cache_dropped_just_after_it_was_made_is_made_again(processes):
    told, err = processes("""
def live_without():
    from evoplastic import jit
    make = jit._private_folder
    def make_and_drop(folder):
        shutil.rmtree(make(folder))
        return folder
    jit._private_folder = make_and_drop
    return live("Double")

told = [end(start(live_without)), end(start(live, "Double"))]
""")
    assert told == [[RIGHT["Double"], 1], [RIGHT["Double"], 0]] and err == ""


def test_a_cache_dropped_while_in_use_is_made_again_and_is_private(processes, tmp_path):
    told, err = processes("""
def live_without():
    os.umask(0o002)
    from evoplastic import hot, jit
    shutil.rmtree(jit.cache_folder())
    return live("Double")

told = [end(start(live_without)), end(start(live, "Double"))]
""")
    assert told == [[RIGHT["Double"], 1], [RIGHT["Double"], 0]] and err == ""
    (folder,) = (tmp_path / "cache").iterdir()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_cache_file_torn_by_a_crash_is_compiled_anew(processes):
    told, err = processes("""
answers = [end(start(live, "Double"))]
for kind, share in itertools.product(("nbi", "nbc"), (0.0, 0.9)):
    newest = max(pathlib.Path("cache").rglob(f"*.{kind}"), key=os.path.getmtime)
    os.truncate(newest, int(share * newest.stat().st_size))
    answers.append(end(start(live, "Double")))
told = [*answers, end(start(live, "Double"))]
""")
    assert told == [[RIGHT["Double"], compiled] for compiled in (1, 1, 1, 1, 1, 0)] and err == ""


def test_a_disk_that_takes_no_more_leaves_kernels_right_and_is_told_once(processes, tmp_path):
    told, err = processes("""
def live_on_a_full_disk():
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, resource.RLIM_INFINITY))
    return live("Double"), live("Square")

told = [end(start(live_on_a_full_disk)), end(start(live, "Double"))]
""")
    assert told == [[[RIGHT["Double"], 1], [RIGHT["Square"], 2]], [RIGHT["Double"], 1]]
    assert err.count("UserWarning") == 1 and "compiled kernels cannot be kept in" in err and "EVOPLASTIC_CACHE" in err
    assert not list((tmp_path / "cache").rglob("*.tmp.*"))


# ---- the package itself


LIFE = """
import json
from conftest import lived, small_life
from evoplastic.rollout import live
record = lived(small_life())
print(json.dumps([record.loss.tobytes().hex(), record.plastic.tobytes().hex(), sum(live.stats.cache_misses.values())]))
"""


@pytest.mark.soak
def test_three_processes_with_an_empty_cache_live_the_same_life_and_a_later_one_compiles_nothing(tmp_path):
    with ThreadPoolExecutor(3) as pool:
        at_once = list(pool.map(lambda _: json.loads(child(LIFE, EVOPLASTIC_CACHE=str(tmp_path))), range(3)))
    later = json.loads(child(LIFE, EVOPLASTIC_CACHE=str(tmp_path)))
    assert [told[:2] for told in at_once] == [later[:2]] * 3
    assert later[2] == 0 and any(told[2] for told in at_once)
