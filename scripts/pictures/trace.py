# SPDX-License-Identifier: GPL-2.0
"""Record a test: what moved a folio's references, and how its range was mapped.

The test runs with the tracepoints of mm, each with its stack. Out come two
files: a timeline in words, and a picture (SVG) of the same: above the references
of the folios over the steps, below each page of the range, coloured by what maps
it. Time in a guest comes in bursts, so the picture's axis are the steps; what a
function does again and again without anything in between is one step.
"""

from __future__ import annotations

import re
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from scripts.pictures import plot
from scripts.guest import machine
from scripts.common import BUILD, ROOT, Fatal, main, say

# What is recorded; a topic adds its own group, if the kernel has it.
GROUPS = ("page_ref", "page_table_check", "huge_memory", "thp", "migrate", "mmap", "tlb", "ksm",
          "hugetlbfs", "huge_zero", "pte_ref")
ENTRIES, PAGE, HUGE = 512, 4096, 2 << 20
EVENT = re.compile(r"^ *(.*)-(\d+) +\[\d+\] \S+ +([\d.]+): (\w+): (.*)$")
FIELD = re.compile(r"(\w+)=(\S+)")
# Frames that don't say who: the tracepoint's, and what every change goes through.
PLUMBING = re.compile(
    r"save_stack_trace|stack_trace_save|__ftrace_|trace_|(__)?page_ref_|__page_table_check_|"
    r"(__)?folio_(put|get|try_get|alloc)|folios_put|put_page|set_ptes?$|set_pmd_at|pmdp_|ptep_|"
    r"free_unref|__alloc_(pages|frozen)|prep_|get_page_from_freelist|try_grab_folio|"
    r"gup_put_folio|unpin_|post_alloc|alloc_pages|free_frozen|(__)?folio_batch_")
# Events whose val is what has been added; others set a count, or try to.
ADDING = ("page_ref_mod", "page_ref_mod_and_test", "page_ref_mod_and_return")
KINDS = {"none": "white", "page": "#4c9be8", "pmd": "#1b5e20", "zero": "#e0c84c",
         "huge zero": "#b8860b", "migration": "#c0392b", "swap": "#8e44ad", "other": "#888888"}
NAMES = {"none": "none", "page": "4K", "pmd": "PMD", "zero": "zero page",
         "huge zero": "huge zero page", "migration": "migration entry", "swap": "swap",
         "other": "other entry"}


class Event(NamedTuple):
    """One event of the trace."""

    seconds: float
    task: str           # "comm-pid"
    name: str
    fields: dict[str, str]
    stack: list[str]    # functions from the inside out

    def number(self, field: str) -> int:
        """A field as a number."""
        return int(self.fields[field], 0)

    @property
    def who(self) -> str:
        """The function that did it, and its caller."""
        real = [f for f in self.stack if not PLUMBING.match(f)] or self.stack
        return " < ".join(real[:2]) or "?"


def parse(text: Iterable[str]) -> Iterator[Event]:
    """The events of a trace file, in their order."""
    event: Event | None = None
    for line in text:
        if line.startswith(" => "):
            if event:
                event.stack.append(line[4:].split()[0].partition("+")[0])
        elif m := EVENT.match(line):
            if event:
                yield event
            event = Event(float(m[3]), f"{m[1].strip()}-{m[2]}", m[4],
                          dict(FIELD.findall(m[5])), [])
    if event:
        yield event


class Step(NamedTuple):
    """Something that happened, perhaps several times in a row."""

    event: Event
    what: str                           # "refs of PFN", or which pages of which mm
    old: str
    new: str
    refs: dict[int, int]                # of each folio, after it
    maps: dict[str, list[str]]          # of each mm, the kind of each page, after it
    times: int = 1

    @property
    def alike(self) -> tuple[str, ...]:
        """What steps that are of one run have in common."""
        what = re.sub(r"pages? .*", "", self.what)
        change = () if self.what.startswith("refs") else (self.old, self.new)
        return (what, *change, self.event.name, self.event.who, self.event.task)

    def __str__(self) -> str:
        more = f" and {self.times - 1} more" if self.times > 1 else ""
        return f"{self.what}: {self.old} -> {self.new}{more}"


