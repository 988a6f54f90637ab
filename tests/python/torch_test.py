"""Costs in PyTorch: the same values and gradients as in C++, at and between rows of any table."""

import copy
import itertools
import pickle
import random
import sys
import time
import unittest

SKIPPED = 77
try:
    import torch
except ImportError:
    print("python3-torch is missing")
    sys.exit(SKIPPED)

import numpy
import widthwise
from widthwise.torch import ChannelHardwareCost, HardwareCost, budget_loss

WIDTHS = (2, 3, 4, 6, 8)


def random_table(network, stored=False, homes=False, equal=False, widths=WIDTHS):
    """Random figures at all places that a layer of the network can be at.

    `equal`: the two widths of a layer are the same in all rows. `homes`: a scratchpad so small that
    some of the tensors stay in DRAM.
    """
    numbers = random.Random(1)
    columns = ["layer", "kind", "weight_bits", "activation_bits"]
    if stored:
        columns += ["stored_input_bits", "stored_second_bits", "stored_output_bits"]
    if homes:
        columns += ["input_on_chip", "second_on_chip", "output_on_chip"]
    lines = [",".join([*columns, "latency_cycles", "energy_pj"])]
    for layer in network.layers:
        second = layer.kind == "matmul"
        for activation in widths:
            wider = [width for width in widths if width >= activation]
            axes = [widths if layer.weights and layer.has_macs and not equal else [activation]]
            axes.append([activation])
            if stored:
                axes += [wider, wider if second else [0], widths]
            if homes:
                axes += [(0, 1), (0, 1) if second else [0], (0, 1)]
            for place in itertools.product(*axes):
                figures = (numbers.uniform(1, 1000), numbers.uniform(1, 1e6))
                lines.append(",".join(map(str, (layer.name, layer.kind, *place, *figures))))
    provenance = "# scratchpad_bytes: 900\n" if homes else ""
    return widthwise.CostTable.parse(provenance + "\n".join(lines) + "\n")


def places(count, seed, widths=WIDTHS):
    """Widths between rows, at rows, the same for all layers, and outside of the table."""
    numbers = numpy.random.default_rng(seed)
    for _ in range(20):
        yield numbers.uniform(1, 9, count), numbers.uniform(1, 9, count)
        yield numbers.choice(widths, count) * 1.0, numbers.choice(widths, count) * 1.0
        same = numpy.full(count, numbers.choice((1.5, 2, 3.25, 4, 8, 9)))
        yield same, same.copy()


def evaluated(cost, weight_bits, activation_bits, dtype=torch.float64):
    weights = torch.tensor(weight_bits, dtype=dtype, requires_grad=True)
    activations = torch.tensor(activation_bits, dtype=dtype, requires_grad=True)
    value = cost(weights, activations)
    value.backward()
    return value.item(), weights.grad.numpy(), activations.grad.numpy()


def kept_off_rows(values):
    """Moved to where the interpolation has no kink."""
    return numpy.floor(values * 4) / 4 + 0.1


