"""The names that the capability rules look for (TAMPER mechanism M11). Data only."""

from __future__ import annotations

import re

DOTTED = {
    "frame-walk": r"sys\._(getframe|current_frames|getframemodulename)|inspect\.(currentframe|stack|trace|getouterframes|getinnerframes|"
    r"getframeinfo)|traceback\.(walk_stack|walk_tb|extract_stack)|logging\.currentframe|sys\.exc_info\.__traceback__",
    "module-table": r"sys\.(modules|meta_path|path_hooks|path_importer_cache)",
    "code-object": r"types\.(CodeType|CellType)",
    "trace-hook": r"(sys|threading)\.(settrace|setprofile|settrace_all_threads)|sys\.(monitoring|addaudithook|unraisablehook|excepthook|"
    r"breakpointhook|set_asyncgen_hooks)(\..*)?|threading\.excepthook|bdb\..*",
    "process-control": r"os\.(_exit|abort|kill|killpg|fork|forkpty|exec[lv]p?e?|posix_spawnp?|dup2?|setsid|setpgid|setpgrp|closerange|"
    r"ptsname|login_tty|getppid)|signal\.(signal|raise_signal|pthread_kill|alarm|setitimer|siginterrupt)|_thread\.interrupt_main|"
    r"resource\.(setrlimit|prlimit)|faulthandler\.(?!(enable|disable|is_enabled)$).*|posix\..*|pty\..*",
    "exit-hook": r"atexit\.(register|_run_exitfuncs|_clear|unregister)|threading\._register_atexit",
    "test-probe": r"sys\.flags\.(isolated|safe_path|dont_write_bytecode|hash_randomization|no_user_site)|"
    r"importlib\.metadata\.packages_distributions|pytest\.__version__",
    "gc-walk": r"gc\.(get_objects|get_referrers|get_referents|callbacks)",
    "dynamic-code": r"(builtins\.)?(exec|eval|compile)|marshal\.loads?|runpy\..*|importlib\.util\.spec_from_file_location|"
    r"importlib\.machinery\..*|zipimport\..*|imp\..*|code\.(InteractiveInterpreter|InteractiveConsole|interact)|"
    r"ast\.literal_eval\.__.*|dill\..*|cloudpickle\..*",
    "native-access": r"ctypes(\..*)?|_ctypes(\..*)?|cffi(\..*)?|mmap(\..*)?",
    "skip-raise": r"unittest\.(case\.)?SkipTest|pytest\.(skip|xfail|exit|importorskip)(\.Exception)?|_pytest\.outcomes\..*",
    "reads-source": r"inspect\.(getsource|getsourcelines|getsourcefile|findsource|getcomments)|linecache\..*|tokenize\.open",
}
COMPILED = {rule: re.compile(pattern) for rule, pattern in DOTTED.items()}
ATTRIBUTES = {
    "frame-walk": {
        "f_back",
        "f_locals",
        "f_globals",
        "f_code",
        "f_builtins",
        "f_lineno",
        "tb_frame",
        "gi_frame",
        "cr_frame",
        "ag_frame",
    },
    "code-object": {
        "__code__",
        "__globals__",
        "__closure__",
        "cell_contents",
        "co_code",
        "co_consts",
        "co_names",
        "co_filename",
        "gi_code",
    },
    "dynamic-code": {"__subclasses__"},
}
HARNESS = re.compile(r"(_pytest|pytest|pluggy|unittest|xdist|hypothesis|doctest|nose2?|coverage)(\..*|$)")
PATCHED = re.compile(r"(_pytest|pytest|pluggy|unittest|xdist|hypothesis|doctest|builtins|__builtins__)\.")
PROBES = re.compile(
    r"PYTEST_(CURRENT_TEST|VERSION|XDIST_WORKER\w*|XDIST_TESTRUNUID|RUN_CONFIG|ADDOPTS|PLUGINS|AGENTGATE\w*)|PYTHONHASHSEED|_called_from_test"
)
GENERIC_WORD = re.compile(r"tests?|TESTING", re.IGNORECASE)
RUNNER_WORD = re.compile(r"\b_?py[._]?test\b|\bunittest\b|\bconftest\b|(?-i:\btest_\w*)|^tests?$", re.IGNORECASE)
"""A variable ``TEST_DATABASE_URL`` names no test."""
ASKED = (
    "sys.modules",
    "sys.argv",
    "os.environ",
    "os.getenv",
    "sys.orig_argv",
    "inspect.stack",
    "sys._getframe",
    "sys.path",
    "os.getcwd",
    "importlib.util.find_spec",
    "importlib.metadata",
    "pkgutil.find_loader",
)
TEST_FILE = re.compile(r"(^|/)tests?/|(^|/)test_\w*\.(py|json|ya?ml|txt|csv)$|_test\.py$|(^|/)conftest\.py$|\.pytest_cache")
PROCESS_FILE = re.compile(r"^/proc/|^/dev/(mem|fd)")
MAYBE = re.compile(
    rb"\b(sys|os|gc|io|inspect|traceback|logging|threading|_thread|signal|atexit|weakref|marshal|runpy|importlib|zipimport|imp|code|types|"
    rb"ctypes|cffi|mmap|resource|faulthandler|posix|pty|_?pickle|pkgutil|dill|cloudpickle|linecache|tokenize|multiprocessing|concurrent|bdb|builtins|"
    rb"exec|eval|compile|getattr|setattr|delattr|vars|exit|quit|SystemExit|unittest|doctest|hypothesis|coverage|nose2?|compare|open|[ri]?glob|walk)\b|"
    rb"pytest|pluggy|xdist|__(eq|ne|lt|le|gt|ge|contains|instancecheck|subclasscheck|class|code|globals|closure|subclasses|import|builtins|"
    rb"dict|traceback|defaults|kwdefaults|file)__|\b(f|tb|gi|cr|ag|co|cell)_[a-z]+|/proc|read_|scandir|listdir|SkipTest|_called_from_test|excepthook|decompress|start_new_session|process_group|Popen|"
    rb"\btype\s*\(|setsid|nohup|DETACHED",
    re.IGNORECASE,
)
"""A file without any of these words uses none of the capabilities, however it is written; most files are done with that."""
SCRIPTS = re.compile(r"(scripts?|tools?|ci|dev|bin|maint\w*|utils?|\.github|docs?|examples?|benchmarks?)/")
ASIDE = re.compile(r"(docs?|documentation|examples?|snippets|benchmarks?)/")
"""Folders beside the product."""
