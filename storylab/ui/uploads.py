"""Visitors' files: each is deleted once nobody needs it, whoever else may have brought the same one."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import gradio as gr

from storylab.ui.controls import AT_ONCE

UNCLAIMED = 60
"""Seconds after which a file goes that no open page holds."""
LEFT_OVER = 600
"""Seconds after which goes what gradio leaves of uploads that it refused, and of reading the others."""
PAUSE = 30
"""Seconds between two looks for files that may go."""


class Uploads:
    """Which open pages hold which files; safe to use from several threads.

    gradio keeps a file under a name made of its content, so two visitors with the same file have one place.
    """

    def __init__(self) -> None:
        self._held: dict[str, dict[tuple[str, str], int]] = {}  # by path, by holder: the change that was seen
        self._guard = threading.Lock()

    def watch(self, file: gr.File, panel: str) -> None:
        """Hold what visitors put into a field until it is taken out again, or its panel releases it."""

        def hold(request: gr.Request, path: str | None) -> None:
            if path:
                self.hold(request.session_hash, panel, path)

        def release(request: gr.Request) -> None:
            self.release(request.session_hash, panel)

        file.upload(hold, file, **AT_ONCE)
        file.clear(release, **AT_ONCE)

    def hold(self, visitor: str, panel: str, path: str) -> None:
        """Note that a panel of a visitor's page has a file, in place of the one before."""
        self.release(visitor, panel)
        with self._guard, contextlib.suppress(OSError):
            seen = Path(path).stat().st_ctime_ns
            self._held.setdefault(path, {})[visitor, panel] = seen

    def release(self, visitor: str, panel: str, path: str | None = None) -> None:
        """A panel needs its file no longer: it goes, unless another page has the same.

        Args:
            visitor: Whose page it is.
            panel: Which panel.
            path: The file, which goes even where nobody has noted it.
        """
        noted = self._release(lambda holder: holder == (visitor, panel))
        with self._guard, contextlib.suppress(OSError):
            if path and not noted and path not in self._held:
                Path(path).unlink()

    def leave(self, visitor: str) -> None:
        """A visitor's page is closed."""
        self._release(lambda holder: holder[0] == visitor)

    def _release(self, gone: Callable[[tuple[str, str]], bool]) -> int:
        """Returns how many holders are gone."""
        noted = 0
        with self._guard:
            for path, holders in list(self._held.items()):
                for holder in list(filter(gone, holders)):
                    seen, noted = holders.pop(holder), noted + 1
                    if not holders:
                        del self._held[path]
                        self._delete(Path(path), seen)
        return noted

    def _delete(self, path: Path, seen: int) -> None:
        """Delete a file unless it was brought anew since: then somebody is about to hold it."""
        with contextlib.suppress(OSError):
            if path.stat().st_ctime_ns == seen:
                path.unlink()

    def sweep(self, uploaded: set[str], folder: Path) -> None:
        """Delete what no page holds, or ever will.

        Args:
            uploaded: The files that came; those that are gone are taken out.
            folder: Where they lie.
        """
        with self._guard:
            loose = [path for path in list(uploaded) if path not in self._held]
            _delete_older(map(Path, loose), UNCLAIMED)
            uploaded.difference_update(path for path in loose if not Path(path).exists())
            _delete_older(folder.glob("tmp*"), LEFT_OVER)


def _delete_older(paths: Iterable[Path], seconds: float) -> None:
    for path in paths:
        with contextlib.suppress(OSError):
            if path.is_file() and time.time() - path.stat().st_ctime > seconds:
                path.unlink()


def sweeping(uploads: Uploads, uploaded: set[str]) -> Callable[[Any], contextlib.AbstractAsyncContextManager[None]]:
    """What an app does from its start to its end: look for files that may go, now and then.

    Args:
        uploads: What is held.
        uploaded: What gradio notes of the files that came.
    """

    async def look(folder: Path) -> None:
        while True:
            await asyncio.sleep(PAUSE)
            await asyncio.to_thread(uploads.sweep, uploaded, folder)

    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[None]:
        task = asyncio.create_task(look(Path(app.uploaded_file_dir)))
        try:
            yield
        finally:
            task.cancel()

    return lifespan
