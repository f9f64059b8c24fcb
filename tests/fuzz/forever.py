"""Reads hostile files of all parsers with one seed after the other until the time is up: `make fuzz`.

python -m tests.fuzz.forever MINUTES [SEED]
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time

from tests.fuzz.parsers import PARSERS

#: Hostile files of each parser per process.
EXAMPLES = 50


def main(minutes: float, seed: int) -> int:
    """The number of files that were not answered as they must be; they are printed."""
    end, faults, files = time.monotonic() + 60 * minutes, 0, 0
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENCV_LOG_LEVEL": "SILENT", "OPENCV_FFMPEG_LOGLEVEL": "-8"}
    print(f"seeds from {seed}; again: python -m tests.fuzz.worker PARSER {EXAMPLES} SEED", flush=True)
    while time.monotonic() < end:
        for name in PARSERS:
            command = [sys.executable, "-m", "tests.fuzz.worker", name, str(EXAMPLES), str(seed)]
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
            told = [json.loads(line) for line in done.stdout.splitlines()]
            found = [answer for answer in told if "fault" in answer]
            if done.returncode:
                found.append({"parser": name, "seed": seed, "fault": f"died: {done.returncode}", "data": done.stderr})
            for answer in found:
                print(f"{name}, seed {seed}, example {answer.get('example')}: {answer['fault']}\n{answer['data']}\n")
            faults, files = faults + len(found), files + EXAMPLES
            if time.monotonic() >= end:
                break
        seed += 1
    print(f"{files} hostile files, {faults} faults", flush=True)
    return faults


if __name__ == "__main__":
    first = int(sys.argv[2]) if len(sys.argv) > 2 else random.SystemRandom().randrange(1 << 31)
    sys.exit(bool(main(float(sys.argv[1]), first)))
