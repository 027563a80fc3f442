"""POST /api/v1/pulses: a payment page is alive."""

from flask import Blueprint

blueprint = Blueprint("pulses", __name__)
