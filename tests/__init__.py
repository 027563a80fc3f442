"""Tests: rules by tables, flows by stories in a real browser, on SQLite and on PostgreSQL."""