class SameAsTheModels(unittest.TestCase):
    def compare(self, table, network, metric, widths=WIDTHS):
        in_torch = HardwareCost(table, network, metric)
        in_models = widthwise.FractionalCost(table, network, metric)
        self.assertEqual(list(in_torch.variables), in_models.variables)
        for weights, activations in places(len(in_torch.variables), 7, widths):
            with self.subTest(metric=metric, weights=weights, activations=activations):
                value, by_weight, by_activation = in_models.gradient(weights, activations)
                found = evaluated(in_torch, weights, activations)
                scale = max(abs(value), 1)
                self.assertAlmostEqual(found[0] / scale, value / scale, places=12)
                numpy.testing.assert_allclose(found[1], by_weight, atol=1e-10 * scale)
                numpy.testing.assert_allclose(found[2], by_activation, atol=1e-10 * scale)

    def test_plain_tables(self):
        for name in ("tiny_cnn", "tiny_transformer"):
            network = widthwise.Network(name)
            table = random_table(network)
            self.compare(table, network, "latency_cycles")
            self.compare(table, network, "energy_pj")

    def test_tables_whose_layers_have_equal_widths(self):
        for name in ("tiny_cnn", "tiny_transformer"):
            network = widthwise.Network(name)
            self.compare(random_table(network, equal=True), network, "latency_cycles")
            table = random_table(network, equal=True, stored=True)
            self.compare(table, network, "latency_cycles")

    def test_tables_by_stored_widths(self):
        for name in ("tiny_cnn", "tiny_transformer"):
            network = widthwise.Network(name)
            self.compare(random_table(network, stored=True), network, "latency_cycles")

    def test_tables_with_a_scratchpad(self):
        for name in ("tiny_cnn", "tiny_transformer"):
            network = widthwise.Network(name)
            table = random_table(network, stored=True, homes=True)
            self.compare(table, network, "latency_cycles")

    def test_tables_without_their_network(self):
        self.compare(random_table(widthwise.Network("tiny_cnn")), None, "latency_cycles")

    def test_measured_tables_that_are_shipped(self):
        layers = widthwise.CostTable.load("hawqv3_resnet18_t4")
        self.compare(layers, "resnet18", "latency_ms", (4, 8))
        self.compare(layers, None, "latency_ms", (4, 8))
        whole = widthwise.CostTable.load("cutlass_lm_t4")
        self.compare(whole, None, "latency_ms", (1, 4, 8))
        self.compare(whole, "pbatch_lstm_2048", "latency_ms", (1, 4, 8))

    def test_generated_tables(self):
        for machine, stored in itertools.product(("bismo_edge_8x8", "eyeriss_like"), (False, True)):
            table = widthwise.cost_table(
                machine, "tiny_cnn", (2, 4, 8), (2, 4, 8), fidelity="analytic", stored=stored
            )
            self.compare(table, "tiny_cnn", "weight_bytes", (2, 4, 8))
            self.compare(table, "tiny_cnn", "bitops", (2, 4, 8))
        pruned = widthwise.cost_table(
            "bismo_edge_8x8", "tiny_cnn", (2, 4), (2, 4), fidelity="analytic", channel_steps=2
        )
        self.assertIn("output_share", pruned.axes)
        self.compare(pruned, "tiny_cnn", "latency_cycles", (2, 4))

    def test_at_whole_widths_the_cost_is_the_tables(self):
        network = widthwise.Network("tiny_cnn")
        table = random_table(network)
        cost = HardwareCost(table, network)
        for weight, activation in itertools.product(WIDTHS, WIDTHS):
            value = cost(torch.full((4,), weight * 1.0), torch.full((4,), activation * 1.0))
            total = table.cost(network, f"w{weight}a{activation}")["latency_cycles"]
            self.assertAlmostEqual(value.item() / total, 1, places=6)


