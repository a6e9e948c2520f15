"""The course report's findings, each repeated with the storytellers at hand: `python -m storylab exhibit NAME`."""

from storylab.exhibits.exhibits import EXHIBITS, TOUR, begin, watch
from storylab.exhibits.parts import Exhibit, Shown

__all__ = ["EXHIBITS", "TOUR", "Exhibit", "Shown", "begin", "watch"]
