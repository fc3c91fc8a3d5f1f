"""Random bytes that are drawn many at a time."""

import os
import threading

from ketgate_server.randomness import DRAWN_BYTES, drawn


def test_as_many_as_asked_for_and_none_twice() -> None:
    sizes = [16, 32, 1, DRAWN_BYTES, 2 * DRAWN_BYTES + 1, 32]
    assert [len(drawn(size)) for size in sizes] == sizes
    some = [drawn(16) for _ in range(2 * DRAWN_BYTES // 16)]
    assert len(set(some)) == len(some)


def test_threads_share_none() -> None:
    found: list[bytes] = []
    threads = [
        threading.Thread(target=lambda: found.extend(drawn(16) for _ in range(300)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == len(set(found)) == 1200


def test_a_forked_process_does_not_draw_what_its_parent_draws() -> None:
    drawn(16)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(write, drawn(16))
        os._exit(0)
    os.waitpid(child, 0)
    theirs = os.read(read, 16)
    os.close(read)
    os.close(write)
    assert len(theirs) == 16
    assert theirs != drawn(16)
