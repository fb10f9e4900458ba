"""Servers that the tests start for themselves, on ports that were free."""

import socket
import subprocess
import time
import urllib.request
from contextlib import contextmanager


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until_healthy(process, address, path="health"):
    """Return when the server answers; fail at once where its process has ended."""
    for _ in range(600):
        assert process.poll() is None, f"the server ended with exit code {process.returncode}"
        try:
            urllib.request.urlopen(f"{address}/{path}", timeout=5)
            return
        except OSError:
            time.sleep(1)
    raise TimeoutError(f"{address} does not answer")


class Server:
    """A command that serves a port, which stands in its words as PORT; it can be stopped and started again."""

    def __init__(self, words, folder, environment=None, path="health"):
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self.words = [str(self.port) if word == "PORT" else str(word) for word in words]
        self.folder, self.environment, self.path = folder, environment, path

    def start(self):
        self.process = subprocess.Popen(self.words, cwd=self.folder, env=self.environment)
        try:
            wait_until_healthy(self.process, self.address, self.path)
        except BaseException:
            self.process.kill()
            self.process.wait(30)
            raise

    def stop(self):
        self.process.terminate()
        self.process.wait(120)


@contextmanager
def serving(words, folder, **options):
    """Run a server as long as the block runs."""
    server = Server(words, folder, **options)
    try:
        server.start()
        yield server
    finally:
        server.stop()