def compressed(steps: list[Step], longest: int = 6) -> Iterator[Step]:
    """The steps, those that come again and again (up to so many in turn) only once."""
    at, keys = 0, [step.alike for step in steps]
    while at < len(steps):
        best, period = 1, 1
        for p in range(1, longest + 1):
            times = 1
            while keys[at:at + p] == keys[at + times * p:at + times * p + p]:
                times += 1
            if times > 1 and times * p > best * period:
                best, period = times, p
        for i in range(at, at + period):
            last = steps[i + (best - 1) * period]
            refs = steps[i].what.startswith("refs") and period == 1
            yield steps[i]._replace(times=best, refs=last.refs, maps=last.maps,
                                    new=last.new if refs else steps[i].new)
        at += best * period


class Story:
    """What a trace says of one range of 2 MB and the folios that were mapped there."""

    def __init__(self, events: list[Event], test: str, limit: int = 4) -> None:
        comm = test[:15]
        mapped = Counter[int]()
        for e in events:
            if e.name == "page_table_set" and e.task.startswith(f"{comm}-"):
                # Of a program's own pages there are many as well, but not by PMD.
                weight = 10000 if e.number("size") == HUGE else e.number("nr")
                mapped[e.number("addr") & -HUGE] += weight
        if not mapped:
            raise Fatal(f"{test} mapped no page while it was traced")
        self.base = mapped.most_common(1)[0][0]
        used, small = Counter[int](), Counter[int]()
        for e in events:
            if e.name == "page_table_set" and e.number("addr") & -HUGE == self.base and \
                    e.fields["kind"] in ("page", "zero"):
                (used if e.number("size") == HUGE else small)[e.number("pfn")] += 1
        self.folios = [pfn for pfn, _ in (used or small).most_common(limit)]
        self.mms: list[str] = []
        self.missed = 0
        self.steps = list(compressed(list(self._steps(events))))

    def _steps(self, events: list[Event]) -> Iterator[Step]:
        refs: dict[int, int] = {}
        maps: dict[str, list[str]] = {}
        for e, after in zip(events, [*events[1:], None]):
            if e.name.startswith("page_ref_") and e.number("pfn") in self.folios:
                what = self._refs(e, refs)
            elif e.name in ("page_table_set", "page_table_clear") and \
                    e.number("addr") & -HUGE == self.base and not replaced(e, after):
                what = self._maps(e, maps)
            else:
                continue
            if what:
                yield Step(e, *what, dict.fromkeys(self.folios, 0) | refs,
                           {mm: list(kinds) for mm, kinds in maps.items()})

    def _refs(self, e: Event, refs: dict[int, int]) -> tuple[str, str, str] | None:
        """Follow a change of references; what it changes."""
        pfn, new = e.number("pfn"), e.number("count")
        added = e.number("val") if e.name in ADDING else None
        old = refs.get(pfn, 0 if added is None else new - added)
        if added is not None and old + added != new:
            self.missed += 1
        refs[pfn] = new
        return (f"refs of {pfn}", str(old), str(new)) if old != new else None

    def _maps(self, e: Event, maps: dict[str, list[str]]) -> tuple[str, str, str] | None:
        """Follow a change of the page tables; what it changes."""
        mm, size, address = e.fields["mm"], e.number("size"), e.number("addr")
        if mm not in maps:
            maps[mm] = ["none"] * ENTRIES
            self.mms.append(mm)
        new = e.fields["kind"]
        if e.name == "page_table_clear":
            new = "none"
        elif size == HUGE:
            new = {"page": "pmd", "zero": "huge zero"}.get(new, new)
        first = (address - self.base) // PAGE
        count = ENTRIES if size == HUGE else e.number("nr")
        old = maps[mm][first]
        maps[mm][first:first + count] = [new] * count
        if old == new:
            return None
        pages = "all pages" if count == ENTRIES else f"page {first}" if count == 1 else \
            f"pages {first}-{first + count - 1}"
        return f"mm {self.mms.index(mm)}, {pages}", NAMES[old], NAMES[new]


def replaced(e: Event, after: Event | None) -> bool:
    """Whether an entry is cleared just to be set anew."""
    return e.name == "page_table_clear" and after is not None and \
        after.name == "page_table_set" and after.fields["mm"] == e.fields["mm"] and \
        0 <= e.number("addr") - after.number("addr") < after.number("nr") * after.number("size")


def timeline(story: Story, events: list[Event], test: str) -> Iterator[str]:
    """The story in words, with the events of other groups in their places."""
    yield f"{test}: range 0x{story.base:x}-0x{story.base + HUGE:x}"
    yield f"folios: {', '.join(f'{pfn} (0x{pfn:x})' for pfn in story.folios)}"
    start = events[0].seconds
    lines = [(s.event.seconds, f"{s!s:52} {s.event.who}", s.event.task) for s in story.steps]
    lines += [(e.seconds, f"{e.name} {' '.join(f'{k}={v}' for k, v in e.fields.items())}", e.task)
              for e in events if not e.name.startswith(("page_ref_", "page_table_"))]
    for seconds, text, task in sorted(lines, key=lambda line: line[0]):
        yield f"{(seconds - start) * 1000:10.3f} ms  {task:22} {text}"


