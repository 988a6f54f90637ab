"""The program as its users meet it: exit codes, messages, files. First argument: the program."""

import csv
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

PROGRAM = ""

ACCELERATOR = """\
schema: accelerator/1
name: tiny
description: 8 x 8 array of 8-bit PEs
clock: 100 MHz
energy: energy.yaml
engine:
  kind: mac_array
  rows: 8
  columns: 8
  dataflow: weight_stationary
  unit: mac8
  precision: {scaling: fixed, max_bits: 8}
memory:
  dram: {bandwidth: 64 bit/cycle, latency: 10 cycles, burst: 64 B, technology: ddr3}
  input_buffer: {capacity: 16 KiB}
  weight_buffer: {capacity: 16 KiB}
  output_buffer: {capacity: 16 KiB}
post_processing: {lanes: 8}
"""

ENERGY = """\
schema: energy/1
name: round
node: 45 nm
voltage: 1.1 V
units:
  - name: mac8
    clock: 0.1 pJ/cycle
    leakage: 40 uW
    area: 900 um2
    source: round numbers
    operations:
      - {weight_bits: 8, activation_bits: 8, energy: 1 pJ, source: round numbers}
srams:
  - name: sram
    macros:
      - {capacity: 8 KiB, read: 50 fJ/bit, write: 60 fJ/bit, leakage: 1 mW, area: 0.04 mm2,
         source: round numbers}
      - {capacity: 64 KiB, read: 0.1 pJ/bit, write: 0.12 pJ/bit, leakage: 9 mW, area: 0.3 mm2,
         source: round numbers}
drams:
  - {name: ddr3, read: 20 pJ/bit, write: 20 pJ/bit, source: round numbers}
post_processing: {requantize: 1 pJ, operation: 0.2 pJ, leakage_per_lane: 3 uW,
                  area_per_lane: 400 um2, source: round numbers}
"""

NETWORK = """\
schema: network/1
name: net
parameters: {batch: 1, width: 32}
inputs:
  image: [$batch, $width]
layers:
  - {name: hidden, kind: fully_connected, out_features: 16, activation: relu}
  - {name: last, kind: fully_connected, out_features: 10}
"""

ASSIGNMENT = """\
schema: assignment/1
name: mixed
default: {weight_bits: 4, activation_bits: 4}
layers:
  "@last": {weight_bits: 8}
"""

EXPERIMENT = """\
schema: experiment/1
accelerator: tiny.yaml
network: net.yaml
bits: w4a4
fidelity: analytic
set: {engine.rows: 4}
outputs: {json: out.json}
"""

DATA = {
    "configs/accelerators/tiny.yaml": ACCELERATOR,
    "configs/accelerators/rtl/small.yaml": ACCELERATOR.replace("energy.yaml", "../energy.yaml"),
    "configs/accelerators/energy.yaml": ENERGY,
    "configs/energy/round.yaml": ENERGY,
    "configs/assignments/mixed.yaml": ASSIGNMENT,
    "configs/experiments/first.yaml": EXPERIMENT,
    "configs/spaces/sizes.yaml": """\
schema: space/1
description: arrays of three sizes
accelerator: tiny
axes: {engine.rows: [4, 8, 16]}
networks: [net]
""",
    "workloads/net.yaml": NETWORK,
    "workloads/problems/budget.yaml": """\
schema: problem/1
name: two layers
minimize: loss
costs: [size_kib]
groups:
  - name: one
    options:
      - {weight_bits: 4, loss: 0.5, size_kib: 2}
      - {weight_bits: 8, loss: 0.1, size_kib: 4}
  - name: two
    options:
      - {weight_bits: 4, loss: 0.3, size_kib: 1}
      - {weight_bits: 8, loss: 0.2, size_kib: 2}
budgets: {size_kib: {max: 5}}
""",
    "workloads/sensitivities/falling.csv": """\
layer,weight_bits,activation_bits,loss
hidden,4,4,3
hidden,4,8,2
hidden,8,4,1.5
hidden,8,8,1
last,4,4,3
last,4,8,2
last,8,4,1.5
last,8,8,1
""",
    "workloads/tables/measured.csv": """\
# source: measured by hand
# leaves_out: last
layer,weight_bits,activation_bits,latency_ms
hidden,4,4,1.5
hidden,8,8,2.25
""",
}


