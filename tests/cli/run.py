#!/usr/bin/env python3
"""Runs command-line scenarios: transcripts of a shell session with what must come out.

    python3 tests/cli/run.py BUILD tests/cli/NAME.t...        run
    python3 tests/cli/run.py --update BUILD NAME.t...         rewrite the expected output (read the diff before you keep it)

A scenario is prose with indented transcripts:

      $ semsearch index .                 a command, run by bash in one session per file
      > continued                         more lines of the command
      2 indexed, 0 unchanged* (glob)      expected output, standard error included; (glob) for * and ?
      ...                                 any number of lines
      [3]                                 the exit code, when it is not 0

Each file runs in an empty folder with its own HOME, with the program first on PATH, SRC naming the source tree and a tiny random
model registered as `tiny`: enough to test everything but quality. TZ is UTC, the locale C.UTF-8.
"""
import fnmatch
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

MARK = "<<<semsearch-scenario>>>"
SRC = pathlib.Path(__file__).resolve().parents[2]


def parse(lines):
    """-> list of (command, expected lines, index of the first output line, index after the last)."""
    steps, i = [], 0
    while i < len(lines):
        if not lines[i].startswith("  $ "):
            i += 1
            continue
        command = [lines[i][4:]]
        i += 1
        while i < len(lines) and lines[i].startswith("  > "):
            command.append(lines[i][4:])
            i += 1
        start, expected = i, []
        while i < len(lines) and lines[i].startswith("  ") and not lines[i].startswith("  $ "):
            expected.append(lines[i][2:])
            i += 1
        steps.append(("\n".join(command), expected, start, i))
    return steps


def matches(expected, actual):
    """Line by line; "..." swallows any number of lines."""
    if not expected:
        return not actual
    if expected[0] == "...":
        return any(matches(expected[1:], actual[k:]) for k in range(len(actual) + 1))
    if not actual:
        return False
    want = expected[0]
    if want.endswith(" (glob)"):
        ok = fnmatch.fnmatchcase(actual[0], want[: -len(" (glob)")].replace("[", "[[]"))
    else:
        ok = want == actual[0]
    return ok and matches(expected[1:], actual[1:])


def run(build, steps, work):
    home = work / "home"
    cwd = work / "cwd"
    home.mkdir()
    cwd.mkdir()
    tiny = SRC / "tests" / "data" / "models" / "tiny"
    model = home / "share" / "semsearch" / "models" / "tiny"
    shutil.copytree(tiny, model)
    env = {k: v for k, v in os.environ.items() if not k.startswith(("SEMSEARCH_", "XDG_", "LC_", "NO_COLOR", "OPENBLAS"))}
    env.update(HOME=str(home), XDG_DATA_HOME=str(home / "share"), XDG_CACHE_HOME=str(home / "cache"), TZ="UTC", LANG="C.UTF-8",
               PATH=f"{build}:{env['PATH']}", SRC=str(SRC), TERM="dumb")
    script = "exec 2>&1\n" + "".join(f"{c}\nprintf '\\n%s %d\\n' '{MARK}' $?\n" for c, *_ in steps)
    (work / "session").write_text(script, encoding="utf-8")
    done = subprocess.run(["bash", "--norc", str(work / "session")], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, cwd=cwd,
                          env=env, timeout=300, check=False)
    parts = re.split(rf"\n?{MARK} (\d+)\n", done.stdout.decode("utf-8", "replace"))
    outputs = []
    for text, code in zip(parts[0::2], parts[1::2]):
        lines = text.split("\n")
        if lines and lines[-1] == "":
            lines.pop()
        outputs.append(lines + ([f"[{code}]"] if code != "0" else []))
    return outputs


def scenario(build, path, update):
    lines = path.read_text(encoding="utf-8").splitlines()
    steps = parse(lines)
    with tempfile.TemporaryDirectory(prefix="semsearch-cli-") as work:
        outputs = run(build, steps, pathlib.Path(work))
        subprocess.run(["chmod", "-R", "u+rwX", work], check=False)
    bad = 0
    for k, (command, expected, _, _) in enumerate(steps):
        actual = outputs[k] if k < len(outputs) else ["(the session ended before this command)"]
        if matches(expected, actual):
            continue
        bad += 1
        print(f"{path.name}: $ {command}")
        print("".join(f"   expected  {line}\n" for line in expected) + "".join(f"   got       {line}\n" for line in actual))
    if update:
        for k in range(len(steps) - 1, -1, -1):
            _, expected, start, end = steps[k]
            if k < len(outputs) and not matches(expected, outputs[k]):
                lines[start:end] = ["  " + line for line in outputs[k]]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"{path.name}: {len(steps)} commands, {bad} wrong")
    return bad or not steps


def main():
    args = sys.argv[1:]
    update = args[0] == "--update"
    if update:
        args.pop(0)
    build = pathlib.Path(args[0]).resolve()
    return 1 if any([scenario(build, pathlib.Path(a), update) for a in args[1:]]) else 0


if __name__ == "__main__":
    sys.exit(main())