def picture(story: Story, test: str, path: Path) -> None:
    """The story as an SVG.

    Raises:
        Fatal: matplotlib isn't installed.
    """
    pyplot = plot.matplotlib()
    from matplotlib.colors import ListedColormap
    steps, mms = story.steps, story.mms[:4]
    rows = 1 + len(mms)
    width = min(40.0, max(9.0, len(steps) * 0.22))
    figure, axes = pyplot.subplots(rows, 1, sharex=True, figsize=(width, 3.5 + 2.2 * rows),
                                   height_ratios=[1.6] + [1] * len(mms), squeeze=False,
                                   layout="constrained")
    top = axes[0][0]
    for pfn in story.folios:
        counts = [s.refs[pfn] for s in steps]
        top.step(range(len(steps) + 1), [*counts, counts[-1]], where="post", label=f"folio {pfn}")
    top.set_yscale("symlog", linthresh=4)
    top.set_ylabel("references")
    top.legend(loc="upper left", fontsize=8)
    top.set_title(f"{test}: folios at 0x{story.base:x}")
    kinds = list(KINDS)
    colours = ListedColormap(list(KINDS.values()))
    seen = set[str]()
    for index, mm in enumerate(mms):
        axis = axes[1 + index][0]
        columns = [s.maps.get(mm, ["none"] * ENTRIES) for s in steps]
        seen.update(kind for column in columns for kind in column)
        grid = [[kinds.index(column[page]) for column in columns] for page in range(ENTRIES)]
        axis.imshow(grid, aspect="auto", origin="lower", cmap=colours, vmin=0,
                    vmax=len(kinds) - 1, interpolation="nearest",
                    extent=(0, len(steps), 0, ENTRIES))
        axis.set_ylabel(f"page in mm {index}")
    plot.legend(axes[-1][0], {NAMES[k]: KINDS[k] for k in kinds if k in seen}, fontsize=8)
    every = max(1, len(steps) // 150)
    start = steps[0].event.seconds
    axes[-1][0].set_xticks(range(0, len(steps), every))
    axes[-1][0].set_xticklabels(
        [f"{(s.event.seconds - start) * 1000:.1f} ms {s.event.who.split(' < ')[0]}"
         for s in steps[::every]], rotation=90, fontsize=6)
    figure.savefig(path)
    pyplot.close(figure)


def record(kernel: Path, args: list[str], test: str) -> tuple[machine.Run, list[Event]]:
    """Run a test with the events recorded.

    Raises:
        Fatal: the guest left no trace.
    """
    with tempfile.TemporaryDirectory(prefix="uml-mm-") as name:
        folder = Path(name)
        (folder / "events").write_text("".join(f"{group}\n" for group in GROUPS))
        run = machine.boot(kernel, args, [f"trace={folder}", test], timeout=600)
        try:
            text = (folder / "trace").read_text(errors="replace").splitlines(keepends=True)
        except OSError:
            raise Fatal(f"no trace: {run.problem or run.output[-300:]}") from None
    if dropped := sum(int(line.split()[2]) for line in text if line.startswith("dropped events:")):
        say(f"the last {dropped} events had no room in the buffer")
    events = list(parse(text))
    return run, events


def command() -> int:
    """The command line."""
    kernel, args, test = plot.one_test(__doc__)
    plot.matplotlib()       # better missed now than after the run
    run, events = record(kernel, args, test)
    if not events:
        raise Fatal("the trace is empty: is this kernel built with FTRACE?")
    story = Story(events, test)
    folder = BUILD / "trace"
    folder.mkdir(exist_ok=True)
    words, image = folder / f"{test}.txt", folder / f"{test}.svg"
    words.write_text("\n".join(timeline(story, events, test)) + "\n")
    if story.missed:
        say(f"{story.missed} changes of references don't follow from the one before")
    print(f"{words.relative_to(ROOT)}: {len(events)} events, {len(story.steps)} steps")
    picture(story, test, image)
    print(image.relative_to(ROOT))
    if run.status:
        say(f"the test itself: {run.problem or 'failed'}")
    return run.status


if __name__ == "__main__":
    main(command)
