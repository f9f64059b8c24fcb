"""Frames that are solved for at the same time."""

import threading
import time

import pytest
import torch

from headfit.fitting.second_order.frame_threads import every_other_first, on_threads


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("frames", "order"), [([3, 4, 5, 6], [3, 5, 4, 6]), ([0, 2, 9], [0, 2, 9]), ([1, 2, 4], [1, 4, 2]), ([], [])]
)
def test_neighbours_come_after_both_of_theirs(frames, order):
    assert every_other_first(frames) == order


def test_each_thread_computes_alone_and_the_number_of_threads_stays(two_threads):
    together = threading.Barrier(2, timeout=30)

    def work(frame: int) -> tuple[int, int]:
        together.wait()  # both run at once
        return frame, torch.get_num_threads()

    assert on_threads(work, [4, 7]) == [(4, 1), (7, 1)]
    assert torch.get_num_threads() == 2
    inside = []
    other = threading.Thread(target=lambda: inside.append(torch.get_num_threads()))
    other.start()
    other.join()
    assert inside == [2], "threads that are started later have as many as before"


@pytest.mark.parametrize("slow", range(6))
def test_a_frame_waits_for_neighbours_that_come_before_it(two_threads, slow):
    """Whichever frame takes longest, each sees of its neighbours what it would one after the other."""
    done, seen = set[int](), dict[int, set[int]]()

    def work(frame: int) -> None:
        if frame == slow:
            time.sleep(0.2)
        seen[frame] = {frame - 1, frame + 1} & done
        done.add(frame)

    on_threads(work, range(6))
    assert seen == {0: set(), 2: set(), 4: set(), 1: {0, 2}, 3: {2, 4}, 5: {4}}


def test_an_error_of_a_frame_reaches_the_caller(two_threads):
    def work(frame: int) -> None:
        raise ValueError(f"frame {frame}")

    with pytest.raises(ValueError, match="frame 1"):
        on_threads(work, [1, 3])