class ProgramTest(unittest.TestCase):
    """Every test runs in a folder of its own that holds tiny.yaml, energy.yaml and net.yaml."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.write("tiny.yaml", ACCELERATOR)
        self.write("energy.yaml", ENERGY)
        self.write("net.yaml", NETWORK)
        self.environment = dict(os.environ)
        self.environment.pop("WIDTHWISE_DATA", None)

    def write(self, name, text):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def ship(self):
        """A data folder with one or two files of each kind."""
        for name, text in DATA.items():
            self.write("data/" + name, text)
        self.environment["WIDTHWISE_DATA"] = str(self.folder / "data")

    def run_program(self, *arguments):
        return subprocess.run([PROGRAM, *arguments], cwd=self.folder, env=self.environment,
                              capture_output=True, text=True, timeout=120, check=False)

    def tiny(self, *arguments):
        return self.run_program("run", "-a", "tiny.yaml", "-n", "net.yaml", *arguments)

    def assert_done(self, result):
        self.assertEqual((result.returncode, result.stderr), (0, ""))

    def assert_refused(self, result, *lines):
        self.assertEqual(result.stderr.splitlines(), list(lines))
        self.assertEqual((result.returncode, result.stdout), (2, ""))

    def files(self):
        return {path.name for path in self.folder.iterdir()}


class RunTest(ProgramTest):
    def test_a_run_prints_a_table_and_nothing_else(self):
        for fidelity in ("analytic", "tile", "cycle"):
            result = self.tiny("--bits", "w4a8", "--fidelity", fidelity)
            self.assert_done(result)
            lines = result.stdout.splitlines()
            self.assertEqual(lines[0], f"net at w4a8 on tiny, {fidelity} fidelity, 100 MHz")
            self.assertTrue(lines[2].startswith("layer   bits  "))
            self.assertTrue(lines[3].startswith("hidden  4/8   "))
            self.assertTrue(all(len(line) <= 100 for line in lines))
            self.assertEqual(self.files(), {"tiny.yaml", "energy.yaml", "net.yaml"})

    def test_stepped_arrays_say_what_they_computed(self):
        for options in ((), ("--seed", "7", "--unsigned", "weights", "--unsigned", "activations")):
            result = self.tiny("--fidelity", "cycle", "--json", "o.json", *options)
            self.assert_done(result)
            self.assertIn("26 outputs, all as in plain integer arithmetic", result.stdout)
            report = json.loads((self.folder / "o.json").read_text())
            for layer, outputs in zip(report["layers"], (16, 10), strict=True):
                numerics = layer["numerics"]
                self.assertEqual(numerics["outputs"], outputs)
                self.assertEqual(numerics["wrong_outputs"], 0)
                self.assertEqual(numerics["weights"], "random")
                self.assertEqual(numerics["least"] >= 0, bool(options))

    def test_narrow_accumulators_overflow(self):
        result = self.tiny("--fidelity", "cycle", "--set", "engine.accumulator_bits=12",
                           "--json", "o.json")
        self.assert_done(result)
        self.assertRegex(result.stdout, r"computed +\d+ of 26 outputs wrong; \d+ additions overflow")
        report = json.loads((self.folder / "o.json").read_text())
        self.assertGreater(report["layers"][0]["numerics"]["overflows"], 0)

    def test_a_seed_gives_the_same_run_again(self):
        def run(seed):
            self.assert_done(self.tiny("--fidelity", "cycle", "--seed", seed, "--json", "o.json"))
            return (self.folder / "o.json").read_text()
        self.assertEqual(run("5"), run("5"))
        self.assertNotEqual(run("5"), run("6"))

    def test_the_simulation_is_the_default(self):
        self.assertIn(", tile fidelity,", self.tiny().stdout)

    def test_without_widths_everything_is_eight_bits(self):
        self.assertIn("net at w8a8 on tiny", self.tiny("--fidelity", "analytic").stdout)

    def test_quiet_prints_nothing(self):
        result = self.tiny("--quiet", "--json", "out.json")
        self.assert_done(result)
        self.assertEqual(result.stdout, "")
        self.assertIn("out.json", self.files())

    def test_json_and_csv_agree_with_each_other(self):
        for fidelity in ("analytic", "tile", "cycle"):
            self.assert_done(self.tiny("--fidelity", fidelity, "--json", "o.json", "--csv", "o.csv"))
            report = json.loads((self.folder / "o.json").read_text())
            with open(self.folder / "o.csv", newline="", encoding="utf-8") as file:
                rows = list(csv.DictReader(file))
            self.assertEqual(report["schema"], "report/1")
            self.assertEqual(report["fidelity"], fidelity)
            self.assertEqual([row["layer"] for row in rows], ["hidden", "last"])
            for layer, row in zip(report["layers"], rows, strict=True):
                self.assertEqual(layer["name"], row["layer"])
                self.assertEqual(layer["latency_cycles"], int(row["latency_cycles"]))
                self.assertEqual(sum(layer["cycles"].values()), layer["latency_cycles"])
                self.assertAlmostEqual(sum(layer["energy_pj"].values()), float(row["energy_pj"]))
            self.assertEqual(sum(layer["latency_cycles"] for layer in report["layers"]),
                             report["total"]["latency_cycles"])
            self.assertEqual(report["total"]["macs"], 32 * 16 + 16 * 10)

    def test_the_same_input_gives_the_same_bytes(self):
        contents = []
        for _ in range(2):
            self.assert_done(self.tiny("--json", "o.json", "--csv", "o.csv"))
            contents.append([(self.folder / name).read_bytes() for name in ("o.json", "o.csv")])
        self.assertEqual(contents[0], contents[1])

    def test_the_accelerator_of_a_report_runs_again_with_the_same_result(self):
        self.assert_done(self.tiny("--set", "engine.rows=4", "--json", "first.json"))
        first = json.loads((self.folder / "first.json").read_text())
        self.write("again.yaml", json.dumps(first["accelerator"]))
        self.assert_done(self.run_program("run", "-a", "again.yaml", "-n", "net.yaml", "--json",
                                          "again.json"))
        again = json.loads((self.folder / "again.json").read_text())
        self.assertEqual(first["total"], again["total"])

    def test_trace_and_waveforms_appear_under_their_names(self):
        self.assert_done(self.tiny("--trace", "t.json", "--vcd", "w"))
        json.loads((self.folder / "t.json").read_text())
        self.assertIn("$enddefinitions", (self.folder / "w.vcd").read_text())
        self.assertEqual(self.files(),
                         {"tiny.yaml", "energy.yaml", "net.yaml", "t.json", "w.vcd"})

    def test_a_page_has_the_layers_and_asks_for_nothing(self):
        for fidelity in ("analytic", "tile", "cycle"):
            self.assert_done(self.tiny("-q", "--fidelity", fidelity, "--report", "p.html"))
            page = (self.folder / "p.html").read_text(encoding="utf-8")
            self.assertIn("<title>net at w8a8 on tiny</title>", page)
            for title in ("Cycles per layer", "Energy per layer", "Roofline", "Widths per layer",
                          "Layers"):
                self.assertIn(f"<h2>{title}</h2>", page)
            self.assertNotRegex(page, r"(src|href)=[\"']?(https?:)?//")

    def test_a_matrix_product_is_a_network(self):
        result = self.run_program("run", "-a", "tiny.yaml", "-n", "gemm:8x16x32", "--json", "o.json")
        self.assert_done(result)
        report = json.loads((self.folder / "o.json").read_text())
        self.assertEqual(report["total"]["macs"], 8 * 16 * 32)
        self.assertEqual(report["batch"], 1)

    def test_set_changes_the_accelerator_and_the_last_one_wins(self):
        self.assert_done(self.tiny("--set", "engine.rows=2", "--set", "engine.rows=4", "--json",
                                   "o.json"))
        report = json.loads((self.folder / "o.json").read_text())
        self.assertEqual(report["accelerator"]["engine"]["rows"], 4)

    def test_the_batch_counts_in_frames_per_second(self):
        self.assert_done(self.tiny("--batch", "4", "--json", "o.json"))
        report = json.loads((self.folder / "o.json").read_text())
        self.assertEqual(report["batch"], 4)
        self.assertAlmostEqual(report["total"]["frames_per_s"] * report["total"]["latency_s"], 4)

    def test_parameters_reach_the_network(self):
        self.assert_done(self.tiny("--parameter", "width=64", "--json", "o.json"))
        report = json.loads((self.folder / "o.json").read_text())
        self.assertEqual(report["layers"][0]["macs"], 64 * 16)

    def test_ideal_memory_is_never_slower_and_says_so(self):
        self.assert_done(self.tiny("--json", "real.json"))
        self.assert_done(self.tiny("--ideal-memory", "--json", "ideal.json"))
        real, ideal = (json.loads((self.folder / name).read_text())
                       for name in ("real.json", "ideal.json"))
        self.assertLess(ideal["total"]["latency_cycles"], real["total"]["latency_cycles"])
        self.assertIn("limits of DRAM and of buffer ports (ideal memory)", ideal["leaves_out"])

    def test_a_file_that_was_there_is_replaced(self):
        self.write("o.json", "old " * 100000)
        self.assert_done(self.tiny("--json", "o.json"))
        json.loads((self.folder / "o.json").read_text())


class BadInputTest(ProgramTest):
    def test_an_unknown_accelerator_lists_the_known_and_the_nearest(self):
        self.ship()
        self.assert_refused(
            self.run_program("run", "-a", "tinny", "-n", "net"),
            "--accelerator: error: 'tinny' is no file and no shipped accelerator; shipped: "
            "'energy', 'rtl/small', 'tiny'; did you mean 'tiny'?",
            "1 error; nothing was simulated.")

    def test_an_unknown_network_lists_the_known_and_the_nearest(self):
        self.ship()
        self.assert_refused(
            self.run_program("run", "-a", "tiny", "-n", "nett"),
            "--network: error: 'nett' is no file, no shipped network and no product such as "
            "'gemm:64x128x512'; shipped: 'net'; did you mean 'net'?",
            "1 error; nothing was simulated.")

    def test_accelerator_and_network_are_needed(self):
        self.assert_refused(
            self.run_program("run"),
            "--accelerator: error: is missing; it names a file or a shipped accelerator",
            "--network: error: is missing; it names a file, a shipped network or a product such as "
            "'gemm:64x128x512'",
            "2 errors; nothing was simulated.")

    def test_a_missing_file(self):
        self.ship()
        self.assert_refused(
            self.run_program("run", "-a", "tiny", "-n", "missing/net.yaml"),
            "--network: error: 'missing/net.yaml' is no file, no shipped network and no product "
            "such as 'gemm:64x128x512'; shipped: 'net'",
            "1 error; nothing was simulated.")

    def test_a_folder_is_no_file(self):
        self.assert_refused(self.run_program("run", "-a", ".", "-n", "net.yaml"),
                            "--accelerator: error: '.' is a folder",
                            "1 error; nothing was simulated.")

    def test_bad_overrides(self):
        self.assert_refused(
            self.tiny("--set", "engine.rows=0", "--set", "engine.cols=4", "--set", "nonsense"),
            "--set engine.cols=4: error: engine: unknown key 'cols'",
            "--set engine.rows=0: error: engine.rows: expected 1..1024, got 0",
            "--set nonsense: error: expected KEY=VALUE such as 'engine.rows=8'",
            "3 errors; nothing was simulated.")

    def test_widths_out_of_range(self):
        for bits, what, got in (("w0a4", "weights", 0), ("w17a4", "weights", 17),
                                ("w4a17", "activations", 17)):
            self.assert_refused(
                self.tiny("--bits", bits),
                f"--bits: error: expected {what} of 1..16 bit, got {got}",
                "1 error; nothing was simulated.")

    def test_widths_that_are_none(self):
        self.ship()
        self.assert_refused(
            self.tiny("--bits", "foo"),
            "--bits: error: 'foo' is no file, no shipped assignment and no widths such as 'w4a4'; "
            "shipped: 'mixed'",
            "1 error; nothing was simulated.")

    def test_widths_that_the_engine_does_not_have(self):
        result = self.tiny("--bits", "w16a4")
        self.assertEqual(result.returncode, 2)
        self.assertIn("layer 'hidden': ", result.stderr)
        self.assertIn("layer 'last': ", result.stderr)
        self.assertTrue(result.stderr.endswith("\n2 errors; nothing was simulated.\n"))

    def test_an_unwritable_output_is_found_before_the_simulation(self):
        self.write("locked", "a file, no folder")
        self.assert_refused(
            self.tiny("--json", "none/o.json", "--csv", ".", "--trace", "locked/t.json"),
            "--csv: error: cannot write '.': Is a directory",
            "--json: error: cannot write 'none/o.json': No such file or directory",
            "--trace: error: cannot write 'locked/t.json': Not a directory",
            "3 errors; nothing was simulated.")

    def test_a_failed_run_leaves_old_files_alone(self):
        self.write("o.json", "old")
        self.assertEqual(self.tiny("--json", "o.json", "--bits", "w16a4").returncode, 2)
        self.assertEqual((self.folder / "o.json").read_text(), "old")
        self.assertEqual(self.files(), {"tiny.yaml", "energy.yaml", "net.yaml", "o.json"})

    def test_two_outputs_in_one_file(self):
        self.assert_refused(
            self.tiny("--json", "o", "--csv", "./o"),
            "--csv: error: './o' is written by another option already",
            "1 error; nothing was simulated.")

    def test_a_timeline_needs_a_simulation(self):
        self.assert_refused(
            self.tiny("--fidelity", "analytic", "--trace", "t.json", "--vcd", "w.vcd"),
            "--trace: error: only a simulation has one; it needs the fidelity 'tile' or 'cycle'",
            "--vcd: error: only a simulation has one; it needs the fidelity 'tile' or 'cycle'",
            "2 errors; nothing was simulated.")

    def test_operands_belong_to_the_cycle_fidelity(self):
        self.assert_refused(
            self.tiny("--seed", "2", "--weights", "random", "--unsigned", "weights"),
            *[f"--{option}: error: nothing is computed but in the fidelity 'cycle', which alone "
              "has operands" for option in ("seed", "unsigned", "weights")],
            "3 errors; nothing was simulated.")
        self.assert_refused(
            self.tiny("--fidelity", "cycle", "--seed", "-1", "--weights", "netwerk", "--unsigned",
                      "weight"),
            "--seed: error: expected a whole number of at least 0, got '-1'",
            "--unsigned: error: expected one of 'weights', 'activations', got 'weight'; did you "
            "mean 'weights'?",
            "--weights: error: expected one of 'random', 'network', got 'netwerk'; did you mean "
            "'network'?",
            "3 errors; nothing was simulated.")
        self.assert_refused(
            self.tiny("--fidelity", "cycle", "--weights", "network"),
            "--weights: error: only an ONNX file has weights of its own, and 'net.yaml' is none",
            "1 error; nothing was simulated.")

    def test_an_unknown_fidelity(self):
        self.assert_refused(
            self.tiny("--fidelity", "tyle"),
            "--fidelity: error: expected one of 'analytic', 'tile', 'cycle', got 'tyle'; "
            "did you mean 'tile'?",
            "1 error; nothing was simulated.")

    def test_bad_batch_and_parameters(self):
        self.assert_refused(
            self.tiny("--batch", "0"),
            "--batch: error: expected 1..1000000, got '0'",
            "1 error; nothing was simulated.")
        self.assert_refused(
            self.tiny("--parameter", "width", "--parameter", "width=many"),
            "--parameter: error: expected a name and an integer such as 'sequence_length=256', "
            "got 'width'",
            "--parameter: error: expected a name and an integer such as 'sequence_length=256', "
            "got 'width=many'",
            "2 errors; nothing was simulated.")

    def test_options_that_do_not_go_with_the_network(self):
        self.assert_refused(
            self.tiny("--ignore", "Dropout"),
            "--network: error: only operators of an ONNX file can be ignored, and this is none",
            "1 error; nothing was simulated.")
        self.assert_refused(
            self.run_program("run", "-a", "tiny.yaml", "-n", "gemm:1x2x3", "--batch", "2"),
            "--network: error: a single layer takes no batch, parameters or operators to ignore",
            "1 error; nothing was simulated.")

    def test_a_convolution_on_the_command_line(self):
        result = self.run_program(
            "run", "-a", "tiny.yaml", "-n", "conv:8x6x4x16x3:2", "--json", "o.json")
        self.assert_done(result)
        report = json.loads((self.folder / "o.json").read_text())
        self.assertEqual(report["batch"], 1)
        layer = report["layers"][0]
        self.assertEqual(layer["kind"], "convolution")
        self.assertEqual(layer["macs"], 4 * 3 * 16 * 4 * 9)
        self.assert_refused(
            self.run_program("run", "-a", "tiny.yaml", "-n", "conv:8x6x4x16"),
            "--network: error: expected conv:HxWxCINxCOUTxKERNEL[:STRIDE] with sizes of at least "
            "1, such as conv:56x56x64x128x3:2",
            "1 error; nothing was simulated.")

    def test_a_bad_matrix_product(self):
        for product in ("gemm:", "gemm:1x2", "gemm:0x1x1", "gemm:1x2x3x4", "gemm:9999999999999999999x1x1"):
            result = self.run_program("run", "-a", "tiny.yaml", "-n", product)
            self.assertEqual(result.returncode, 2, product)
            self.assertTrue(result.stderr.startswith("--network: error: "), result.stderr)

    def test_mistakes_of_all_files_come_together(self):
        self.write("bad.yaml", ACCELERATOR.replace("rows: 8", "rows: 0"))
        self.write("energy.yaml", ENERGY.replace("45 nm", "45"))
        result = self.run_program("run", "-a", "bad.yaml", "-n", "none", "--bits", "w0a0", "--json",
                                  ".")
        self.assertEqual(result.returncode, 2)
        for place in ("--bits: error: ", "--json: error: ", "--network: error: ",
                      "bad.yaml:8:3: error: engine.rows: expected 1..1024, got 0"):
            self.assertIn(place, result.stderr)

    def test_bad_command_lines(self):
        self.assert_refused(
            self.run_program("chek", "tiny.yaml"),
            "widthwise: error: unknown command 'chek'; known: 'run', 'table', 'search', 'solve', "
            "'sweep', 'train', 'diff', 'check', 'list'; did you mean 'check'?",
            "1 error; nothing was simulated.")
        for arguments in ([], ["run", "--nonsense"], ["check"], ["run", "-a"], ["diff", "a"],
                          ["run", "--json", "a", "--json", "b"], ["list", "a", "b"]):
            result = self.run_program(*arguments)
            self.assertEqual((result.returncode, result.stdout), (2, ""), arguments)
            self.assertTrue(result.stderr.startswith("widthwise: error: "), result.stderr)

    def test_help_and_version(self):
        self.assertIn("run", self.run_program("--help").stdout)
        self.assertIn("--accelerator", self.run_program("run", "--help").stdout)
        self.assertRegex(self.run_program("--version").stdout, r"^widthwise \d+\.\d+\.\d+\n$")

    def test_control_characters_do_not_reach_the_terminal(self):
        result = self.run_program("run", "-a", "\x1b[2J\n", "-n", "net.yaml")
        self.assertEqual(result.returncode, 2)
        self.assertNotIn("\x1b", result.stderr)

    def test_a_full_disk_leaves_nothing_and_is_reported(self):
        if not os.path.exists("/dev/full"):
            self.skipTest("no /dev/full")
        result = self.tiny("--quiet", "--fidelity", "analytic", "--json", "/dev/full", "--csv",
                           "o.csv")
        self.assertEqual(result.returncode, 2)
        self.assertEqual(result.stderr.splitlines(), [
            "--json: error: cannot write '/dev/full': No space left on device",
            "1 error; the files of this run are not complete."])
        self.assertNotIn("o.csv", self.files())

    def test_a_standard_output_that_is_full_is_reported(self):
        if not os.path.exists("/dev/full"):
            self.skipTest("no /dev/full")
        with open("/dev/full", "w", encoding="utf-8") as full:
            result = subprocess.run([PROGRAM, "list"], stdout=full, stderr=subprocess.PIPE,
                                    text=True, timeout=120, check=False)
        self.assertEqual((result.returncode, result.stderr),
                         (2, "widthwise: error: cannot write to standard output\n"))


class ExperimentTest(ProgramTest):
    def test_an_experiment_says_what_options_say(self):
        self.write("e.yaml", EXPERIMENT)
        self.assert_done(self.run_program("run", "e.yaml"))
        report = json.loads((self.folder / "out.json").read_text())
        self.assertEqual(report["assignment"], "w4a4")
        self.assertEqual(report["fidelity"], "analytic")
        self.assertEqual(report["accelerator"]["engine"]["rows"], 4)

    def test_an_experiment_names_the_page(self):
        self.write("e.yaml", EXPERIMENT.replace("{json: out.json}", "{report: out.html}"))
        self.assert_done(self.run_program("run", "e.yaml"))
        self.assertIn("<title>net at w4a4 on tiny", (self.folder / "out.html").read_text())
        self.assert_done(self.run_program("run", "e.yaml", "--report", "other.html"))
        self.assertIn("other.html", self.files())

    def test_options_win(self):
        self.write("e.yaml", EXPERIMENT)
        self.assert_done(self.run_program("run", "e.yaml", "--bits", "w2a2", "--set",
                                          "engine.rows=2", "--fidelity", "tile", "--json", "o.json"))
        report = json.loads((self.folder / "o.json").read_text())
        self.assertEqual(report["assignment"], "w2a2")
        self.assertEqual(report["fidelity"], "tile")
        self.assertEqual(report["accelerator"]["engine"]["rows"], 2)
        self.assertNotIn("out.json", self.files())

    def test_paths_start_from_the_experiment(self):
        for name, text in {"tiny.yaml": ACCELERATOR, "energy.yaml": ENERGY, "net.yaml": NETWORK,
                           "e.yaml": EXPERIMENT}.items():
            self.write("elsewhere/" + name, text.replace("name: tiny", "name: elsewhere"))
        self.assert_done(self.run_program("run", "elsewhere/e.yaml"))
        report = json.loads((self.folder / "out.json").read_text())
        self.assertEqual(report["accelerator"]["name"], "elsewhere")

    def test_a_shipped_experiment(self):
        self.ship()
        self.write("data/configs/experiments/first.yaml",
                   EXPERIMENT.replace("tiny.yaml", "tiny").replace("net.yaml", "net"))
        self.assert_done(self.run_program("run", "first"))

    def test_mistakes_name_their_places(self):
        self.write("e.yaml", EXPERIMENT.replace("bits: w4a4", "bits: w0a4")
                   .replace("network: net.yaml", "network: none")
                   .replace("fidelity: analytic", "fidelity: exact"))
        self.ship()
        self.assert_refused(
            self.run_program("run", "e.yaml"),
            "e.yaml:3:1: error: network: 'none' is no file, no shipped network and no product such "
            "as 'gemm:64x128x512'; shipped: 'net'",
            "e.yaml:4:1: error: bits: expected weights of 1..16 bit, got 0",
            "e.yaml:5:1: error: fidelity: expected one of 'analytic', 'tile', 'cycle', got 'exact'",
            "3 errors; nothing was simulated.")

    def test_unknown_keys(self):
        self.write("e.yaml", EXPERIMENT.replace("bits:", "bit:"))
        self.assert_refused(
            self.run_program("run", "e.yaml"),
            "e.yaml:4:1: error: unknown key 'bit'; did you mean 'bits'?",
            "1 error; nothing was simulated.")

    def test_a_missing_experiment(self):
        self.ship()
        self.assert_refused(
            self.run_program("run", "none.yaml"),
            "run: error: 'none.yaml' is no file and no shipped experiment; shipped: 'first'",
            "1 error; nothing was simulated.")


class CheckTest(ProgramTest):
    def test_good_files_of_every_kind(self):
        self.write("mixed.yaml", ASSIGNMENT)
        self.write("e.yaml", EXPERIMENT)
        result = self.run_program("check", "tiny.yaml", "energy.yaml", "net.yaml", "mixed.yaml",
                                  "e.yaml")
        self.assert_done(result)
        self.assertEqual(result.stdout.splitlines(), [
            "tiny.yaml: ok (accelerator/1)", "energy.yaml: ok (energy/1)",
            "net.yaml: ok (network/1)", "mixed.yaml: ok (assignment/1)",
            "e.yaml: ok (experiment/1)"])
        self.assertNotIn("out.json", self.files())

    def test_all_mistakes_of_all_files(self):
        self.write("bad.yaml", ACCELERATOR.replace("rows: 8", "rows: 0").replace("lanes: 8",
                                                                                "lane: 8"))
        self.write("other.yaml", "schema: accelrator/1\n")
        self.write("none.onnx", "this is no ONNX file")
        result = self.run_program("check", "bad.yaml", "tiny.yaml", "other.yaml", "none.onnx",
                                  "missing.yaml")
        self.assertEqual(result.returncode, 2)
        self.assertEqual(result.stdout, "tiny.yaml: ok (accelerator/1)\n")
        lines = result.stderr.splitlines()
        self.assertIn("bad.yaml:8:3: error: engine.rows: expected 1..1024, got 0", lines)
        self.assertTrue(any(line.startswith("bad.yaml:18:19: error: post_processing: unknown key "
                                            "'lane'; did you mean 'lanes'?") for line in lines))
        self.assertTrue(any(line.startswith("other.yaml") and "unknown kind 'accelrator'" in line
                            for line in lines))
        self.assertTrue(any(line.startswith("none.onnx: error: ") for line in lines))
        self.assertTrue(any(line.startswith("missing.yaml: error: ") for line in lines))
        self.assertRegex(lines[-1], r"^\d+ errors in 4 of 5 files\.$")

    def test_an_accelerator_is_checked_with_its_energy_table(self):
        self.write("energy.yaml", ENERGY.replace("node: 45 nm", "node: 45 mm"))
        result = self.run_program("check", "tiny.yaml")
        self.assertEqual(result.returncode, 2)
        self.assertIn("energy.yaml:3:1: error: node: ", result.stderr)


class ListTest(ProgramTest):
    def test_everything_that_ships_is_listed(self):
        self.ship()
        (self.folder / "data/configs/accelerators/energy.yaml").unlink()
        result = self.run_program("list")
        self.assert_done(result)
        self.assertEqual(result.stdout, """\
