# SPDX-License-Identifier: GPL-2.0
"""Run a make command at every save below linux/ and rootfs/, and say what came out.

A save while it builds or runs ends that at once and starts it again, so what is
judged is always what is on disk.
"""

from __future__ import annotations

import os
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from scripts.common import ROOT, Fatal, main, say

WATCHED = ("linux", "rootfs")
SETTLE = 0.1    # seconds without a save until it starts: an editor saves in steps
# Swap files and backups of editors.
IGNORED = re.compile(r"~$|/4913$|/[.#][^/]*$")
ERROR = re.compile(r"error:|undefined reference|\*\*\*")
FAILING = re.compile(r" +(not ok |# (kernel:|timed out|died|exit status|expected))|uml-mm: ")


def start(argv: list[str], **pipes: int) -> subprocess.Popen[bytes]:
    """Start a command in a session of its own that ends with this process at the latest."""
    return subprocess.Popen(["setpriv", "--pdeathsig", "TERM", *argv], cwd=ROOT,
                            stdin=subprocess.DEVNULL, start_new_session=True, **pipes)


def end(process: subprocess.Popen[bytes]) -> None:
    """End a command's session and wait until all in it have closed its output.

    What takes longer than 10 s is killed.
    """
    if process.returncode is not None:
        return
    assert process.stdout
    os.killpg(process.pid, signal.SIGTERM)
    deadline = time.monotonic() + 10
    while select.select([process.stdout], [], [], max(0.0, deadline - time.monotonic()))[0] \
            and os.read(process.stdout.fileno(), 1 << 16):
        pass
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def summary(output: str, status: int) -> str:
    """The verdict, and for a failure the first line that tells why."""
    build, ktap, guest = output.partition("KTAP version")
    lines = (guest or build).splitlines()
    totals = next((line[2:] for line in lines if line.startswith("# totals:")), "")
    if not status:
        return totals or "".join(lines[-1:])
    why = next(filter((FAILING if ktap else ERROR).search, lines), "".join(lines[-1:]))
    test = next((line for line in lines if line.startswith("not ok ")), "")
    verdict = totals or ("the guest didn't come to its end" if ktap else "nothing was run")
    return "\n".join(filter(None, [verdict, test, f"  {why.strip().replace(f'{ROOT}/', '')}"]))


class Watch:
    """The saved files, as inotifywait names them."""

    def __init__(self) -> None:
        if not shutil.which("inotifywait"):
            raise Fatal("watch needs inotifywait: apt-get install inotify-tools")
        self.process = start(
            ["inotifywait", "-m", "-r", "--exclude", r"/\.git(/|$)", "--format", "%w%f",
             "-e", "close_write,moved_to,moved_from,delete", *WATCHED],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert self.process.stdout and self.process.stderr
        self.fd = self.process.stdout.fileno()
        for line in self.process.stderr:
            if b"established" in line:
                return
            if b"upper limit" in line:
                end(self.process)
                raise Fatal("more folders than inotify may watch: "
                            "`sysctl fs.inotify.max_user_watches=524288`")
        raise Fatal("inotifywait ended")

    def saved(self, job: subprocess.Popen[bytes], seconds: float | None = None) -> list[Path]:
        """Files saved until there is nothing new for SETTLE; the first one ends the job.

        Args:
            seconds: to wait for the first one; None is for ever.
        """
        names: set[str] = set()
        while select.select([self.fd], [], [], SETTLE if names else seconds)[0]:
            data = os.read(self.fd, 1 << 16)
            if not data:
                raise Fatal("inotifywait ended")
            while not data.endswith(b"\n"):
                data += os.read(self.fd, 1 << 16)
            names.update(n for n in os.fsdecode(data).splitlines() if not IGNORED.search(n))
            if names:
                end(job)
        return [ROOT / name for name in sorted(names)]


def command() -> int:
    """The command line: what to run."""
    watch = Watch()
    job = None
    try:
        while True:
            began = time.monotonic()
            job = start(sys.argv[1:], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            assert job.stdout
            output, saved, built = bytearray(), list[Path](), 0.0
            while not saved:
                ready = select.select([job.stdout, watch.fd], [], [])[0]
                if watch.fd in ready:
                    saved = watch.saved(job, 0)
                elif data := os.read(job.stdout.fileno(), 1 << 16):
                    output += data
                    if not built and b"KTAP version" in output:
                        built = time.time()
                    if os.environ.get("V", "0") != "0":
                        os.write(1, data)
                else:
                    text = summary(output.decode(errors="replace"), job.wait())
                    built = built or time.time()
                    print(f"{text}  ({time.monotonic() - began:.1f} s)", flush=True)
                    saved = watch.saved(job)
            job.stdout.close()
            # make compares times: a file saved under a compiler's hands, or an old
            # one that was moved here, would count as built.
            for path in filter(Path.is_file, saved):
                if path.stat().st_mtime <= (built or time.time()):
                    os.utime(path)
            say(f"{', '.join(str(p.relative_to(ROOT)) for p in saved[:3])}"
                f"{' ...' if saved[3:] else ''}")
    finally:
        for process in filter(None, (job, watch.process)):
            end(process)


if __name__ == "__main__":
    main(command)
