# SPDX-License-Identifier: GPL-2.0
"""Guest after guest in which tests run in parallel, short of memory, and are killed.

What happens in a guest comes from its seed (rootfs/bench_stress.c); each guest
has the next one. Results of tests don't count: the first complaint of the
kernel, panic, hang or crash ends it and fails, with the seed that repeats it.
"""

from __future__ import annotations

import argparse
import random
import time

from scripts.guest import ktap, machine
from scripts.common import Fatal, json_option, main, say, write_json

SECONDS = 25    # that a guest runs tests
# What a kernel complains of ends it, so that nothing hides the first backtrace.
# A test may have lowered the console's level. A loaded machine can let one huge
# page's allocation take 15 seconds.
STRICT = ["panic_on_warn=1", "oops=panic", "sysctl.kernel.hung_task_timeout_secs=30",
          "sysctl.kernel.hung_task_panic=1", "ignore_loglevel"]
TAIL = 60       # lines of the console before the complaint, and after it


def complaint(run: machine.Run) -> tuple[str, str]:
    """What a guest failed of, in a line, and the console around it; empty if it didn't."""
    lines = run.output.splitlines()
    at = next((i for i, line in enumerate(lines) if ktap.SPLAT.search(line)), None)
    if at is None and not run.status:
        return "", ""
    problem = lines[at].strip() if at is not None else run.problem or f"status {run.status}"
    at = len(lines) if at is None else at
    return problem, "\n".join([*lines[max(0, at - TAIL):at + TAIL], run.backtrace])


def command() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    machine.guest_options(parser)
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--seed", type=int, help="of the first guest")
    json_option(parser)
    options = parser.parse_args()
    seed = random.randrange(1 << 31) if options.seed is None else options.seed
    if options.minutes <= 0 or seed < 0:
        raise Fatal("MINUTES must be more than 0, SEED not less")
    start, first = time.monotonic(), seed
    while True:
        print(f"seed {seed}", flush=True)
        run = machine.boot(options.kernel,
                       [*machine.guest_args(options), *STRICT,
                        f"STRESS_SEED={seed}", f"STRESS_SECS={SECONDS}"],
                       ["bench_stress"], timeout=3 * SECONDS)
        problem, console = complaint(run)
        if problem:
            print(console)
            say(f"SEED={seed}: {problem}")
            write_json(options.json, first_seed=first, seed=seed, problem=problem)
            return 1
        seed += 1
        if time.monotonic() - start > options.minutes * 60 - SECONDS:
            say(f"{(time.monotonic() - start) / 60:.1f} minutes without a complaint")
            write_json(options.json, first_seed=first, seed=seed - 1, problem="")
            return 0


if __name__ == "__main__":
    main(command)
