"""Arrays against register-transfer designs: observed cycles and the laws that they follow."""

import random

from runs import MOST_STEPS, Run, rows_of
from text import bullets, command, count, percent, ratio, share, table, wrapped

def up(value, step):
    return -(-value // step)


def sides(rows, columns):
    return (f"engine.rows={rows}", f"engine.columns={columns}")


def machine_of(row):
    """Accelerator and settings of an observed row."""
    sizes = [int(part) for part in row["array"].split("x")]
    variant = dict(part.split("=") for part in row["variant"].split(";") if "=" in part)
    design = row["design"]
    if design == "bismo_exec":
        rows, lanes, columns = sizes
        settings = (f"engine.precision.lanes={lanes}", f"engine.timing.fold_gap={variant['gap']}")
        return "rtl/bismo_exec", (*sides(rows, columns), *settings)
    if "dataflow" in variant:
        design += "_" + variant["dataflow"].lower()
    return f"rtl/{design}", sides(sizes[0], sizes[1])


# Observed cycles of the rows that constants were set on.
RBE_FIT = ("121", "390", "392", "430", "433", "436")


def rbe_run(row):
    """A convolution of RBE: h x w outputs of N channels from K channels."""
    variant = dict(part.split("=") for part in row["variant"].split(";"))
    return Run(
        "rtl/rbe",
        f"conv:{variant['h']}x{variant['w']}x{row['K']}x{row['N']}x{variant['filter'][0]}",
        f"w{row['weight_bits']}a{row['activation_bits']}",
        settings=(f"memory.output_bits={variant['out_bits']}",),
        ideal_memory=True,
    )


def observed_runs():
    """The observed rows with their runs; RBE's apart."""
    found, rbe = [], []
    for row in rows_of("rtl_cycles.csv"):
        if row["design"] == "rbe":
            rbe.append((row, rbe_run(row)))
            continue
        accelerator, settings = machine_of(row)
        run = Run(
            accelerator,
            f"gemm:{row['M']}x{row['N']}x{row['K']}",
            f"w{row['weight_bits']}a{row['activation_bits']}",
            settings=settings,
            ideal_memory=True,
        )
        found.append((row, run))
    return found, rbe


# Laws: name, accelerator, settings and cycles of an M x K by K x N product at widths w, a.


def bit_fusion_law(rows, columns):
    def law(m, n, k, w, a):
        return up(n, columns) * m * up(k, rows * (8 // w) * (8 // a)) + rows + columns - 1

    return "rtl/bitfusion_actlab", sides(rows, columns), (2, 4, 8), 90, law


def bismo_law(rows, lanes, columns, gap):
    def law(m, n, k, w, a):
        return up(m, rows) * up(n, columns) * w * a * (up(k, lanes) + gap) - gap + 9

    settings = (f"engine.precision.lanes={lanes}", f"engine.timing.fold_gap={gap}")
    return "rtl/bismo_exec", (*sides(rows, columns), *settings), (1, 2, 3, 5, 8, 11, 16), 300, law


def gemmini_ws_law(side):
    def law(m, n, k, w, a):
        folds, blocks = up(k, side) * up(n, side), up(m, side)
        last = m - side * (blocks - 1)
        return side + side * folds * (blocks - 1) + side * (folds - 1) + last + 2 * side + 1

    return "rtl/gemmini_mesh16_ws", sides(side, side), (1, 8), 100, law


def gemmini_os_law(side):
    def law(m, n, k, w, a):
        return side * up(k, side) * up(m, side) * up(n, side) + side + 2 * side + 1

    return "rtl/gemmini_mesh16_os", sides(side, side), (1, 8), 100, law


def traditional_os_law(rows, columns):
    def law(m, n, k, w, a):
        return up(m, rows) * up(n, columns) * (2 * rows + columns + k - 2)

    return "rtl/scalesim_rtl_os", sides(rows, columns), (8,), 70, law


def traditional_ws_law(rows, columns):
    def law(m, n, k, w, a):
        used = [min(columns, n - first) for first in range(0, n, columns)]
        return up(k, rows) * sum(3 * rows + u + m - 2 for u in used)

    return "rtl/scalesim_rtl_ws", sides(rows, columns), (8,), 70, law


def scale_sim_law(dataflow):
    def of(rows, columns):
        def law(m, n, k, w, a):
            if dataflow == "output_stationary":
                return up(m, rows) * up(n, columns) * (rows + columns + k - 2) - 1
            if dataflow == "weight_stationary":
                return up(k, rows) * up(n, columns) * (2 * rows + columns + m - 2) - 1
            return up(k, rows) * up(m, columns) * (2 * rows + columns + n - 2) - 1

        settings = (*sides(rows, columns), f"engine.dataflow={dataflow}")
        return "rtl/scalesim_v2", settings, (8,), 70, law

    return of


RECTANGLES = [(1, 1), (3, 7), (16, 32), (32, 5), (13, 13)]
LAWS = [
    (
        "Bit Fusion's array",
        "c(N, C) M c(K, R (8/w)(8/a)) + R + C - 1",
        [bit_fusion_law(*shape) for shape in RECTANGLES],
    ),
    (
        "BISMO's execute stage",
        "c(M, R) c(N, C) w a (c(K, L) + gap) - gap + 9",
        [
            bismo_law(*shape, gap)
            for gap in (0, 1, 7)
            for shape in ((1, 1, 1), (8, 256, 8), (3, 100, 5), (16, 64, 2))
        ],
    ),
    (
        "Gemmini's mesh, weight-stationary",
        "R + R T (B - 1) + R (T - 1) + (M - R (B - 1)) + 2 R + 1; T = c(K, R) c(N, R), B = c(M, R)",
        [gemmini_ws_law(side) for side in (4, 16, 32)],
    ),
    (
        "Gemmini's mesh, output-stationary",
        "R c(K, R) c(M, R) c(N, R) + 3 R + 1",
        [gemmini_os_law(side) for side in (4, 16, 32)],
    ),
    (
        "traditional array, output-stationary",
        "c(M, R) c(N, C) (2 R + C + K - 2)",
        [traditional_os_law(*shape) for shape in RECTANGLES],
    ),
    (
        "traditional array, weight-stationary",
        "c(K, R) x sum over folds of (3 R + columns used + M - 2)",
        [traditional_ws_law(*shape) for shape in RECTANGLES],
    ),
    (
        "SCALE-Sim v2, output-stationary",
        "c(M, R) c(N, C) (R + C + K - 2) - 1",
        [scale_sim_law("output_stationary")(*shape) for shape in RECTANGLES],
    ),
    (
        "SCALE-Sim v2, weight-stationary",
        "c(K, R) c(N, C) (2 R + C + M - 2) - 1",
        [scale_sim_law("weight_stationary")(*shape) for shape in RECTANGLES],
    ),
    (
        "SCALE-Sim v2, input-stationary",
        "c(K, R) c(M, C) (2 R + C + N - 2) - 1",
        [scale_sim_law("input_stationary")(*shape) for shape in RECTANGLES],
    ),
]
SEED = 20180601
PRODUCTS = 30  # of each array of each law


def network_of(products):
    """A network of matrix products side by side, and their widths."""
    network = ["schema: network/1", "name: products", "inputs:"]
    network += [f"  in{i}: [1, {p[0]}, {p[2]}]" for i, p in enumerate(products)]
    network += ["layers:"]
    network += [
        f"  - {{name: p{i}, kind: fully_connected, inputs: [in{i}], out_features: {p[1]}}}"
        for i, p in enumerate(products)
    ]
    network += ["outputs: [" + ", ".join(f"p{i}" for i in range(len(products))) + "]"]
    widths = ["schema: assignment/1", "name: products", "default: w8a8", "layers:"]
    widths += [f'  "p{i}": w{p[3]}a{p[4]}' for i, p in enumerate(products)]
    return "\n".join(network) + "\n", "\n".join(widths) + "\n"


class Laws:
    """All laws at random sizes, in every fidelity."""

    def __init__(self, runner, fidelities, short):
        self.futures = []
        rng = random.Random(SEED)
        for name, formula, arrays in LAWS:
            for number, (accelerator, settings, widths, most, law) in enumerate(arrays):
                products = [
                    tuple(
                        [rng.randint(1, most) for _ in range(3)]
                        + [rng.choice(widths), rng.choice(widths)]
                    )
                    for _ in range(PRODUCTS)
                ]
                if short and number != 1:
                    continue
                network, bits = network_of(products)
                stem = f"law{len(self.futures)}"
                run = Run(
                    accelerator,
                    runner.write(stem + ".yaml", network),
                    runner.write(stem + "_bits.yaml", bits),
                    settings=settings,
                    ideal_memory=True,
                )
                rows, columns = (int(setting.split("=")[1]) for setting in settings[:2])
                steps = rows * columns * sum(law(*product) for product in products)
                used = [f for f in fidelities if f != "cycle" or steps <= MOST_STEPS]
                reports = [(fidelity, runner.submit(run.at(fidelity))) for fidelity in used]
                self.futures.append((name, formula, settings, products, law, reports))

    def render(self, document):
        rows, errors, broken = {}, [], []
        for name, formula, settings, products, law, reports in self.futures:
            row = rows.setdefault(name, [name, f"`{formula}`", 0, 0])
            for fidelity, future in reports:
                for product, layer in zip(products, future.result().layers):
                    expected = law(*product)
                    error = layer["latency_cycles"] / expected - 1
                    errors.append(error)
                    row[2] += 1
                    row[3] += layer["latency_cycles"] == expected
                    if layer["latency_cycles"] != expected:
                        m, n, k, w, a = product
                        broken.append(
                            f"{name}, {' '.join(settings)}, gemm:{m}x{n}x{k} w{w}a{a}, {fidelity}"
                        )
        document.add(
            table(
                ["design", "law, c(x, y) = x / y rounded up", "runs", "exact"],
                [[r[0], r[1], count(r[2]), count(r[3])] for r in rows.values()],
                left=2,
            )
        )
        document.summarize("laws of these designs at random sizes", errors, "0 cycles", broken)


RBE_BOUND = 0.03


def render_rbe(document, observed, fidelities):
    document.heading("PULP's RBE", 3)
    document.add(
        wrapped(
            "A complete bit-serial engine with its controller, whose phases do not overlap; its "
            "own memory port is part of them. Six constants of its index updates were set on the "
            "six rows marked *fit*; the others are validated. A row is"
        ),
        command(
            "widthwise run -a rtl/rbe --ideal-memory --set memory.output_bits=OUT",
            "-n conv:HxWxKxNxKERNEL --bits wWaA --fidelity FIDELITY",
        ),
    )
    rows, errors, broken = [], [], []
    fitted = set()
    for row, run, reports in observed:
        seen = int(row["total_cycles"])
        ours = [future.result().total["latency_cycles"] for future in reports]
        worst = max((cycles / seen - 1 for cycles in ours), key=abs)
        fit = row["total_cycles"] in RBE_FIT and row["total_cycles"] not in fitted
        fitted.add(row["total_cycles"])
        label = [run.network[len("conv:") :], run.bits, run.settings[0].split("=")[1]]
        rows.append(
            [
                *label,
                "fit" if fit else "validated",
                count(seen),
                *map(count, ours),
                ratio(1 + worst),
            ]
        )
        if not fit:
            errors += [cycles / seen - 1 for cycles in ours]
        if abs(worst) > RBE_BOUND:
            broken.append(f"{run.network} {run.bits} {run.settings[0]}: {percent(worst)}")
    document.add(
        table(
            ["convolution", "bits", "out", "row", "observed", *fidelities, "ratio"],
            rows,
            left=4,
        )
    )
    document.summarize(
        "PULP's RBE, observed cycles nothing was set on", errors, share(RBE_BOUND, 0), broken
    )


def plan(runner, fidelities, short):
    found, rbe = observed_runs()

    def started(runs, fidelities):
        return [
            (row, run, [runner.submit(run.at(fidelity)) for fidelity in fidelities])
            for row, run in runs
        ]

    observed = started(found, fidelities)
    rbe = started(rbe, fidelities)
    laws = Laws(runner, fidelities, short)

    def render(document):
        document.heading("1. Register-transfer designs")
        document.add(
            wrapped(
                "Cycles observed in Verilator 5.006 on third-party RTL, fed without memory stalls "
                "(`tests/validation/rtl_cycles.csv`), against `configs/accelerators/rtl/`, whose "
                "timing parameters the laws of the designs give. M x N x K is the matrix product, "
                "R x C the array, for BISMO R x lanes x C. A row is"
            ),
            command(
                "widthwise run -a rtl/DESIGN --ideal-memory --set engine.rows=R --set "
                "engine.columns=C",
                "-n gemm:MxNxK --bits wWaA --fidelity FIDELITY",
            ),
            wrapped(
                "and for BISMO also `--set engine.precision.lanes=LANES` and `--set "
                "engine.timing.fold_gap=0`."
            ),
        )
        summary = {}
        broken = []
        rows = []
        for row, run, reports in observed:
            seen = int(row["total_cycles"])
            ours = [future.result().total["latency_cycles"] for future in reports]
            worst = max((found - seen for found in ours), key=abs)
            name = row["design"]
            errors = summary.setdefault(name, [])
            errors += [found / seen - 1 for found in ours]
            label = run.accelerator[len("rtl/") :]
            rows.append(
                [
                    f"`{label}`",
                    row["array"],
                    run.network[len("gemm:") :],
                    run.bits,
                    count(seen),
                    *[count(found) for found in ours],
                    worst,
                ]
            )
            if worst != 0:
                broken.append(f"{label} {row['array']} {run.network} {run.bits}: {worst} cycles")
        document.add(
            table(
                ["design", "array", "M x N x K", "bits", "observed", *fidelities, "difference"],
                rows,
                left=4,
            )
        )
        every = [error for errors in summary.values() for error in errors]
        document.summarize("register-transfer designs, observed cycles", every, "0 cycles", broken)
        if rbe:
            render_rbe(document, rbe, fidelities)
        document.heading("The same designs at random sizes", 3)
        document.add(
            wrapped(
                "The laws that the observed rows follow, on several sizes of the arrays (R, C "
                f"from 1 to 32), {PRODUCTS} random products each (seed {SEED}), in each fidelity "
                f"(`cycle` where it steps elements at most {count(MOST_STEPS)} times). SCALE-Sim "
                "v2 is a simulator, not RTL; its law without memory limits is a machine here too."
            )
        )
        laws.render(document)
        document.add(
            bullets(
                [
                    "Parameters of a design (start-up, emptying, gaps) were set from its law, "
                    "which was found on these rows; that the same parameters hold at other "
                    "sizes, widths and dataflows is what the rows show."
                ]
            )
        )

    return render
