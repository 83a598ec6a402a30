"""The systems, and who is compared with whom."""

from .cassandra import Cassandra
from .etcd import Etcd
from .garage import Garage
from .quorate import Quorate
from .redis import Redis
from .system import System

# By the names of --only, the pairs: how durable Quorate is, and the peer.
PEERS: dict[str, list[tuple[str, System]]] = {
    "etcd": [("sync", Etcd())],
    "redis": [("sync", Redis("always")), ("interval(100ms)", Redis("everysec"))],
    "garage": [("sync", Garage())],
    "cassandra": [("sync", Cassandra())],
}

__all__ = ["PEERS", "Quorate", "System"]
