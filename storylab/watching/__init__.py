"""Watching StoryLab at work: a log with one line a telling, and metrics for Prometheus.

Both hear of tellings through `storylab.storytellers.observers`; storytellers know of neither. The page calls `begin`
when it is served, the command line when it starts; docs/watching.md says what comes out.
"""

from storylab.watching.begin import begin
from storylab.watching.failures import note

__all__ = ["begin", "note"]
