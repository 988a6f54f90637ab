"""Machines, networks, tables and reports from Python, and what is said of mistakes."""

import copy
import os
import pathlib
import pickle
import signal
import stat
import subprocess
import sys
import tempfile
import textwrap
import time
import unittest
import uuid

import numpy
import pandas
import widthwise

MACHINE, NETWORK = "bitfusion_16x32", "tiny_cnn"

# Two layers of a network of ours, in round numbers: cycles = 10 w + a, 100 times that for fc.
MEASURED = textwrap.dedent(
    """\
    # clock_hz: 1000000
    layer,weight_bits,activation_bits,latency_cycles,kind
    conv1,2,2,22,convolution
    conv1,2,4,24,convolution
    conv1,4,2,42,convolution
    conv1,4,4,44,convolution
    pool,2,2,7,pool
    pool,4,4,8,pool
    fc,4,4,4400,fully_connected
    """
)


def message(call):
    """What an InputError says."""
    try:
        call()
    except widthwise.InputError as error:
        return str(error)
    raise AssertionError("no InputError")


class Machines(unittest.TestCase):
    def test_a_shipped_machine_is_found_and_resolved(self):
        machine = widthwise.Accelerator(MACHINE)
        self.assertEqual(machine.name, MACHINE)
        self.assertEqual(machine.clock_hz, 500e6)
        self.assertEqual(machine.resolved["engine.rows"], "16")

    def test_keys_are_changed_as_a_mapping_as_texts_and_on_top_of_each_other(self):
        by_mapping = widthwise.Accelerator(MACHINE, set={"engine.rows": 8, "engine.columns": 4})
        by_texts = widthwise.Accelerator(MACHINE, set=["engine.rows=8", "engine.columns=4"])
        self.assertEqual(by_mapping.resolved, by_texts.resolved)
        again = by_mapping.with_({"engine.rows": 2}, ideal_memory=True)
        self.assertEqual(again.resolved["engine.rows"], "2")
        self.assertEqual(again.resolved["engine.columns"], "4")
        self.assertTrue(again.ideal_memory and not by_mapping.ideal_memory)
        self.assertEqual(by_mapping.with_(**{"engine.rows": 2}).resolved["engine.rows"], "2")
        key = "memory.weight_buffer.double_buffered"
        single = widthwise.Accelerator(MACHINE, set={key: False})
        self.assertEqual(single.resolved[key], "false")

    def test_all_mistakes_are_named_when_the_machine_is_made(self):
        wrong = {"engine.rows": 0, "memory.dram.bandwith": 3}
        self.assertEqual(
            message(lambda: widthwise.Accelerator(MACHINE, set=wrong)),
            "--set engine.rows=0: error: engine.rows: expected 1..1024, got 0\n"
            "--set memory.dram.bandwith=3: error: memory.dram: unknown key 'bandwith'; "
            "did you mean 'bandwidth'?",
        )
        unknown = message(lambda: widthwise.Accelerator("bitfusion_16x23"))
        self.assertTrue(
            unknown.startswith(
                "accelerator: error: 'bitfusion_16x23' is no file and no shipped accelerator; "
                "shipped:"
            ),
            unknown,
        )
        self.assertTrue(unknown.endswith("did you mean 'bitfusion_16x32'?"), unknown)

    def test_an_input_error_is_a_value_error_of_the_package(self):
        self.assertTrue(issubclass(widthwise.InputError, ValueError))
        self.assertEqual(widthwise.InputError.__module__, "widthwise")


