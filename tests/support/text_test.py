#!/usr/bin/env python3
"""Runs a text test: pipelines, and flowrun's exact messages about them.

    text_test.py FLOWRUN FILE.test [--update]

A .test file holds cases, each a set of files, a command and what it must print:

    === a name
    --- file base.json
    { ... }
    --- run check base.json
    --- exit 2
    --- stderr
    base.json:1:1: error: ...
    --- stdout
    ...

Files stay for the cases below them; each .test file has a folder of its own. A section that is left out must be empty
(stderr, stdout) or zero (exit). `...` as a line stands for any lines, `<*>` for anything within a line.
--update writes the output into the file: read the difference before you commit it.
"""
import pathlib
import re
import subprocess
import sys
import tempfile


def parse(text):
    """[{name, parts: [(kind, argument, body)]}]; text before the first case is kept unchanged."""
    head, *cases = re.split(r"^=== ", text, flags=re.M)
    out = []
    for case in cases:
        name, _, rest = case.partition("\n")
        _, *parts = re.split(r"^--- ", rest, flags=re.M)
        split = [part.partition("\n") for part in parts]
        out.append({"name": name, "parts": [(*(line.split(" ", 1) + [""])[:2], body) for line, _, body in split]})
    return head, out


def matches(expected, actual):
    pattern = "".join(r"(?:.*\n)*" if line == "..." else re.escape(line).replace(re.escape("<*>"), ".*") + "\n"
                      for line in expected.splitlines())
    return re.fullmatch(pattern, actual if not actual or actual.endswith("\n") else actual + "\n") is not None


def run_case(flowrun, folder, case):
    expected = {"exit": "0", "stderr": "", "stdout": ""}
    command = None
    for kind, argument, body in case["parts"]:
        if kind == "file":
            path = folder / argument
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(body)
        elif kind == "run":
            command = argument.split(" ")
        elif kind == "exit":
            expected["exit"] = argument
        elif kind in ("stderr", "stdout"):
            expected[kind] = body.rstrip("\n") + "\n" if body.strip() else ""
        else:
            sys.exit(f"{case['name']}: unknown section {kind}")
    done = subprocess.run([flowrun, *command], cwd=folder, capture_output=True, text=True, timeout=300)
    actual = {"exit": str(done.returncode), "stderr": done.stderr, "stdout": done.stdout}
    wrong = [key for key in actual if not matches(expected[key], actual[key])] if expected["exit"] != actual["exit"] else \
            [key for key in ("stderr", "stdout") if not matches(expected[key], actual[key])]
    return wrong, expected, actual


def updated(case, actual):
    parts = [part for part in case["parts"] if part[0] in ("file", "run")]
    text = f"=== {case['name']}\n" + "".join(f"--- {kind} {argument}\n{body}" for kind, argument, body in parts)
    if actual["exit"] != "0":
        text += f"--- exit {actual['exit']}\n"
    for key in ("stderr", "stdout"):
        if actual[key]:
            text += f"--- {key}\n{actual[key].rstrip()}\n"
    return text.rstrip("\n") + "\n\n"


def main():
    flowrun, path = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2])
    update = "--update" in sys.argv
    head, cases = parse(path.read_text())
    failures, text = 0, head
    with tempfile.TemporaryDirectory() as folder:
        for case in cases:
            wrong, expected, actual = run_case(flowrun, pathlib.Path(folder), case)
            text += updated(case, actual if wrong else expected)
            for key in wrong:
                failures += 1
                print(f"{path.name}: {case['name']}: {key} is not as expected\n--- expected\n{expected[key]}\n--- actual\n{actual[key]}")
    if update:
        path.write_text(text.rstrip("\n") + "\n")
    print(f"{path.name}: {len(cases)} cases, {failures} differences")
    sys.exit(1 if failures and not update else 0)


if __name__ == "__main__":
    main()
