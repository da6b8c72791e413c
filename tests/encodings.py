"""A secret in the encodings in which it may stand in a file, a message or a command line."""

import base64
import html
import json
from urllib.parse import quote, quote_plus


def encodings(secret: str) -> list[str]:
    """What libraries make of a secret in their messages."""
    return [
        secret,
        quote(secret),
        quote(secret, safe=""),
        quote(secret, safe=" +"),  # SQLAlchemy
        quote(quote(secret, safe=""), safe=""),
        quote_plus(secret),
        "".join(f"%{octet:02x}" for octet in secret.encode()),
        repr(secret)[1:-1],
        repr(repr(secret))[2:-2],
        repr(secret.encode())[2:-1],
        ascii(secret)[1:-1],
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        html.escape(secret),
        base64.b64encode(f"bob:{secret}".encode()).decode(),
    ]
