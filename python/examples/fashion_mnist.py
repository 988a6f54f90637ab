"""Trains a quantized network on Fashion-MNIST within a latency budget, and simulates what comes out.

    python3 python/examples/fashion_mnist.py --budget 0.6 --accelerator bismo_edge_8x8

Every layer has a fractional width of its weights and one of its input activations, trained together
with the weights as FracBits does (arXiv 2007.02017): weights as in DoReFa, activations as in PACT, and
a term of the loss that pulls the latency towards the budget. At 80 % of the steps all widths are moved
by one common offset, which bisection finds, so that the rounded ones keep the budget; then they are
frozen and the rest of the steps fine-tunes the weights.

The latency comes from a table of the accelerator by stored widths, so that the last line, a simulation
of the frozen network, has to say the same.

Different from the paper: the first and the last layer are searched, too; widths and weights are
trained by Adam; the budget may not be exceeded, where the paper allows one per cent.
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


def quantized_weights(weights, bits):
    """DoReFa's, rescaled to the variance that a layer of their shape starts with."""
    squashed = weights.tanh()
    unit = squashed / (2 * squashed.detach().abs().max()) + 0.5
    quantized = 2 * FractionalQuantization.apply(unit, bits) - 1
    fan_out = weights.shape[0] * weights[0, 0].numel()
    return quantized / (quantized.detach().std() * fan_out**0.5)


def quantized_activations(values, clip, bits):
    """PACT's: clipped at a value that is learned."""
    clip = clip.abs()
    return clip * FractionalQuantization.apply(values.relu().minimum(clip) / clip, bits)


class Net(nn.Module):
    """Three convolutions and a fully connected layer, quantized unless it is being exported."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(16)
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(32)
        self.conv3 = nn.Conv2d(32, 64, 3, padding=1, bias=False)
        self.norm3 = nn.BatchNorm2d(64)
        self.fc = nn.Linear(64, 10)
        self.quantized = True

        layers = (self.conv1, self.conv2, self.conv3, self.fc)
        self.layer_names = [name for name, module in self.named_modules() if module in layers]
        self.clips = nn.Parameter(torch.tensor([1.0, 4.0, 4.0, 4.0]))  # images lie in [0, 1]
        start = MOST_BITS - 0.5
        self.weight_bits = nn.Parameter(torch.full((len(layers),), start))
        self.activation_bits = nn.Parameter(torch.full((len(layers),), start))

    def operands(self, index, layer, values):
        """What a layer multiplies."""
        if not self.quantized:
            return (values.relu() if index else values), layer.weight
        return (
            quantized_activations(values, self.clips[index], self.activation_bits[index]),
            quantized_weights(layer.weight, self.weight_bits[index]),
        )

    def forward(self, images):
        values = functional.conv2d(*self.operands(0, self.conv1, images), padding=1)
        values = functional.max_pool2d(self.norm1(values), 2)
        values = functional.conv2d(*self.operands(1, self.conv2, values), padding=1)
        values = functional.max_pool2d(self.norm2(values), 2)
        values = functional.conv2d(*self.operands(2, self.conv3, values), padding=1)
        values = functional.adaptive_avg_pool2d(self.norm3(values), 1).flatten(1)
        return functional.linear(*self.operands(3, self.fc, values), self.fc.bias)

    def export(self, path):
        """Writes the network's shape and names; values of the weights play no part in its cost."""
        self.quantized = False
        was_training = self.training
        torch.onnx.export(self.eval(), torch.zeros(1, 1, 28, 28), str(path), opset_version=13)
        self.train(was_training)
        self.quantized = True


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

    def rounded(bits, offset):
        return (bits + offset).round().clamp(LEAST_BITS, MOST_BITS)

    def latency(offset):
        return cost(rounded(net.weight_bits, offset), rounded(net.activation_bits, offset))

    low, high = float(LEAST_BITS - MOST_BITS), 1.0
    if latency(low) > target:
        raise SystemExit(f"{LEAST_BITS} bits everywhere take more than the budget")
    for _ in range(20):
        middle = (low + high) / 2
        low, high = (middle, high) if latency(middle) <= target else (low, middle)
    for bits in (net.weight_bits, net.activation_bits):
        bits.copy_(rounded(bits, low))
        bits.requires_grad_(False)


def train(net, cost, target, data, options):
    """One run: search, rounding, fine-tuning."""
    images, classes = (part[: options.images] for part in data["train"])
    widths = [net.weight_bits, net.activation_bits]
    others = [parameter for parameter in net.parameters() if all(parameter is not w for w in widths)]
    optimizer = torch.optim.Adam([{"params": others}, {"params": widths, "lr": 0.05}], lr=2e-3)
    batches = -(-len(images) // BATCH)
    steps = options.epochs * batches
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    step = 0
    for epoch in range(1, options.epochs + 1):
        total = 0.0
        for chosen in torch.randperm(len(images)).split(BATCH):
            if step == int(SEARCH_SHARE * steps):
                round_widths(net, cost, target)
            searching = net.weight_bits.requires_grad
            loss = functional.cross_entropy(net(images[chosen]), classes[chosen])
            if searching:
                loss = loss + budget_loss(cost(*widths), target)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            schedule.step()
            if searching:
                with torch.no_grad():
                    for bits in widths:
                        bits.clamp_(LEAST_BITS, MOST_BITS)
            total += loss.item()
            step += 1
        latency = cost(*widths).item()
        print(
            f"epoch {epoch}: loss {total / batches:.3f}, "
            f"accuracy {accuracy(net, *data['test']):.2%}, "
            f"latency {latency:,.0f} of {target:,.0f} cycles ({latency / target:.1%})",
            flush=True,
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--images", type=int, default=60000, help="of the training set")
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
        assert list(cost.variables) == net.layer_names
        eight_bits = table.cost(network, "w8a8")["latency_cycles"]
        target = options.budget * eight_bits
        print(f"{eight_bits:,.0f} cycles at 8 bits; budget {target:,.0f}")
        train(net, cost, target, data, options)

        bits = {
            name: (int(weight), int(activation))
            for name, weight, activation in zip(
                net.layer_names, net.weight_bits.tolist(), net.activation_bits.tolist()
            )
        }
        predicted = table.cost(network, bits)["latency_cycles"]
        report = widthwise.run(options.accelerator, network, bits, fidelity="tile")
    print("widths    " + ", ".join(f"{name} w{w}a{a}" for name, (w, a) in bits.items()))
    print(f"accuracy  {accuracy(net, *data['test']):.2%}")
    print(f"predicted {predicted:,.0f} cycles, {predicted / target:.1%} of the budget")
    print(f"simulated {report.latency_cycles:,} cycles, {report.latency_s * 1e3:.3f} ms")


if __name__ == "__main__":
    main()
