"""The network of a flow as a drawing in the DOT language."""

from __future__ import annotations

import json

from workbench.runtime.spec import FlowSpec


def dot(spec: FlowSpec, *, ink: str, accent: str, faint: str, alarm: str) -> str:
    """Agents as boxes, tools as rounded shapes, handoffs as arrows; the entry is drawn in the accent colour.

    Colours are CSS colours of the theme in use. A tool's effect is written under its name, so that colour never
    carries the meaning alone.
    """
    lines = [
        "digraph flow {",
        f'rankdir=LR; bgcolor="transparent"; color="{ink}"; ranksep=0.45; nodesep=0.18; margin=0.02;',
        f'node [shape=box style=rounded fontname="sans-serif" fontsize=11 color="{ink}" fontcolor="{ink}" height=0.36];',
        f'edge [color="{faint}" arrowsize=0.7];',
    ]
    for name in spec.agents:
        first = name == spec.entry
        style = f' color="{accent}" penwidth=2' if first else ""
        lines.append(f"{_id('agent', name)} [label={_text(name)}{style}];")
    for name, tool in spec.tools.items():
        colour = alarm if tool.effect == "high-stakes" else faint
        label = _text(f"{name}\n{tool.effect}")
        lines.append(
            f'{_id("tool", name)} [label={label} color="{colour}" fontcolor="{ink}" fontsize=10 style="rounded,dashed"];'
        )
    for name, agent in spec.agents.items():
        for target in agent.handoffs:
            missing = target not in spec.agents
            style = f' [color="{alarm}" style=dotted]' if missing else f' [color="{ink}"]'
            lines.append(f"{_id('agent', name)} -> {_id('agent', target)}{style};")
        lines += [f"{_id('agent', name)} -> {_id('tool', one)} [style=dashed];" for one in agent.tools]
    return "\n".join([*lines, "}"])


def _id(kind: str, name: str) -> str:
    return json.dumps(f"{kind}:{name}")


def _text(label: str) -> str:
    return json.dumps(label)
