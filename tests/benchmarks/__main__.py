"""Runs the benchmarks: ``python -m tests.benchmarks [NAME …]``. Prints tables, asserts nothing about time."""

import importlib
import pkgutil
import sys

import tests.benchmarks


def main() -> None:
    names = sys.argv[1:] or [
        module.name for module in pkgutil.iter_modules(tests.benchmarks.__path__) if module.name != "__main__"
    ]
    for name in names:
        print(f"\n== {name}")
        importlib.import_module(f"tests.benchmarks.{name}").main()


if __name__ == "__main__":
    main()
