"""A pseudo-terminal that runs the command line: what it shows is read, keys are pressed."""

import os
import pty
import select
import sys
import termios
import time

from conftest import ROOT


class Terminal:
    """`stance` on a terminal of 80 columns."""

    def __init__(self, *words):
        self.process_id, self.descriptor = pty.fork()
        if not self.process_id:
            os.execve(
                sys.executable,
                [sys.executable, "-m", "pipeline", *words],
                os.environ | {"PYTHONPATH": str(ROOT), "TERM": "xterm", "COLUMNS": "80"},
            )

    def expect(self, text):
        """Read on until a text has been shown; return all that was shown since the last time."""
        shown = ""
        while text not in shown:
            assert select.select([self.descriptor], [], [], 60)[0], f"{text!r} is not in {shown!r}"
            shown += os.read(self.descriptor, 4096).decode("utf-8", "replace")
        return shown

    def press(self, key):
        """Press a key once the program waits for one; what is pressed before that is dropped."""
        limit = time.monotonic() + 60
        while termios.tcgetattr(self.descriptor)[3] & termios.ICANON:
            assert time.monotonic() < limit, "the program waits for no key"
            time.sleep(0.005)
        self.type(key)

    def type(self, text):
        os.write(self.descriptor, text.encode())

    def end(self):
        """Wait for the end and return the exit code."""
        while True:
            try:
                if not os.read(self.descriptor, 4096):
                    break
            except OSError:
                break
        return os.waitstatus_to_exitcode(os.waitpid(self.process_id, 0)[1])
