"""Logging: structured lines on standard error. Neither secrets nor personal data belong in an event's fields."""

import logging
import sys
import traceback
from pathlib import Path
from typing import Literal

import structlog

FRAMES_SHOWN = 12


def configure(log_format: Literal["json", "console"]) -> None:
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer() if log_format == "json" else structlog.dev.ConsoleRenderer(colors=False)
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def places(error: BaseException) -> list[str]:
    """Where an error came from, innermost last. Without its message, which may quote what a customer typed."""
    frames = traceback.extract_tb(error.__traceback__)[-FRAMES_SHOWN:]
    return [f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames]
