"""What publications claim of whole machines."""

from runs import rows_of


def claim(machine, quantity, condition):
    for row in rows_of("published_claims.csv"):
        if (row["machine"], row["quantity"], row["condition"]) == (machine, quantity, condition):
            return float(row["value"])
    raise KeyError((machine, quantity, condition))
