"""Trains a quantized network on Fashion-MNIST within a latency budget, and simulates the outcome.

    python3 python/examples/fashion_mnist.py --budget 0.6 --accelerator bismo_edge_8x8

Every layer has a fractional width of its weights and one of its input activations, trained together
with the weights as FracBits does (arXiv 2007.02017): weights as in DoReFa, activations as in PACT,
and a term of the loss that pulls the latency towards the budget. At 80 % of the steps all widths
are moved by one common offset, which bisection finds, so that the rounded ones keep the budget;
then they are frozen and the rest of the steps fine-tunes the weights.

The latency comes from a table of the accelerator by stored widths, so that the last line, a
simulation of the frozen network, has to say the same.

Different from the paper: the first and the last layer are searched, too; widths and weights are
trained by Adam; the budget may not be exceeded, where the paper allows one per cent. The last layer
quantizes averages of values that are not quantized themselves.
"""

import argparse
import gzip
import pathlib
import tempfile

import numpy
import torch
import widthwise
from torch import nn
from torch.nn import functional
from widthwise.torch import HardwareCost, budget_loss

DATA = pathlib.Path("/usr/share/datasets/fashion-mnist")  # of Debian's dataset-fashion-mnist
LEAST_BITS, MOST_BITS = 2, 8
BATCH = 128
SEARCH_SHARE = 0.8  # of the steps, before the widths are rounded


class FractionalQuantization(torch.autograd.Function):
    """Values in [0, 1] between their quantizations to floor(bits) and one bit more."""

    @staticmethod
    def forward(ctx, values, bits):
        low = bits.floor()
        coarse = on_grid(values, low)
        if bits == low and not ctx.needs_input_grad[1]:
            return coarse
        difference = on_grid(values, low + 1) - coarse
        ctx.save_for_backward(difference)
        return coarse + (bits - low) * difference

    @staticmethod
    def backward(ctx, gradient):
        by_bits = (gradient * ctx.saved_tensors[0]).sum() if ctx.needs_input_grad[1] else None
        return gradient, by_bits  # straight through the rounding


def on_grid(values, bits):
    steps = 2**bits - 1
    return (values * steps).round() / steps


class Quantized(nn.Module):
    """What layers with weights have in common: two fractional widths, and a clip of their input."""

    def __init__(self, *arguments, clip, **settings):
        super().__init__(*arguments, **settings)
        self.clip = nn.Parameter(torch.tensor(clip))
        self.weight_bits = nn.Parameter(torch.tensor(MOST_BITS - 0.5))
        self.activation_bits = nn.Parameter(torch.tensor(MOST_BITS - 0.5))
        self.exact = False  # while the network's shape is exported

    def operands(self, values):
        """What the layer multiplies: activations, none below 0, and weights."""
        if self.exact:
            return values, self.weight
        clip = self.clip.abs()
        unit = values.minimum(clip) / clip
        activations = clip * FractionalQuantization.apply(unit, self.activation_bits)
        squashed = self.weight.tanh()
        unit = squashed / (2 * squashed.detach().abs().max()) + 0.5
        weights = 2 * FractionalQuantization.apply(unit, self.weight_bits) - 1
        # As varied as the weights that a layer of this shape starts with.
        fan_out = weights.shape[0] * weights[0, 0].numel()
        return activations, weights / (weights.detach().std() * fan_out**0.5)


class Convolution(Quantized, nn.Conv2d):
    def forward(self, values):
        return self._conv_forward(*self.operands(values), self.bias)


class FullyConnected(Quantized, nn.Linear):
    def forward(self, values):
        return functional.linear(*self.operands(values), self.bias)


class Net(nn.Module):
    """Three convolutions and a fully connected layer."""

    def __init__(self):
        super().__init__()
        self.conv1 = Convolution(1, 16, 3, padding=1, bias=False, clip=1.0)  # images lie in [0, 1]
        self.norm1 = nn.BatchNorm2d(16, momentum=0.3)
        self.conv2 = Convolution(16, 32, 3, padding=1, bias=False, clip=4.0)
        self.norm2 = nn.BatchNorm2d(32, momentum=0.3)
        self.conv3 = Convolution(32, 64, 3, padding=1, bias=False, clip=4.0)
        self.norm3 = nn.BatchNorm2d(64, momentum=0.3)
        self.fc = FullyConnected(64, 10, clip=4.0)

    def forward(self, images):
        values = functional.max_pool2d(self.norm1(self.conv1(images)), 2).relu()
        values = functional.max_pool2d(self.norm2(self.conv2(values)), 2).relu()
        values = self.norm3(self.conv3(values)).relu()
        return self.fc(functional.adaptive_avg_pool2d(values, 1).flatten(1))

    def layers(self):
        """The layers that have widths, by name."""
        return {name: part for name, part in self.named_modules() if isinstance(part, Quantized)}

    def widths(self):
        """Weight and activation widths, as HardwareCost takes them."""
        layers = self.layers().values()
        return (
            torch.stack([layer.weight_bits for layer in layers]),
            torch.stack([layer.activation_bits for layer in layers]),
        )

    def export(self, path):
        """Writes what is computed, without quantization: widths are given to the models apart."""
        for layer in self.layers().values():
            layer.exact = True
        torch.onnx.export(self.eval(), torch.zeros(1, 1, 28, 28), str(path), opset_version=13)
        for layer in self.layers().values():
            layer.exact = False
        self.train()


