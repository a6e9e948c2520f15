"""StoryLab's page: builds it and launches it."""

import os

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # read while gradio is imported, and it calls out

from storylab.ui.page import build, launch

demo = build()

if __name__ == "__main__":
    launch(demo)
