"""One history: servers, clients and watchers in a world where things go wrong, then a calm in which
everything must come to an end."""

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

from .checker import Checker
from .clients import Client, Network, Told, Watcher, check
from .database import CALM, Database, Faults
from .provider import Provider
from .server import Server
from .world import SECOND, START_US, World

STORM_S = 12
CALM_S = 240
"""Longer than all leases, waits and back-offs together."""

Bug = Callable[[], AbstractContextManager[None]]


def run(seed: int, bug: Bug = nullcontext) -> World:
    """Play the history of a seed. What is broken is in the world's failure.

    bug: planted while it runs, to see whether it is found.
    """
    world = World(seed)
    logging.disable(logging.CRITICAL)  # it is full of what goes wrong on purpose
    try:
        with bug():
            _play(world)
    finally:
        world.close()
        logging.disable(logging.NOTSET)
    return world


def _play(world: World) -> None:
    random = world.random
    faults = _faults(world)
    database = Database(world, faults)
    provider = Provider(world, database)
    checker = Checker(world, database, provider)
    shared = random.random() < 0.7  # servers over PostgreSQL; otherwise one over SQLite
    servers = [Server(world, database, provider, f"server{i}") for i in range(3 if shared else 1)]
    births = len(servers)
    network = Network(world, database, servers)
    told = Told()
    tenants = ["red", "blue"]
    clients = [
        Client(world, network, told, random.choice(tenants), f"client{i}", random.randrange(1, 6))
        for i in range(random.randrange(2, 8))
    ]
    watchers = [Watcher(world, network, tenant) for tenant in tenants]

    def tend() -> None:
        """Once in a while: what goes wrong with whole servers, and new ones for the dead."""
        nonlocal births
        for i, server in enumerate(servers):
            if not server.process.alive:
                server.kill()  # its workers go with it
                servers[i] = Server(world, database, provider, f"server{births}")
                births += 1
                if not shared:
                    _recover(world, servers[i], server.process.name)
            elif world.chance(database.faults.crash):
                server.kill()
            elif world.chance(database.faults.freeze):
                server.process.freeze(world.between(SECOND / 2, 4 * SECOND))
        if world.chance(database.faults.clock_back):
            database.set_back_us += round(world.between(0, 7200 * SECOND))
            world.log("the clock is set back")
        world.later(world.between(0, 2 * SECOND), tend)

    tend()
    storm_end_us = START_US + STORM_S * SECOND
    world.run(storm_end_us)
    database.faults = CALM
    world.log("calm")

    def all_done() -> bool:
        over = all(job.deleted or job.state >= 5 for job in checker.jobs.values())
        caught_up = all(w.stretches[-1].reached > checker.revision for w in watchers)
        return over and caught_up and all(client.done for client in clients)

    world.run(storm_end_us + CALM_S * SECOND, all_done)
    if world.failure is None:
        for client in clients:
            if not client.done:
                world.broken(f"{client.process.name} never got done")
        checker.finish()
        check(world, checker, told, watchers)


def _recover(world: World, server: Server, dead: str) -> None:
    """As a server over SQLite does at its start: the folder was its predecessor's alone."""

    def recover() -> None:
        from ketgate_server.store.base import StoreUnavailable

        try:
            server.jobs.recover(f"{dead}/")
        except StoreUnavailable:
            pass  # their leases run out all the same

    server.process.spawn(recover)


def _faults(world: World) -> Faults:
    """Some histories have much of one thing, some a little of all."""
    random = world.random
    often = {
        "crash_before_commit": 0.02,
        "crash_after_commit": 0.02,
        "refuse_commit": 0.05,
        "lose_reply": 0.05,
        "refuse_read": 0.05,
        "crash": 0.1,
        "freeze": 0.3,
        "clock_back": 0.1,
        "drop": 0.2,
        "duplicate": 0.3,
        "bad_attempt": 0.4,
    }
    return Faults(**{name: random.choice([0, value / 4, value]) for name, value in often.items()})
