"""One message to one destination: how it looks, how it is signed, and what came of sending it.

A webhook's message is signed: `X-Workbench-Signature` is `v1=` and the hexadecimal HMAC-SHA256, under the destination's
secret, of the time stamp in `X-Workbench-Timestamp` (seconds since 1970), a full stop, and the body.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from workbench.errors import Unavailable
from workbench.operations.routes import Destination, target, url
from workbench.runtime import secret
from workbench.runtime.fetch import Request, Unsettled, fetch
from workbench.runtime.reach import Reach

SECONDS = 15.0
LARGEST = 65_536
SUBJECT = 150


@dataclass(frozen=True)
class Message:
    """What is said: `key` is the same each time this message is sent; `facts` are for programs."""

    key: str
    subject: str
    text: str
    facts: dict[str, Any]


def body(made: Destination, message: Message) -> str:
    """What goes out to a destination, as it is sent: JSON for webhook and Slack, plain text for e-mail."""
    if made.kind == "email":
        return message.text
    if made.kind == "slack":
        return json.dumps({"text": _slack(f"{message.subject}\n{message.text}")}, ensure_ascii=False)
    told = {"id": message.key, "subject": message.subject, "text": message.text, **message.facts}
    return json.dumps(told, ensure_ascii=False)


def send(made: Destination, message: Message) -> str:
    """Send it once, and return what the other side said, in a few words.

    Raises Refused, Invalid for what will not be better the next time, Unavailable for what may be, and Unsettled where
    nobody knows whether it arrived.
    """
    return _mail(made, message) if made.kind == "email" else _post(made, message)


def signature(key: str, stamp: int, content: bytes) -> str:
    """The signature of a webhook's body at a time stamp."""
    made = hmac.new(key.encode(), str(stamp).encode() + b"." + content, hashlib.sha256)
    return f"v1={made.hexdigest()}"


def _post(made: Destination, message: Message) -> str:
    there, content, stamp = target(made), body(made, message).encode(), int(time.time())
    headers = {"user-agent": "workbench", "content-type": "application/json", "idempotency-key": message.key}
    hidden = [url(made)] if made.address.startswith("secret:") else []
    if made.secret:
        hidden.append(secret.secret(made.secret))
        headers["x-workbench-timestamp"] = str(stamp)
        headers["x-workbench-signature"] = signature(hidden[-1], stamp, content)

    async def talk() -> Any:
        async with asyncio.timeout(SECONDS):
            return await fetch(Request("POST", there, headers, content), Reach.load(), LARGEST)

    try:
        answer = asyncio.run(talk())
    except TimeoutError:
        raise Unsettled(f"{there.label} took longer than {SECONDS:g} seconds.") from None
    if not 200 <= answer.status < 300:
        raise answer.failure(hidden)
    return f"{there.label} answered with status {answer.status}"


def _mail(made: Destination, message: Message) -> str:
    """Hand the mail to the mail server by apprise, which takes the server's own address from the secret."""
    import apprise

    there, base = target(made), secret.secret(made.secret)
    to = ",".join(quote(one.strip(), safe="") for one in made.address.split(","))
    sender = apprise.Apprise()
    if not sender.add(f"{base}{'&' if '?' in base else '?'}to={to}&cto={SECONDS:g}&rto={SECONDS:g}"):
        raise Unavailable(f"The secret {made.secret} is not a mail server that can be used.")
    subject = " ".join(message.subject.split())[:SUBJECT]
    if not sender.notify(body=message.text, title=subject, body_format=apprise.NotifyFormat.TEXT):
        raise Unavailable(f"The mail server {there.label} did not take the message.")
    return f"{there.label} took it"


def _slack(text: str) -> str:
    """Text in which Slack sees no link, mention or markup of its own."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
