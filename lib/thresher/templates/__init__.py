"""The common ground of all pages: one look, no script, no request, written whole or not at all.

A page is one file. Its style sheet stands inside, allowed by its hash; every other source but inline images is
forbidden by the page's own content security policy, from a web server as from `file://`. Jinja escapes every value;
only `Markup`, which `thresher.sanitize` and `thresher.report` make, passes as it is.
"""

import base64
import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from thresher import files

FOLDER = Path(__file__).parent


def publish(template: str, target: Path, *, hide: Callable[[str], str] = str, **values: object) -> None:
    """Render a template and replace the target page with it, atomically; its folder is made where missing.

    `hide` gives the page's text without what must not be shown.

    Raises OSError when the folder cannot be written; the old page then stays as it is.
    """
    style = (FOLDER / "style.css").read_text("utf-8")
    page = _environment.get_template(template).render(values, style=Markup(style), policy=_policy(style))
    # Half a surrogate pair is legal in a notebook's JSON, but not in UTF-8: shown as it was written there.
    files.replace(target, hide(page).encode("utf-8", "backslashreplace"))


def _policy(style: str) -> str:
    digest = base64.b64encode(hashlib.sha256(style.encode("utf-8")).digest()).decode("ascii")
    return f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


def shown_size(size: int) -> str:
    """Bytes as people read them.

    >>> shown_size(999), shown_size(56_300), shown_size(2_500_000)
    ('999 B', '56 kB', '2.5 MB')
    """
    if size < 1_000:
        return f"{size} B"
    if size < 1_000_000:
        return f"{size / 1e3:.0f} kB"
    return f"{size / 1e6:.1f} MB" if size < 1_000_000_000 else f"{size / 1e9:.1f} GB"


def shown_duration(seconds: float | None) -> str:
    """Seconds as people read them; nothing for a duration that is not known yet.

    >>> shown_duration(2.34), shown_duration(59.7), shown_duration(133), shown_duration(7260), shown_duration(None)
    ('2.3 s', '1 min 0 s', '2 min 13 s', '2 h 1 min', '')
    """
    if seconds is None:
        return ""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    return f"{whole // 60} min {whole % 60} s" if whole < 3600 else f"{whole // 3600} h {whole % 3600 // 60} min"


def shown_time(moment: datetime) -> Markup:
    """An instant, in UTC to the minute.

    >>> shown_time(datetime(2026, 11, 23, 4, 7, 30, tzinfo=UTC))
    Markup('<time datetime="2026-11-23T04:07:30+00:00">2026-11-23 04:07 UTC</time>')
    """
    moment = moment.astimezone(UTC)
    return Markup('<time datetime="{}">{:%Y-%m-%d %H:%M} UTC</time>').format(
        moment.isoformat(timespec="seconds"), moment
    )


def _shown_number(value: int | None) -> str:
    return "" if value is None else f"{value:,}"


_filters: dict[str, Any] = {
    "number": _shown_number,
    "size": shown_size,
    "duration": shown_duration,
    "time": shown_time,
}
_environment = Environment(
    loader=FileSystemLoader(FOLDER), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
)
_environment.filters |= _filters
