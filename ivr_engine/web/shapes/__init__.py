"""What the API answers with: the names that testers' scripts and integrators rely on.

A shape is made from a domain value in one place, beside it; times are UTC (ISO 8601), numbers E.164 (a
caller's that is no valid number: the digits as signalled).
"""

from ivr_engine.web.shapes.agents import AgentItem, PhoneItem, Why
from ivr_engine.web.shapes.calls import (
    ENDED,
    CallItem,
    CallWithTimeline,
    ListedCall,
    TextCounts,
    TextsItem,
    TimelineItem,
)
from ivr_engine.web.shapes.common import API, Items
from ivr_engine.web.shapes.consents import ConsentItem
from ivr_engine.web.shapes.messages import MediaItem, MessageItem
from ivr_engine.web.shapes.queues import ClosedItem, Closing, EstimatedWait, QueueItem, WaitAccuracy
from ivr_engine.web.shapes.recordings import RecordingItem
from ivr_engine.web.shapes.tickets import CommentItem, FileItem, TicketItem

__all__ = [
    "API",
    "ENDED",
    "AgentItem",
    "CallItem",
    "CallWithTimeline",
    "ClosedItem",
    "Closing",
    "CommentItem",
    "ConsentItem",
    "EstimatedWait",
    "FileItem",
    "Items",
    "ListedCall",
    "MediaItem",
    "MessageItem",
    "PhoneItem",
    "QueueItem",
    "RecordingItem",
    "TextCounts",
    "TextsItem",
    "TicketItem",
    "TimelineItem",
    "WaitAccuracy",
    "Why",
]
