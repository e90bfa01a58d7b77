"""The process dies at its n-th step, for every n: each SQL statement, each commit, each send."""

from __future__ import annotations

import random

import pytest
import sqlalchemy as sa

from alerting.channel import ChannelConfig
from alerting.channels import deliver_to
from alerting.outbox import Outbox
from alerting.store import AlertStore
from storage.settings import StorageSettings
from tests.alerting.world import make_world, quick_state

RULES = """
rules:
  - {name: errors, measure: error_rate, group_by: [api], condition: "> 5%"}
"""


class Killed(BaseException):
    """The process ends here."""


class Fuse:
    """Counts steps and blows at the n-th, once."""

    def __init__(self, steps: int) -> None:
        self.left = steps
        self.blown = False

    def step(self, *_: object) -> None:
        self.left -= 1
        if self.left == 0:
            self.blown = True
            raise Killed


def live(folder, steps):
    """An incident from start to end with one death on the way. (fuse, keys and statuses told)."""
    fuse, told = Fuse(steps), []

    def sender(channel, notice, now):
        fuse.step()
        told.append((notice.key, notice.status))
        fuse.step()

    channel = ChannelConfig("sink", "webhook", url="https://x.example")
    world = make_world(folder, RULES, deliver_to(channel))

    def outbox():
        return Outbox(
            world.state, {"sink": channel}, senders={"webhook": sender}, rng=random.Random(1)
        )

    def start():
        """A new process: the old one's connections are gone, with what was not committed."""
        for connection in connections:
            connection.close()
        connections.clear()
        world.state = quick_state(StorageSettings(data_dir=folder))
        sa.event.listen(world.state, "connect", lambda raw, _: connections.append(raw))
        for event in ("before_cursor_execute", "after_cursor_execute", "commit"):
            sa.event.listen(world.state, event, fuse.step)
        world.restart()
        return outbox()

    connections = []
    world.state.dispose()
    box = start()
    for value in (0.2, 0.2, 0.0, 0.0):
        world.source.set("error_rate", value, api="orders")
        try:
            world.step()
            box.deliver_channel("sink", world.now)
        except Killed:
            box = start()
    fuse.left = 0  # nobody dies any more
    box.deliver_channel("sink", world.now + 60)
    store = AlertStore(world.state)
    counts = store.counts()
    steps_of_life = [h.to_state.value for h in store.history()][::-1]
    for connection in connections:
        connection.close()
    return fuse, told, counts, steps_of_life


def die_at(folder, steps):
    """Whether the life was longer than that many steps; asserts that nothing was lost."""
    fuse, told, counts, life = live(folder / str(steps), steps)
    distinct = list(dict.fromkeys(told))
    assert [status for _, status in distinct] == ["firing", "resolved"], steps
    assert len({key for key, _ in distinct}) == 2, steps
    assert len(told) <= 3, steps
    assert life == ["firing", "resolved"], steps
    assert (counts.firing, counts.undelivered, counts.dead_letters) == (0, 0, 0), steps
    return fuse.blown


@pytest.mark.parametrize("steps", [5, 13, 17, 24, 29, 34, 38, 41])
def test_death_at_some_steps_loses_nothing(tmp_path, steps):
    assert die_at(tmp_path, steps)


@pytest.mark.slow
def test_death_at_any_step_loses_nothing_and_tells_nothing_else(tmp_path):
    steps = 1
    while die_at(tmp_path, steps):
        steps += 1
    assert steps > 60  # the fuse did burn through a whole life
