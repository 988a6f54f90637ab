#!/usr/bin/env python3
"""Sweeps over the ranks of an MPI job end as those of a single process do, whoever is killed.

    run_mpi_test.py PROGRAM MPIRUN
"""

import filecmp
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import unittest

PROGRAM = MPIRUN = ""

SPACE = """\
schema: space/1
accelerator: bitfusion_16x32
axes:
  engine.rows: {from: 4, to: 32, step: 2}
  engine.columns: {from: 8, to: 64, step: 4}
  memory.dram.bandwidth: {from: 64 bit/cycle, to: 512 bit/cycle, factor: 2}
networks: [resnet18]
bits: w4a4
"""

FILES = ["points.csv", "sweep.json", "front-1.csv"]


class MpiTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.top = pathlib.Path(folder.name)
        self.space = self.top / "space.yaml"
        self.space.write_text(SPACE, encoding="utf-8")
        # More ranks than processors, and maybe as root: this is a test.
        self.environment = {
            **os.environ,
            "OMPI_ALLOW_RUN_AS_ROOT": "1",
            "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
            "OMPI_MCA_rmaps_base_oversubscribe": "1",
            "WIDTHWISE_MPI_SILENCE": "3",
        }
        alone = [PROGRAM, "sweep", self.space, "-o", self.top / "alone", "-q"]
        subprocess.run(alone, check=True, timeout=60)

    def job(self, folder, *options, ranks=4, launcher=()):
        return [MPIRUN, *launcher, "-n", str(ranks), PROGRAM, "sweep", self.space, "-o",
                self.top / folder, "-q", *options]

    def run_job(self, *arguments, **options):
        return subprocess.run(self.job(*arguments, **options), env=self.environment,
                              capture_output=True, text=True, timeout=60, check=False)

    def start_job(self, *arguments, **options):
        job = subprocess.Popen(self.job(*arguments, **options), env=self.environment,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(job.kill)
        return job

    def kill_a_rank(self, job, folder):
        """Kills a rank that evaluates, once some machines are kept."""
        log = self.top / folder / "points.sqlite-wal"
        end = time.monotonic() + 60
        while job.poll() is None and not (log.exists() and log.stat().st_size > 50_000):
            self.assertLess(time.monotonic(), end, "nothing is kept")
            time.sleep(0.01)
        ranks = subprocess.run(["pgrep", "-P", str(job.pid)], capture_output=True, text=True,
                               check=True).stdout.split()
        self.assertEqual(len(ranks), 4)
        os.kill(int(ranks[2]), signal.SIGKILL)

    def assert_same(self, folder):
        for name in FILES:
            self.assertTrue(
                filecmp.cmp(self.top / "alone" / name, self.top / folder / name, shallow=False),
                name)

    def test_any_number_of_ranks(self):
        for ranks in (1, 2, 3):
            result = self.run_job(f"ranks{ranks}", ranks=ranks)
            self.assertEqual(result.returncode, 0, result.stderr)
            self.assert_same(f"ranks{ranks}")

    def test_a_rank_is_killed_and_the_job_goes_on(self):
        job = self.start_job("recovered", launcher=["--enable-recovery"])
        self.kill_a_rank(job, "recovered")
        _, errors = job.communicate(timeout=60)
        self.assertEqual(job.returncode, 0, errors)
        self.assertIn("1 rank of the job lost", errors)
        self.assert_same("recovered")

    def test_a_rank_is_killed_and_the_sweep_is_resumed(self):
        job = self.start_job("resumed")
        self.kill_a_rank(job, "resumed")
        job.communicate(timeout=60)
        self.assertNotEqual(job.returncode, 0)
        self.assertFalse((self.top / "resumed" / "points.csv").exists())
        result = self.run_job("resumed", "--resume")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assert_same("resumed")

    def test_mistakes_are_reported_once(self):
        self.space.write_text(SPACE.replace("w4a4", "w4"), encoding="utf-8")
        result = self.run_job("wrong", ranks=3)
        self.assertEqual(result.returncode, 2, result.stderr)
        self.assertEqual(result.stderr.count("error: bits:"), 1, result.stderr)


if __name__ == "__main__":
    PROGRAM, MPIRUN = sys.argv[1:3]
    unittest.main(argv=sys.argv[:1])
