"""The configuration in force, which may be another one a moment later."""

from __future__ import annotations

from dataclasses import dataclass

from ivr_engine.ports import Prompts
from ivr_engine.site.models import Site


@dataclass(frozen=True, slots=True)
class InForce:
    """Settings and the prompts rendered for them: always exchanged together."""

    site: Site
    prompts: Prompts


class SiteNow:
    """Holds what is in force; all parts of one engine share one of these.

    Who looks twice may see two configurations: take ``current`` once for whatever belongs together.
    """

    def __init__(self, first: InForce) -> None:
        self.current = first
