"""Numbers in the sentences that the engine says."""


def counted(number: int, one: str) -> str:
    """1 run, 2 runs."""
    return f"{number} {one if number == 1 else one + 's'}"
