"""The page as a whole: header, tabs, endpoints, looks, and how it is launched."""

from __future__ import annotations

import io
import itertools
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr
from fastapi.exceptions import RequestValidationError
from starlette.middleware import Middleware

from storylab import __version__
from storylab.errors import StoryLabError
from storylab.heap import keep_large_blocks_apart
from storylab.limits import limits
from storylab.ui.address import ARRIVED, Address
from storylab.ui.admission import admission, trust_space
from storylab.ui.api import ROUTES, add_endpoints
from storylab.ui.compare import CompareTab
from storylab.ui.controls import AT_ONCE, HIDDEN
from storylab.ui.decoding import DecodingTab
from storylab.ui.guard import MIDDLEWARE, fetch_nothing
from storylab.ui.language import Translation
from storylab.ui.mcp_tools import answer_in_json
from storylab.ui.refusals import Page, Refusals, malformed
from storylab.ui.results import ResultsTab
from storylab.ui.sessions import count_nothing, keep_little
from storylab.ui.stories import StoriesTab
from storylab.ui.tab import PageTab
from storylab.ui.texts import LANGUAGES, Labels, Say, speaker
from storylab.ui.tokens import TokensTab
from storylab.ui.tour import TourTab
from storylab.ui.training import TrainingTab
from storylab.ui.uploads import sweeping
from storylab.ui.visits import Visits
from storylab.ui.warm_up import warm_up
from storylab.ui.zero_gpu import mark
from storylab.watching import begin

TABS: tuple[type[PageTab], ...] = (
    CompareTab,
    TokensTab,
    DecodingTab,
    TrainingTab,
    ResultsTab,
    StoriesTab,
    TourTab,
)
"""The page's tabs, from left to right."""

STYLES = sorted(Path(__file__).with_name("style").glob("*.css"))
SANS = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "Helvetica Neue", "Noto Sans", "Arial", "sans-serif")
MONO = ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "Liberation Mono", "monospace")
ICON = (
    "<link rel='icon' href=\"data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 100 100'>"
    "<text y='.9em' font-size='90'>📖</text></svg>\">"
)

SCRIPTS = Path(__file__).with_name("scripts")
BURST = 100
"""Calls in gradio's queue besides as many as may wait for a story."""
SPARE_THREADS = 40
"""Threads for all that is no story; gradio has as many by default."""


def build() -> Page:
    """Put the page together; no model is loaded, and nothing is asked over the network.

    Raises:
        StoryLabError: The environment sets limits that are nonsense.
    """
    label, visits = Labels(), Visits()
    limits()  # refused now, and not at the first call
    count_nothing()
    with Page(title=Say()("title"), delete_cache=(600, 3600)) as page:
        script = (SCRIPTS / "masthead.js").read_text(encoding="utf-8")
        gr.HTML(label.made(_masthead), elem_id="masthead", js_on_load=script, apply_default_css=False)
        address, tabs = Address(), []
        with gr.Tabs(elem_id="tabs", overflow_behavior="wrap") as bar:
            for kind in TABS:
                with gr.Tab(label(f"tab_{kind.key}"), id=kind.key) as tab:
                    tabs.append(kind(tab, label, visits, address))
                tab.select(None, js=f"() => window.storylabTab({kind.key!r})", **HIDDEN)
        gr.HTML(label.made(lambda say: f"<p>{say('caution')}</p>"), elem_id="caution", apply_default_css=False)
        by_key = {tab.key: tab for tab in tabs}
        for tab in tabs:
            tab.connect(page, by_key, bar)
        _open_links(page, bar, tabs, label)
        page.unload(_leaver(visits))
        add_endpoints()
    page.i18n_instance, page.uploads = label.i18n, visits.uploads
    # Stories wait in a line of our own; in gradio's waits what has an order of its own, and bursts of calls.
    return page.queue(max_size=None, default_concurrency_limit=4)


def _open_links(page: gr.Blocks, bar: gr.Tabs, tabs: Sequence[PageTab], label: Labels) -> None:
    """When the page is opened, fill the fields from its address, in the visitor's language, and run it if asked to."""
    kept = {block: texts for tab in tabs for block, texts in tab.arriving.items()}
    keys = [tab.key for tab in tabs]

    def arrive(request: gr.Request) -> list[Any]:
        query, say = dict(request.query_params), speaker(request)
        named = query.get("tab")
        wanted = named if named in keys else keys[0]
        filled = [tab.arrive(query if tab.key == wanted else {}, say) for tab in tabs]
        selected = gr.Tabs(selected=wanted) if named in keys else gr.skip()  # somebody may have chosen one by now
        return [selected, *itertools.chain.from_iterable(filled)]

    Translation(page, label, kept)
    arrived = page.load(arrive, outputs=[bar, *kept], **AT_ONCE)
    arrived.success(None, js=ARRIVED, **HIDDEN)


