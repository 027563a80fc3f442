"""The routes of the panel hang on this. They are authorised by a signed link, never by a cookie."""

from flask import Blueprint

blueprint = Blueprint("panel", __name__)
