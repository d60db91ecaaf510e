"""The offline model: deterministic and rule-based, it drives any network of agents without a network or a key.

It reads a request as data (instructions, conversation, tools, handoffs, output schema) and makes one move:
call one tool, hand over, or say something. The order in which it decides stands in `decide`. What the
instructions change: `Begin with: "…"`, `End with: "…"`, `Sign as …`, a formal or friendly tone, a limit on
sentences, `never use <tool>`, the words to decline with, and facts that the instructions state.
"""

from workbench.runtime.offline.decision import decide
from workbench.runtime.offline.events import respond
from workbench.runtime.offline.instructions import style
from workbench.runtime.offline.model import OfflineModel
from workbench.runtime.offline.offers import sort_name
from workbench.runtime.offline.request import Request, Say, Use, read

__all__ = ["OfflineModel", "Request", "Say", "Use", "decide", "read", "respond", "sort_name", "style"]
