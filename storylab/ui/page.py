"""The page as a whole: header, tabs, endpoints, looks, and how it is launched."""

from __future__ import annotations

from pathlib import Path

import gradio as gr

from storylab.ui.api import add_endpoints
from storylab.ui.compare import CompareTab
from storylab.ui.language import Translation
from storylab.ui.results import ResultsTab
from storylab.ui.texts import LANGUAGES, Labels, Say
from storylab.ui.warm_up import warm_up

STYLES = sorted(Path(__file__).with_name("style").glob("*.css"))
SANS = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "Helvetica Neue", "Noto Sans", "Arial", "sans-serif")
MONO = ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "Liberation Mono", "monospace")
ICON = (
    "<link rel='icon' href=\"data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 100 100'>"
    "<text y='.9em' font-size='90'>📖</text></svg>\">"
)

KEYS = """document.addEventListener("keydown", (event) => {
  const tells = event.key === "Enter" && (event.ctrlKey || event.metaKey);
  if (!tells && event.key !== "Escape") return;
  if (tells && event.target.closest("#opening")) return; // Enter alone tells from there
  const button = document.querySelector(tells ? "#tell" : "#stop");
  if (button?.offsetParent) button.click(); // not from another tab
});"""
"""Ctrl+Enter tells and Esc stops, wherever the cursor is."""
SWITCH = """element.addEventListener("click", (event) => {
  const link = event.target.closest("#language");
  if (!link) return;
  event.preventDefault();
  const address = new URL(window.location);
  address.searchParams.set("lang", link.lang);
  window.location = address;
});"""
"""The other language's page keeps the rest of the address."""


def build() -> gr.Blocks:
    """Put the page together; no model is loaded, and nothing is asked over the network."""
    label = Labels()
    with gr.Blocks(title=Say()("title"), delete_cache=(600, 3600)) as page:
        gr.HTML(label.made(_masthead), elem_id="masthead", js_on_load=SWITCH + KEYS, apply_default_css=False)
        with gr.Tabs(elem_id="tabs"):
            with gr.Tab(label("tab_compare"), id="compare"):
                compare = CompareTab(label)
            with gr.Tab(label("tab_results"), id="results") as results:
                ResultsTab(results, label)
        gr.HTML(label.made(lambda say: f"<p>{say('caution')}</p>"), elem_id="caution", apply_default_css=False)
        Translation(page, label, compare.arriving)
        compare.open_link(page)
        add_endpoints()
    page.i18n_instance = label.i18n
    return page.queue(max_size=100, default_concurrency_limit=4)


def _masthead(say: Say) -> str:
    """The title, and a link to the page in the other language."""
    (other,) = LANGUAGES.keys() - {say.language}
    link = f'<a id="language" href="?lang={other}" lang="{other}" hreflang="{other}">{say("other_language")}</a>'
    return f"<h1>{say('title')}</h1><p>{say('tagline')}</p>{link}"


def launch(page: gr.Blocks) -> None:
    """Serve the page where `GRADIO_SERVER_NAME` and `GRADIO_SERVER_PORT` say, until it is interrupted."""
    _, address, _ = page.launch(
        i18n=page.i18n_instance,
        theme=_theme(),
        css_paths=STYLES,
        head=ICON,
        footer_links=["api", "settings"],
        max_file_size="1mb",
        ssr_mode=False,  # needs Node, and a second process to start
        share=False,
        enable_monitoring=False,  # nobody's use of the page is listed
        run_history=False,
        prevent_thread_lock=True,
        quiet=True,
    )
    print(Say()("served", address=address), flush=True)
    warm_up()
    page.block_thread()


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