accelerators  description
rtl/small     8 x 8 array of 8-bit PEs
tiny          8 x 8 array of 8-bit PEs

networks  description
net       2 layers, 672 MACs, 672 weights

assignments  description
mixed        w4a4 and 1 rule

energy  description
round

experiments  description
first

tables    description
measured  1 layer, 2 rows

sensitivities  description
falling        2 layers, 8 rows

problems  description
budget    2 groups, 1 budget

spaces  description
sizes   arrays of three sizes
""")

    def test_one_kind(self):
        self.ship()
        result = self.run_program("list", "networks")
        self.assert_done(result)
        self.assertEqual(result.stdout,
                         "networks  description\nnet       2 layers, 672 MACs, 672 weights\n")

    def test_an_unknown_kind(self):
        self.assert_refused(
            self.run_program("list", "network"),
            "list: error: expected one of 'accelerators', 'networks', 'assignments', 'energy', "
            "'experiments', 'tables', 'sensitivities', 'problems', 'spaces', got 'network'; did "
            "you mean 'networks'?",
            "1 error; nothing was simulated.")

    def test_a_data_folder_that_is_none(self):
        self.environment["WIDTHWISE_DATA"] = "/none"
        self.assert_refused(self.run_program("list"),
                            "WIDTHWISE_DATA: error: expected a folder, got '/none'",
                            "1 error; nothing was simulated.")

    def test_what_is_listed_can_be_named(self):
        self.ship()
        for name in ("tiny", "rtl/small", "tiny.yaml"):
            self.assert_done(self.run_program("run", "-a", name, "-n", "net", "--bits", "mixed",
                                              "--fidelity", "analytic"))


TABLE = DATA["workloads/tables/measured.csv"]


class TableTest(ProgramTest):
    """`widthwise table`, and what can be done with a table."""

    def setUp(self):
        super().setUp()
        self.environment["WIDTHWISE_CACHE"] = str(self.folder / "cache")

    def table(self, *arguments):
        return self.run_program("table", "-a", "tiny.yaml", "-n", "net.yaml", *arguments)

    def rows(self, name):
        lines = (self.folder / name).read_text(encoding="utf-8").splitlines()
        return list(csv.DictReader(line for line in lines if not line.startswith("#")))

    def test_a_table_has_every_layer_at_every_pair_of_widths(self):
        self.assert_done(self.table("--weight-bits", "2,4..5", "--activation-bits", "8", "-q",
                                    "-o", "t.csv", "-o", "t.json"))
        rows = self.rows("t.csv")
        self.assertEqual([(r["layer"], r["weight_bits"], r["activation_bits"]) for r in rows],
                         [(name, w, "8") for name in ("hidden", "last") for w in ("2", "4", "5")])
        report = json.loads((self.folder / "t.json").read_text(encoding="utf-8"))
        self.assertEqual(report["schema"], "table/1")
        self.assertEqual(report["provenance"]["fidelity"], "tile")
        self.assertEqual([row["latency_cycles"] for row in report["rows"]],
                         [int(row["latency_cycles"]) for row in rows])
        self.assertEqual(report["failures"], [])

    def test_rows_are_what_a_run_at_these_widths_says(self):
        for fidelity in ("analytic", "tile", "cycle"):
            self.assert_done(self.table("--weight-bits", "3", "--activation-bits", "8", "-q",
                                        "--fidelity", fidelity, "-o", "t.csv"))
            self.assert_done(self.run_program("run", "-a", "tiny.yaml", "-n", "net.yaml", "--bits",
                                              "w3a8", "--fidelity", fidelity, "-q", "--csv",
                                              "r.csv"))
            for ours, run in zip(self.rows("t.csv"), self.rows("r.csv"), strict=True):
                for name in ("latency_cycles", "energy_pj", "dram_bytes", "bitops", "busy_cycles",
                             "dram_pj", "leakage_pj"):
                    self.assertEqual(float(ours[name]), float(run[name]), name)

    def test_any_number_of_workers_and_the_cache_give_the_same_bytes(self):
        tables = []
        for options in (["--no-cache", "--jobs", "1"], ["--no-cache", "--jobs", "7"], [], [],
                        ["--cache", "elsewhere"]):
            self.assert_done(self.table("--stored", "-q", "-o", "t.csv", *options))
            tables.append((self.folder / "t.csv").read_bytes())
        self.assertEqual(len(set(tables)), 1)
        self.assertTrue((self.folder / "cache/costs.sqlite").is_file())
        self.assertTrue((self.folder / "elsewhere/costs.sqlite").is_file())

    def test_the_network_at_uniform_widths_is_printed(self):
        result = self.table("--weight-bits", "4,8", "--activation-bits", "8")
        self.assert_done(result)
        run = self.run_program("run", "-a", "tiny.yaml", "-n", "net.yaml", "--bits", "w4a8",
                               "--json", "r.json", "-q")
        self.assert_done(run)
        total = json.loads((self.folder / "r.json").read_text(encoding="utf-8"))["total"]
        self.assertRegex(result.stdout, rf"\nw4 +{total['latency_cycles']}\n")

    def test_mistakes_come_together_and_no_file_is_written(self):
        self.assert_refused(
            self.table("--weight-bits", "2,,4", "--activation-bits", "0..3", "--jobs", "0",
                       "--timeout", "x", "--channel-steps", "65", "--fidelity", "tiles", "-o",
                       "t.txt", "--set", "engine.rows=0"),
            "--activation-bits: error: expected widths of 1..16 bit such as '2,4,8' or '1..8', "
            "got '0..3'",
            "--channel-steps: error: expected 1..64, got '65'",
            "--fidelity: error: expected one of 'analytic', 'tile', 'cycle', got 'tiles'; did you "
            "mean 'tile'?",
            "--jobs: error: expected 1..1024, got '0'",
            "--output: error: expected a name that ends in .csv or .json, got 't.txt'",
            "--set engine.rows=0: error: engine.rows: expected 1..1024, got 0",
            "--timeout: error: expected 1..1000000, got 'x'",
            "--weight-bits: error: expected widths of 1..16 bit such as '2,4,8' or '1..8', got "
            "'2,,4'",
            "8 errors; nothing was simulated.")
        self.assertFalse((self.folder / "t.txt").exists())

    def test_widths_that_the_machine_does_not_have(self):
        self.assert_refused(
            self.table("--weight-bits", "8", "--activation-bits", "8,9", "-q", "-o", "t.csv"),
            "tiny.yaml: error: layer 'hidden': expected weights of 1..8 and activations of 1..8 "
            "bits, got w8a9",
            "tiny.yaml: error: layer 'last': expected weights of 1..8 and activations of 1..8 "
            "bits, got w8a9",
            "2 errors; nothing was simulated.")
        self.assertFalse((self.folder / "t.csv").exists())

    def test_a_cache_that_can_not_be_had_is_refused_if_it_was_asked_for(self):
        self.write("file", "")
        result = self.table("-q", "-o", "t.csv", "--cache", "file/cache")
        self.assertEqual(result.returncode, 2)
        self.assertIn("--cache: error: file/cache: cannot be created", result.stderr)
        self.environment["WIDTHWISE_CACHE"] = "file/cache"
        result = self.table("-q", "-o", "t.csv")
        self.assertEqual(result.returncode, 0)
        self.assertIn("widthwise: warning: file/cache: cannot be created", result.stderr)

    def workers_of(self, process):
        children = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children")
        for _ in range(500):
            found = children.read_text(encoding="utf-8").split()
            if found:
                return [int(pid) for pid in found]
            time.sleep(0.01)
        self.fail("no worker was started")

    def start_slow_table(self, *arguments):
        """A layer that is stepped for minutes, and a small one."""
        self.write("slow.yaml", NETWORK.replace("out_features: 16", "out_features: 1024")
                   .replace("batch: 1, width: 32", "batch: 128, width: 65536"))
        return subprocess.Popen(
            [PROGRAM, "table", "-a", "tiny.yaml", "-n", "slow.yaml", "--fidelity", "cycle",
             "--weight-bits", "8", "--activation-bits", "8", "--jobs", "1", "-q", "-o", "t.csv",
             *arguments],
            cwd=self.folder, env=self.environment, stderr=subprocess.PIPE, text=True)

    def test_a_worker_that_is_killed_costs_its_row_alone(self):
        with self.start_slow_table() as process:
            os.kill(self.workers_of(process)[0], signal.SIGKILL)
            _, errors = process.communicate(timeout=120)
        self.assertEqual(process.returncode, 70)
        self.assertIn("layer 'hidden' at weight_bits 8, activation_bits 8: the worker process was "
                      "ended by signal 9 (Killed)\n", errors)
        self.assertIn("1 point failed; the table has the others.\n", errors)
        self.assertEqual([row["layer"] for row in self.rows("t.csv")], ["last"])

    def test_a_worker_that_hangs_costs_its_row_alone(self):
        with self.start_slow_table("--timeout", "2") as process:
            _, errors = process.communicate(timeout=120)
        self.assertEqual(process.returncode, 70)
        self.assertIn("layer 'hidden' at weight_bits 8, activation_bits 8: no answer within 2 s\n",
                      errors)
        self.assertEqual([row["layer"] for row in self.rows("t.csv")], ["last"])

    def test_an_interrupted_table_leaves_no_file_and_no_worker(self):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
            with self.start_slow_table() as process:
                worker = self.workers_of(process)[0]
                process.send_signal(number)
                process.communicate(timeout=60)
            self.assertEqual(process.returncode, -number)
            for _ in range(500):
                status = pathlib.Path(f"/proc/{worker}/stat")
                if not status.exists() or status.read_text(encoding="utf-8").split()[2] == "Z":
                    break
                time.sleep(0.01)
            else:
                self.fail("the worker lives on")
            self.assertFalse((self.folder / "t.csv").exists())

    def test_a_run_by_a_measured_table(self):
        self.write("measured.csv", TABLE)
        result = self.run_program("run", "-t", "measured.csv", "-n", "net.yaml", "--bits", "w4a4",
                                  "--csv", "priced.csv")
        self.assert_done(result)
        self.assertRegex(result.stdout, r"\nhidden +4/4 +1\.5\nlast +4/4 +0\n")
        self.assertRegex(result.stdout, r"\nlatency_ms +1\.5\n")
        self.assertRegex(result.stdout, r"\ncosts nothing +last\n")
        self.assertEqual([row["latency_ms"] for row in self.rows("priced.csv")], ["1.5", "0"])

    def test_what_does_not_go_with_a_table(self):
        self.write("measured.csv", TABLE)
        self.assert_refused(
            self.run_program("run", "-t", "measured.csv", "-a", "tiny.yaml", "-n", "net.yaml",
                             "--fidelity", "tile", "--set", "engine.rows=8", "--report", "p.html"),
            "--accelerator: error: does not go with --table",
            "--fidelity: error: does not go with --table",
            "--report: error: does not go with --table",
            "--set engine.rows=8: error: does not go with --table",
            "4 errors; nothing was simulated.")

    def test_a_run_at_widths_that_the_table_lacks(self):
        self.write("measured.csv", TABLE)
        result = self.run_program("run", "-t", "measured.csv", "-n", "net.yaml", "--bits", "w5a5")
        self.assertEqual(result.returncode, 2)
        self.assertIn("measured.csv: error: hidden: expected ", result.stderr)

    def test_check_reads_tables(self):
        self.write("measured.csv", TABLE)
        result = self.run_program("check", "measured.csv")
        self.assert_done(result)
        self.assertEqual(result.stdout, "measured.csv: ok (cost table)\n")
        self.write("measured.csv", TABLE.replace("2.25", "-1").replace("hidden,4", "hidden,0"))
        result = self.run_program("check", "measured.csv")
        self.assertEqual(result.returncode, 2)
        self.assertIn("measured.csv:4:8: error: weight_bits: ", result.stderr)
        self.assertIn("measured.csv:5:12: error: latency_ms: ", result.stderr)


class DiffTest(ProgramTest):
    def setUp(self):
        super().setUp()
        for bits in ("w8a8", "w4a4"):
            self.assert_done(self.tiny("-q", "--bits", bits, "--json", f"{bits}.json"))

    def edited(self, name, change):
        """Writes a copy of the report at w8a8 with a mistake."""
        report = json.loads((self.folder / "w8a8.json").read_text())
        change(report)
        self.write(name, json.dumps(report, indent=1))

    def test_two_runs_are_compared_layer_by_layer(self):
        result = self.run_program("diff", "w8a8.json", "w4a4.json", "--json", "d.json",
                                  "--report", "d.html")
        self.assert_done(result)
        lines = result.stdout.splitlines()
        self.assertEqual(lines[0], "a  net at w8a8 on tiny, tile fidelity, 100 MHz")
        self.assertEqual(lines[1], "b  net at w4a4 on tiny, tile fidelity, 100 MHz")
        self.assertIn("assignment      w8a8 -> w4a4", lines)
        self.assertTrue(all(len(line) <= 100 for line in lines))
        a, b = (json.loads((self.folder / name).read_text())
                for name in ("w8a8.json", "w4a4.json"))
        difference = json.loads((self.folder / "d.json").read_text())
        self.assertEqual(difference["schema"], "diff/1")
        self.assertEqual(difference["a"]["file"], "w8a8.json")
        self.assertFalse(difference["identical"])
        latency = difference["total"]["latency_cycles"]
        self.assertEqual(latency["a"], a["total"]["latency_cycles"])
        self.assertEqual(latency["b"], b["total"]["latency_cycles"])
        self.assertEqual(sum(difference["cycles"].values()), latency["change"])
        self.assertEqual(sum(layer["change"]["latency_cycles"] for layer in difference["layers"]),
                         latency["change"])
        self.assertEqual(sum(difference["energy_by_component_pj"].values()),
                         difference["total"]["energy_pj"]["change"])
        self.assertEqual(difference["layers"][0]["causes"][0],
                         {"key": "widths", "a": "w8a8", "b": "w4a4"})
        page = (self.folder / "d.html").read_text(encoding="utf-8")
        self.assertIn("<h2>Change of energy per layer</h2>", page)
        self.assertNotRegex(page, r"(src|href)=[\"']?(https?:)?//")

    def test_other_machines_differ_by_their_keys(self):
        self.assert_done(self.tiny("-q", "--set", "engine.rows=4", "--ideal-memory", "--json",
                                   "b.json"))
        result = self.run_program("diff", "w8a8.json", "b.json")
        self.assert_done(result)
        self.assertRegex(result.stdout, r"\naccelerator +engine\.rows 8 -> 4\n")
        self.assertRegex(result.stdout, r"\nleaves_out +\[\] -> \[limits of DRAM ")

    def test_runs_that_are_the_same_say_so(self):
        result = self.run_program("diff", "w8a8.json", "w8a8.json", "--json", "d.json")
        self.assert_done(result)
        self.assertEqual(result.stdout.splitlines()[3:], ["The runs do not differ."])
        self.assertTrue(json.loads((self.folder / "d.json").read_text())["identical"])

    def test_quiet_prints_nothing(self):
        result = self.run_program("diff", "w8a8.json", "w4a4.json", "-q")
        self.assert_done(result)
        self.assertEqual(result.stdout, "")

    def test_mistakes_of_both_reports_and_options_come_together(self):
        def change(report):
            report["network"] = 5
            del report["layers"][0]["macs"]
            report["layers"][1]["cycles"]["busy"] = "many"
        self.edited("bad.json", change)
        self.write("other.json", '{"schema": "diff/1"}')
        result = self.run_program("diff", "bad.json", "other.json", "--json", "no/d.json")
        self.assertEqual((result.returncode, result.stdout), (2, ""))
        messages = [line.split(": error: ") for line in result.stderr.splitlines()]
        self.assertEqual([message[1] for message in messages[:-1]],
                         ["cannot write 'no/d.json': No such file or directory",
                          "network: expected text, got '5'",
                          "layers[0]: missing key 'macs'",
                          "layers[1].cycles.busy: expected a whole number, at least 0, got 'many'",
                          "schema: expected schema 'report/1', got 'diff/1'"])
        self.assertRegex(messages[1][0], r"^bad\.json:\d+:\d+$")
        self.assertEqual(messages[4][0], "other.json:1:2")
        self.assertEqual(messages[-1], ["5 errors; nothing was compared."])

    def test_figures_that_do_not_add_up_are_refused(self):
        def change(report):
            report["layers"][0]["latency_cycles"] += 1
        self.edited("bad.json", change)
        result = self.run_program("diff", "w8a8.json", "bad.json")
        self.assertEqual((result.returncode, result.stdout), (2, ""))
        self.assertRegex(result.stderr, r"^bad\.json:\d+:\d+: error: layers\[0\]\.latency_cycles: "
                         r"expected the sum of its cycles, \d+, got \d+\n"
                         r"1 error; nothing was compared\.\n$")

    def test_files_that_are_no_reports(self):
        self.assert_refused(
            self.run_program("diff", "w8a8.json", "none.json"),
            "none.json: error: no such file",
            "1 error; nothing was compared.")
        self.assert_refused(
            self.run_program("diff", "w8a8.json", "tiny.yaml"),
            "tiny.yaml:1:1: error: schema: expected schema 'report/1', got 'accelerator/1'",
            "1 error; nothing was compared.")
        self.write("cut.json", (self.folder / "w8a8.json").read_text()[:500])
        result = self.run_program("diff", "cut.json", "w4a4.json")
        self.assertEqual((result.returncode, result.stdout), (2, ""))
        self.assertRegex(result.stderr, r"^cut\.json:\d+:\d+: error: ")
        self.write("deep.json", '{"schema": "report/1", "network": ' + "[" * 1000 + "]" * 1000 + "}")
        result = self.run_program("diff", "deep.json", "w4a4.json")
        self.assertEqual((result.returncode, result.stdout), (2, ""))
        self.assertIn("nested deeper than 64 levels\n", result.stderr)

    def test_a_report_is_needed_twice(self):
        result = self.run_program("diff", "w8a8.json")
        self.assertEqual((result.returncode, result.stdout), (2, ""))
        self.assertIn("b is required", result.stderr)


SEARCH = """\
schema: experiment/1
accelerator: tiny.yaml
network: net.yaml
search:
  weight_bits: [4, 8]
  activation_bits: [4, 8]
  budgets:
    energy_pj: {relative_to: w8a8, share: 0.8}
  sensitivity: {rule: measured, file: falling.csv}
