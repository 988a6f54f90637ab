"""Shipped machines against published figures."""

from bit_fusion import BitFusion
from bit_serial import BismoPeak, Serial, Unpu
from measured import Haq, PrecisionBatching
from text import bullets, wrapped


def plan(runner, short):
    parts = [
        BitFusion(runner, short),
        Haq(runner, short),
        BismoPeak(runner),
        Serial(runner, short),
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
                    "HAQ's table 1 (a policy made for one machine and run on the others): the "
                    "paper does not list the widths of its policies per layer.",
                    "Colonnade (JSSC 2021), 65 nm, energy per MAC 1 : 2.37 : 6.2 : 17.2 : 58.7 "
                    "at 1, 2, 4, 8, 16 bits of both operands: a part of its energy grows with "
                    "one width only. Engines here that take both operands bit by bit grow with w "
                    "a, 1 : 4 : 16 : 64 : 256.",
                    "Stripes' 1.92 times DaDianNao and Loom's 4.38 times: means over widths per "
                    "layer of networks which the abstracts do not give.",
                    "Bit Fusion at 16 nm against a Titan Xp, BitBlade, BitWave, Envision's "
                    "silicon: no energy table of such a technology ships.",
                ]
            )
        )

    return render
