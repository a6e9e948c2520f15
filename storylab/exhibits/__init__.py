"""The course report's findings, each repeated with the storytellers at hand: `python -m storylab exhibit NAME`."""

from storylab.exhibits.exhibits import EXHIBITS, Exhibit, Shown, show

__all__ = ["EXHIBITS", "Exhibit", "Shown", "show"]