"""


class SolveTest(ProgramTest):
    def setUp(self):
        super().setUp()
        self.environment["WIDTHWISE_CACHE"] = str(self.folder / "cache")
        self.write("budget.yaml", DATA["workloads/problems/budget.yaml"])
        self.write("falling.csv", DATA["workloads/sensitivities/falling.csv"])
        self.write("search.yaml", SEARCH)

    def read_json(self, name):
        return json.loads((self.folder / name).read_text(encoding="utf-8"))

    def test_a_problem_is_solved_with_its_proof(self):
        result = self.run_program("solve", "budget.yaml", "--json", "s.json", "--assignment",
                                  "bits.yaml", "--baselines", "--front", "3", "--csv", "front.csv")
        self.assert_done(result)
        self.assertRegex(result.stdout, r"\none +8 +8 +0.1 +4\ntwo +4 +4 +0.3 +1\n")
        self.assertIn("optimal: no choice is better", result.stdout)
        answer = self.read_json("s.json")
        self.assertEqual((answer["status"], answer["objective"], answer["bound"], answer["gap"]),
                         ("optimal", 0.4, 0.4, 0))
        self.assertEqual(answer["assignment"]["one"], {"weight_bits": 8, "activation_bits": 8})
        self.assertEqual(answer["costs"], {"loss": 0.4, "size_kib": 5})
        self.assertEqual((answer["budgets"][0]["used"], answer["budgets"][0]["limit"]), (5, 5))
        self.assertEqual({line["method"] for line in answer["baselines"]} >= {"uniform"}, True)
        front = (self.folder / "front.csv").read_text(encoding="utf-8").splitlines()
        self.assertEqual(front[0], "size_kib,loss,bound,gap,proven,one,two")
        self.assertEqual(front[1].split(",")[:2], ["3", "0.8"])
        self.assertEqual(front[-1].split(",")[5:], ["w8a8", "w8a8"])
        self.assertIn('"one": w8a8', (self.folder / "bits.yaml").read_text(encoding="utf-8"))

    def test_what_can_not_be_met_is_an_answer_with_a_code_of_its_own(self):
        self.write("tight.yaml", DATA["workloads/problems/budget.yaml"].replace("max: 5", "max: 2"))
        result = self.run_program("solve", "tight.yaml", "--json", "s.json", "--assignment", "b.yaml")
        self.assertEqual((result.returncode, result.stderr), (3, ""))
        self.assertIn("size_kib: 3 is the least reachable, 1 over the limit of 2", result.stdout)
        answer = self.read_json("s.json")
        self.assertEqual((answer["status"], answer["objective"]), ("infeasible", None))
        self.assertEqual(answer["shortfall"]["misses"],
                         [{"metric": "size_kib", "least": 3, "over": 1}])
        self.assertFalse((self.folder / "b.yaml").exists())

    def test_mistakes_of_a_problem_and_of_options_come_together(self):
        self.write("bad.yaml", DATA["workloads/problems/budget.yaml"].replace("loss: 0.5", "loss: x"))
        result = self.run_program("solve", "bad.yaml", "--gap", "2", "--front", "1", "--json",
                                  "s.json")
        self.assertEqual(result.returncode, 2)
        self.assertIn("--front: error: expected 2..1000, got '1'", result.stderr)
        self.assertIn("--gap: error: expected a number of 0..1, got '2'", result.stderr)
        self.assertIn("bad.yaml:8:26: error: groups[0].options[0].loss: ", result.stderr)
        self.assertFalse((self.folder / "s.json").exists())

    def test_a_page_is_one_file_that_asks_for_nothing(self):
        self.assert_done(self.run_program("solve", "budget.yaml", "-q", "--report", "p.html",
                                          "--front", "3"))
        page = (self.folder / "p.html").read_text(encoding="utf-8")
        self.assertIn("<title>two layers", page)
        self.assertNotRegex(page, r"(src|href)=[\"']?(https?:)?//")

    def test_a_search_is_confirmed_by_what_a_run_says(self):
        result = self.run_program("search", "search.yaml", "--json", "s.json", "--assignment",
                                  "bits.yaml", "--report", "p.html", "--front", "4")
        self.assert_done(result)
        answer = self.read_json("s.json")
        self.assertEqual((answer["schema"], answer["status"], answer["confirmed"]),
                         ("search/1", "optimal", True))
        run = self.run_program("run", "-a", "tiny.yaml", "-n", "net.yaml", "--bits", "bits.yaml",
                               "-q", "--json", "r.json")
        self.assert_done(run)
        total = self.read_json("r.json")["total"]
        last = answer["rounds"][-1]
        self.assertEqual(last["latency_cycles"]["simulated"], total["latency_cycles"])
        self.assertAlmostEqual(last["energy_pj"]["simulated"], total["energy_pj"], delta=1e-3)
        self.assertLessEqual(total["energy_pj"], answer["budgets"][0]["limit"] * (1 + 1e-9))
        self.assertIn("proven", result.stdout)

    def test_a_search_that_can_not_be_met(self):
        self.write("search.yaml", SEARCH.replace("share: 0.8", "share: 0.01"))
        result = self.run_program("search", "search.yaml")
        self.assertEqual((result.returncode, result.stderr), (3, ""))
        self.assertIn("infeasible: no choice meets the budgets", result.stdout)
        self.assertIn("energy_pj: ", result.stdout)

    def test_mistakes_of_a_search(self):
        self.write("search.yaml", SEARCH.replace("[4, 8]", "[8, 4]", 1)
                   .replace("rule: measured", "rule: measurd").replace("share: 0.8", "shar: 0.8"))
        result = self.run_program("search", "search.yaml")
        self.assertEqual(result.returncode, 2)
        self.assertIn("search.yaml:5:20: error: search.weight_bits: expected widths in ascending "
                      "order, each once", result.stderr)
        self.assertIn("did you mean 'measured'?", result.stderr)
        self.assertIn("did you mean 'share'?", result.stderr)
        self.write("search.yaml", SEARCH.replace("energy_pj", "energy"))
        result = self.run_program("search", "search.yaml")
        self.assertEqual(result.returncode, 2)
        self.assertIn("energy", result.stderr)


TRAIN_NETWORK = """\
schema: network/1
name: net
inputs:
  image: [1, 1, 8, 8]
