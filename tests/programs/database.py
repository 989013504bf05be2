# SPDX-License-Identifier: GPL-2.0
"""Threads that write to one sqlite3 database, in WAL mode and with a rollback journal.

Each adds its rows, moves an amount between two accounts, and reads what others wrote.
Prints what the database holds in the end.
"""

import sqlite3
import threading

THREADS, ROUNDS, ACCOUNTS = 4, 60, 10


def connect(mode: str) -> sqlite3.Connection:
    """A connection to the database of a journal mode."""
    db = sqlite3.connect(f"{mode}.db", timeout=120, isolation_level=None)
    db.execute(f"PRAGMA journal_mode={mode}")
    db.execute("PRAGMA mmap_size=1000000")
    return db


def work(mode: str, me: int, bad: list[str]) -> None:
    """What one thread does."""
    db = connect(mode)
    for n in range(ROUNDS):
        db.execute("BEGIN IMMEDIATE")
        db.execute("INSERT INTO rows VALUES (?, ?, ?)", (me, n, bytes([me]) * (n * 37)))
        for sign, account in ((-1, (me + n) % ACCOUNTS), (1, (me * n) % ACCOUNTS)):
            db.execute("UPDATE accounts SET amount = amount + ? WHERE id = ?", (sign * n, account))
        db.execute("COMMIT")
        total, = db.execute("SELECT sum(amount) FROM accounts").fetchone()
        if total:
            bad.append(f"{mode}: the accounts' sum is {total}")
    db.close()


for mode in ("wal", "delete"):
    bad: list[str] = []
    db = connect(mode)
    db.execute("CREATE TABLE rows (who INTEGER, n INTEGER, data BLOB)")
    db.execute("CREATE INDEX by_n ON rows (n, who)")
    db.execute("CREATE TABLE accounts (id INTEGER PRIMARY KEY, amount INTEGER)")
    db.executemany("INSERT INTO accounts VALUES (?, 0)", [(n,) for n in range(ACCOUNTS)])
    threads = [threading.Thread(target=work, args=(mode, n, bad)) for n in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print("result:", mode, db.execute("PRAGMA integrity_check").fetchone()[0],
          db.execute("SELECT count(*), sum(length(data)), sum(who * n) FROM rows").fetchone(),
          [amount for amount, in db.execute("SELECT amount FROM accounts ORDER BY id")], bad)
