"""What judged code reaches for while tests run, seen however it is written."""

from __future__ import annotations

import runpy

import pytest
from conftest import CALC, TEST_CALC, Repo, findings, policy

from pytest_agentgate.checks.tests.reaching import _brief
from pytest_agentgate.checks.tests.session import INJECTED

RULE = "integrity/reaches-out"
LOOKUP = "getattr(socket, 'getaddr' + 'info')({host!r}, 443)"
REACHES = {
    "host": LOOKUP.format(host="key.example.net"),
    "address": "socket.create_connection(('192.0.2.7', 80), timeout=0.1)",
    "environment": "getattr(io, 'op' + 'en')(f'/proc/{os.getppid()}/environ').close()",
    "memory": "os.open('/proc/' + str(os.getppid()) + '/mem', os.O_RDONLY)",
    "shell": "pathlib.Path('~', '.bashrc').expanduser().open('a').close()",
    "own packages": "(os.makedirs(site.getusersitepackages(), exist_ok=True), open(site.getusersitepackages() + '/x.pth', 'w').close())",
    "packages": "open(pytest.__file__.replace('__init__', 'later'), 'w').close()",
}
SILENT = {
    "here": LOOKUP.format(host="localhost"),
    "loopback": "socket.create_connection(('127.0.0.1', 9), timeout=0.1)",
    "own address": "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).connect(('192.0.2.7', 80))",
    "itself": "open(f'/proc/{os.getpid()}/environ').close()",
    "number": "open(f'/proc/{os.getppid()}/stat').close()",
    "elsewhere": "open(tempfile.mktemp(), 'w').close()",
    "reads": "open(pytest.__file__).close()",
}
HEAD = "import contextlib\nimport io\nimport os\nimport pathlib\nimport site\nimport socket\nimport tempfile\n\nimport pytest\n\n\n"


def code(*lines: str) -> str:
    body = "".join(f"    with contextlib.suppress(OSError):\n        {line}\n" for line in lines) + "    return a + b\n"
    return HEAD + CALC.replace("    return a + b\n", body, 1)


@pytest.mark.parametrize("kind", REACHES)
def test_what_the_patch_reaches_for_is_held(calc: Repo, kind: str):
    calc.write(**{"calc.py": code(REACHES[kind])})
    (found,) = findings(calc.gate(), RULE)
    assert found.effect == "hold" and found.node_id == "test_calc.py::test_add"


def test_what_is_no_reach_is_silent(calc: Repo):
    calc.write(**{"calc.py": code(*SILENT.values())})
    report = calc.gate()
    assert not findings(report, RULE) and report.verdict.decision == "accepted"


def test_modules_that_reach_at_import_are_held(calc: Repo):
    calc.write(
        **{"calc.py": f"import contextlib\nimport socket\n\nwith contextlib.suppress(OSError):\n    {REACHES['host']}\n\n\n" + CALC}
    )
    (found,) = findings(calc.gate(), RULE)
    assert found.node_id is None and "its modules were used" in found.message and "key.example.net" in found.message


def test_what_the_base_reaches_for_in_the_same_test_is_its_own(calc: Repo):
    calc.commit({"calc.py": code(REACHES["host"], REACHES["shell"])})
    calc.write(**{"calc.py": code(LOOKUP.format(host="q7.example.net"), REACHES["shell"]) + "\nTWO = 2\n"})
    assert not findings(calc.gate(), RULE)
    calc.write(**{"calc.py": code(REACHES["host"], LOOKUP.format(host="example.org"))})
    (found,) = findings(calc.gate(), RULE)
    assert "example.org" in found.message and "example.net" not in found.message


STAYS = "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(30)'], **{'start_new_' + 'session': True})"