layers:
  - {name: conv1, kind: convolution, out_channels: 8, kernel: 3, padding: 1, activation: relu}
  - {name: conv2, kind: convolution, out_channels: 8, kernel: 3, stride: 2, padding: 1,
     activation: relu}
  - {name: flatten, kind: flatten}
  - {name: fc, kind: fully_connected, out_features: 2, bias: true}
"""

TRAIN = """\
schema: experiment/1
accelerator: tiny.yaml
network: net.yaml
train:
  data: images
  epochs: 4
  batch: 32
  augment: none
  weight_bits: [1, 2, 3, 4]
  activation_bits: [2, 3, 4]
  targets:
    weight_bytes: {relative_to: w3a3, share: 1}
  compare: {uniform: [4]}
"""


PLANE_NETWORK = """\
schema: network/1
name: planes
inputs: {image: [1, 1, 8, 8]}
layers:
  - {name: flatten, kind: flatten}
  - {name: hidden, kind: fully_connected, out_features: 48, bias: true, activation: relu}
  - {name: last, kind: fully_connected, out_features: 2, bias: true}
"""

MACHINES = pathlib.Path(__file__).resolve().parents[2] / "configs/accelerators"

PLANES = f"""\
schema: experiment/1
accelerator: {MACHINES}/precision_batching.yaml
network: planes.yaml
train:
  method: precision_batching
  data: images
  epochs: 4
  batch: 32
  augment: none
  calibration_images: 128
  test_images: 48
  machines: [{MACHINES}/bismo_edge_8x8.yaml, {MACHINES}/stripes_16x16.yaml]
