"""The fidelities against each other, over shipped machines, networks and widths."""

import re

from runs import MOST_STEPS, TOP, Run, cycles, energy_pj
from text import command, count, listed, percent, share, table, wrapped

PARAMETERS = {
    "bert_base": ("sequence_length=128",),
    "pbatch_lstm_2048": ("sequence_length=35",),
    "pbatch_lstm_3072": ("sequence_length=35",),
    "tiny_transformer": ("sequence_length=64",),
}
MIXED = {"resnet18": "resnet18_mixed", "mobilenet_v2": "mobilenet_v2_mixed"}
SHORT = {"bitfusion_16x32", "bismo_edge_8x8", "systolic_16x16_int8"}
SHORT_NETWORKS = {"resnet18", "mobilenet_v2"}

# Widths of the runs that step every cycle, one after the other over machines and networks.
CYCLE_WIDTHS = ("w8a8", "w4a4", "w2a2")

PER_NETWORK = 0.01
PER_LAYER = 0.05
ENERGY = 0.01
CYCLE = 0.01
LONG_LAYER = 10_000
PLAYED = 512  # steps that the closed form plays (models/cost/replay.cpp); with more it is coarser
PER_UNPLAYED_LAYER = 0.10
SHORT_NETWORK = 10_000  # cycles; where latencies and roundings of single tiles are much of it
PER_SHORT_NETWORK = 0.05
# Cycles a layer that rounding to whole cycles, bursts and pipeline stages may come to: what the
# networks of a few hundred cycles are held to in place of a share.
ROUNDING = 8

CLASSES = [
    "convolution",
    "depthwise",
    "pointwise 1x1",
    "fully connected",
    "matmul",
    "recurrent",
    "without MACs",
]
LAYER = re.compile(r"\{name: ([^,]+), kind: convolution,(.*)\}")


def shipped(kind):
    return sorted(path.stem for path in (TOP / kind).glob("*.yaml"))


def convolutions(network):
    """Class of the convolutions of a shipped network, by name; its file has a layer a line."""
    found = {}
    for line in (TOP / f"workloads/{network}.yaml").read_text(encoding="utf-8").splitlines():
        layer = LAYER.search(line)
        if layer:
            grouped = re.search(r"groups: (\d+)", layer[2])
            if grouped and int(grouped[1]) > 1:
                found[layer[1]] = "depthwise"
            elif re.search(r"kernel: (1\b|\[1, 1\])", layer[2]):
                found[layer[1]] = "pointwise 1x1"
            else:
                found[layer[1]] = "convolution"
    return found


def class_of(layer, classes):
    if layer["macs"] == 0:
        return "without MACs"
    if layer["kind"] == "convolution":
        return classes.get(layer["name"], "convolution")
    return layer["kind"].replace("_", " ")


class Errors:
    """Errors of one kind with the row that has the worst of them."""

    def __init__(self):
        self.values = []
        self.worst = (0.0, "-")

    def add(self, value, where):
        self.values.append(value)
        if abs(value) > abs(self.worst[0]):
            self.worst = (value, where)

    def mean(self):
        return sum(self.values) / len(self.values) if self.values else 0.0


