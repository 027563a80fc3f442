"""What every route needs, made once per application."""

from dataclasses import dataclass

from flask import current_app

from widget.addresses import Addresses
from widget.casework import Pace
from widget.database import Database
from widget.settings import Settings
from widget.tokens import Tokens


@dataclass(frozen=True, slots=True)
class Services:
    settings: Settings
    database: Database
    tokens: Tokens
    addresses: Addresses
    pace: Pace


def services() -> Services:
    found: Services = current_app.extensions["unjam"]
    return found
