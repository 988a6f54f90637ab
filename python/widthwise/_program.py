"""The program `widthwise`, where it lies and how it is run."""

from __future__ import annotations

import os
import pathlib
import shutil
import signal
import subprocess
import sys
import warnings
from collections.abc import Sequence
from typing import Optional

from .errors import InputError, WorkerError

PACKAGE = pathlib.Path(__file__).resolve().parent
GRACE_S = 5.0  # between asking a process to end and ending it

EXIT_BAD_INPUT = 2
EXIT_INFEASIBLE = 3


def data_folder() -> Optional[str]:
    """The package's own data files. None in a build tree: the models find those of the sources."""
    folder = PACKAGE / "share" / "widthwise"
    return str(folder) if folder.is_dir() else None


def program() -> str:
    """$WIDTHWISE_PROGRAM, else the package's own, else the one on the PATH."""
    given = os.environ.get("WIDTHWISE_PROGRAM")
    if given:
        if shutil.which(given) is None:
            raise InputError(f"WIDTHWISE_PROGRAM: error: '{given}' is no program")
        return given
    own = PACKAGE / "bin" / "widthwise"
    if os.access(own, os.X_OK):
        return str(own)
    found = shutil.which("widthwise")
    if found is None:
        raise InputError(
            f"widthwise: error: the program is neither at {own} nor on the PATH; "
            "WIDTHWISE_PROGRAM names it elsewhere"
        )
    return found


def main() -> None:
    """The command `widthwise` of an installed package."""
    own = str(PACKAGE / "bin" / "widthwise")
    os.execv(own, [own, *sys.argv[1:]])


def run_program(arguments: Sequence[str], accept: Sequence[int] = ()) -> None:
    """Runs the program to its end. InputError or WorkerError, with its words, if it fails.

    `accept`: exit codes besides 0 that are no failure.

    It leads a process group of its own: whatever ends the wait (Ctrl-C above all) ends it and its
    workers, too, and is raised on.
    """
    environment = dict(os.environ, SYSTEMC_DISABLE_COPYRIGHT_MESSAGE="1")
    with subprocess.Popen(
        [program(), *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        env=environment,
        start_new_session=True,
    ) as process:
        try:
            _, said = process.communicate()
        except BaseException:
            end_group(process)
            raise
    said = said.rstrip("\n")
    if process.returncode == EXIT_BAD_INPUT:
        raise InputError(said)
    if process.returncode < 0:
        name = signal.Signals(-process.returncode).name
        raise WorkerError(said or f"widthwise: ended by {name}", process.returncode)
    if process.returncode != 0 and process.returncode not in accept:
        raise WorkerError(said or "widthwise: ended without a word", process.returncode)
    if said:
        warnings.warn(said, stacklevel=4)


def end_group(process: subprocess.Popen[str]) -> None:
    """Asks the program and its workers to end, and ends those that do not."""
    signal_group(process.pid, signal.SIGTERM)
    try:
        process.wait(GRACE_S)
    except subprocess.TimeoutExpired:
        pass
    finally:
        signal_group(process.pid, signal.SIGKILL)
        process.wait()


def signal_group(leader: int, number: signal.Signals) -> None:
    try:
        os.killpg(leader, number)
    except ProcessLookupError:
        pass


def given_path(name: str) -> str:
    """A file by its absolute path, for processes that start elsewhere; other names as they are."""
    return os.path.abspath(name) if os.path.exists(name) else name
