"""Sweeps as their users meet them: files, messages, and what is left after a process was killed or
the disk was full. First argument: the program."""

import contextlib
import csv
import fcntl
import json
import os
import pathlib
import random
import resource
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import unittest

from run_cli_test import ACCELERATOR, DATA, ENERGY, NETWORK

PROGRAM = ""

AXES = """\
axes:
  engine.rows: [4, 8, 16, 32]
  engine.columns: {from: 4, to: 32, factor: 2}
  memory.weight_buffer.capacity: [8 KiB, 16 KiB, 32 KiB]
  memory.dram.bandwidth: {from: 32 bit/cycle, to: 128 bit/cycle, step: 48}
derived:
  memory.input_buffer.capacity: memory.weight_buffer.capacity
  post_processing.lanes: {greatest: [4, 8, 16], where: post_processing.lanes <= engine.columns}
constraints:
  - engine.rows * engine.columns <= 512
"""

# At fixed widths.
FIXED = """\
schema: space/1
name: fixed
accelerator: tiny.yaml
networks: [net.yaml]
bits: w4a8
""" + AXES

# With the widths that lose least.
SEARCH = """\
schema: space/1
name: co-search
description: A small machine at the widths that suit it best
accelerator: tiny.yaml
networks: [net.yaml]
search:
  weight_bits: [4, 8]
  activation_bits: [4, 8]
  budgets: {energy_pj: {relative_to: w8a8, share: 0.9}, latency_s: {max: 3.0e-6}}
  sensitivity: {rule: measured, file: falling.csv}
objectives: [loss, energy_pj, area_mm2]
fronts: [[loss, area_mm2], [loss, energy_pj, area_mm2]]
""" + AXES

STRATEGIES = {
    "grid": "strategy: grid\n",
    "random": "strategy: {kind: random, points: 120, seed: 5}\n",
    "sobol": "strategy: {kind: sobol, points: 128}\n",
    "nsga2": "strategy: {kind: nsga2, population: 24, generations: 10}\n",
}


