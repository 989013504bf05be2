# SPDX-License-Identifier: GPL-2.0
"""gdb commands that understand the memory management of the kernel under it."""
