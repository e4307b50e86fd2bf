"""A real Asterisk for `scripts/run`, `scripts/bench` and the tests. Standard library only, because it
runs before the project's own environment exists.

In tests, take the fixture ``asterisk`` (one Asterisk for the session, own ports, own secrets)::

    async def test_something(asterisk: Asterisk) -> None:
        asterisk.ari_url        # http://127.0.0.1:PORT/ari
        asterisk.ari_user, asterisk.ari_password
        asterisk.sip_port       # UDP on 127.0.0.1; any INVITE from there lands in [ivr-in]
        asterisk.sounds_dir     # put NAME.wav here: sound:ivr/NAME plays it
        asterisk.cli("core show channels count")
        asterisk.pid            # of Asterisk itself, for CPU and memory
        asterisk.kill()         # SIGKILL, as a crash
        asterisk.restart()      # and back, same ports and secrets; pushed endpoints are gone

By hand::

    with Asterisk.start(folder=tmp_path / "asterisk", ports=Ports.free()) as asterisk:
        ...

Callers need no account; agents' phones are pushed over ARI, see ``dialplan/pjsip.conf``. Asterisk runs
in namespaces of its own: nothing stays mounted or running when the process that started it is gone,
however it went. Root (or sudo without a question) is needed for that, and only for that.

With ``IVR_ARI_URL`` set, that Asterisk is used and none is started (``from_environment``).
"""

from scripts.stack.asterisk import Asterisk, from_environment
from scripts.stack.errors import StackError
from scripts.stack.ports import Ports

__all__ = ["Asterisk", "Ports", "StackError", "from_environment"]
