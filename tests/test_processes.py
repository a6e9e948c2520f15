"""Processes that share work: its order, one error for all, and no wait for one that is gone."""

import os
import signal

import pytest
from two_processes import both

from storylab.errors import StoryLabError
from storylab.processes import ALONE, SharedError


def _squares(processes, folder):
    done = []

    def square(number):
        done.append(number)
        yield number * number
        yield -number

    return list(processes.each(range(5), square)), done


def test_parts_are_divided_and_everybody_gets_all_in_order(tmp_path):
    everything = [value for number in range(5) for value in (number * number, -number)]
    assert both(_squares, tmp_path) == [(everything, [0, 2, 4]), (everything, [1, 3])]
    assert _squares(ALONE, tmp_path) == (everything, [0, 1, 2, 3, 4])


def _refuse_three(processes, folder):
    def refuse(number):
        if number == 3:
            raise StoryLabError("three is too many")
        return [number]

    return list(processes.each(range(9), refuse))


def test_an_error_of_one_is_everybodys_and_said_once(tmp_path):
    shared = SharedError.__name__, "three is too many"
    assert both(_refuse_three, tmp_path) == [(*shared, False), (*shared, True)]


def _fault(processes, folder):
    with processes.agreeing():
        return 1 / processes.index


def test_a_fault_of_one_is_one_line(tmp_path):
    both_say = [(SharedError.__name__, "ZeroDivisionError: division by zero", silent) for silent in (False, True)]
    assert both(_fault, tmp_path) == both_say


def _die(processes, folder):
    def die(number):
        if number == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return [number]

    return list(processes.each(range(4), die))


def test_nobody_waits_for_a_process_that_was_killed(tmp_path):
    first, second = both(_die, tmp_path, answers=1)
    assert second is None
    assert first == (SharedError.__name__, "another process has ended before its work was done", False)


def test_each_process_takes_a_gpu_of_its_own(tmp_path):
    assert both(_devices, tmp_path) == [("cpu", "cuda:0"), ("cpu", "cuda:1")]
    assert ALONE.device("cuda:1") == "cuda:1"


def _devices(processes, folder):
    with pytest.raises(StoryLabError, match="say --device cuda"):
        processes.device("cuda:1")
    return processes.device("cpu"), processes.device("cuda")
