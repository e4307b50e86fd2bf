"""Whether a talk is recorded: what callers are told or asked before, what they say, and when it begins.

That it is to be recorded is stored first, with a row of its own; the recording is the telephone system's, and
``messaging.recordings`` fetches it when it is over.
"""

from __future__ import annotations

import hashlib
from typing import Final

import structlog

from ivr_engine.callflow.house import House
from ivr_engine.domain.calls import Call, Chapter
from ivr_engine.domain.consent import ANSWER_WINDOW_S, ConsentRecord, WaitTimeSmsStatus
from ivr_engine.domain.events import RecordingAnswered, RecordingFailed, RecordingStarted, RecordingStopped
from ivr_engine.domain.recordings import RecordingStatus, TalkRecording
from ivr_engine.domain.records import replace
from ivr_engine.domain.talk import RecordingAnswer
from ivr_engine.errors import Refused
from ivr_engine.ports import Digit, Failed, Leg, Tx
from ivr_engine.site.queues import QueueRecording

log = structlog.get_logger()

NOTICE: Final = "recording_notice"
QUESTION: Final = "recording_consent"
ASKED: Final = 3
"""So often, when other keys are pressed."""
_ANSWERS: Final = {"1": RecordingAnswer.ALLOWED, "2": RecordingAnswer.DENIED}


def rules(house: House, call: Call) -> QueueRecording:
    """Of the call's queue; none for a queue not known any more."""
    queue = house.site.queues.get(call.queue)
    return queue.recording if queue is not None else QueueRecording()


async def tell(house: House, leg: Leg, call: Call) -> Call:
    """Before a caller is offered to agents: those whose talk will be recorded are told, or asked, once."""
    to_be_told = call.recording_answer is None and rules(house, call).when == "always"
    if call.chapter is Chapter.WAITING and to_be_told:
        call = await house.store.run(lambda tx: _at(tx, call.id, Chapter.NOTICE))
    if call.chapter is not Chapter.NOTICE:
        return call
    answer, key = await _ask(house, leg, call)

    def write(tx: Tx) -> Call:
        current = _at(tx, call.id, Chapter.WAITING)
        return _answered(house, tx, current, answer, key) if current.may_be_offered else current

    return await house.store.run(write)


def _at(tx: Tx, call_id: str, chapter: Chapter) -> Call:
    """Not when the staff ended the call meanwhile."""
    call = tx.calls.get(call_id)
    if call.chapter in (Chapter.WAITING, Chapter.NOTICE):
        call = replace(call, chapter=chapter)
        tx.calls.save(call)
    return call


async def tell_called_back(house: House, leg: Leg, call: Call) -> None:
    """As ``tell``, to somebody who is called back and was told nothing before."""
    if call.recording_answer is None and rules(house, call).when == "always":
        answer, key = await _ask(house, leg, call)
        await house.store.run(lambda tx: _answered(house, tx, tx.calls.get(call.id), answer, key))


async def ask_now(house: House, leg: Leg, call: Call) -> None:
    """In a talk, at the staff's word."""
    answer, key = await _ask(house, leg, call)

    def write(tx: Tx) -> None:
        current = tx.calls.get(call.id)
        if current.chapter is not Chapter.TALKING or not current.talk.asking:
            return
        current = _answered(house, tx, current, answer, key)
        if answer.agreed:
            tx.calls.save(begun(house, tx, current))
        else:
            tx.calls.save(replace(current, talk=current.talk.not_recorded()))

    await house.store.run(write)


async def _ask(house: House, leg: Leg, call: Call) -> tuple[RecordingAnswer, str | None]:
    """What a caller did not hear they have not agreed to."""
    await leg.stop_playing()
    if rules(house, call).ask == "announcement":
        heard = await leg.play([house.prompt(call, NOTICE)])
        if isinstance(heard, Failed):
            log.error("recording.not_announced", why=heard.why, meaning="this talk is not recorded")
            return RecordingAnswer.NO_RESPONSE, None
        return RecordingAnswer.ANNOUNCED, None
    prompts, key = [house.prompt(call, QUESTION)], None
    for _ in range(ASKED):
        said = await leg.gather(prompts, window_s=ANSWER_WINDOW_S)
        if not isinstance(said, Digit):
            if isinstance(said, Failed):
                log.error("recording.not_asked", why=said.why, meaning="this talk is not recorded")
            break
        key = said.key
        if key in _ANSWERS:
            return _ANSWERS[key], key
        prompts = [house.prompt(call, "wrong_number"), house.prompt(call, QUESTION)]
    return RecordingAnswer.NO_RESPONSE, key