class SweepTest(unittest.TestCase):
    """Every test runs in a folder of its own that holds a small machine, its network and losses."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.write("tiny.yaml", ACCELERATOR)
        self.write("energy.yaml", ENERGY)
        self.write("net.yaml", NETWORK)
        self.write("falling.csv", DATA["workloads/sensitivities/falling.csv"])
        self.environment = dict(os.environ)
        self.environment.pop("WIDTHWISE_DATA", None)
        self.environment["WIDTHWISE_CACHE"] = str(self.folder / "cache")

    def write(self, name, text):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def run_program(self, *arguments, **options):
        return subprocess.run([PROGRAM, *arguments], cwd=self.folder, env=self.environment,
                              capture_output=True, text=True, timeout=120, check=False, **options)

    def sweep(self, *arguments, **options):
        return self.run_program("sweep", *arguments, **options)

    def assert_done(self, result):
        self.assertEqual((result.returncode, result.stderr), (0, ""))

    def assert_refused(self, result, *lines):
        self.assertEqual(result.stderr.splitlines(), list(lines))
        self.assertEqual((result.returncode, result.stdout), (2, ""))

    def rows(self, name):
        with open(self.folder / name, newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))

    def results(self, name):
        """All files that a sweep is for, by name; nothing else lies in the folder."""
        folder = self.folder / name
        files = {str(path.relative_to(folder)): path.read_bytes()
                 for path in sorted(folder.rglob("*")) if path.is_file()}
        self.assertEqual(files.pop(".lock"), b"")
        files.pop("points.sqlite")
        for file in files:
            self.assertFalse(pathlib.Path(file).name.startswith("."), file)
            self.assertFalse(file.endswith(("-wal", "-shm")), file)
        return files

    def assert_intact(self, name):
        """The store is whole, however its writer ended. Returns how many machines it has."""
        file = self.folder / name / "points.sqlite"
        if not file.exists():
            return 0
        with contextlib.closing(sqlite3.connect(file)) as store:
            self.assertEqual(store.execute("PRAGMA integrity_check").fetchall(), [("ok",)])
            names = store.execute("SELECT name FROM sqlite_master").fetchall()
            if ("points",) not in names:
                return 0
            return store.execute("SELECT count(*) FROM points").fetchall()[0][0]


class FilesTest(SweepTest):
    def test_a_sweep_writes_points_fronts_and_experiments(self):
        self.write("s.yaml", SEARCH)
        result = self.sweep("s.yaml", "-o", "out")
        self.assert_done(result)
        self.assertIn("co-search: 144 of 144 machines looked at; ", result.stdout)
        self.assertTrue(all(len(line) <= 120 for line in result.stdout.splitlines()))
        files = self.results("out")
        rows = self.rows("out/points.csv")
        self.assertEqual([int(row["cell"]) for row in rows], list(range(144)))
        # 16 x 32 of 32 x 32 cells too many: one of 16 shapes, at 9 memories.
        excluded = [row for row in rows if row["status"] == "excluded"]
        self.assertEqual(len(excluded), 9)
        for row in excluded:
            self.assertEqual(row["reason"], "'engine.rows * engine.columns <= 512' does not hold")
            self.assertEqual((row["loss"], row["area_mm2"], row["widths"]), ("", "", ""))
        done = [row for row in rows if row["status"] == "done"]
        self.assertGreater(len(done), 20)
        self.assertTrue(any(row["status"] == "infeasible" for row in rows))
        for row in done:
            self.assertLessEqual(float(row["latency_s"]), 3e-6)
            self.assertEqual(row["memory.input_buffer.capacity"],
                             row["memory.weight_buffer.capacity"])
            self.assertEqual(int(row["post_processing.lanes"]), min(16, int(row["engine.columns"])))
            self.assertRegex(row["widths"], r"^w[48]a[48] w[48]a[48]$")
        report = json.loads(files["sweep.json"])
        self.assertEqual(report["schema"], "sweep/1")
        self.assertEqual(report["cells"], 144)
        self.assertEqual(sum(report["reasons"].values()), 144 - len(done))
        on_front = {row["cell"] for row in rows if row["on_front"] == "1"}
        named = set()
        fronts = (["loss", "area_mm2"], ["loss", "energy_pj", "area_mm2"])
        for number, objectives in enumerate(fronts, start=1):
            front = self.rows(f"out/front-{number}.csv")
            self.assertEqual(report["fronts"][number - 1]["objectives"], objectives)
            self.assertEqual([str(one["cell"]) for one in report["fronts"][number - 1]["machines"]],
                             [row["cell"] for row in front])
            self.assertEqual({row["cell"] for row in front},
                             self.front_by_pairs(done, objectives))
            named |= {row["cell"] for row in front}
        self.assertEqual(named, on_front)
        self.assertEqual({name for name in files if name.startswith("front/")},
                         {f"front/{cell}-net{end}" for cell in on_front
                          for end in (".yaml", ".bits.yaml")})

    @staticmethod
    def front_by_pairs(rows, objectives):
        """Cells that none is at least as good as in all; of equal ones the first."""
        points = [tuple(float(row[name]) for name in objectives) for row in rows]
        front = set()
        for i, point in enumerate(points):
            if any(all(a <= b for a, b in zip(other, point, strict=True))
                   and (other != point or j < i) for j, other in enumerate(points) if j != i):
                continue
            front.add(rows[i]["cell"])
        return front

    def test_an_experiment_of_a_front_has_the_figures_of_its_machine(self):
        self.write("s.yaml", SEARCH)
        self.write("f.yaml", FIXED)
        for space, out in (("s.yaml", "search"), ("f.yaml", "fixed")):
            self.assert_done(self.sweep(space, "-o", out, "-q"))
            rows = {row["cell"]: row for row in self.rows(f"{out}/points.csv")}
            front = self.rows(f"{out}/front-1.csv")
            self.assertGreater(len(front), 1)
            for row in (front[0], front[-1]):
                cell = row["cell"]
                self.assert_done(self.run_program("run", f"{out}/front/{cell}-net.yaml", "--json",
                                                  "o.json"))
                report = json.loads((self.folder / "o.json").read_text())
                expected = rows[cell]
                total = report["total"]
                for name in ("latency_s", "energy_pj", "edp_js"):
                    self.assertAlmostEqual(total[name] / float(expected[name]), 1, 9)
                for name in ("dram_bytes", "weight_bytes"):
                    self.assertEqual(total[name], float(expected[name]))
                self.assertAlmostEqual(total["area_um2"]["total"] / 1e6,
                                       float(expected["area_mm2"]), 9)
                machine = report["accelerator"]
                self.assertEqual(str(machine["engine"]["rows"]), expected["engine.rows"])
                self.assertEqual(machine["memory"]["input_buffer"]["capacity"],
                                 expected["memory.input_buffer.capacity"])
                if out == "search":
                    widths = " ".join(
                        f"w{layer['weight_bits']}a{layer['activation_bits']}"
                        for layer in report["layers"])
                    self.assertEqual(widths, expected["widths"])

    def test_a_machine_without_figures_is_an_answer(self):
        self.write("s.yaml", SEARCH.replace("3.0e-6", "1.0e-9"))
        result = self.sweep("s.yaml", "-o", "out", "--report", "out/page.html")
        self.assertEqual((result.returncode, result.stderr), (3, ""))
        self.assertIn("144 of 144 machines looked at; 0 done, 135 infeasible, 9 left out, 0 failed",
                      result.stdout)
        rows = self.rows("out/points.csv")
        self.assertEqual(len(rows), 144)
        self.assertRegex(next(row["reason"] for row in rows if row["status"] == "infeasible"),
                         r"^net: latency_s is at least \S+, \S+ above its limit$")
        self.assertEqual(self.rows("out/front-1.csv"), [])
        self.assertEqual(self.sweep("s.yaml", "-o", "out", "--resume", "-q").returncode, 3)

    def test_simulations_are_the_same_with_a_cache_and_without(self):
        space = (FIXED.replace("bits: w4a8", "bits: w4a8\nfidelity: tile")
                 + "strategy: {kind: random, points: 6, seed: 3}\n")
        self.write("s.yaml", space)
        self.assert_done(self.sweep("s.yaml", "-o", "first", "-q", "--jobs", "2"))
        self.assertTrue((self.folder / "cache" / "costs.sqlite").exists())
        self.assert_done(self.sweep("s.yaml", "-o", "cached", "-q", "--jobs", "2"))
        self.assert_done(self.sweep("s.yaml", "-o", "none", "-q", "--jobs", "1", "--no-cache"))
        self.assertEqual(self.results("cached"), self.results("first"))
        self.assertEqual(self.results("none"), self.results("first"))
        with contextlib.closing(sqlite3.connect(self.folder / "cache" / "costs.sqlite")) as cache:
            self.assertEqual(cache.execute("PRAGMA integrity_check").fetchall(), [("ok",)])

    def test_spaces_are_checked_and_listed(self):
        self.write("s.yaml", SEARCH)
        self.write("bad.yaml", FIXED.replace("engine.rows:", "engine.row:")
                   .replace("bits: w4a8", "bits: w4"))
        self.write("worse.yaml", FIXED + "strategy: best\nobjective: [loss]\n")
        result = self.run_program("check", "s.yaml")
        self.assert_done(result)
        self.assertEqual(result.stdout, "s.yaml: ok (space/1)\n")
        result = self.run_program("check", "bad.yaml", "worse.yaml", "s.yaml")
        self.assertEqual(result.returncode, 2)
        self.assertEqual(result.stderr.splitlines(), [
            "bad.yaml:7:3: error: axes.\"engine.row\": no machine takes the value '4': engine: "
            "unknown key 'row'; did you mean 'rows'?",
            *[f"bad.yaml:7:3: error: axes.\"engine.row\": no machine takes the value '{rows}': "
              "engine: unknown key 'row'; did you mean 'rows'?" for rows in (8, 16, 32)],
            *[line for line in result.stderr.splitlines() if line.startswith("bad.yaml:8")],
            "worse.yaml:16:1: error: strategy: expected one of 'grid', 'random', 'sobol', 'nsga2', "
            "got 'best'",
            "worse.yaml:17:1: error: unknown key 'objective'; did you mean 'objectives'?",
            result.stderr.splitlines()[-1]])
        self.assertIn("s.yaml: ok (space/1)", result.stdout)
        self.write("data/configs/spaces/first.yaml", SEARCH)
        self.environment["WIDTHWISE_DATA"] = str(self.folder / "data")
        result = self.run_program("list", "spaces")
        self.assert_done(result)
        self.assertEqual(result.stdout,
                         "spaces  description\n"
                         "first   A small machine at the widths that suit it best\n")


class FolderTest(SweepTest):
    def setUp(self):
        super().setUp()
        self.write("s.yaml", FIXED)

    def test_two_sweeps_do_not_work_in_one_folder(self):
        (self.folder / "out").mkdir()
        with open(self.folder / "out" / ".lock", "w", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            for more in ((), ("--resume",), ("--fresh",)):
                self.assert_refused(self.sweep("s.yaml", "-o", "out", *more),
                                    "--output: error: another process sweeps in 'out'",
                                    "1 error; nothing was simulated.")
        self.assert_done(self.sweep("s.yaml", "-o", "out"))

    def test_results_are_gone_on_with_or_begun_again_when_that_is_asked_for(self):
        self.assert_done(self.sweep("s.yaml", "-o", "out", "-q"))
        before = self.results("out")
        self.assert_refused(self.sweep("s.yaml", "-o", "out"),
                            "--output: error: 'out' holds 144 machines of this sweep; --resume "
                            "goes on with it, --fresh begins again",
                            "1 error; nothing was simulated.")
        self.assertEqual(self.results("out"), before)
        for more in ("--resume", "--fresh"):
            self.assert_done(self.sweep("s.yaml", "-o", "out", "-q", more))
            self.assertEqual(self.results("out"), before)
        self.assert_refused(self.sweep("s.yaml", "-o", "out", "--resume", "--fresh"),
                            "--fresh: error: contradicts --resume",
                            "1 error; nothing was simulated.")
        # What is said of the sweep may change, what is swept may not.
        self.write("s.yaml", FIXED.replace("name: fixed", "name: other") + "# a comment\n")
        self.assert_done(self.sweep("s.yaml", "-o", "out", "-q", "--resume"))

    def test_results_of_another_sweep_are_neither_mixed_with_nor_lost(self):
        self.assert_done(self.sweep("s.yaml", "-o", "out", "-q"))
        before = self.results("out")
        self.write("search.yaml", SEARCH)
        self.write("bits.yaml", FIXED.replace("w4a8", "w8a8"))
        message = ("--output: error: 'out' holds another sweep; give another folder, or --fresh to "
                   "begin again")
        for space in ("bits.yaml", "search.yaml"):  # of the same metrics, and of others
            for more in ((), ("--resume",)):
                self.assert_refused(self.sweep(space, "-o", "out", *more), message,
                                    "1 error; nothing was simulated.")
        # A machine that is another one now.
        self.write("tiny.yaml", ACCELERATOR.replace("100 MHz", "200 MHz"))
        self.assert_refused(self.sweep("s.yaml", "-o", "out", "--resume"), message,
                            "1 error; nothing was simulated.")
        self.assertEqual(self.results("out"), before)
        self.assertEqual(self.assert_intact("out"), 144)
        # Two fronts, then one.
        self.assert_done(self.sweep("search.yaml", "-o", "out", "-q", "--fresh"))
        self.assertIn("front-2.csv", self.results("out"))
        self.write("tiny.yaml", ACCELERATOR)
        self.assert_done(self.sweep("s.yaml", "-o", "out", "-q", "--fresh"))
        self.assertEqual(self.results("out"), before)

    def test_what_cannot_be_written_is_said_before_anything_is_evaluated(self):
        self.assert_refused(self.sweep("s.yaml", "-o", "tiny.yaml"),
                            "--output: error: 'tiny.yaml' cannot be made: Not a directory",
                            "1 error; nothing was simulated.")
        self.assert_refused(self.sweep("s.yaml", "-o", "out", "--report", "no/page.html"),
                            "--report: error: cannot write 'no/page.html': No such file or "
                            "directory",
                            "1 error; nothing was simulated.")
        self.assertFalse((self.folder / "out" / "points.sqlite").exists())
        result = self.sweep("s.yaml", "-o", "out", "--jobs", "0", "--timeout", "0")
        self.assertEqual(result.returncode, 2)
        self.assertTrue(all(f"{option}: error: " in result.stderr
                            for option in ("--jobs", "--timeout")), result.stderr)
        self.write("out2/points.sqlite", "no database" * 1000)
        self.assert_refused(self.sweep("s.yaml", "-o", "out2"),
                            "--output: error: 'out2/points.sqlite': file is not a database",
                            "1 error; nothing was simulated.")
        self.assert_done(self.sweep("s.yaml", "-o", "out2", "--fresh", "-q"))


class InterruptedTest(SweepTest):
    def start(self, *arguments):
        return subprocess.Popen([PROGRAM, "sweep", *arguments], cwd=self.folder,
                                env=self.environment, stdout=subprocess.DEVNULL,
                                stderr=subprocess.PIPE, text=True, start_new_session=True)

    def wait_for_lock(self, name):
        """Workers of a sweep that was killed may live for a moment."""
        if not (self.folder / name / ".lock").exists():
            return
        with open(self.folder / name / ".lock", "r+", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)

    def test_a_sweep_that_was_killed_ends_as_one_that_was_not(self):
        moments = random.Random(20)
        for name, strategy in STRATEGIES.items():
            self.write("s.yaml", SEARCH + strategy)
            before = time.monotonic()
            whole = f"{name}-whole"
            self.assert_done(self.sweep("s.yaml", "-o", whole, "-q", "--jobs", "2", "--report",
                                        f"{whole}/page.html"))
            lasts = time.monotonic() - before
            expected = self.results(whole)
            for jobs in ("1", "2"):
                out = f"{name}-{jobs}"
                arguments = ("s.yaml", "-o", out, "-q", "--jobs", jobs, "--resume", "--report",
                             f"{out}/page.html")
                kept = 0
                partly = 0
                for _ in range(10):
                    process = self.start(*arguments)
                    with process:
                        time.sleep(moments.uniform(0, lasts))
                        os.killpg(process.pid, signal.SIGKILL)
                        self.assertEqual(process.stderr.read(), "")
                    self.assertIn(process.returncode, (0, -signal.SIGKILL))
                    self.wait_for_lock(out)
                    now = self.assert_intact(out)
                    self.assertGreaterEqual(now, kept)
                    partly += kept < now
                    kept = now
                self.assertGreater(partly, 0)
                result = self.sweep(*arguments)
                self.assert_done(result)
                with self.subTest(strategy=name, jobs=jobs):
                    found = self.results(out)
                    self.assertEqual(set(found), set(expected))
                    for file, content in expected.items():
                        self.assertEqual(found[file], content, file)

    def test_a_sweep_that_fills_the_disk_says_so_and_goes_on(self):
        self.write("s.yaml", SEARCH)
        self.assert_done(self.sweep("s.yaml", "-o", "whole", "-q", "--report", "whole/page.html"))

        def limited(size):
            def limit():
                signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
                resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
            return limit

        arguments = ("s.yaml", "-o", "out", "-q", "--report", "out/page.html")
        consequence = "1 error; finished machines are kept; --resume goes on with them."
        # Results do not fit.
        result = self.sweep(*arguments, preexec_fn=limited(40_000))
        self.assert_refused(result, "--output: error: 'out/points.sqlite': disk I/O error",
                            consequence)
        kept = self.assert_intact("out")
        self.assertGreater(kept, 0)
        self.assertLess(kept, 144)
        # They do, but the page does not.
        self.assert_done(self.sweep("s.yaml", "-o", "out", "-q", "--resume"))
        result = self.sweep(*arguments, "--resume", preexec_fn=limited(100_000))
        self.assert_refused(result, "--report: error: cannot write 'out/page.html': File too large",
                            consequence)
        self.assertEqual(self.assert_intact("out"), 144)
        self.assert_done(self.sweep(*arguments, "--resume"))
        self.assertEqual(self.results("out"), self.results("whole"))

        result = self.sweep("s.yaml", "-o", "full", "-q", "--report", "/dev/full")
        self.assert_refused(result, "--report: error: cannot write '/dev/full': No space left on "
                                    "device", consequence)
        self.assert_done(self.sweep("s.yaml", "-o", "full", "-q", "--resume"))
        expected = self.results("whole")
        del expected["page.html"]
        self.assertEqual(self.results("full"), expected)


if __name__ == "__main__":
    PROGRAM = os.path.abspath(sys.argv.pop(1))
    unittest.main()
