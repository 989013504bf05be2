# SPDX-License-Identifier: GPL-2.0
"""What gdb loads by itself with linux/linux: the mm- commands and the set-up.

The build links it next to the program, as gdb wants it. gdb asks for a line in
~/.config/gdb/gdbinit first: `add-auto-load-safe-path <this project's folder>`.
"""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
import mm.session  # noqa: E402

mm.session.start()