"""


class TrainTest(ProgramTest):
    """Images are dark or bright: whatever is trained tells them apart."""

    def setUp(self):
        super().setUp()
        self.environment["WIDTHWISE_CACHE"] = str(self.folder / "cache")
        self.write("net.yaml", TRAIN_NETWORK)
        self.write("e.yaml", TRAIN)
        (self.folder / "images").mkdir()
        for name, count in (("train", 256), ("t10k", 64)):
            labels = bytes(i % 2 for i in range(count))
            pixels = bytes(60 + 120 * (i % 2) + (i * 7 + p * 13) % 40
                           for i in range(count) for p in range(64))
            header = b"".join(n.to_bytes(4, "big") for n in (0x803, count, 8, 8))
            (self.folder / f"images/{name}-images-idx3-ubyte").write_bytes(header + pixels)
            header = b"".join(n.to_bytes(4, "big") for n in (0x801, count))
            (self.folder / f"images/{name}-labels-idx1-ubyte").write_bytes(header + labels)

    def needs_training(self):
        if not os.path.exists(os.path.join(os.path.dirname(PROGRAM), "widthwise-train")):
            self.skipTest("built without training")

    def train(self, *arguments):
        return self.run_program("train", "e.yaml", "--threads", "1", *arguments)

    def start(self, *arguments):
        return subprocess.Popen([PROGRAM, "train", "e.yaml", "--threads", "1", *arguments],
                                cwd=self.folder, env=self.environment, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True)

    def wait_for(self, pattern):
        for _ in range(6000):
            if list(self.folder.glob(pattern)):
                return
            time.sleep(0.01)
        self.fail(f"no {pattern} came")

    def test_help_comes_from_the_main_program(self):
        result = self.run_program("train", "--help")
        self.assert_done(result)
        self.assertIn("--resume", result.stdout)
        self.assertIn("Exit codes: ", result.stdout)

    def test_a_program_without_training_says_so(self):
        alone = self.folder / "bin/widthwise"
        alone.parent.mkdir()
        shutil.copy(PROGRAM, alone)
        result = subprocess.run([alone, "train", "e.yaml"], cwd=self.folder, env=self.environment,
                                capture_output=True, text=True, timeout=120, check=False)
        self.assertEqual(result.returncode, 2)
        self.assertEqual(result.stderr.splitlines(), [
            "widthwise train: error: this widthwise was built without training "
            f"(WIDTHWISE_WITH_TORCH=OFF): there is no '{alone}-train'",
            "1 error; nothing was simulated."])

    def test_a_network_is_trained_at_widths_that_are_learned(self):
        self.needs_training()
        result = self.train("--json", "t.json", "--report", "t.html", "--log", "t.log")
        self.assert_done(result)
        answer = json.loads((self.folder / "t.json").read_text(encoding="utf-8"))
        self.assertEqual((answer["schema"], answer["main"]["schema"]), ("train/1", "training/1"))
        self.assertEqual([answer["main"]["label"]] + [one["label"] for one in answer["compared"]],
                         ["fracbits", "uniform w4a4"])
        self.assertEqual(len(answer["main"]["history"]), 4)
        for training in [answer["main"], *answer["compared"]]:
            self.assertGreater(training["accuracy"], 0.9)
        target = answer["main"]["targets"][0]
        # 72 weights of conv1 and 256 of fc at 8 bits, 576 of conv2 at 3, biases of fc at 32.
        self.assertEqual(target["target"], 72 + 256 + 576 * 3 / 8 + 2 * 4)
        self.assertLessEqual(abs(target["simulated"] / target["target"] - 1), 0.01)
        self.assertEqual(target["simulated"], answer["main"]["totals"]["weight_bytes"])
        self.assertRegex(result.stdout, r"\naccuracy +\d+\.\d\d % of 64 test images\n")
        self.assertRegex(result.stdout, r"\nuniform w4a4 ")
        self.assertTrue(all(len(line) <= 100 for line in result.stdout.splitlines()))
        log = (self.folder / "t.log").read_text(encoding="utf-8").splitlines()
        self.assertEqual(len(log), 8)
        page = (self.folder / "t.html").read_text(encoding="utf-8")
        self.assertIn("Accuracy per epoch", page)
        self.assertNotRegex(page, r"(src|href)=[\"']?(https?:)?//")
        self.assertEqual(len(list(self.folder.glob("e.training/*.json"))), 2)
        self.assertEqual(list(self.folder.glob("e.training/*.checkpoint")), [])
        # What a run says of the widths that were learned is what the training says.
        rules = {layer["name"]: {"weight_bits": layer["weight_bits"][0],
                                 "activation_bits": layer["activation_bits"]}
                 for layer in answer["main"]["layers"]}
        self.write("bits.yaml", "schema: assignment/1\nname: learned\ndefault: w8a8\nlayers: "
                   + json.dumps(rules) + "\n")
        self.assert_done(self.run_program("run", "-a", "tiny.yaml", "-n", "net.yaml", "--bits",
                                          "bits.yaml", "-q", "--json", "r.json"))
        total = json.loads((self.folder / "r.json").read_text(encoding="utf-8"))["total"]
        self.assertEqual(total["latency_cycles"], answer["main"]["totals"]["latency_cycles"])
        self.assertAlmostEqual(total["energy_pj"], answer["main"]["totals"]["energy_pj"],
                               delta=1e-3)
        # It is finished: the same command reads it again.
        again = self.train("--json", "again.json")
        self.assert_done(again)
        self.assertEqual((self.folder / "again.json").read_bytes(),
                         (self.folder / "t.json").read_bytes())

    def figures(self, name):
        """A report's results without the times that it took."""
        def plain(value):
            if isinstance(value, dict):
                return {key: plain(item) for key, item in value.items()
                        if key not in ("time_s", "train_s", "images_per_s")}
            return [plain(item) for item in value] if isinstance(value, list) else value
        return plain(json.loads((self.folder / name).read_text(encoding="utf-8")))

    def test_an_interrupted_training_goes_on_and_ends_as_if_it_had_not_been(self):
        self.needs_training()
        self.write("e.yaml", TRAIN.replace("epochs: 4", "epochs: 40").replace("uniform: [4]", ""))
        self.assert_done(self.train("-q", "-o", "whole", "--json", "whole.json"))
        with self.start("-q") as process:
            self.wait_for("e.training/*.checkpoint")
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=120)
        self.assertEqual(process.returncode, 130)
        self.assertEqual(errors, "widthwise: 'fracbits' was interrupted; the same command with "
                                 "--resume goes on\n")
        refused = self.train("-q")
        self.assertEqual(refused.returncode, 2)
        self.assertRegex(refused.stderr, r"^e\.training/fracbits-[0-9a-f]{12}\.checkpoint: error: "
                                         r"the training 'fracbits' was begun and not finished; "
                                         r"--resume goes on with it, --fresh starts again\n")
        self.assert_done(self.train("-q", "--resume", "--json", "resumed.json"))
        self.assertEqual(self.figures("resumed.json"), self.figures("whole.json"))
        self.assertEqual(list(self.folder.glob("e.training/*.checkpoint")), [])

    def latency_of(self, machine, bits):
        self.assert_done(self.run_program("run", "-a", f"{MACHINES}/{machine}.yaml", "-n",
                                          "planes.yaml", "--bits", bits, "-q", "--json", "r.json"))
        total = json.loads((self.folder / "r.json").read_text(encoding="utf-8"))["total"]
        return total["latency_s"]

    def test_a_network_is_evaluated_by_bit_planes(self):
        self.needs_training()
        self.write("planes.yaml", PLANE_NETWORK)
        self.write("e.yaml", PLANES)
        result = self.train("--json", "t.json", "--report", "t.html")
        self.assert_done(result)
        main = json.loads((self.folder / "t.json").read_text(encoding="utf-8"))["main"]
        self.assertEqual((main["method"], main["totals"]), ("precision_batching", {}))
        planes = main["planes"]
        self.assertEqual(planes["planes"], [1, 2, 3, 4, 5, 6, 7, 8])
        self.assertEqual((planes["test_images"], planes["calibration_images"]), (48, 128))
        self.assertGreater(planes["accuracy_float"], 0.9)
        self.assertLess(abs(planes["accuracies"][7] - planes["accuracy_int8"]), 0.05)
        self.assertLessEqual(planes["assigned"]["calibration_lost"], 1)
        self.assertEqual([layer["name"] for layer in planes["layers"]], ["hidden", "last"])
        self.assertEqual([machine["measured"] for machine in planes["machines"]],
                         [False, False, False, True])
        # What a run says of the same widths; without a plane of signs n planes are n + 1 bits.
        for machine, bits in (("precision_batching", 3), ("bismo_edge_8x8", 4),
                              ("stripes_16x16", 4)):
            found = next(one for one in planes["machines"] if one["name"] == machine)
            self.assertEqual(found["weight_bits"][2], bits)
            self.assertAlmostEqual(found["latency_s"][2], self.latency_of(machine, f"w{bits}a8"))
            self.assertAlmostEqual(found["eight_bit_s"], self.latency_of(machine, "w8a8"))
        self.assertRegex(result.stdout, r"\nplanes +accuracy +lost +precision_batching ")
        self.assertRegex(result.stdout, r"\n8 +\d+\.\d\d % +-?\d\.\d\d +1\.00x ")
        self.assertRegex(result.stdout, r"\nper layer +hidden \d, last \d\n")
        self.assertTrue(all(len(line) <= 100 for line in result.stdout.splitlines()))
        self.assertIn("Speed-up by bit-planes", (self.folder / "t.html").read_text("utf-8"))
        # Measured times are part of the result, which is read again.
        self.assert_done(self.train("-q", "--json", "again.json"))
        self.assertEqual((self.folder / "again.json").read_bytes(),
                         (self.folder / "t.json").read_bytes())

    def test_what_bit_planes_do_not_know_is_a_mistake_before_training(self):
        self.write("e.yaml", PLANES.replace("planes.yaml", "net.yaml").replace(
            f"{MACHINES}/stripes_16x16.yaml", "stripe"))
        result = self.run_program("check", "e.yaml")
        self.assertEqual(result.returncode, 2)
        self.assertIn("train.machines: 'stripe' is no file and no shipped accelerator", result.stderr)
        self.assertIn("e.yaml:3:1: error: network: net: bit-planes know chains of fully connected "
                      "layers, if need be behind one LSTM, at batch 1; a layer of another kind: "
                      "conv1", result.stderr)

    def test_two_processes_do_not_share_a_folder(self):
        self.needs_training()
        self.write("e.yaml", TRAIN.replace("epochs: 4", "epochs: 400"))
        with self.start("-q") as process:
            self.wait_for("e.training/.lock")
            second = self.train("-q")
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=120)
        self.assertIn(process.returncode, (143, -signal.SIGTERM))  # the latter before it trains
        self.assert_refused(second, "--output: error: another process trains in 'e.training'",
                            "1 error; nothing was trained.")

    def test_a_target_below_what_can_be_reached_is_an_answer(self):
        self.needs_training()
        self.write("e.yaml", TRAIN.replace("relative_to: w3a3, share: 1", "max: 100"))
        result = self.train()
        self.assertEqual((result.returncode, result.stdout), (3, ""))
        self.assertEqual(result.stderr.splitlines(), [
            "e.yaml:12:5: error: train.targets.weight_bytes: 'fracbits' needs at least 408 (all "
            "layers that are not pinned at their narrowest), the target is 100",
            "1 error; a target can not be met."])
        self.assertFalse((self.folder / "e.training").exists())

    def test_mistakes_come_together_and_nothing_is_trained(self):
        self.needs_training()
        self.write("e.yaml", TRAIN.replace("epochs: 4", "epochs: 0").replace("[1, 2", "[2, 2"))
        self.assert_refused(
            self.train(),
            "e.yaml:6:3: error: train.epochs: expected 1..100000, got 0",
            "e.yaml:9:20: error: train.weight_bits: expected widths in ascending order, each once",
            "2 errors; nothing was trained.")
        self.write("e.yaml", TRAIN.replace("data: images", "data: image"))
        result = self.train("--epochs", "0", "--set", "engine.rows=0")
        self.assertEqual(result.returncode, 2)
        for text in ("e.yaml:5:3: error: train.data: ", "--epochs: error: expected 1..100000",
                     "engine.rows: expected 1..1024, got 0"):
            self.assertIn(text, result.stderr)
        result = self.run_program("train")
        self.assertEqual(result.returncode, 2)
        self.assertIn("experiment is required", result.stderr)

    def test_check_reads_a_train_section_with_or_without_training(self):
        result = self.run_program("check", "e.yaml")
        self.assert_done(result)
        self.assertEqual(result.stdout, "e.yaml: ok (experiment/1)\n")
        self.write("e.yaml", TRAIN.replace("weight_bytes", "weight_byte").replace(
            "uniform: [4]", "methods: [fixed]"))
        result = self.run_program("check", "e.yaml")
        self.assertEqual(result.returncode, 2)
        self.assertIn("e.yaml:12:5: error: train.targets: expected one of 'latency_cycles'",
                      result.stderr)
        self.assertIn("e.yaml:13:3: error: train.compare: widths that are fixed are named under "
                      "uniform", result.stderr)


class ShippedTest(unittest.TestCase):
    def test_all_shipped_files_read(self):
        """Without WIDTHWISE_DATA the program finds the data that it was built with."""
        environment = {key: value for key, value in os.environ.items() if key != "WIDTHWISE_DATA"}
        result = subprocess.run([PROGRAM, "list"], env=environment, capture_output=True, text=True,
                                timeout=300, check=False)
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        self.assertNotIn("does not read", result.stdout)
        self.assertIn("\nresnet18 ", result.stdout)
        self.assertTrue(all(len(line) <= 100 for line in result.stdout.splitlines()))


if __name__ == "__main__":
    PROGRAM = os.path.abspath(sys.argv.pop(1))
    unittest.main()
