"""Writes docs/fidelity.md: how far the models are from RTL, from each other and from publications.

    python3 tests/validation/fidelity [--check] [--short] [--program FILE] [--output FILE]

Runs the program side by side on all processors; what is written does not depend on their order or
number. Ends with 1, naming the rows, if a bound that the document states is broken, and with
--check also if the document is out of date; --check writes nothing. --short looks at a few of the
rows and checks their bounds only.
"""

import argparse
import difflib
import os
import pathlib
import sys

sys.dont_write_bytecode = True  # nothing is written beside the sources

import area
import levels
import machines
import rtl
from runs import TOP, ProgramError, Runner
from text import Document, table, wrapped

TITLE = "# How far off the models are\n\n"


def introduction(has_cycle):
    parts = [
        wrapped(
            "What Widthwise says, against register-transfer designs (1), in its fidelities "
            "against each other (2), and against what is published of the machines that it "
            "models (3); and what their area is made of (4). Every figure here is computed when "
            "the document is written:"
        ),
        "```\nscripts/fidelity            # builds, runs everything, writes this file\n"
        "scripts/fidelity --check    # writes nothing; fails if this file is out of date\n```\n\n",
        wrapped(
            "Both fail and name the rows if a bound below is broken. A part of the rows is "
            "checked by the tests (`ctest --preset release -L validation`). Every table says the "
            "command that a row comes from. Errors are ours / theirs, less one: minus is too "
            "fast, or too little energy."
        ),
    ]
    if not has_cycle:
        parts.append(
            wrapped(
                "The fidelity `cycle` is not in the program that wrote this, so its columns are "
                "left out."
            )
        )
    return parts


def written(runner, short):
    """The document and the rows that break a bound."""
    has_cycle = runner.accepts_fidelity("cycle")
    fidelities = ["analytic", "tile", "cycle"] if has_cycle else ["analytic", "tile"]
    renders = [
        rtl.plan(runner, fidelities, short),
        machines.plan(runner, short),
        levels.plan(runner, has_cycle, short),
        area.plan(runner, short),
    ]
    body = Document()
    for render in (renders[0], renders[2], renders[1], renders[3]):
        render(body)
    head = ["what is compared", "rows", "mean error", "worst", "bound", "met"]
    parts = [TITLE, *introduction(has_cycle), table(head, body.summary), *body.parts]
    return "".join(parts).rstrip("\n") + "\n", body.broken


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--check", action="store_true", help="write nothing")
    parser.add_argument("--short", action="store_true", help="a part of the rows; write nothing")
    parser.add_argument(
        "--program", type=pathlib.Path, default=TOP / "build/release/widthwise", metavar="FILE"
    )
    parser.add_argument(
        "--output", type=pathlib.Path, default=TOP / "docs/fidelity.md", metavar="FILE"
    )
    options = parser.parse_args()
    program = options.program.resolve()
    if not program.is_file():
        parser.error(f"{program} is missing; scripts/build release widthwise builds it")

    runner = Runner(program, len(os.sched_getaffinity(0)))
    try:
        text, broken = written(runner, options.short)
    except ProgramError as error:
        sys.exit(str(error))
    finally:
        runner.close()

    status = 0
    for row in broken:
        print(f"beyond its bound: {row}")
        status = 1
    if options.short:
        return status
    old = options.output.read_text(encoding="utf-8") if options.output.is_file() else ""
    if options.check:
        if text != old:
            print(f"{options.output}: out of date")
            sys.stdout.writelines(
                line + "\n"
                for line in difflib.unified_diff(
                    old.splitlines(), text.splitlines(), "stored", "computed", n=0, lineterm=""
                )
            )
            status = 1
    else:
        options.output.write_text(text, encoding="utf-8")
    return status


if __name__ == "__main__":
    sys.exit(main())
