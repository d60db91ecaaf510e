"""The detectors to begin with: questions that every support team asks, with the knobs that the simulation was run with."""

from __future__ import annotations

import re

from workbench.tickets.detectors import Detector

OF_A_TOPIC = "tickets of a topic"
"""The one that watches a single topic: it is begun from the page Topics."""

DEFAULTS: dict[str, Detector] = {
    made.detector: made
    for made in (
        Detector(
            detector="sudden rise",
            purpose="A topic comes much more often than usual within hours: an outage, a broken page, a mailing.",
            by="topic",
            window=4,
            slide=1,
            threshold=5.0,
            minimum=8,
            change=50,
            cooldown=48,
            severity="high",
        ),
        Detector(
            detector="slow rise",
            purpose="A topic comes more often than usual for a day: a defect that spreads, a change of policy.",
            by="topic",
            window=24,
            slide=3,
            threshold=4.4,
            minimum=12,
            change=30,
            cooldown=48,
        ),
        Detector(
            detector="drop-out",
            purpose="A topic nearly stops coming: a form, a channel or the feed of tickets is broken.",
            by="topic",
            window=24,
            slide=3,
            threshold=4.6,
            direction="down",
            minimum=10,
            change=50,
            cooldown=48,
        ),
        Detector(
            detector="slow handling",
            purpose="A vendor takes much longer than usual until tickets are resolved.",
            metric="resolution",
            event="resolved_at",
            by="vendor",
            window=24,
            slide=6,
            threshold=4.4,
            minimum=20,
            change=25,
            cooldown=48,
            lateness=24,
        ),
        Detector(
            detector="low ratings",
            purpose="A vendor's customers are less content than usual.",
            metric="csat",
            event="resolved_at",
            by="vendor",
            window=48,
            slide=12,
            threshold=4.0,
            direction="down",
            minimum=20,
            change=5,
            cooldown=48,
            lateness=48,
        ),
        Detector(
            detector=OF_A_TOPIC,
            purpose="A topic that is known grows for days: more of it in a week than its weeks before lead to expect.",
            window=168,
            slide=24,
            threshold=3.5,
            minimum=15,
            change=25,
            cooldown=168,
        ),
    )
}


def of_topic(name: str, *, below: bool = False) -> Detector:
    """The detector that watches whether a topic found in tickets' words grows; `below` where it is a subtopic."""
    where = {"found_subtopic" if below else "found_topic": (name,)}
    plain = re.sub(r"[^a-z0-9]+", " ", name.casefold()).strip()
    return DEFAULTS[OF_A_TOPIC].model_copy(
        update={"detector": f"growth of {plain or 'a topic'}"[:60].strip(), "where": where}
    )