def plan(runner, has_cycle, short):
    machines = [m for m in shipped("configs/accelerators") if not short or m in SHORT]
    networks = [n for n in shipped("workloads") if not short or n in SHORT_NETWORKS]
    cases, stepped = [], []
    for i, machine in enumerate(machines):
        for j, network in enumerate(networks):
            every = ("w8a8", "w4a4", MIXED.get(network, "w2a2"))
            for bits in every[2:] if short else every:
                run = Run(machine, network, bits, parameters=PARAMETERS.get(network, ()))
                cases.append((run, runner.submit(run.at("analytic")), runner.submit(run), None))
            if has_cycle:
                first = (i + j) % len(CYCLE_WIDTHS)
                stepped.append(
                    [
                        Run(machine, network, bits, parameters=PARAMETERS.get(network, ()))
                        for bits in CYCLE_WIDTHS[first:] + CYCLE_WIDTHS[-1:]
                    ]
                )
                for run in stepped[-1]:
                    runner.submit(run.at("analytic"))
    most = MOST_STEPS // 20 if short else MOST_STEPS
    left_out = []
    for runs in stepped:
        small = [r for r in runs if runner.submit(r.at("analytic")).result().steps() <= most]
        if small:
            run = small[0]
            cases.append((run, None, runner.submit(run), runner.submit(run.at("cycle"))))
        else:
            left_out.append(runs[0])

    def render(document):
        layer_errors = {name: Errors() for name in CLASSES}
        long_errors, above = Errors(), []
        cycle_errors = {name: Errors() for name in CLASSES}
        network_errors = {name: Errors() for name in machines}
        energy_errors = {name: Errors() for name in machines}
        cycle_totals = {name: Errors() for name in machines}
        broken, broken_energy, broken_layers, broken_cycle, unverified = [], [], [], [], []
        layers_checked = outputs = 0
        for run, analytic, tile, cycle in cases:
            tile = tile.result()
            classes = convolutions(run.network)
            where = f"`{run.accelerator}` {run.network} {run.bits}"
            if analytic is not None:
                analytic = analytic.result()
                for closed, played in zip(analytic.layers, tile.layers):
                    error = cycles(closed) / cycles(played) - 1 if cycles(played) else 0.0
                    place = f"{where} {played['name']}"
                    layer_errors[class_of(played, classes)].add(error, place)
                    if error > 0:
                        above.append(f"{place}: {percent(error, 3)}")
                    if cycles(played) > LONG_LAYER:
                        long_errors.add(error, place)
                        steps = (played["tiling"] or {"tiles": 0})["tiles"]
                        if error < -(PER_LAYER if steps <= PLAYED else PER_UNPLAYED_LAYER):
                            broken_layers.append(f"{place}: {percent(error)}")
                error = analytic.total["latency_cycles"] / tile.total["latency_cycles"] - 1
                network_errors[run.accelerator].add(error, where)
                total = tile.total["latency_cycles"]
                rounding = ROUNDING * len(tile.layers) / total
                if total <= SHORT_NETWORK:
                    rounding = max(rounding, PER_SHORT_NETWORK)
                if abs(error) > max(PER_NETWORK, rounding):
                    broken.append(f"{where}: {percent(error)}")
                energy = sum(map(energy_pj, analytic.layers)) / sum(map(energy_pj, tile.layers)) - 1
                energy_errors[run.accelerator].add(energy, where)
                if abs(energy) > max(ENERGY, rounding):
                    broken_energy.append(f"{where}: {percent(energy)}")
            if cycle is not None and cycle.exception():
                broken_cycle.append(f"{where}: {str(cycle.exception()).splitlines()[1]}")
            elif cycle is not None:
                cycle = cycle.result()
                for played, stepped in zip(tile.layers, cycle.layers):
                    error = cycles(played) / cycles(stepped) - 1 if cycles(stepped) else 0.0
                    place = f"{where} {played['name']}"
                    cycle_errors[class_of(played, classes)].add(error, place)
                    if abs(error) > CYCLE and cycles(stepped) > LONG_LAYER:
                        broken_cycle.append(f"{place}: {percent(error)}")
                    numerics = stepped.get("numerics")
                    layers_checked += played["macs"] > 0
                    if numerics:
                        outputs += numerics["outputs"]
                        if numerics["wrong_outputs"]:
                            unverified.append(f"{place}: {numerics['wrong_outputs']} outputs")
                error = tile.total["latency_cycles"] / cycle.total["latency_cycles"] - 1
                cycle_totals[run.accelerator].add(error, where)
                if abs(error) > CYCLE:
                    broken_cycle.append(f"{where}: {percent(error)}")

        document.heading("2. The fidelities against each other")
        document.add(
            wrapped(
                "Every machine of `configs/accelerators/` on every network of `workloads/`, at "
                "w8a8, w4a4 and a third assignment (`resnet18_mixed`, `mobilenet_v2_mixed`, else "
                f"w2a2): {count(sum(1 for case in cases if case[1] is not None))} runs. "
                "Sequences: 128 for BERT, 35 steps for the LSTMs. Errors are analytic / tile, "
                "less one, in cycles: the closed form is meant to be a lower bound, so a minus "
                "is the side it may err on. A row is"
            ),
            command("widthwise run -a MACHINE -n NETWORK --bits BITS --fidelity FIDELITY"),
        )
        rows = []
        for name in CLASSES:
            errors = layer_errors[name]
            value, where = errors.worst
            rows.append(
                [name, count(len(errors.values)), percent(errors.mean()), percent(value), where]
            )
        document.add(
            table(["layers", "number", "mean", "worst", "where"], rows, text_last=True)
        )
        value, where = long_errors.worst
        document.add(
            wrapped(
                f"Of {count(len(long_errors.values))} layers above {count(LONG_LAYER)} cycles the "
                f"worst is {percent(value)} ({where}); short layers of a few large transfers have "
                "the larger errors above, and of more than "
                f"{PLAYED} tiles, which the closed form does not play one by one (*unplayed*: held "
                f"to {share(PER_UNPLAYED_LAYER, 0)}). Layers whose closed form is above the simulation: "
                f"{len(above)}."
            )
        )
        rows = []
        for machine in machines:
            errors, energies = network_errors[machine], energy_errors[machine]
            rows.append(
                [
                    f"`{machine}`",
                    len(errors.values),
                    percent(errors.mean()),
                    percent(errors.worst[0]),
                    percent(energies.mean()),
                    percent(energies.worst[0]),
                    errors.worst[1].split(" ", 1)[1] if " " in errors.worst[1] else "-",
                ]
            )
        document.add(
            wrapped(
                "The same runs as whole networks. Networks of at most "
                f"{count(SHORT_NETWORK)} cycles are short ones: they are held to "
                f"{share(PER_SHORT_NETWORK, 0)}, or to {ROUNDING} cycles a layer."
            ),
            table(
                [
                    "machine",
                    "runs",
                    "cycles, mean",
                    "worst",
                    "energy, mean",
                    "worst",
                    "worst cycles at",
                ],
                rows,
                text_last=True,
            ),
        )
        every = [v for name in CLASSES for v in layer_errors[name].values]
        document.summarize("analytic against tile, layers", every, "never above", above)
        document.summarize(
            f"analytic against tile, layers above {count(LONG_LAYER)} cycles",
            long_errors.values,
            f"{share(PER_LAYER, 0)}, unplayed {share(PER_UNPLAYED_LAYER, 0)}",
            broken_layers,
        )
        document.summarize(
            "analytic against tile, networks",
            [v for e in network_errors.values() for v in e.values],
            f"{share(PER_NETWORK, 0)}, short {share(PER_SHORT_NETWORK, 0)}",
            broken,
        )
        document.summarize(
            "analytic against tile, energy of networks",
            [v for e in energy_errors.values() for v in e.values],
            f"{share(ENERGY, 0)}, short {share(PER_SHORT_NETWORK, 0)}",
            broken_energy,
        )
        if has_cycle:
            rows = []
            for name in CLASSES:
                errors = cycle_errors[name]
                value, where = errors.worst
                rows.append(
                    [name, count(len(errors.values)), percent(errors.mean()), percent(value), where]
                )
            compared = f" with {count(outputs)} outputs" if outputs else ""
            document.heading("tile against cycle", 3)
            document.add(
                wrapped(
                    "The fidelity `cycle` steps every cycle of the array with integers as "
                    "operands and compares every output with plain arithmetic; a run that finds "
                    f"a wrong one fails. {count(layers_checked)} layers{compared}: each machine "
                    "on each network at one of w8a8, w4a4, w2a2 in turn, but for "
                    f"{len(left_out)} that would step elements more than {count(MOST_STEPS)} "
                    "times even at w2a2. Errors are tile / cycle, less one."
                ),
                table(["layers", "number", "mean", "worst", "where"], rows, text_last=True),
            )
            document.summarize(
                "tile against cycle, networks",
                [v for e in cycle_totals.values() for v in e.values],
                share(CYCLE, 0),
                broken_cycle,
            )
            document.summarize(
                "outputs of cycle, layers", [0.0] * layers_checked, "bit-exact", unverified
            )
        for what, rows in (
            ("Networks", broken),
            ("Layers", broken_layers),
            ("Energies of networks", broken_energy),
            ("Against cycle", broken_cycle + unverified),
        ):
            if rows:
                document.add(f"{what} beyond their bound:\n\n", listed(rows))

    return render
