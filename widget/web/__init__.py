"""The web edge: routes parse, call one domain function and render."""
