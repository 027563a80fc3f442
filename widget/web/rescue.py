"""The rescue page: the way from a frozen page, by the key of its attempt."""

from flask import Blueprint

blueprint = Blueprint("rescue", __name__)
