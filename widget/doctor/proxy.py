"""The lines that a proxy in front of Unjam needs, for nginx; other proxies have the same under other names."""


def passing(path: str) -> str:
    """The block that passes on this path, for whoever has to add it."""
    lines = (
        "proxy_pass http://127.0.0.1:8000;",
        "proxy_set_header Host $host;",
        "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;",
        "proxy_set_header X-Forwarded-Proto $scheme;",
    )
    return f"In the proxy in front of Unjam (here nginx): location {path} {{ {' '.join(lines)} }}"
