"""A PostgreSQL database that is emptied between two tests, in a hundredth of the time that making another takes.

What is emptied is read from the catalogue, so a table that a migration adds is covered.
"""

import psycopg

# The event trigger notes each change of the schema that is committed: such a database is not worth emptying.
_TOOLS = """
CREATE SCHEMA for_tests;
CREATE TABLE for_tests.changes (command text);
CREATE FUNCTION for_tests.note() RETURNS event_trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO for_tests.changes VALUES (tg_tag);
END $$;
CREATE FUNCTION for_tests.empty() RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
  name text;
  emptied text[] := '{}';
BEGIN
  PERFORM pg_terminate_backend(pid, 10000) FROM pg_stat_activity
  WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid();
  IF EXISTS (SELECT FROM for_tests.changes) THEN
    RETURN NULL;
  END IF;
  SET LOCAL session_replication_role = replica;
  FOR name IN
    SELECT oid::regclass FROM pg_class
    WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND relname <> 'alembic_version'
      AND pg_relation_size(oid) > 0
  LOOP
    EXECUTE 'DELETE FROM ' || name;
    emptied := emptied || name;
  END LOOP;
  PERFORM setval(seqrelid, seqstart, false) FROM pg_sequence WHERE pg_sequence_last_value(seqrelid) IS NOT NULL;
  RETURN emptied;
END $$;
CREATE EVENT TRIGGER for_tests ON ddl_command_end EXECUTE FUNCTION for_tests.note();
"""


def add_tools(address: str) -> None:
    """Make a migrated database, and every copy of it, one that `Cleared` can empty."""
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute(_TOOLS)


class Cleared:
    """The database at this address, for one test after the other."""

    def __init__(self, address: str) -> None:
        self._connection = psycopg.connect(address, autocommit=True)

    def clear(self) -> bool:
        """Leave no row, no connection but ours, and all ids at 1. False if a test has changed the schema."""
        [emptied] = self._connection.execute("SELECT for_tests.empty()").fetchone() or [None]
        if emptied:
            # Rows without an order come as they were written only from a file that begins at its beginning.
            self._connection.execute(f"VACUUM {', '.join(emptied)}".encode())
        return emptied is not None

    def close(self) -> None:
        self._connection.close()
