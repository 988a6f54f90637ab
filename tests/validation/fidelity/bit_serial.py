"""Stripes, Loom, BISMO and UNPU: laws and peak rates without limits of memory."""

import random

from claims import claim
from runs import Run, cycles
from text import bullets, percent, ratio, share, table, wrapped


def up(value, step):
    return -(-value // step)


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

    def __init__(self, runner, short):
        rng = random.Random(self.SEED)
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
                reports = [(f, runner.submit(run.at(f))) for f in ("analytic", "tile")]
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
                "DNNsim's laws with ideal memory (`--ideal-memory`), which reproduce its runs: "
                "16 windows, F filters a tile, T tiles, 16 lanes, p passes (a on Stripes, w a on "
                "Loom). Convolutions of O windows: c(O, 16) g c(c(N / g, F), T) K K c(C / g, 16) "
                "p cycles; a first layer of three channels and stride s is folded to 3 s s "
                "channels and c(K, s) for K. Fully connected, S = c(N, F T) c(C, 16) steps an "
                "image: S + p - 1 if p is at most 16, else floor((S - 1) / 16) p + (S - 1) mod "
                f"16 + p. {self.SHAPES} random shapes and widths of each (seed {self.SEED}), in "
                "closed form and tile by tile; the tests step smaller ones."
            )
        )
        rows, errors, broken = {}, [], []
        for machine, law, layers, reports in self.cases:
            row = rows.setdefault((machine, law), [f"`{machine}`", law, 0, 0])
            for fidelity, future in reports:
                for (layer, widths, expected), found in zip(layers, future.result().layers):
                    errors.append(cycles(found) / expected - 1)
                    row[2] += 1
                    row[3] += cycles(found) == expected
                    if cycles(found) != expected:
                        broken.append(
                            f"{machine} {layer[0]} {layer[1]} {widths}, {fidelity}: "
                            f"{cycles(found)} for {expected}"
                        )
        document.add(table(["machine", "law", "runs", "exact"], list(rows.values()), left=2))
        document.summarize("Stripes and Loom, DNNsim's laws", errors, "0 cycles", broken)
        document.add(
            bullets(
                [
                    "Stripes' time follows its activations, so p bits are 16 / p times as fast "
                    "as DaDianNao, the same array with all 16 bits at once; its published mean "
                    "of 1.92 depends on the widths that its networks bear."
                ]
            )
        )


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
                f"Published: {published} binary TOPS of 8 x 256 x 8 on a PYNQ-Z1. Ours, whose "
                f"clock was set on HAQ's latencies: {tops:.3f} (ratio {ratio(1 + error)}), by "
                "`widthwise run -a bismo_edge_8x8 -n gemm:1024x1024x131072 --bits w1a1 "
                "--ideal-memory`."
            )
        )
        document.summarize(
            "BISMO, peak rate",
            [error],
            share(self.BOUND, 0),
            [percent(error)] if abs(error) > self.BOUND else [],
        )


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
                "`widthwise run -a unpu -n gemm:2400x3600x4608 --bits wWa16 --ideal-memory`. The "
                "number of lanes was set on the 16-bit rate; published figures are silicon at 65 "
                "nm, their efficiency at voltages from 0.63 to 1.1 V, ours is at 1.1 V."
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
                    "At 1 bit the chip looks up four activations at a time in place of three, "
                    "4/3 of the rate; the model has one number of lanes for all widths.",
                    "The chip's efficiency is at its lowest voltage; (1.1 / 0.63)^2 = 3.0 of the "
                    "difference is voltage. The rest: unit energies of 45 nm gates scaled to 65 "
                    "nm, without the sharing of look-up tables between units.",
                    "From 16 bits to 1 the published efficiency grows "
                    f"{published[1][1] / published[16][1]:.1f} times.",
                ]
            )
        )
