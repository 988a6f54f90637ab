"""The example trains within its budget, and the simulation of what it found agrees."""

import pathlib
import re
import subprocess
import sys
import unittest

TOP = pathlib.Path(__file__).resolve().parents[2]
DATA = pathlib.Path("/usr/share/datasets/fashion-mnist")
SKIPPED = 77


class FashionMnist(unittest.TestCase):
    def test_the_rounded_network_keeps_the_budget_and_is_simulated_to_the_predicted_cycles(self):
        example = TOP / "python" / "examples" / "fashion_mnist.py"
        done = subprocess.run(
            [sys.executable, "-B", example, "--epochs", "2", "--images", "2000", "--data", DATA],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        print(done.stdout)

        def figure(pattern):
            return float(re.search(pattern, done.stdout)[1].replace(",", ""))

        budget = figure(r"budget ([\d,]+)")
        predicted = figure(r"predicted ([\d,]+) cycles")
        self.assertLessEqual(predicted, budget)
        self.assertGreater(predicted, 0.75 * budget)
        self.assertEqual(figure(r"simulated ([\d,]+) cycles"), predicted)
        self.assertGreater(figure(r"accuracy  ([\d.]+)%"), 30)


if __name__ == "__main__":
    try:
        import torch  # noqa: F401
    except ImportError:
        print("python3-torch is missing")
        sys.exit(SKIPPED)
    if not DATA.is_dir():
        print(f"{DATA} is missing; Debian package: dataset-fashion-mnist")
        sys.exit(SKIPPED)
    unittest.main()
