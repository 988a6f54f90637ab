"""Shipped machines against published figures."""

import random

from runs import Run, cycles, dram_bits, energy_pj, rows_of
from text import (
    bullets,
    command,
    count,
    figure,
    geometric_mean,
    percent,
    ratio,
    share,
    table,
    wrapped,
)

HERE = "tests/validation"
CONSTANTS = f"energy={HERE}/energy/bitfusion_comparison.yaml"


def up(value, step):
    return -(-value // step)


def claim(machine, quantity, condition):
    for row in rows_of("published_claims.csv"):
        if (row["machine"], row["quantity"], row["condition"]) == (machine, quantity, condition):
            return float(row["value"])
    raise KeyError((machine, quantity, condition))


def outside(value, least, most):
    """Whether an error is beyond its bound."""
    return not least <= value <= most


# --- Bit Fusion and its comparison with Eyeriss ---------------------------------------------------

# As published: network on Bit Fusion, its widths, network on Eyeriss.
NETWORKS = {
    "AlexNet": ("bitfusion_alexnet_2x", "alexnet", "eyeriss_alexnet"),
    "SVHN": ("bitfusion_svhn", "svhn", "bitfusion_svhn"),
    "CIFAR10": ("bitfusion_cifar10", "cifar10", "bitfusion_cifar10"),
    "LeNet-5": ("bitfusion_lenet5", "lenet5", "bitfusion_lenet5"),
    "VGG-7": ("bitfusion_vgg7", "vgg7", "bitfusion_vgg7"),
    "RESNET-18": ("bitfusion_resnet18_2x", "resnet18", "eyeriss_resnet18"),
    "RNN": ("bitfusion_rnn", "rnn", "bitfusion_rnn"),
    "LSTM": ("bitfusion_lstm", "lstm", "bitfusion_lstm"),
}
SEEN = ("SVHN", "CIFAR10", "LeNet-5", "RNN", "LSTM")  # while the machine was made
AS_COMPARED = (
    CONSTANTS,
    "memory.dram.technology=eyeriss_paper",
    "engine.rows=16",
    "engine.columns=16",
)
# Bit Fusion and Stripes on one area of array and the memories of bf_s_conf.ini.
SAME_MEMORY = (
    "clock=980 MHz",
    "memory.dram.bandwidth=4096 bit/cycle",
    "memory.dram.latency=0 cycles",
    "memory.dram.burst=1 B",
    "memory.dram.technology=bitfusion_paper",
    "memory.input_buffer.capacity=128 KiB",
    "memory.weight_buffer.capacity=128 KiB",
    "memory.output_buffer.capacity=128 KiB",
)
STRIPES = (
    "engine.rows=17",
    "engine.columns=16",
    "engine.tiles=1",
    "post_processing.lanes=32",
)


def network_path(name):
    return f"{HERE}/networks/{name}.yaml"


def bits_path(name):
    return f"{HERE}/assignments/{name}.yaml"


def layer_name(row):
    parts = row["layer"].split("/")
    return parts[-2]


def with_macs(report):
    return [layer["name"] for layer in report.layers if layer["macs"]]


class BitFusion:
    BOUND = (-0.10, 0.02)
    ENERGY_BOUND = (-0.20, 0.02)
    HEADLINE = 0.25

    def __init__(self, runner, short):
        self.names = list(SEEN[:3] if short else NETWORKS)
        self.published = {name: [] for name in NETWORKS}
        for row in rows_of("bitfusion_layers.csv") + rows_of("bitfusion_wide_layers.csv"):
            self.published[row["network"]].append(row)
        self.eyeriss = {name: [0, 0.0] for name in NETWORKS}
        for row in rows_of("eyeriss_layers.csv"):
            sums = self.eyeriss[row["network"]]
            sums[0] += int(row["cycles"])
            units = sum(float(row[key]) for key in ("alu", "buffer", "array", "register_file"))
            sums[1] += (units + 0.15 * float(row["dram"])) * 16 * 0.2
        self.runs = {}
        for name in self.names:
            fusion, widths, eyeriss = NETWORKS[name]
            ours = Run("bitfusion_16x32", network_path(fusion), bits_path(f"bitfusion_{widths}"))
            theirs = Run("eyeriss_like", network_path(eyeriss), bits_path("eyeriss"))
            wide = Run(
                "bitfusion_16x32", ours.network, ours.bits, settings=SAME_MEMORY
            )
            stripes = Run(
                "stripes_16x16",
                ours.network,
                bits_path(f"stripes_{widths}"),
                settings=SAME_MEMORY + STRIPES,
            )
            self.runs[name] = {
                "ours": runner.submit(ours),
                "constants": runner.submit(
                    Run(ours.accelerator, ours.network, ours.bits, settings=(CONSTANTS,))
                ),
                "eyeriss": runner.submit(theirs),
                "compared": runner.submit(
                    Run(
                        theirs.accelerator,
                        theirs.network,
                        theirs.bits,
                        settings=AS_COMPARED,
                        ideal_memory=True,
                    )
                ),
                "wide": runner.submit(wide),
                "stripes": runner.submit(stripes),
            }

    def report(self, network, which):
        return self.runs[network][which].result()

    def total(self, network, which, what):
        report = self.report(network, which)
        return report.sum(with_macs(report), what)

    def published_total(self, network, *keys):
        return sum(float(row[key]) for row in self.published[network] for key in keys)

    def render(self, document):
        self.render_layers(document)
        self.render_networks(document)
        self.render_eyeriss(document)
        self.render_stripes(document)

    def render_layers(self, document):
        document.heading("Bit Fusion's layers", 3)
        document.add(
            wrapped(
                "Results of Bit Fusion's published simulator (`bitfusion_layers.csv`, "
                "`bitfusion_wide_layers.csv`): 16 x 32 units, 500 MHz, 192 bit/cycle of DRAM, buffers of "
                "64, 32 and 16 KiB, batch 16. Ours at tile, on the same shapes and widths; DRAM is read "
                "and written together. A row is a layer of"
            ),
            command(
                "widthwise run -a bitfusion_16x32 -n tests/validation/networks/bitfusion_NETWORK.yaml",
                "--bits tests/validation/assignments/bitfusion_NETWORK.yaml",
            ),
        )
        rows, errors = [], []
        for name in self.names:
            report = self.report(name, "ours")
            for row in self.published[name]:
                layer = report.by_name[layer_name(row)]
                seen = int(row["cycles"])
                bits = int(row["dram_rd_bits"]) + int(row["dram_wr_bits"])
                errors.append(cycles(layer) / seen - 1)
                rows.append(
                    [
                        name,
                        layer_name(row),
                        f"w{row['w_bits']}a{row['a_bits']}",
                        count(seen),
                        count(cycles(layer)),
                        ratio(cycles(layer) / seen),
                        f"{bits / 8e6:.3f}",
                        ratio(dram_bits(layer) / bits),
                    ]
                )
        document.add(
            table(
                ["network", "layer", "bits", "published", "ours", "ratio", "DRAM, MB", "ratio"],
                rows,
                left=3,
            )
        )
        above = [
            f"{row[0]} {row[1]}" for row, error in zip(rows, errors) if error > self.BOUND[1]
        ]
        document.summarize("Bit Fusion, published layers, cycles", errors, "+2 %", above)
        document.add(
            bullets(
                [
                    "Below 1: the published simulator looks at tiles of powers of two only and charges edge "
                    "tiles as full ones, which costs it most on AlexNet's and ResNet's 14 x 14 layers, on "
                    "LSTM and on layers of 10 outputs (`fc8`, `fc2`). LeNet's `conv1` has the same cycles "
                    "with less traffic.",
                    "The machine's conventions (sums of 32 bits to and from DRAM, fetched padding, what is "
                    "unrolled) were read off the layers of SVHN, CIFAR10, LeNet-5, RNN and LSTM; those of "
                    "AlexNet, VGG-7 and RESNET-18 were compared afterwards.",
                ]
            )
        )

    def render_networks(self, document):
        document.heading("Bit Fusion's networks", 3)
        document.add(
            wrapped(
                "The same by network, with energy at the published constants "
                "(`--set energy=tests/validation/energy/bitfusion_comparison.yaml`; dynamic energy only), "
                "so that what is compared is how often each thing happens."
            )
        )
        rows, errors, energies, broken, broken_energy = [], [], [], [], []
        for name in self.names:
            seen = self.published_total(name, "cycles")
            traffic = self.published_total(name, "dram_rd_bits", "dram_wr_bits")
            nanojoules = self.published_total(name, "energy_nJ_notebook_constants")
            ours = self.total(name, "ours", cycles)
            error = ours / seen - 1
            energy = self.total(name, "constants", energy_pj) / 1e3 / nanojoules - 1
            errors.append(error)
            energies.append(energy)
            if outside(error, *self.BOUND):
                broken.append(f"{name}: {percent(error)}")
            if outside(energy, *self.ENERGY_BOUND):
                broken_energy.append(f"{name}: {percent(energy)}")
            rows.append(
                [
                    name,
                    "conventions" if name in SEEN else "no",
                    count(int(seen)),
                    count(ours),
                    ratio(1 + error),
                    ratio(self.total(name, "ours", dram_bits) / traffic),
                    figure(nanojoules / 1e3),
                    ratio(1 + energy),
                ]
            )
        document.add(
            table(
                ["network", "used", "cycles", "ours", "ratio", "DRAM ratio", "energy, uJ", "ratio"],
                rows,
                left=2,
            )
        )
        document.summarize(
            "Bit Fusion, published networks, cycles", errors, "-10 % to +2 %", broken
        )
        document.summarize(
            "Bit Fusion, published networks, energy at its constants",
            energies,
            "-20 % to +2 %",
            broken_energy,
        )
        document.add(
            bullets(
                [
                    "Energy is low where traffic is, and by up to 15 % more: the published simulator counts "
                    "a read of the input buffer for every unit; here the units of a row share it, as in "
                    "the authors' RTL."
                ]
            )
        )

    def render_eyeriss(self, document):
        document.heading("Bit Fusion over Eyeriss", 3)
        document.add(
            wrapped(
                "The headline of the publication: 3.9 times the speed and 5.1 times the energy efficiency "
                "of Eyeriss at 45 nm, 500 MHz, batch 16. AlexNet and RESNET-18 are twice as wide on Bit "
                "Fusion (WRPN). Published: from per-layer results in the repository of Bit Fusion "
                "(`eyeriss_layers.csv`), whose means are these 3.9 and 5.1. *As compared*: both of our "
                "machines under the comparison's conditions, its energies, 16 x 16 units and no stalls of "
                "memory for Eyeriss. *Shipped*: `eyeriss_like` as it is, 12 x 14 units, 192 bit/cycle of "
                "DRAM, and energies of `nangate45.yaml` with leakage for both."
            ),
            command(
                "widthwise run -a eyeriss_like -n tests/validation/networks/NETWORK.yaml",
                "--bits tests/validation/assignments/eyeriss.yaml",
            ),
            "and as compared with\n\n",
            command("--ideal-memory", *[f"--set {setting}" for setting in AS_COMPARED]),
        )
        speed = {"published": [], "compared": [], "eyeriss": []}
        energy = {"published": [], "compared": [], "eyeriss": []}
        rows = []
        for name in self.names:
            ours = self.total(name, "ours", cycles)
            speed["published"].append(
                self.eyeriss[name][0] / self.published_total(name, "cycles")
            )
            energy["published"].append(
                self.eyeriss[name][1]
                / (1e3 * self.published_total(name, "energy_nJ_notebook_constants"))
            )
            for which, base in (("compared", "constants"), ("eyeriss", "ours")):
                speed[which].append(self.total(name, which, cycles) / ours)
                energy[which].append(
                    self.total(name, which, energy_pj) / self.total(name, base, energy_pj)
                )
            rows.append(
                [name]
                + [f"{found[-1]:.2f}" for found in speed.values()]
                + [f"{found[-1]:.2f}" for found in energy.values()]
            )
        means = [geometric_mean(found) for found in (*speed.values(), *energy.values())]
        rows.append(["**geometric mean**"] + [f"**{mean:.2f}**" for mean in means])
        document.add(
            table(
                [
                    "network",
                    "speed-up, published",
                    "as compared",
                    "shipped",
                    "energy, published",
                    "as compared",
                    "shipped",
                ],
                rows,
            )
        )
        errors = [means[1] / means[0] - 1, means[4] / means[3] - 1]
        document.summarize(
            "Bit Fusion over Eyeriss, geometric means as compared",
            errors,
            share(self.HEADLINE, 0),
            [
                f"{what}: {percent(error)}"
                for what, error in zip(("speed-up", "energy"), errors)
                if abs(error) > self.HEADLINE
            ],
        )
        each = [
            ours / theirs - 1
            for found in (speed, energy)
            for ours, theirs in zip(found["compared"], found["published"])
        ]
        document.summarize(
            "Bit Fusion over Eyeriss, each network as compared", each
        )
        document.add(
            bullets(
                [
                    "The baseline of the comparison does up to 256 MACs a cycle (RNN: 268,435,456 MACs in "
                    "1,048,576 cycles), so it is larger than the chip's 168 units, and its cycles have no "
                    "stalls of DRAM. Against 168 units the speed-up is larger than the published one.",
                    "As compared, our speed-up is smaller: rows of 3 x 3 and 11 x 11 kernels leave row-stationary "
                    "units idle (192 and 151 of 256 work), and output positions do not.",
                    "The comparison charges DRAM 6 pJ/bit on Eyeriss and 15 pJ/bit on Bit Fusion, and no "
                    "leakage; ours as compared does so too. Its energy for Bit Fusion has more reads of "
                    "the input buffer than ours (above), which is most of the difference in energy.",
                ]
            )
        )

    def render_stripes(self, document):
        document.heading("Bit Fusion over Stripes", 3)
        document.add(
            wrapped(
                "Published: 2.6 times the speed and 3.9 times the energy efficiency of Stripes at the same "
                "area and frequency. Here both at 980 MHz with 4096 bit/cycle of DRAM and buffers of 128 "
                "KiB (`bf_s_conf.ini` of its repository), Stripes with 17 x 16 units of 16 lanes "
                "(1.02 mm2 of units, as Bit Fusion's 512 units), 16-bit weights and the networks' "
                "activations. Energies of `nangate45.yaml` for both."
            ),
            command(
                "widthwise run -a stripes_16x16 -n tests/validation/networks/NETWORK.yaml",
                "--bits tests/validation/assignments/stripes_NETWORK.yaml",
                *[f"--set '{setting}'" for setting in SAME_MEMORY + STRIPES],
            ),
        )
        rows, speed, energy = [], [], []
        for name in self.names:
            speed.append(self.total(name, "stripes", cycles) / self.total(name, "wide", cycles))
            energy.append(
                self.total(name, "stripes", energy_pj) / self.total(name, "wide", energy_pj)
            )
            rows.append([name, f"{speed[-1]:.2f}", f"{energy[-1]:.2f}"])
        means = [geometric_mean(speed), geometric_mean(energy)]
        published = [
            claim("bitfusion", "speed-up over Stripes", "same area and frequency"),
            claim("bitfusion", "energy reduction over Stripes", "same area and frequency"),
        ]
        rows.append(["**geometric mean**", *[f"**{mean:.2f}**" for mean in means]])
        rows.append(["published", *published])
        rows.append(["ratio", *[ratio(ours / theirs) for ours, theirs in zip(means, published)]])
        document.add(table(["network", "speed-up", "energy"], rows))
        document.summarize(
            "Bit Fusion over Stripes, geometric means",
            [ours / theirs - 1 for ours, theirs in zip(means, published)],
        )
        document.add(
            bullets(
                [
                    "Areas and energies of units are ours: by them 272 units of Stripes fit, and the publication "
                    "does not say how many it has."
                ]
            )
        )


# --- HAQ ------------------------------------------------------------------------------------------


class Haq:
    BISMO = 0.05
    FUSION = 0.20
    # Chosen among the values of these keys by looking at the rows.
    FUSION_SETTINGS = (
        "engine.groups=block_diagonal",
        "memory.output_bits=8",
        "memory.read_initial_sums=false",
        "memory.fetch_padding=false",
    )

    def __init__(self, runner, short):
        rows = rows_of("haq.csv")
        self.rows = []
        for row in rows[::5] if short else rows:
            run = Run(
                row["machine"],
                row["network"],
                f"w{row['weight_bits']}a{row['activation_bits']}",
                settings=self.FUSION_SETTINGS if row["machine"] == "bitfusion_16x32" else (),
                batch=int(row["batch"]),
            )
            self.rows.append((row, run, runner.submit(run)))

    def render(self, document):
        document.heading("HAQ's BISMO machines", 3)
        document.add(
            wrapped(
                "Sixteen latencies in ms of table 3 of HAQ (arXiv 1811.08886; `haq.csv`), at uniform widths. "
                "One clock for each machine (198.3 and 207.7 MHz) was set on all of its eight rows, so that "
                "what is validated is how latency changes with network and widths."
            ),
            command("widthwise run -a MACHINE -n NETWORK --bits wWaA --batch BATCH"),
        )
        rows, errors, broken = [], [], []
        for row, run, future in self.rows:
            if not row["machine"].startswith("bismo"):
                continue
            ours = 1e3 * future.result().total["latency_s"]
            error = ours / float(row["latency_ms"]) - 1
            errors.append(error)
            label = f"{row['machine']} {row['network']} {run.bits}"
            if abs(error) > self.BISMO:
                broken.append(f"{label}: {percent(error)}")
            rows.append(
                [
                    f"`{row['machine']}`",
                    row["network"],
                    row["batch"],
                    run.bits,
                    row["latency_ms"],
                    f"{ours:.2f}",
                    ratio(1 + error),
                ]
            )
        document.add(
            table(
                ["machine", "network", "batch", "bits", "published", "ours", "ratio"], rows, left=4
            )
        )
        document.summarize(
            "HAQ, sixteen latencies of BISMO (clocks set on them)",
            errors,
            share(self.BISMO, 0),
            broken,
        )
        self.render_fusion(document)

    def render_fusion(self, document):
        found = [
            (row, run, future.result())
            for row, run, future in self.rows
            if row["machine"].startswith("bitfusion")
        ]
        if len(found) < 2:
            return
        document.heading("HAQ's Bit Fusion", 3)
        document.add(
            wrapped(
                "MobileNet-V1 on a Bit Fusion whose size, clock and memories HAQ does not give, so only ratios "
                "to w8a8 compare. Ours is `bitfusion_16x32` at batch 16 with groups "
                "of depthwise layers side by side and outputs of 8 bits, which was chosen by looking at "
                "these rows: as it is shipped, it is bound by its 32-bit sums in DRAM and by one channel of "
                "a depthwise layer at a time, and w4a4 saves 2 %."
            ),
            command(
                "widthwise run -a bitfusion_16x32 -n mobilenet_v1 --batch 16 --bits wWaA",
                *[f"--set {setting}" for setting in self.FUSION_SETTINGS],
            ),
        )
        base = found[-1]
        rows, errors = [], []
        for row, run, report in found:
            latency = report.total["latency_s"] / base[2].total["latency_s"]
            published = float(row["latency_ms"]) / float(base[0]["latency_ms"])
            energy = report.total["energy_pj"] / base[2].total["energy_pj"]
            published_energy = float(row["energy_mj"]) / float(base[0]["energy_mj"])
            if row is not base[0]:
                errors += [latency / published - 1, energy / published_energy - 1]
            rows.append(
                [
                    run.bits,
                    ratio(published),
                    ratio(latency),
                    ratio(latency / published),
                    ratio(published_energy),
                    ratio(energy),
                    ratio(energy / published_energy),
                ]
            )
        document.add(
            table(
                ["bits", "latency, published", "ours", "ratio", "energy, published", "ours", "ratio"],
                rows,
            )
        )
        document.summarize(
            "HAQ, Bit Fusion, relative to w8a8 (settings chosen on them)",
            errors,
            share(self.FUSION, 0),
            [percent(error) for error in errors if abs(error) > self.FUSION],
        )


# --- Stripes and Loom -----------------------------------------------------------------------------


class Serial:
    """DNNsim's laws with ideal memory, at random shapes and widths."""

    SEED = 20160715
    SHAPES = 40  # of each machine and law
    MACHINES = {  # filters, copies, passes of a weight of w bits and an activation of a bits
        "stripes_16x16": (16, 16, lambda w, a: a),
        "loom_16x128": (128, 1, lambda w, a: w * a),
        "loom_16x16": (16, 1, lambda w, a: w * a),
    }
    WINDOWS = LANES = 16

    def __init__(self, runner, short, fidelities):
        rng = random.Random(self.SEED)
        self.fidelities = fidelities
        self.cases = []
        for machine, (filters, tiles, passes) in self.MACHINES.items():
            for law, make in (
                ("convolutions", self.convolution),
                ("first layers, folded", self.first_layer),
                ("fully connected", self.fully_connected),
            ):
                layers = []
                for i in range(self.SHAPES):
                    w, a = rng.randint(1, 16), rng.randint(1, 16)
                    lines, cycles_of = make(rng, i, filters, tiles)
                    layers.append((lines, f"w{w}a{a}", cycles_of(passes(w, a))))
                layers = layers[:5] if short else layers
                stem = f"{machine}_{law.split()[0]}"
                run = Run(
                    machine,
                    runner.write(stem + ".yaml", self.network(layers)),
                    runner.write(stem + "_bits.yaml", self.bits(layers)),
                    ideal_memory=True,
                )
                reports = [runner.submit(run.at(fidelity)) for fidelity in fidelities]
                self.cases.append((machine, law, layers, reports))

    def convolution(self, rng, i, filters, tiles):
        groups, kernel = rng.choice([1, 1, 1, 2, 4]), rng.choice([1, 3, 5])
        channels, out = groups * rng.randint(4, 200), groups * rng.randint(1, 300)
        side = rng.randint(kernel, 40)
        base = up((side - kernel + 1) ** 2, self.WINDOWS) * groups * kernel**2
        base *= up(up(out // groups, filters), tiles) * up(channels // groups, self.LANES)
        layer = f"kind: convolution, out_channels: {out}, kernel: {kernel}, groups: {groups}"
        return ([1, channels, side, side], layer), lambda p: base * p

    def first_layer(self, rng, i, filters, tiles):
        stride, kernel = rng.choice([2, 3, 4]), rng.choice([3, 5, 7, 11])
        side, out = rng.randint(kernel, 120), rng.randint(1, 300)
        windows = ((side - kernel) // stride + 1) ** 2
        base = up(windows, self.WINDOWS) * up(up(out, filters), tiles) * up(kernel, stride) ** 2
        base *= up(3 * stride**2, self.LANES)
        layer = f"kind: convolution, out_channels: {out}, kernel: {kernel}, stride: {stride}"
        return ([1, 3, side, side], layer), lambda p: base * p

    def fully_connected(self, rng, i, filters, tiles):
        batch, features, out = rng.randint(1, 4), rng.randint(1, 5000), rng.randint(1, 5000)
        steps = up(out, filters * tiles) * up(features, self.LANES)

        def cycles_of(p):
            if p <= self.WINDOWS:
                return batch * (steps + p - 1)
            turns, rest = divmod(steps - 1, self.WINDOWS)
            return batch * (turns * p + rest + p)

        return ([batch, features], f"kind: fully_connected, out_features: {out}"), cycles_of

    @staticmethod
    def network(layers):
        lines = ["schema: network/1", "name: layers", "inputs:"]
        lines += [f"  in{i}: {shape}" for i, ((shape, _), *_) in enumerate(layers)]
        lines += ["layers:"]
        lines += [
            f"  - {{name: l{i}, inputs: [in{i}], {layer}}}"
            for i, ((_, layer), *_) in enumerate(layers)
        ]
        lines += ["outputs: [" + ", ".join(f"l{i}" for i in range(len(layers))) + "]"]
        return "\n".join(lines) + "\n"

    @staticmethod
    def bits(layers):
        lines = ["schema: assignment/1", "name: layers", "default: w8a8", "layers:"]
        lines += [f'  "l{i}": {widths}' for i, (_, widths, _) in enumerate(layers)]
        return "\n".join(lines) + "\n"

    def render(self, document):
        document.heading("Stripes and Loom", 3)
        document.add(
            wrapped(
                "DNNsim's laws with ideal memory (`--ideal-memory`), which reproduce its runs: 16 windows, F "
                "filters a tile, T tiles, 16 lanes, p passes (a on Stripes, w a on Loom). Convolutions of O "
                "windows: c(O, 16) g c(c(N / g, F), T) K K c(C / g, 16) p cycles; a first layer of three "
                "channels and stride s is folded to 3 s s channels and c(K, s) for K. Fully connected, "
                "S = c(N, F T) c(C, 16) steps an image: S + p - 1 if p is at most 16, else "
                "floor((S - 1) / 16) p + (S - 1) mod 16 + p. "
                f"{self.SHAPES} random shapes and widths of each (seed {self.SEED}), in each fidelity."
            )
        )
        rows, errors, broken = {}, [], []
        for machine, law, layers, reports in self.cases:
            row = rows.setdefault((machine, law), [f"`{machine}`", law, 0, 0])
            for fidelity, future in zip(self.fidelities, reports):
                for (layer, widths, expected), found in zip(layers, future.result().layers):
                    errors.append(cycles(found) / expected - 1)
                    row[2] += 1
                    row[3] += cycles(found) == expected
                    if cycles(found) != expected:
                        broken.append(
                            f"{machine} {layer[0]} {layer[1]} {widths}, {fidelity}: {cycles(found)} "
                            f"for {expected}"
                        )
        document.add(table(["machine", "law", "runs", "exact"], list(rows.values()), left=2))
        document.summarize("Stripes and Loom, DNNsim's laws", errors, "0 cycles", broken)
        document.add(
            bullets(
                [
                    "Stripes' time follows its activations, so p bits are 16 / p times as fast as DaDianNao, "
                    "the same array with all 16 bits at once; its published mean of 1.92 depends on the "
                    "widths that its networks bear."
                ]
            )
        )


# --- Peak rates -----------------------------------------------------------------------------------


class BismoPeak:
    BOUND = 0.02

    def __init__(self, runner):
        run = Run("bismo_edge_8x8", "gemm:1024x1024x131072", "w1a1", ideal_memory=True)
        self.future = runner.submit(run)

    def render(self, document):
        total = self.future.result().total
        tops = 2e-12 * total["macs"] / total["latency_s"]
        published = claim("bismo", "peak", "8 x 256 x 8 on PYNQ-Z1")
        error = tops / published - 1
        document.heading("BISMO's peak rate", 3)
        document.add(
            wrapped(
                f"Published: {published} binary TOPS of 8 x 256 x 8 on a PYNQ-Z1. Ours, whose clock was set "
                f"on HAQ's latencies: {tops:.3f} (ratio {ratio(1 + error)}), by `widthwise run -a "
                "bismo_edge_8x8 -n gemm:1024x1024x131072 --bits w1a1 --ideal-memory`."
            )
        )
        document.summarize(
            "BISMO, peak rate",
            [error],
            share(self.BOUND, 0),
            [percent(error)] if abs(error) > self.BOUND else [],
        )


# --- UNPU -----------------------------------------------------------------------------------------


class Unpu:
    def __init__(self, runner, short):
        self.runs = []
        for bits in (16, 1) if short else (16, 8, 4, 2, 1):
            run = Run("unpu", "gemm:2400x3600x4608", f"w{bits}a16", ideal_memory=True)
            self.runs.append((bits, runner.submit(run)))

    def render(self, document):
        document.heading("UNPU", 3)
        document.add(
            wrapped(
                "Peak rate and efficiency on a product that fills the array, without DRAM: "
                "`widthwise run -a unpu -n gemm:2400x3600x4608 --bits wWa16 --ideal-memory`. The number of "
                "lanes was set on the 16-bit rate; published figures are silicon at 65 nm, their efficiency "
                "at voltages from 0.63 to 1.1 V, ours is at 1.1 V."
            )
        )
        published = {
            bits: (
                claim("unpu", "throughput", f"{bits}-bit weights"),
                claim("unpu", "efficiency", f"{bits}-bit weights"),
            )
            for bits in (16, 1)
        }
        rows, rate_errors = [], {}
        first = None
        for bits, future in self.runs:
            report = future.result()
            macs = report.total["macs"]
            gops = 2e-9 * macs / report.total["latency_s"]
            on_chip = report.total["energy_pj"] - sum(l["energy_pj"]["dram"] for l in report.layers)
            tops_per_w = 2 * macs / on_chip
            first = first or tops_per_w
            theirs = published.get(bits)
            if theirs:
                rate_errors[bits] = gops / theirs[0] - 1
            rows.append(
                [
                    bits,
                    theirs[0] if theirs else "-",
                    f"{gops:.1f}",
                    ratio(gops / theirs[0]) if theirs else "-",
                    theirs[1] if theirs else "-",
                    f"{tops_per_w:.3f}",
                    ratio(tops_per_w / theirs[1]) if theirs else "-",
                    f"{tops_per_w / first:.2f}",
                ]
            )
        document.add(
            table(
                ["weight bits", "GOPS", "ours", "ratio", "TOPS/W", "ours", "ratio", "over 16 bits"],
                rows,
            )
        )
        document.summarize(
            "UNPU, rate at 1 bit (lanes set at 16 bits)",
            [rate_errors[1]],
            "30 %",
            [f"{percent(rate_errors[1])}"] if abs(rate_errors[1]) > 0.30 else [],
        )
        document.add(
            bullets(
                [
                    "At 1 bit the chip looks up four activations at a time in place of three, 4/3 of the rate; "
                    "the model has one number of lanes for all widths.",
                    "The chip's efficiency is at its lowest voltage; (1.1 / 0.63)^2 = 3.0 of the difference is "
                    "voltage. The rest: unit energies of 45 nm gates scaled to 65 nm, without the sharing of "
                    "look-up tables between units.",
                    f"From 16 bits to 1 the published efficiency grows {published[1][1] / published[16][1]:.1f} "
                    "times.",
                ]
            )
        )


# --- PrecisionBatching ----------------------------------------------------------------------------


class PrecisionBatching:
    SUBJECTS = {"mnist": "pbatch_mlp", "lm": "pbatch_lstm_2048"}
    FIT = ((4, 16), (8, 16))
    BOUND = 0.20

    def __init__(self, runner):
        self.rows = []
        for row in rows_of("precisionbatching_t4.csv"):
            if int(row["activation_bits"]) > 16:
                continue
            bits = f"w{row['weight_bits']}a{row['activation_bits']}"
            run = Run("precision_batching", self.SUBJECTS[row["network"]], bits)
            self.rows.append((row, run, runner.submit(run)))

    def render(self, document):
        document.heading("PrecisionBatching", 3)
        document.add(
            wrapped(
                "Measured on an NVIDIA T4 at batch 1 (`precisionbatching_t4.csv`), in ms. How many steps a "
                "time covers is not published, nor is what does not grow with the planes (kernel starts) "
                "modelled, so two constants of time = c0 + n x ours are set on the two rows marked *fit*; "
                "the others are validated. `widthwise run -a precision_batching -n NETWORK --bits wWaA`."
            )
        )
        rows, errors, broken = [], [], []
        for network, file in self.SUBJECTS.items():
            points = {}
            for row, run, future in self.rows:
                if row["network"] == network:
                    key = (int(row["weight_bits"]), int(row["activation_bits"]))
                    points[key] = (float(row["time_s"]), future.result().total["latency_s"])
            (t0, m0), (t1, m1) = (points[key] for key in self.FIT)
            slope = (t1 - t0) / (m1 - m0)
            start = t0 - slope * m0
            for key, (seconds, model) in points.items():
                ours = start + slope * model
                error = ours / seconds - 1
                fitted = key in self.FIT
                if not fitted:
                    errors.append(error)
                    if abs(error) > self.BOUND:
                        broken.append(f"{file} w{key[0]}a{key[1]}: {percent(error)}")
                rows.append(
                    [
                        f"`{file}`",
                        f"w{key[0]}a{key[1]}",
                        "fit" if fitted else "validated",
                        f"{1e3 * seconds:.2f}",
                        f"{1e3 * ours:.2f}",
                        ratio(1 + error),
                    ]
                )
            rows.append(
                [
                    f"`{file}`",
                    "",
                    "constants",
                    "",
                    f"c0 = {1e3 * start:.2f} ms",
                    f"n = {slope:.0f}",
                ]
            )
        document.add(table(["network", "bits", "row", "measured", "ours", "ratio"], rows, left=3))
        document.summarize(
            "PrecisionBatching, rows that nothing was set on",
            errors,
            share(self.BOUND, 0),
            broken,
        )
        document.add(
            bullets(
                [
                    "The measured law is c0 + (w + 1) (c1 + c2 a). Planes and population counts follow from the "
                    "machine's file: (w + 1) planes of a weight from DRAM at 320 GB/s, (w + 1) a counts by 640 "
                    "units at 1.59 GHz. On the T4 the two do not overlap, here they do; where fetching takes "
                    "longer than counting, at 8-bit activations, that shows.",
                    "`pbatch_mlp` w1a8 was measured slower than w1a16.",
                    "Activations of 32 bits are beyond the 16 bits of the model.",
                ]
            )
        )


def plan(runner, fidelities, short):
    parts = [
        BitFusion(runner, short),
        Haq(runner, short),
        BismoPeak(runner),
        Serial(runner, short, fidelities),
        Unpu(runner, short),
        PrecisionBatching(runner),
    ]

    def render(document):
        document.heading("3. Published machines")
        document.add(
            wrapped(
                "Ratios are ours / published. A constant that was set on a row makes that row no "
                "validation; each table says which those are."
            )
        )
        for part in parts:
            part.render(document)
        document.heading("Not compared", 3)
        document.add(
            bullets(
                [
                    "HAQ's table 1 (a policy made for one machine and run on the others): the paper does not list "
                    "the widths of its policies per layer.",
                    "Colonnade (JSSC 2021), 65 nm, energy per MAC 1 : 2.37 : 6.2 : 17.2 : 58.7 at 1, 2, 4, 8, "
                    "16 bits of both operands: a part of its energy grows with one width only. "
                    "Engines here that take both operands bit by bit grow with w a, 1 : 4 : 16 : 64 : 256.",
                    "Stripes' 1.92 times DaDianNao and Loom's 4.38 times: means over widths per layer of "
                    "networks which the abstracts do not give.",
                    "Bit Fusion at 16 nm against a Titan Xp, BitBlade, BitWave, Envision's silicon: no energy "
                    "table of such a technology ships.",
                ]
            )
        )

    return render
