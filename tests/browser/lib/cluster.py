"""Three real nodes on free ports, and some traffic."""

import http.client
import socket
import subprocess
import threading
import time

# How many bases are tried to find one whose ports are free.
TRIES = 200


def free_base(nodes):
    """A base port: node i listens on base + 10 i, and on the two above."""
    for base in range(20_000, 20_000 + 40 * TRIES, 40):
        ports = [base + 10 * node + more for node in range(1, nodes + 1) for more in range(3)]
        if all(map(is_free, ports)):
            return base
    raise AssertionError("no free ports were found")


def is_free(port):
    """Nobody listens there."""
    with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
        try:
            tcp.bind(("127.0.0.1", port))
            udp.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


class Cluster:
    """`quorate cluster`, in one folder."""

    def __init__(self, quorate, folder, nodes=3):
        self.quorate, self.folder = quorate, folder
        self.base = free_base(nodes)
        self.run("start", "--nodes", str(nodes), "--base-port", str(self.base))
        self.traffic = None

    def run(self, *arguments):
        """One of its commands."""
        command = [self.quorate, "cluster", *arguments, "--dir", self.folder]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, f"{' '.join(command)}: {done.stdout}{done.stderr}"

    def http(self, node):
        """Where a node answers HTTP."""
        return f"localhost:{self.base + 10 * node + 1}"

    def request(self, node, method, path, body=None):
        """One request; its status."""
        return self.ask(node, method, path, body=body)[0]

    def ask(self, node, method, path, headers=None, body=None):
        """One request; its status and the answer's body."""
        connection = http.client.HTTPConnection(self.http(node), timeout=10)
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def begin_traffic(self):
        """Puts and gets, some tens a second, until `end_traffic`."""
        self.stop = threading.Event()
        self.traffic = threading.Thread(target=self._traffic, daemon=True)
        self.traffic.start()

    def end_traffic(self):
        """No more of it."""
        if self.traffic:
            self.stop.set()
            self.traffic.join()
            self.traffic = None

    def _traffic(self):
        number = 0
        while not self.stop.is_set():
            number += 1
            level = ["one", "quorum", "all"][number % 3]
            try:
                self.request(1, "PUT", f"/v1/kv/carts/k{number % 200}?consistency={level}&timeout=1s", f"v{number}")
                self.request(1, "GET", f"/v1/kv/carts/k{number % 200}?consistency={level}&timeout=1s")
            except OSError:
                pass
            time.sleep(0.01)
