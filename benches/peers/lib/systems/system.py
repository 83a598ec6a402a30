"""What all systems have in common."""

from contextlib import ExitStack
from pathlib import Path

from ..process import require_free


class System:
    """Three nodes on loopback, from `start` until its stack unwinds."""

    # Its name in options and file names, and for people.
    name = ""
    title = ""
    # What an acknowledged put has survived, what a put and a get ask for, and what differs from its defaults.
    durability = ""
    configuration = ""
    # Which protocol the client speaks.
    protocol = ""
    # What can be asked with several requests in flight on one connection, and why not the rest.
    multiplexes: tuple[str, ...] = ("put", "get", "mixed")
    multiplexes_not = ""
    # The variables that the client needs.
    load_environment: dict[str, str] = {}

    def __init__(self) -> None:
        self.nodes: list[str] = []
        self.pids: list[int] = []

    def missing(self) -> str | None:
        """What is not installed, and how to get it; or nothing."""
        raise NotImplementedError

    def version(self) -> str:
        raise NotImplementedError

    def start(self, stack: ExitStack, folder: Path, port: int) -> None:
        """Starts three nodes with their data in this folder; returns when they serve."""
        raise NotImplementedError

    def use(self, stack: ExitStack, folder: Path, port: int, ports: int) -> None:
        """Starts it in a folder of its own, if nobody has these ports."""
        require_free(range(port, port + ports))
        folder.mkdir(parents=True)
        self.start(stack, folder, port)