def _leaver(visits: Visits) -> Callable[[gr.Request], None]:
    """What ends all that runs for a visitor whose page is closed."""

    def leave(request: gr.Request) -> None:
        visits.leave(request.session_hash)

    return leave


def _masthead(say: Say) -> str:
    """The title, and a link to the page in the other language."""
    (other,) = LANGUAGES.keys() - {say.language}
    link = f'<a id="language" href="?lang={other}" lang="{other}" hreflang="{other}">{say("other_language")}</a>'
    copy = (
        f'<button id="copy-link" type="button" title="{escape(say("copy_link_hint"))}"'
        f' data-done="{escape(say("copied"))}">{escape(say("copy_link"))}</button>'
    )
    return f"<h1>{say('title')}</h1><p>{say('tagline')}</p><nav>{copy}{link}</nav>"


def launch(page: Page) -> None:
    """Serve the page where `GRADIO_SERVER_NAME` and `GRADIO_SERVER_PORT` say, until it is interrupted.

    Tellings are logged and counted as the environment asks for it, see docs/watching.md.
    """
    try:
        begin(__version__, page=True, waiting=lambda: len(page._queue) + len(admission().turns))
    except StoryLabError as error:
        raise SystemExit(f"storylab: {error}") from None
    mark()
    keep_large_blocks_apart()
    address = serve(page)
    print(Say()("served", address=address), flush=True)
    warm_up()
    page.block_thread()


def serve(page: Page) -> str:
    """Begin to serve the page; returns its address."""
    fetch_nothing()
    trust_space()
    with redirect_stdout(io.StringIO()):  # of MCP gradio speaks even when quiet, in signs that not every terminal has
        _, address, _ = page.launch(
            i18n=page.i18n_instance,
            theme=_theme(),
            css_paths=STYLES,
            head=f"{ICON}<script>{(SCRIPTS / 'page.js').read_text(encoding='utf-8')}</script>",
            footer_links=["api", "settings"],
            max_file_size=limits().upload_bytes,
            max_threads=limits().at_once + limits().queue + SPARE_THREADS,  # one for each who waits or is told to
            ssr_mode=False,  # needs Node, and a second process to start
            share=False,
            enable_monitoring=False,  # nobody's use of the page is listed
            app_kwargs={
                "routes": ROUTES,
                "middleware": [*MIDDLEWARE, Middleware(Refusals)],
                "exception_handlers": {RequestValidationError: malformed},
                "lifespan": sweeping(page.uploads, page.upload_file_set),
                "openapi_url": None,
            },
            run_history=False,
            mcp_server=True,
            prevent_thread_lock=True,
            quiet=True,
        )
    keep_little(page, limits().queue + BURST)
    answer_in_json(page)
    return address


def _theme() -> gr.themes.Base:
    """A calm theme: paper on a tinted ground, and fonts that the reader's machine has, so none is fetched."""
    theme = gr.themes.Base(
        primary_hue=gr.themes.colors.indigo,
        neutral_hue=gr.themes.colors.slate,
        radius_size=gr.themes.sizes.radius_md,
        font=SANS,
        font_mono=MONO,
    )
    return theme.set(
        body_background_fill="#f5f6f9",
        body_background_fill_dark="#0e1320",
        block_background_fill="transparent",
        block_background_fill_dark="transparent",
        block_border_width="0px",
        block_padding="0px",
        block_shadow="none",
        block_title_text_weight="500",
        block_info_text_color="*neutral_500",
        block_info_text_color_dark="*neutral_400",
        body_text_color_subdued="*neutral_500",
        body_text_color_subdued_dark="*neutral_400",
        input_background_fill="#fff",
        input_background_fill_dark="#101624",
        input_border_width="1px",
        input_border_color="*neutral_300",
        input_border_color_dark="*neutral_600",
        button_secondary_background_fill="transparent",
        button_secondary_background_fill_dark="transparent",
        button_secondary_border_color="*neutral_300",
        button_secondary_border_color_dark="*neutral_600",
        button_border_width="1px",
        button_primary_background_fill="*primary_600",
        button_primary_background_fill_hover="*primary_700",
    )