def read_images(folder, part):
    """Images in [0, 1] and their classes, from the files of the data set (IDX)."""
    with gzip.open(folder / f"{part}-images-idx3-ubyte.gz") as file:
        pixels = numpy.frombuffer(file.read(), numpy.uint8, offset=16).reshape(-1, 1, 28, 28)
    with gzip.open(folder / f"{part}-labels-idx1-ubyte.gz") as file:
        classes = numpy.frombuffer(file.read(), numpy.uint8, offset=8)
    return torch.tensor(pixels / numpy.float32(255)), torch.tensor(classes.astype(numpy.int64))


@torch.no_grad()
def accuracy(net, images, classes):
    net.eval()
    parts = zip(images.split(1000), classes.split(1000))
    right = sum((net(some).argmax(1) == those).sum().item() for some, those in parts)
    net.train()
    return right / len(classes)


@torch.no_grad()
def round_widths(net, cost, target):
    """Rounds all widths after the greatest common offset with which they keep the budget."""

    def rounded(offset):
        return [(bits + offset).round().clamp(LEAST_BITS, MOST_BITS) for bits in net.widths()]

    low, high = float(LEAST_BITS - MOST_BITS), 1.0
    if cost(*rounded(low)) > target:
        raise SystemExit(f"{LEAST_BITS} bits everywhere take more than the budget")
    for _ in range(20):
        middle = (low + high) / 2
        low, high = (middle, high) if cost(*rounded(middle)) <= target else (low, middle)
    for layer, weight_bits, activation_bits in zip(net.layers().values(), *rounded(low)):
        layer.weight_bits.copy_(weight_bits).requires_grad_(False)
        layer.activation_bits.copy_(activation_bits).requires_grad_(False)


def train(net, cost, target, data, options):
    """One run: search, rounding, fine-tuning."""
    images, classes = (part[: options.images] for part in data["train"])
    layers = net.layers().values()
    widths = [bits for layer in layers for bits in (layer.weight_bits, layer.activation_bits)]
    searched = set(widths)
    others = [parameter for parameter in net.parameters() if parameter not in searched]
    optimizer = torch.optim.Adam([{"params": others}, {"params": widths, "lr": 0.05}], lr=2e-3)
    batches = -(-len(images) // BATCH)
    steps = options.epochs * batches
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for step in range(steps):
        if step % batches == 0:
            order = torch.randperm(len(images)).split(BATCH)
            total = 0.0
        if step == int(SEARCH_SHARE * steps):
            round_widths(net, cost, target)
        searching = step < int(SEARCH_SHARE * steps)

        chosen = order[step % batches]
        loss = functional.cross_entropy(net(images[chosen]), classes[chosen])
        if searching:
            loss = loss + budget_loss(cost(*net.widths()), target)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
        if searching:
            with torch.no_grad():
                for bits in widths:
                    bits.clamp_(LEAST_BITS, MOST_BITS)

        total += loss.item()
        if (step + 1) % batches == 0:
            latency = cost(*net.widths()).item()
            print(
                f"epoch {step // batches + 1}: loss {total / batches:.3f}, "
                f"accuracy {accuracy(net, *data['test']):.2%}, "
                f"latency {latency:,.0f} of {target:,.0f} cycles ({latency / target:.1%})",
                flush=True,
            )


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--images", type=int, default=30000, help="of the training set")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--budget", type=float, default=0.6, help="share of the latency at 8 bits")
    parser.add_argument("--accelerator", default="bismo_edge_8x8", help="a file or shipped name")
    parser.add_argument("--data", type=pathlib.Path, default=DATA, help="folder of the data set")
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    torch.set_num_threads(2)

    data = {"train": read_images(options.data, "train"), "test": read_images(options.data, "t10k")}
    net = Net()
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "fashion.onnx")
        net.export(path)
        network = widthwise.Network(path)
        widths = range(LEAST_BITS, MOST_BITS + 1)
        table = widthwise.cost_table(options.accelerator, network, widths, widths, stored=True)

        cost = HardwareCost(table, network, "latency_cycles")
        assert cost.variables == tuple(net.layers())
        eight_bits = table.cost(network, "w8a8")["latency_cycles"]
        target = options.budget * eight_bits
        print(f"{eight_bits:,.0f} cycles at 8 bits; budget {target:,.0f}")
        train(net, cost, target, data, options)

        bits = {
            name: (int(layer.weight_bits), int(layer.activation_bits))
            for name, layer in net.layers().items()
        }
        predicted = table.cost(network, bits)["latency_cycles"]
        report = widthwise.run(options.accelerator, network, bits, fidelity="tile")
    print("widths    " + ", ".join(f"{name} w{w}a{a}" for name, (w, a) in bits.items()))
    print(f"accuracy  {accuracy(net, *data['test']):.2%}")
    print(f"predicted {predicted:,.0f} cycles, {predicted / target:.1%} of the budget")
    print(f"simulated {report.latency_cycles:,} cycles, {report.latency_s * 1e3:.3f} ms")


if __name__ == "__main__":
    main()
