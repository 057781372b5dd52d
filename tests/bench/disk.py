# SPDX-License-Identifier: Apache-2.0
"""What a sync takes on this machine without Tern, while something is measured that waits for syncs."""
import os
import tempfile
import threading
import time

BYTES = 4096
PAUSE = 0.02  # seconds between two syncs


class Syncs:
    """Appends to a file of its own and syncs it, over and over. `longest`: seconds of the longest sync so far."""

    def __init__(self, folder):
        self.folder, self.longest, self.is_ending = folder, 0.0, False
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _run(self):
        with tempfile.TemporaryFile(dir=self.folder, buffering=0) as file:
            while not self.is_ending:
                begin = time.monotonic()
                file.write(bytes(BYTES))
                os.fdatasync(file.fileno())
                self.longest = max(self.longest, time.monotonic() - begin)
                time.sleep(PAUSE)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *exception):
        self.is_ending = True
        self.thread.join()