class AsAModule(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.network = widthwise.Network("tiny_cnn")
        cls.table = random_table(cls.network, stored=True)

    def test_autograd_agrees_with_differences(self):
        for table in (self.table, random_table(self.network, stored=True, homes=True)):
            cost = HardwareCost(table, self.network, "latency_cycles", scale=0.01)
            for seed in range(3):
                numbers = numpy.random.default_rng(seed)
                # Different from each other: where readers of a tensor tie there is a kink, too.
                widths = [
                    torch.tensor(kept_off_rows(numbers.uniform(2, 7.5, 4)) + 0.01 * numpy.arange(4))
                    for _ in range(2)
                ]
                for bits in widths:
                    bits.requires_grad_()
                self.assertTrue(torch.autograd.gradcheck(cost, widths))

    def test_types(self):
        cost = HardwareCost(self.table, self.network)
        self.assertEqual(cost(torch.full((4,), 3.0), torch.full((4,), 5.0)).dtype, torch.float32)
        exact = evaluated(cost, [2.5] * 4, [3.5] * 4)
        single = evaluated(cost, [2.5] * 4, [3.5] * 4, torch.float32)
        for a, b in zip(exact, single):
            numpy.testing.assert_allclose(b, a, rtol=1e-5)
        # Half precision has no room for cycles.
        half = torch.full((4,), 2.5, dtype=torch.float16, requires_grad=True)
        value = cost(half, torch.full((4,), 3.5, dtype=torch.bfloat16))
        self.assertEqual(value.dtype, torch.float32)
        self.assertAlmostEqual(value.item() / exact[0], 1, places=5)
        value.backward()
        self.assertEqual(half.grad.dtype, torch.float16)

    def test_a_model_with_it_can_be_copied_cast_and_saved(self):
        cost = HardwareCost(self.table, self.network, scale=2.0)
        bits = torch.full((4,), 3.5)
        before = cost(bits, bits)
        copied = copy.deepcopy(torch.nn.ModuleList([cost]).half())[0]
        self.assertEqual(copied(bits, bits), before)
        self.assertEqual(pickle.loads(pickle.dumps(cost))(bits, bits), before)
        on_chip = HardwareCost(random_table(self.network, True, True), self.network)
        self.assertEqual(copy.deepcopy(on_chip)(bits, bits), on_chip(bits, bits))
        self.assertEqual(list(cost.parameters()) + list(cost.state_dict()), [])

    def test_scale(self):
        bits = torch.full((4,), 3.5)
        once = HardwareCost(self.table, self.network)(bits, bits)
        half = HardwareCost(self.table, self.network, scale=0.5)(bits, bits)
        self.assertEqual(half, 0.5 * once)

    def test_mistakes_are_named(self):
        cost = HardwareCost(self.table, self.network)
        with self.assertRaisesRegex(ValueError, r"weight_bits: expected a tensor of 4 widths"):
            cost(torch.zeros(3), torch.zeros(4))
        with self.assertRaisesRegex(ValueError, r"activation_bits: .* the shape \(4, 1\)"):
            cost(torch.zeros(4), torch.zeros(4, 1))
        with self.assertRaisesRegex(widthwise.InputError, "'latency_cycles', 'energy_pj'"):
            HardwareCost(self.table, self.network, "latency")
        with self.assertRaisesRegex(widthwise.InputError, "without its network"):
            HardwareCost(self.table)

    def test_a_budget_pulls_from_both_sides(self):
        for value, slope in ((150.0, 0.02), (50.0, -0.02)):
            cost = torch.tensor(value, requires_grad=True)
            loss = budget_loss(cost, 100, kappa=2)
            loss.backward()
            self.assertAlmostEqual(loss.item(), 1)
            self.assertAlmostEqual(cost.grad.item(), slope)
        with self.assertRaisesRegex(ValueError, "target"):
            budget_loss(torch.tensor(1.0), 0)

    def test_time_of_a_step_is_printed(self):
        network = widthwise.Network("mobilenet_v2")
        for stored in (False, True):
            cost = HardwareCost(random_table(network, stored), network)
            bits = [torch.full((len(cost.variables),), 4.5, requires_grad=True) for _ in range(2)]
            times = []
            for _ in range(100):
                begin = time.perf_counter()
                cost(*bits).backward()
                times.append(time.perf_counter() - begin)
            print(
                f"{len(cost.variables)} layers{' by stored widths' if stored else ''}: "
                f"forward and backward {sorted(times)[50] * 1e3:.2f} ms"
            )


class ByChannel(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.network = widthwise.Network("tiny_cnn")
        cls.cost = ChannelHardwareCost(random_table(cls.network, stored=True), cls.network)

    def test_alike_channels_cost_what_their_layer_does(self):
        by_layer = HardwareCost(random_table(self.network, stored=True), self.network)
        weights = torch.tensor([2.5, 3.5, 5.0, 7.0])
        activations = torch.tensor([2.0, 4.5, 6.5, 8.0])
        channels = [torch.full((n,), w.item()) for n, w in zip(self.cost.channels, weights)]
        # Rows at 2, 3, 4, 6, 8 bits: a channel of 5 bits is half one of 4 and half one of 6.
        self.assertAlmostEqual(
            self.cost(channels, activations).item() / by_layer(weights, activations).item(),
            1,
            places=5,
        )

    def test_autograd_agrees_with_differences(self):
        numbers = numpy.random.default_rng(1)
        channels = [
            torch.tensor(kept_off_rows(numbers.uniform(0, 7, n))) for n in self.cost.channels
        ]
        activations = torch.tensor([2.3, 4.6, 6.9, 3.2], dtype=torch.float64)
        tensors = [*channels, activations]
        for tensor in tensors:
            tensor.requires_grad_()
        self.assertTrue(
            torch.autograd.gradcheck(lambda *parts: self.cost(parts[:-1], parts[-1]) / 100, tensors)
        )

    def test_values_and_gradients_are_the_models(self):
        models = widthwise.ChannelCost(random_table(self.network, stored=True), self.network)
        channels = [torch.full((n,), 3.5, requires_grad=True) for n in self.cost.channels]
        activations = torch.full((4,), 4.5, requires_grad=True)
        self.cost(channels, activations).backward()
        _, by_channel, by_activation = models.gradient(
            [bits.detach().numpy() for bits in channels], activations.detach().numpy()
        )
        for bits, expected in zip(channels, by_channel):
            numpy.testing.assert_allclose(bits.grad, expected, rtol=1e-5)
        numpy.testing.assert_allclose(activations.grad, by_activation, rtol=1e-5)

    def test_mistakes_are_named(self):
        with self.assertRaisesRegex(widthwise.InputError, "expected 4 arrays"):
            self.cost([torch.zeros(4)], torch.zeros(4))
        with self.assertRaisesRegex(ValueError, "activation_bits: expected a tensor of 4 widths"):
            self.cost([torch.zeros(n) for n in self.cost.channels], torch.zeros(3))


if __name__ == "__main__":
    unittest.main()