def test_a_process_that_outlives_the_tests_is_held(calc: Repo):
    begin = "import subprocess\nimport sys\n\n"
    calc.write(**{"calc.py": begin + STAYS + "\n\n\n" + CALC})
    (found,) = findings(calc.gate(), RULE)
    assert (
        found.node_id is None
        and "left a process running when the tests had ended" in found.message
        and "sleep(30)" in found.message
    )
    calc.write(**{"calc.py": begin + STAYS + ".kill()\n\n\n" + CALC})
    assert not findings(calc.gate(), RULE)
    calc.write(**{"calc.py": begin + STAYS.replace("True", "False") + "\n\n\n" + CALC})
    assert not findings(calc.gate(), RULE), "whatever stays in our group ends with the sandbox"
    calc.write(**{"calc.py": begin + STAYS.replace("'start_new_' + 'session': True", "'process_' + 'group': 0") + "\n\n\n" + CALC})
    assert findings(calc.gate(), RULE)
    calc.commit({"calc.py": begin + STAYS + "\n\n\n" + CALC})
    calc.write(**{"calc.py": begin + STAYS.replace("30", "31") + "\n\n\n" + CALC})
    assert not findings(calc.gate(), RULE), "the base leaves one as well"


def test_a_new_test_may_name_a_host(calc: Repo):
    sub = (
        HEAD
        + CALC
        + "\n\ndef reach(host):\n    with contextlib.suppress(OSError):\n        socket.getaddrinfo({}, 443)\n    return 4\n"
    )
    test = TEST_CALC + "\n\ndef test_reach():\n    from calc import reach\n\n    assert reach('shop.example.net') == 4\n"
    calc.write(**{"calc.py": sub.format("host"), "test_calc.py": test})
    assert not findings(calc.gate(), RULE)
    calc.write(**{"calc.py": sub.format("host.replace('shop.', 'x.').replace('net', 'org')")})
    (found,) = findings(calc.gate(), RULE)
    assert found.node_id == "test_calc.py::test_reach"


def test_workers_are_watched(calc: Repo, workers_python: str):
    calc.commit({"pyproject.toml": policy("pytest", more="[tool.agentgate.tests]\nworkers = '2'\n")})
    calc.write(**{"calc.py": code(REACHES["host"])})
    assert [f.node_id for f in findings(calc.gate(python=workers_python), RULE)] == ["test_calc.py::test_add"]


@pytest.mark.parametrize(
    ("name", "brief"),
    [
        ("a1.shop.example", "shop.example"),
        ("shop.example.", "shop.example"),
        ("192.0.2.7", "192.0.2.7"),
        ("fe80::1", "fe80::1"),
        ("~/.bashrc", "~/.bashrc"),
    ],
)
def test_hosts_are_compared_by_their_last_labels(name: str, brief: str):
    assert _brief(name) == brief


def test_odd_events_are_nobodys_error():
    """It runs inside of judged code, which would see what it raises."""
    place = INJECTED + "/agentgate_reach.py"
    reach = runpy.run_path(place)
    hear = reach["Watch"]()
    odd = [("a\0b", "w", 577), (b"\xff", None, None), (5, "w", 577), (object(), "w", 577), ("/proc/x/mem", "r", 0), ("", "w", 577)]
    for args in (*odd, ("/proc/99999999/mem", "r", 0), ("x" * 5000, "w", 577)):
        hear("open", args)
    for args in ((None, 1), (b"", 1), (5, 1), (), ("\ud800", 1)):
        hear("socket.getaddrinfo", args)
        hear("socket.connect", args)
    assert [(kind, name) for _, kind, name in reach["SEEN"]] == [("host", "?")]


def test_a_flood_hides_nothing_and_no_name_looks_like_this_machine():
    reach = runpy.run_path(INJECTED + "/agentgate_reach.py")
    hear = reach["Watch"]()
    for name in [*(f"a{n}.example.com" for n in range(1000)), "127.attacker.example", "evil.example", "127.0.0.1", "localhost"]:
        hear("socket.getaddrinfo", (name, 1))
    found = [name for *_, name in reach["SEEN"]]
    assert found[-2:] == ["127.attacker.example", "evil.example"] and len(found) == 22
    hear("os.rename", ("/tmp/x", "~/.bashrc".replace("~", reach["os"].path.expanduser("~")), -1, -1))
    assert list(reach["SEEN"])[-1][1:] == ("file", "~/.bashrc")
