"""Latencies that HAQ and PrecisionBatching publish."""

from runs import Run, rows_of
from text import bullets, command, percent, ratio, share, table, wrapped


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
                "Sixteen latencies in ms of table 3 of HAQ (arXiv 1811.08886; `haq.csv`), at "
                "uniform widths. One clock for each machine (198.3 and 207.7 MHz) was set on all "
                "of its eight rows, so that what is validated is how latency changes with "
                "network and widths."
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
                "MobileNet-V1 on a Bit Fusion whose size, clock and memories HAQ does not give, "
                "so only ratios to w8a8 compare. Ours is `bitfusion_16x32` at batch 16 with "
                "groups of depthwise layers side by side and outputs of 8 bits, which was chosen "
                "by looking at these rows: as it is shipped, it is bound by its 32-bit sums in "
                "DRAM and by one channel of a depthwise layer at a time, and w4a4 saves 2 %."
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
                [
                    "bits",
                    "latency, published",
                    "ours",
                    "ratio",
                    "energy, published",
                    "ours",
                    "ratio",
                ],
                rows,
            )
        )
        document.summarize(
            "HAQ, Bit Fusion, relative to w8a8 (settings chosen on them)",
            errors,
            share(self.FUSION, 0),
            [percent(error) for error in errors if abs(error) > self.FUSION],
        )


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
                "Measured on an NVIDIA T4 at batch 1 (`precisionbatching_t4.csv`), in ms. How "
                "many steps a time covers is not published, nor is what does not grow with the "
                "planes (kernel starts) modelled, so two constants of time = c0 + n x ours are "
                "set on the two rows marked *fit*; the others are validated. `widthwise run -a "
                "precision_batching -n NETWORK --bits wWaA`."
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
                    "The measured law is c0 + (w + 1) (c1 + c2 a). Planes and population counts "
                    "follow from the machine's file: (w + 1) planes of a weight from DRAM at 320 "
                    "GB/s, (w + 1) a counts by 640 units at 1.59 GHz. On the T4 the two do not "
                    "overlap, here they do; where fetching takes longer than counting, at 8-bit "
                    "activations, that shows.",
                    "`pbatch_mlp` w1a8 was measured slower than w1a16.",
                    "Activations of 32 bits are beyond the 16 bits of the model.",
                ]
            )
        )
