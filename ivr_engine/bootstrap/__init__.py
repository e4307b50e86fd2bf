"""The only place that chooses the parts and wires them.

``start`` runs an engine; ``adapters`` chooses what stands behind a port; ``parts`` makes each part once;
``texts`` those of them that send and take text messages; ``engine`` holds the services; ``health`` says what
is asked of them; ``http`` puts them behind addresses.
"""

from ivr_engine.bootstrap.adapters import sms_provider, speech_of
from ivr_engine.bootstrap.engine import REPLACED_EXIT
from ivr_engine.bootstrap.start import run

__all__ = ["REPLACED_EXIT", "run", "sms_provider", "speech_of"]
