"""Runs of the program, side by side: what was asked for and what its reports say."""

import concurrent.futures
import csv
import dataclasses
import json
import os
import pathlib
import subprocess
import tempfile

TOP = pathlib.Path(__file__).resolve().parents[3]
VALIDATION = TOP / "tests/validation"


class ProgramError(Exception):
    """The program ended with a mistake."""


@dataclasses.dataclass(frozen=True)
class Run:
    """One call of `widthwise run`; its arguments as on the command line, paths from the top."""

    accelerator: str
    network: str
    bits: str = "w8a8"
    fidelity: str = "tile"
    settings: tuple = ()
    parameters: tuple = ()
    batch: int = 0
    ideal_memory: bool = False

    def arguments(self):
        found = ["run", "-a", self.accelerator, "-n", self.network, "--bits", self.bits]
        for parameter in self.parameters:
            found += ["--parameter", parameter]
        if self.batch:
            found += ["--batch", str(self.batch)]
        for setting in self.settings:
            found += ["--set", setting]
        if self.ideal_memory:
            found += ["--ideal-memory"]
        return found + ["--fidelity", self.fidelity]

    def at(self, fidelity):
        return dataclasses.replace(self, fidelity=fidelity)


# Elements times cycles that a run may take in the fidelity `cycle`, which steps each of them.
MOST_STEPS = 2_000_000_000


class Report:
    """A report by layer and in total."""

    def __init__(self, text):
        content = json.loads(text)
        self.layers = content["layers"]
        self.total = content["total"]
        self.clock_hz = content["clock_hz"]
        self.by_name = {layer["name"]: layer for layer in self.layers}
        engine = content["accelerator"]["engine"]
        self.elements = engine["rows"] * engine["columns"] * engine.get("tiles", 1)

    def steps(self):
        """Elements of the array times cycles in which it works."""
        return self.elements * sum(layer["cycles"]["busy"] for layer in self.layers)

    def sum(self, names, figure):
        return sum(figure(self.by_name[name]) for name in names)


def cycles(layer):
    return layer["latency_cycles"]


def energy_pj(layer):
    return sum(layer["energy_pj"].values())


def dram_bits(layer):
    return 8 * (layer["dram_read_bytes"] + layer["dram_write_bytes"])


class Runner:
    """Starts each run once, as many side by side as there are processors."""

    def __init__(self, program, jobs):
        self.program = program
        self.pool = concurrent.futures.ThreadPoolExecutor(max_workers=jobs)
        self.runs = {}
        self.environment = {**os.environ, "SYSTEMC_DISABLE_COPYRIGHT_MESSAGE": "1"}
        self.folder = tempfile.TemporaryDirectory()

    def close(self):
        self.pool.shutdown(cancel_futures=True)
        self.folder.cleanup()

    def submit(self, run):
        """A future of its report; a run asked for again is not started again."""
        if run not in self.runs:
            self.runs[run] = self.pool.submit(self._report, run, len(self.runs))
        return self.runs[run]

    def write(self, name, text):
        """A file that is gone when the program ends; its path."""
        path = pathlib.Path(self.folder.name) / name
        path.write_text(text, encoding="utf-8")
        return str(path)

    def accepts_fidelity(self, fidelity):
        try:
            self.submit(Run("bitfusion_16x32", "tiny_mlp", fidelity=fidelity)).result()
        except ProgramError:
            return False
        return True

    def _report(self, run, number):
        path = pathlib.Path(self.folder.name) / f"{number}.json"
        arguments = [self.program, *run.arguments(), "-q", "--json", path]
        result = subprocess.run(
            arguments, cwd=TOP, env=self.environment, text=True, capture_output=True, check=False
        )
        if result.returncode != 0:
            command = " ".join(["widthwise", *run.arguments()])
            raise ProgramError(f"{command}\n{result.stderr}ended with {result.returncode}")
        report = Report(path.read_text(encoding="utf-8"))
        path.unlink()
        return report


def rows_of(name):
    """Rows of a table in tests/validation as dictionaries; lines that start with # are comments."""
    with open(VALIDATION / name, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(line for line in file if not line.startswith("#")))
