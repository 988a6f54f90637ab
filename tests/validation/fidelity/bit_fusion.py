"""Bit Fusion against its published simulator, over Eyeriss and over Stripes."""

from claims import claim
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


def outside(value, least, most):
    """Whether an error is beyond its bound."""
    return not least <= value <= most


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
                "`bitfusion_wide_layers.csv`): 16 x 32 units, 500 MHz, 192 bit/cycle of DRAM, "
                "buffers of 64, 32 and 16 KiB, batch 16. Ours at tile, on the same shapes and "
                "widths; DRAM is read and written together. A row is a layer of"
            ),
            command(
                "widthwise run -a bitfusion_16x32 -n "
                "tests/validation/networks/bitfusion_NETWORK.yaml",
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
                    "Below 1: the published simulator looks at tiles of powers of two only and "
                    "charges edge tiles as full ones, which costs it most on AlexNet's and "
                    "ResNet's 14 x 14 layers, on LSTM and on layers of 10 outputs (`fc8`, "
                    "`fc2`). LeNet's `conv1` has the same cycles with less traffic.",
                    "The machine's conventions (sums of 32 bits to and from DRAM, fetched "
                    "padding, what is unrolled) were read off the layers of SVHN, CIFAR10, "
                    "LeNet-5, RNN and LSTM; those of AlexNet, VGG-7 and RESNET-18 were compared "
                    "afterwards.",
                ]
            )
        )

    def render_networks(self, document):
        document.heading("Bit Fusion's networks", 3)
        document.add(
            wrapped(
                "The same by network, with energy at the published constants (`--set "
                "energy=tests/validation/energy/bitfusion_comparison.yaml`; dynamic energy "
                "only), so that what is compared is how often each thing happens."
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
                    "Energy is low where traffic is, and by up to 15 % more: the published "
                    "simulator counts a read of the input buffer for every unit; here the units "
                    "of a row share it, as in the authors' RTL."
                ]
            )
        )

    def render_eyeriss(self, document):
        document.heading("Bit Fusion over Eyeriss", 3)
        document.add(
            wrapped(
                "The headline of the publication: 3.9 times the speed and 5.1 times the energy "
                "efficiency of Eyeriss at 45 nm, 500 MHz, batch 16. AlexNet and RESNET-18 are "
                "twice as wide on Bit Fusion (WRPN). Published: from per-layer results in the "
                "repository of Bit Fusion (`eyeriss_layers.csv`), whose means are these 3.9 and "
                "5.1. *As compared*: both of our machines under the comparison's conditions, its "
                "energies, 16 x 16 units and no stalls of memory for Eyeriss. *Shipped*: "
                "`eyeriss_like` as it is, 12 x 14 units, 192 bit/cycle of DRAM, and energies of "
                "`nangate45.yaml` with leakage for both."
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
                    "The baseline of the comparison does up to 256 MACs a cycle (RNN: "
                    "268,435,456 MACs in 1,048,576 cycles), so it is larger than the chip's 168 "
                    "units, and its cycles have no stalls of DRAM. Against 168 units the "
                    "speed-up is larger than the published one.",
                    "As compared, our speed-up is smaller: rows of 3 x 3 and 11 x 11 kernels "
                    "leave row-stationary units idle (192 and 151 of 256 work), and output "
                    "positions do not.",
                    "The comparison charges DRAM 6 pJ/bit on Eyeriss and 15 pJ/bit on Bit "
                    "Fusion, and no leakage; ours as compared does so too. Its energy for Bit "
                    "Fusion has more reads of the input buffer than ours (above), which is most "
                    "of the difference in energy.",
                ]
            )
        )

    def render_stripes(self, document):
        document.heading("Bit Fusion over Stripes", 3)
        document.add(
            wrapped(
                "Published: 2.6 times the speed and 3.9 times the energy efficiency of Stripes "
                "at the same area and frequency. Here both at 980 MHz with 4096 bit/cycle of "
                "DRAM and buffers of 128 KiB (`bf_s_conf.ini` of its repository), Stripes with "
                "17 x 16 units of 16 lanes (1.02 mm2 of units, as Bit Fusion's 512 units), "
                "16-bit weights and the networks' activations. Energies of `nangate45.yaml` for "
                "both."
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
                    "Areas and energies of units are ours: by them 272 units of Stripes fit, and "
                    "the publication does not say how many it has."
                ]
            )
        )
