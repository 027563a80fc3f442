"""Payment providers on loopback: each speaks its real wire format, and misbehaves on demand."""