def _answered(house: House, tx: Tx, call: Call, answer: RecordingAnswer, key: str | None) -> Call:
    """Stored, with the proof where there was a question."""
    call = replace(call, recording_answer=answer)
    tx.calls.save(call)
    tx.events.add(house.clock.now(), call.id, RecordingAnswered(answer, key))
    if answer is not RecordingAnswer.ANNOUNCED and rules(house, call).ask == "consent":
        tx.consents.add(_proof(house, call, answer, key))
    return call


def _proof(house: House, call: Call, answer: RecordingAnswer, key: str | None) -> ConsentRecord:
    name = house.site.prompt_name(call.queue, QUESTION)
    wording = house.prompts.wording(call.language, name)
    return ConsentRecord(
        id=house.new_id(),
        at=house.clock.now(),
        call_id=call.id,
        number=call.caller or "",
        queue=call.queue,
        language=call.language,
        wording=wording,
        wording_version=hashlib.sha256(wording.encode()).hexdigest(),
        audio_hash=house.prompts.audio_hash(call.language, name),
        key=key,
        outcome=WaitTimeSmsStatus(answer),
        purpose="recording",
    )


def begins(house: House, tx: Tx, call: Call) -> Call:
    """A talk begins, perhaps with another agent than before: recorded, where it always is."""
    agreed = call.recording_answer is not None and call.recording_answer.agreed
    if call.chapter is not Chapter.TALKING or rules(house, call).when != "always" or not agreed:
        return call
    return begun(house, tx, call)


def begun(house: House, tx: Tx, call: Call) -> Call:
    """Recorded from now on; ``call`` is not stored here."""
    now, name = house.clock.now(), f"talk-{house.new_id()}"
    talk = call.talking().recorded(name)
    tx.recordings.add(
        TalkRecording(id=name, engine=call.engine, call_id=call.id, agent=call.offer.agent, started_at=now)
    )
    tx.events.add(now, call.id, RecordingStarted(name))
    return replace(call, talk=talk)


def as_arranged(house: House, tx: Tx, call: Call) -> Call:
    """Nothing is recorded while the caller hears music: a recording ends there, and another begins when the
    caller is back. (On Asterisk 22 a room that one of two left, and came back to, was recorded no further.)
    """
    talk = call.talk
    if call.chapter is not Chapter.TALKING:
        return call
    if talk.caller_apart and talk.recording is not None:
        call = replace(call, talk=replace(talk, recording=None, paused=True))
    elif talk.paused and not talk.caller_apart:
        call = begun(house, tx, replace(call, talk=replace(talk, paused=False)))
    else:
        return call
    tx.calls.save(call)
    return call


def wanted(house: House, tx: Tx, call: Call) -> Call:
    """The staff says so: at once where the caller agreed already, else the caller is told or asked first."""
    if rules(house, call).when == "never":
        raise Refused(f"talks of queue {call.queue!r} are not recorded: see 'recording' of the queue")
    answer = call.recording_answer
    if answer is not None and not answer.agreed:
        raise Refused(f"the caller did not agree to be recorded ({answer})")
    if answer is not None:
        return begun(house, tx, call)
    return replace(call, talk=call.talking().asked_to_record())


def stopped(house: House, tx: Tx, call: Call) -> Call:
    name = call.talking().recording
    if name is not None:
        tx.events.add(house.clock.now(), call.id, RecordingStopped(name))
    return replace(call, talk=call.talk.not_recorded())


async def failed(house: House, call: Call) -> None:
    """It could not begin: the talk goes on without."""

    def write(tx: Tx) -> None:
        current = tx.calls.get(call.id)
        name = call.talk.recording
        if name is None or current.talk.recording != name:
            return
        tx.calls.save(replace(current, talk=current.talk.not_recorded()))
        tx.recordings.save(replace(tx.recordings.get(name), status=RecordingStatus.EMPTY))
        tx.events.add(house.clock.now(), call.id, RecordingFailed(name))

    await house.store.run(write)