class Networks(unittest.TestCase):
    def test_layers_say_what_they_compute(self):
        network = widthwise.Network(NETWORK)
        self.assertEqual(network.macs, sum(layer.macs for layer in network.layers))
        self.assertEqual(network.weights, sum(layer.weights for layer in network.layers))
        conv3 = {layer.name: layer for layer in network.layers}["conv3"]
        self.assertEqual(
            conv3, widthwise.Layer("conv3", "convolution", 8 * 16 * 4 * 9, 8 * 4 * 9, 4, 8, True)
        )
        self.assertEqual([layer.has_macs for layer in network.layers].count(False), 2)

    def test_a_network_takes_a_batch_parameters_and_single_layers(self):
        once, twice = widthwise.Network("resnet18"), widthwise.Network("resnet18", batch=2)
        self.assertEqual(twice.macs, 2 * once.macs)
        self.assertEqual(widthwise.Network("tiny_cnn", parameters={"batch": 3}).macs, 3 * 20816)
        self.assertEqual(widthwise.Network("gemm:64x128x512").macs, 64 * 128 * 512)

    def test_mistakes_are_named(self):
        empty = message(lambda: widthwise.Network("gemm:64x0x512"))
        self.assertTrue(empty.startswith("network: error: "), empty)
        self.assertIn("'widt'", message(lambda: widthwise.Network(NETWORK, parameters={"widt": 3})))


