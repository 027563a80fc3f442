"""Help without JavaScript: a page of forms for a checkout whose script is blocked."""

from flask import Blueprint

blueprint = Blueprint("start", __name__)
