"""StoryLab's page: builds it and launches it."""

import os
import sys

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # read while gradio is imported, and it calls out

from storylab.errors import StoryLabError
from storylab.ui.page import build, launch

try:
    demo = build()
except StoryLabError as error:
    sys.exit(f"app.py: {error}")

if __name__ == "__main__":
    launch(demo)