class Tables(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.network = widthwise.Network(NETWORK)
        cls.table = widthwise.cost_table(
            MACHINE, cls.network, (2, 4, 8), (2, 8), fidelity="analytic", cache=False
        )

    def test_a_table_has_every_layer_at_every_pair_of_widths(self):
        table = self.table
        self.assertEqual(table.layers, [layer.name for layer in self.network.layers])
        self.assertEqual(table.weight_bits.tolist(), [2, 4, 8])
        self.assertEqual(table.activation_bits.tolist(), [2, 8])
        self.assertEqual(table.clock_hz, 500e6)
        self.assertEqual(table.axes, ["weight_bits", "activation_bits"])
        self.assertEqual(table.provenance["accelerator"], MACHINE)
        values = table.values("latency_cycles")
        self.assertEqual(values.shape, (6, 3, 2))
        self.assertEqual(values.dtype, numpy.float64)
        self.assertFalse(numpy.isnan(values).any())
        pool = values[table.layers.index("pool")]
        self.assertTrue((pool == pool[0]).all(), "without weights there is a row per activation")

    def test_totals_are_those_of_a_run(self):
        for bits in ("w8a8", "w2a8", "w2a2"):
            report = widthwise.run(MACHINE, self.network, bits, fidelity="analytic")
            costs = self.table.cost(self.network, bits)
            self.assertEqual(costs["latency_cycles"], report.latency_cycles)
            self.assertAlmostEqual(costs["energy_pj"] / report.energy_pj, 1, places=9)

    def test_a_table_by_stored_widths_has_the_totals_of_mixed_networks(self):
        table = widthwise.cost_table(
            MACHINE, self.network, (2, 4, 8), (2, 4, 8), stored=True, cache=False
        )
        self.assertIn("stored_output_bits", table.axes)
        # The operands of the sum are stored at the same width: nothing is interpolated.
        mixed = {"*": "w4a4", "conv1": (8, 8), "fc": (2, None)}
        report = widthwise.run(MACHINE, self.network, mixed)
        costs = table.cost(self.network, mixed)
        self.assertEqual(costs["latency_cycles"], report.latency_cycles)
        self.assertEqual(
            [layer["weight_bits"] for layer in report.layers if layer["macs"]], [8, 4, 4, 2]
        )
        self.assertIn("stored_input_bits", message(table.values))

    def test_a_saved_table_is_the_same_table(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "table.csv")
            self.table.save(path)
            loaded = widthwise.CostTable.load(path)
        for other in (loaded, pickle.loads(pickle.dumps(self.table)), copy.deepcopy(self.table)):
            self.assertEqual(other.provenance, self.table.provenance)
            pandas.testing.assert_frame_equal(other.to_pandas(), self.table.to_pandas())

    def test_a_frame_has_a_row_per_layer_and_place(self):
        frame = self.table.to_pandas()
        self.assertEqual(len(frame), 4 * 6 + 2 * 2)
        row = frame[(frame.layer == "fc") & (frame.weight_bits == 4) & (frame.activation_bits == 8)]
        index = self.table.layers.index("fc")
        self.assertEqual(row.latency_cycles.item(), self.table.values()[index, 1, 1])

    def test_a_measured_table_has_nan_where_it_has_no_row(self):
        values = widthwise.CostTable.parse(MEASURED).values("latency_cycles")
        nan = numpy.nan
        numpy.testing.assert_array_equal(
            values, [[[22, 24], [42, 44]], [[7, 8], [7, 8]], [[nan, nan], [nan, 4400]]]
        )

    def test_a_table_from_a_frame_is_the_table_from_its_text(self):
        table = widthwise.CostTable.parse(MEASURED)
        again = widthwise.CostTable.from_pandas(table.to_pandas(), {"clock_hz": 1000000})
        self.assertEqual(again.clock_hz, 1e6)
        pandas.testing.assert_frame_equal(again.to_pandas(), table.to_pandas())

    def test_shipped_tables_are_found_by_name(self):
        table = widthwise.CostTable.load("hawqv3_resnet18_t4")
        self.assertEqual(table.leaves_out, ["conv1", "fc"])
        self.assertIsNone(table.clock_hz)

    def test_mistakes_are_named(self):
        table, network = self.table, self.network
        cut = message(lambda: widthwise.CostTable.parse("layer,weight_bits\n", "mine.csv"))
        self.assertTrue(cut.startswith("mine.csv:1"), cut)
        self.assertEqual(
            message(lambda: table.cost(network, {"conv2": "w4"})),
            "bits: error: conv2: expected widths such as 'w4a8' or (4, 8), got 'w4'",
        )
        self.assertEqual(
            message(lambda: table.cost(network, {"conv9": (4, 8)})),
            "bits: error: conv9: no layer of tiny_cnn has this name; did you mean 'conv1'?",
        )
        self.assertIn(
            "tiny_cnn on bitfusion_16x32: error: conv1: expected weight_bits of 2, 4, 8, got 3",
            message(lambda: table.cost(network, "w3a8")),
        )
        self.assertIn("did you mean 'latency_s'?", message(lambda: table.values("latency")))
        self.assertEqual(
            message(lambda: widthwise.cost_table(MACHINE, network, (2, 99))),
            "--weight-bits: error: expected widths of 1..16 bit such as '2,4,8' or '1..8', "
            "got '2,99'\n1 error; nothing was simulated.",
        )

    def test_costs_at_fractional_widths_have_their_gradient(self):
        table = widthwise.CostTable.parse(MEASURED)
        cost = widthwise.FractionalCost(table, metric="latency_cycles")
        self.assertEqual(cost.variables, ["conv1", "pool", "fc"])
        value, by_weight, by_activation = cost.gradient([3, 2, 4], [3.5, 3, 4])
        self.assertAlmostEqual(value, 33.5 + 7.5 + 4400)
        numpy.testing.assert_allclose(by_weight, [10, 0, 0])
        numpy.testing.assert_allclose(by_activation, [1, 0.5, 0])
        self.assertEqual(cost([3, 2, 4], [3.5, 3, 4]), value)
        self.assertEqual(
            message(lambda: cost([3, 2], [3, 3, 3])),
            "weight_bits: error: expected 3 values, got 2",
        )

    def test_costs_by_channel_are_those_by_layer_where_channels_are_alike(self):
        cost = widthwise.ChannelCost(self.table, self.network)
        by_layer = widthwise.FractionalCost(self.table, self.network)
        self.assertEqual(cost.variables, ["conv1", "conv2", "conv3", "fc"])
        self.assertEqual(cost.channels, [4, 4, 8, 10])
        bits = [numpy.full(n, 4.0) for n in cost.channels]
        activations = numpy.full(4, 4.5)
        self.assertAlmostEqual(cost(bits, activations), by_layer(numpy.full(4, 4.0), activations))
        pruned = [bits[0], bits[1], numpy.array([0] * 4 + [4.0] * 4), bits[3]]
        self.assertLess(cost(pruned, activations), cost(bits, activations))
        self.assertEqual(
            message(lambda: cost(bits[:3], activations)),
            "channel_bits: error: expected 4 arrays, one per variable, got 3",
        )
        self.assertEqual(
            message(lambda: cost([bits[0], bits[0], bits[0], bits[3]], activations)),
            "channel_bits: error: conv3: expected 8 widths, got 4",
        )


class Reports(unittest.TestCase):
    def test_a_report_has_totals_and_layers(self):
        report = widthwise.run(MACHINE, NETWORK, "w4a8")
        self.assertEqual(report.latency_cycles, sum(x["latency_cycles"] for x in report.layers))
        self.assertAlmostEqual(report.latency_s * 500e6, report.latency_cycles)
        self.assertEqual(report.raw["fidelity"], "tile")
        frame = report.to_pandas()
        self.assertEqual(frame.latency_cycles.sum(), report.latency_cycles)
        cycles = frame.filter(like="cycles.").sum(axis=1)
        self.assertTrue((cycles == frame.latency_cycles).all())

    def test_an_assignment_file_is_taken_by_its_path(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "bits.yaml")
            path.write_text("schema: assignment/1\nname: mine\ndefault: w4a8\n", encoding="utf-8")
            by_file = widthwise.run(MACHINE, NETWORK, path)
        self.assertEqual(
            by_file.latency_cycles, widthwise.run(MACHINE, NETWORK, "w4a8").latency_cycles
        )


class Program(unittest.TestCase):
    """What the program ends with. A script stands for it where it has to fail."""

    def run_with(self, script, call):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "program")
            path.write_text("#!/bin/sh\n" + script, encoding="utf-8")
            path.chmod(path.stat().st_mode | stat.S_IXUSR)
            before = os.environ.get("WIDTHWISE_PROGRAM")
            os.environ["WIDTHWISE_PROGRAM"] = str(path)
            try:
                call()
            finally:
                del os.environ["WIDTHWISE_PROGRAM"]
                if before is not None:
                    os.environ["WIDTHWISE_PROGRAM"] = before

    def table(self):
        return widthwise.cost_table(MACHINE, NETWORK, (2, 4), (2, 4))

    def test_failed_points_are_an_error_with_the_rows_that_succeeded(self):
        script = (
            'for file; do :; done\n'  # the last argument
            'printf "layer,weight_bits,activation_bits,latency_cycles\\nfc,2,2,5\\n" > "$file"\n'
            'echo "layer \'fc\' at weight_bits 4: ended by SIGSEGV" >&2\n'
            "exit 70\n"
        )
        with self.assertRaises(widthwise.WorkerError) as caught:
            self.run_with(script, self.table)
        self.assertEqual(str(caught.exception), "layer 'fc' at weight_bits 4: ended by SIGSEGV")
        self.assertEqual(caught.exception.exit_code, 70)
        self.assertEqual(caught.exception.partial.layers, ["fc"])
        self.assertIsInstance(caught.exception, RuntimeError)

    def test_a_program_that_dies_is_an_error_that_names_the_signal(self):
        with self.assertRaises(widthwise.WorkerError) as caught:
            self.run_with("kill -SEGV $$\n", self.table)
        self.assertEqual(str(caught.exception), "widthwise: ended by SIGSEGV")
        self.assertIsNone(caught.exception.partial)

    def test_bad_input_is_an_error_in_the_programs_words(self):
        with self.assertRaises(widthwise.InputError) as caught:
            self.run_with("echo 'a.yaml:1:2: error: no' >&2; exit 2\n", self.table)
        self.assertEqual(str(caught.exception), "a.yaml:1:2: error: no")

    def test_a_warning_is_passed_on(self):
        script = (
            'for file; do :; done\n'
            'printf "layer,weight_bits,activation_bits,latency_cycles\\nfc,2,2,5\\n" > "$file"\n'
            "echo 'widthwise: warning: no cache' >&2\n"
        )
        with self.assertWarnsRegex(UserWarning, "no cache"):
            self.run_with(script, self.table)

    def test_a_program_that_is_not_there_is_an_error_that_says_where_it_was_looked_for(self):
        before = os.environ["WIDTHWISE_PROGRAM"]
        os.environ["WIDTHWISE_PROGRAM"] = "/nowhere/widthwise"
        try:
            self.assertEqual(
                message(self.table), "WIDTHWISE_PROGRAM: error: '/nowhere/widthwise' is no program"
            )
        finally:
            os.environ["WIDTHWISE_PROGRAM"] = before

    def test_an_interrupt_ends_the_program_and_its_workers(self):
        mark = f"WIDTHWISE_TEST_MARK={uuid.uuid4()}"
        script = (
            "import widthwise\n"
            "widthwise.cost_table('systolic_16x16_int8', 'resnet18', fidelity='cycle',\n"
            "                     cache=False, jobs=2)\n"
        )
        with subprocess.Popen(
            [sys.executable, "-c", script],
            env=dict([mark.split("=")], **os.environ),
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            # This process, the program and at least one worker.
            self.assertTrue(wait_for(lambda: len(marked(mark)) >= 3, 60), "no worker was started")
            process.send_signal(signal.SIGINT)
            said = process.communicate(timeout=60)[1]
        self.assertIn("KeyboardInterrupt", said)
        self.assertTrue(wait_for(lambda: not marked(mark), 10), f"left over: {marked(mark)}")


def marked(mark):
    """Processes that have the mark in their environment."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/environ"):
        try:
            if mark.encode() in path.read_bytes():
                found.append(int(path.parent.name))
        except OSError:
            pass
    return found


def wait_for(condition, seconds):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


class SearchTest(unittest.TestCase):
    """Problems solved and networks searched, through the program."""

    def test_a_shipped_problem_has_its_published_answer(self) -> None:
        answer = widthwise.solve("hawqv3_resnet18_size_0.5", front=3)
        self.assertEqual((answer.status, answer.gap), ("optimal", 0))
        self.assertAlmostEqual(answer.objective, 0.074505929638)
        self.assertEqual(answer.bits["layer1.0.conv1"], (8, 8))
        self.assertLessEqual(answer.budgets[0]["used"], answer.budgets[0]["limit"])
        self.assertEqual(len(answer.front), 3)

    def test_a_search_by_own_losses_is_confirmed_by_a_run(self) -> None:
        rows = [
            (layer, weight, activation, (2.0 ** -weight + 2.0 ** -activation) * share)
            for share, layer in enumerate(("conv1", "conv2", "conv3", "fc"), 1)
            for weight in (4, 8)
            for activation in (4, 8)
        ]
        text = "layer,weight_bits,activation_bits,loss\n"
        text += "".join(f"{a},{b},{c},{d!r}\n" for a, b, c, d in rows)
        losses = widthwise.CostTable.parse(text)
        answer = widthwise.search(
            "bitfusion_16x32", "tiny_cnn", {"energy_pj": ("w8a8", 0.95)}, losses=losses,
            weight_bits=(4, 8), activation_bits=(4, 8), pins={"@last": "w8a8"},
        )
        self.assertEqual((answer.status, answer.confirmed), ("optimal", True))
        self.assertEqual(answer.bits["fc"], (8, 8))
        run = widthwise.run("bitfusion_16x32", "tiny_cnn", answer.bits)
        self.assertAlmostEqual(run.energy_pj, answer.raw["rounds"][-1]["energy_pj"]["simulated"])
        self.assertLessEqual(run.energy_pj, answer.budgets[0]["limit"])
        none = widthwise.search(
            "bitfusion_16x32", "tiny_cnn", {"latency_cycles": 1}, losses=losses,
            weight_bits=(4, 8), activation_bits=(4, 8),
        )
        self.assertEqual((none.status, none.found, none.objective), ("infeasible", False, None))
        self.assertGreater(none.raw["shortfall"]["misses"][0]["over"], 0)

    def test_a_search_without_losses_says_what_it_needs(self) -> None:
        with self.assertRaises(widthwise.InputError) as caught:
            widthwise.search("bitfusion_16x32", "tiny_cnn", {"latency_cycles": 1000})
        self.assertIn("ONNX", str(caught.exception))


if __name__ == "__main__":
    unittest.main()
