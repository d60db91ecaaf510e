"""The network of a flow as a drawing: places and lines computed here, in the DOT language or as a `Picture` to be clicked."""

from __future__ import annotations

import itertools
import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from workbench.runtime.spec import AgentTool, ArgumentRule, FlowSpec, ToolSpec

AGENT_WIDTH, TOOL_WIDTH = 172, 206
NAME, LINE, PAD, FOLD = 18, 14, 6, 17
ROW, ROW_GAP, LANE = 22, 4, 24
GUTTER, BLOCK_GAP, MARGIN = 58, 15, 14
APART = 32
TALL = 9
"""A layer of more blocks is set in two columns, and then in three."""
WHERE = {"input": "input", "tool_result": "results", "reply": "reply"}
FOLD_ABOVE = 18
"""Where a flow shows more tools than this, they are folded into one line per agent at first."""


class Area(NamedTuple):
    """A place on the picture, in its own measure of pixels."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Box:
    """Something that stands on the picture. `lines` are the words under its name; `told` is all of it in one sentence."""

    id: str
    kind: Literal["agent", "tool", "fold", "missing"]
    name: str
    agent: str
    lines: tuple[str, ...]
    told: str
    area: Area
    entry: bool = False
    doubtful: bool = False
    effect: str = ""


@dataclass(frozen=True)
class Line:
    """A line between two boxes, as an SVG path. `both` means that it goes both ways."""

    kind: Literal["handoff", "tool", "asks", "missing"]
    source: str
    target: str
    path: str
    both: bool = False


@dataclass(frozen=True)
class Note:
    """Words that stand beside the boxes."""

    text: str
    x: float
    y: float


@dataclass(frozen=True)
class Picture:
    """A whole network, in its own measure of pixels."""

    width: float
    height: float
    boxes: tuple[Box, ...]
    lines: tuple[Line, ...]
    notes: tuple[Note, ...]


def picture(spec: FlowSpec, folds: Mapping[str, bool] | None = None) -> Picture:
    """Where everything stands: agents in columns by their distance from the entry, tools to the right of their agents.

    `folds` says for which agents the tools are folded into one line, or shown; the others follow the flow's size.
    """
    return _Drawing(spec, dict(folds or {})).picture()


def folded(spec: FlowSpec, folds: Mapping[str, bool]) -> dict[str, bool]:
    """For each agent with tools, whether they are folded into one line."""
    many = sum(len(agent.tools) for agent in spec.agents.values()) > FOLD_ABOVE
    return {name: folds.get(name, many) for name, agent in spec.agents.items() if agent.tools}


def reached(spec: FlowSpec, *, begin: Iterable[str] | None = None) -> dict[str, int]:
    """How many handoffs (or questions to an agent used as a tool) each agent is away from the entry; others are left out."""
    distance = {name: 0 for name in ([spec.entry] if begin is None else begin) if name in spec.agents}
    ahead = list(distance)
    for name in ahead:
        for target in (*spec.agents[name].handoffs, *_asked(spec, name)):
            if target in spec.agents and target not in distance:
                distance[target] = distance[name] + 1
                ahead.append(target)
    return distance


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
        lines.append(f"{_text(_id('agent', name))} [label={_text(name)}{style}];")
    for name, tool in spec.tools.items():
        colour = alarm if tool.effect == "high-stakes" else faint
        label = _text(f"{name}\n{tool.effect}")
        lines.append(
            f'{_text(_id("tool", name))} [label={label} color="{colour}" fontcolor="{ink}" fontsize=10 style="rounded,dashed"];'
        )
    for name, agent in spec.agents.items():
        for target in agent.handoffs:
            missing = target not in spec.agents
            style = f' [color="{alarm}" style=dotted]' if missing else f' [color="{ink}"]'
            lines.append(f"{_text(_id('agent', name))} -> {_text(_id('agent', target))}{style};")
        lines += [f"{_text(_id('agent', name))} -> {_text(_id('tool', one))} [style=dashed];" for one in agent.tools]
    return "\n".join([*lines, "}"])


@dataclass
class _Block:
    """An agent, or one that is missing, with its tools to the right, or folded into one line of its own box.

    Band 1 stands under band 0: nobody hands over to it. A long layer is set in several columns.
    """

    name: str
    lines: tuple[str, ...]
    tools: list[tuple[str, tuple[str, ...], str]]
    fold: str = ""
    band: int = 0
    layer: int = 0
    column: int = 0
    x: float = 0
    y: float = 0
    above: float = 0
    missing: bool = False

    @property
    def box_height(self) -> float:
        return NAME + LINE * len(self.lines) + (FOLD if self.fold else 0) + 2 * PAD

    @property
    def height(self) -> float:
        tools = sum(_row_height(words) + ROW_GAP for _, words, _ in self.tools)
        return max(self.box_height, LANE + tools if tools else 0)

    @property
    def width(self) -> float:
        return AGENT_WIDTH + (28 + TOOL_WIDTH if self.tools else 0)

    @property
    def middle(self) -> float:
        return self.y + self.box_height / 2

    @property
    def leaves(self) -> float:
        """Where handoffs leave to the right: through the lane above the tools."""
        return self.y + 8 if self.tools else self.middle


class _Drawing:
    def __init__(self, spec: FlowSpec, folds: Mapping[str, bool]) -> None:
        self.spec = spec
        self.folds = folded(spec, folds)
        self.near = reached(spec)
        self.guarded = {name: _where(spec, name) for name in spec.agents}
        self.alike = len(spec.agents) > 10 and len(set(self.guarded.values())) == 1
        self.blocks = {name: self._block(name) for name in spec.agents}
        self._settle()
        self.links = self._links()
        self.left: dict[tuple[int, int], float] = {}
        self.right: dict[tuple[int, int, int], float] = {}
        self.notes: list[Note] = []

    def picture(self) -> Picture:
        top, width = float(MARGIN), 0.0
        guards = next(iter(self.guarded.values()))
        if self.alike and guards:
            self.notes.append(Note(f"Every agent is {guards}.", MARGIN, top + 8))
            top += 22
        for band in (0, 1):
            layers = _layers([block for block in self.blocks.values() if block.band == band])
            if not layers:
                continue
            if band:
                self.notes.append(Note("Nobody hands over to these:", MARGIN, top + 10))
                top += 26
            _order(layers, self.links)
            bottom, right = self._place(layers, top)
            top, width = bottom + APART, max(width, right)
        boxes = [box for block in self.blocks.values() for box in self._boxes(block)]
        lines = [*self._handoffs(), *self._tool_lines()]
        idle, top, width = self._idle(top, width)
        height = top - APART + MARGIN
        return Picture(width + MARGIN, height, (*boxes, *idle), tuple(lines), tuple(self.notes))

    def _block(self, name: str) -> _Block:
        tools, spec = self.spec.agents[name].tools, self.spec
        if self.folds.get(name):
            return _Block(name, self._words(name), [], fold=_fold_words(spec, tools))
        return _Block(name, self._words(name), [(one, *_tool_words(spec.tools.get(one))) for one in tools])

    def _words(self, name: str) -> tuple[str, ...]:
        model = f"{self.spec.agents[name].model} model"
        words = [f"begins here · {model}" if name == self.spec.entry else model]
        words += [] if name in self.near else ["unreachable"]
        words += [self.guarded[name]] if self.guarded[name] and not self.alike else []
        return tuple(words)

    def _settle(self) -> None:
        """Give every block its band and its layer, and add those that are named but do not exist."""
        away = dict(self.near)
        strays = [name for name in self.spec.agents if name not in away]
        aimed = {target for name in strays for target in self.spec.agents[name].handoffs if target != name}
        for first in (*(name for name in strays if name not in aimed), *strays):
            if first not in away:
                found = reached(self.spec, begin=[first])
                away.update({name: layer for name, layer in found.items() if name not in away})
        for name, layer in away.items():
            self.blocks[name].layer, self.blocks[name].band = layer, int(name not in self.near)
        if self.spec.entry not in self.spec.agents:
            self._missing(self.spec.entry, 0, 0)
        for name, agent in self.spec.agents.items():
            for target in agent.handoffs:
                self._missing(target, self.blocks[name].band, self.blocks[name].layer + 1)

    def _missing(self, name: str, band: int, layer: int) -> None:
        if name not in self.blocks:
            self.blocks[name] = _Block(name, ("does not exist",), [], band=band, layer=layer, missing=True)

    def _links(self) -> dict[str, set[str]]:
        links: dict[str, set[str]] = {name: set() for name in self.blocks}
        for name, agent in self.spec.agents.items():
            for target in (*agent.handoffs, *_asked(self.spec, name)):
                if target in links:
                    links[name].add(target)
                    links[target].add(name)
        return links

    def _place(self, layers: list[list[_Block]], top: float) -> tuple[float, float]:
        """Give every block its place; the bottom and the right edge of what was placed."""
        grids = [_rows(layer) for layer in layers]
        x = float(MARGIN)
        for place, layer in enumerate(layers):
            x += GUTTER if place else 0
            within = {block.name for block in layer}
            x += 26 if any(self.links[block.name] & within for block in layer) else 0
            self.left[layer[0].band, layer[0].layer] = x
            for column in range(len(grids[place][0])):
                blocks = [block for block in layer if block.column == column]
                x += GUTTER / 2 if column else 0
                for block in blocks:
                    block.x = x
                x += max(block.width for block in blocks)
                self.right[layer[0].band, layer[0].layer, column] = x
        heights = [sum(map(_tall, grid)) + BLOCK_GAP * (len(grid) - 1) for grid in grids]
        anchor = heights.index(max(heights))
        placed: set[str] = set()
        for place in (*range(anchor, -1, -1), *range(anchor + 1, len(grids))):
            self._stack(grids[place], top, top + heights[anchor], placed)
        return top + heights[anchor], x

    def _stack(self, grid: list[list[_Block]], top: float, bottom: float, placed: set[str]) -> None:
        """Set the rows of a layer under each other, each as near as possible to what it is linked to."""
        places: list[float] = []
        for row in grid:
            aims = [self.blocks[n].middle for block in row for n in self.links[block.name] if n in placed]
            middle = row[0].box_height / 2
            wanted = sum(aims) / len(aims) - middle if aims else (top if not placed else (top + bottom) / 2 - middle)
            least = places[-1] + _tall(grid[len(places) - 1]) + BLOCK_GAP if places else top
            places.append(max(least, wanted))
        for spot in range(len(grid) - 1, -1, -1):
            places[spot] = min(places[spot], bottom - _tall(grid[spot]))
            bottom = places[spot] - BLOCK_GAP
        for row, y in zip(grid, places, strict=True):
            for block in row:
                block.y, block.above = y, y - BLOCK_GAP / 2
                placed.add(block.name)

    def _boxes(self, block: _Block) -> Iterable[Box]:
        name = block.name
        area = Area(block.x, block.y, AGENT_WIDTH, block.box_height)
        if block.missing:
            told = f"{name} does not exist"
            yield Box(_id("missing", name), "missing", name, "", block.lines, told, area, doubtful=True)
            return
        to = ", ".join(self.spec.agents[name].handoffs) or "nobody"
        told = f"agent {name}: {', '.join(block.lines)}; hands over to {to}"
        first, stray = name == self.spec.entry, name not in self.near
        yield Box(_id("agent", name), "agent", name, name, block.lines, told, area, entry=first, doubtful=stray)
        if block.fold:
            told = f"show the tools of {name}: {block.fold}"
            area = Area(block.x + 5, block.y + block.box_height - FOLD - 4, AGENT_WIDTH - 10, FOLD)
            yield Box(_id("fold", name), "fold", block.fold, name, (), told, area)
        x, y = block.x + AGENT_WIDTH + 28, block.y + LANE
        for one, words, effect in block.tools:
            yield self._tool(name, one, words, effect, x, y)
            y += _row_height(words) + ROW_GAP

    def _tool(self, agent: str, tool: str, words: tuple[str, ...], effect: str, x: float, y: float) -> Box:
        area = Area(x, y, TOOL_WIDTH, _row_height(words))
        told = f"tool {tool}{f' of {agent}' if agent else ', used by nobody'}: {', '.join((effect, *words))}"
        doubtful = not agent or tool not in self.spec.tools
        return Box(_id("tool", agent, tool), "tool", tool, agent, words, told, area, doubtful=doubtful, effect=effect)

    def _tool_lines(self) -> Iterable[Line]:
        for name in self.spec.agents:
            block = self.blocks[name]
            x, y, trunk = block.x + AGENT_WIDTH, block.y + LANE, block.x + AGENT_WIDTH + 14
            begin = min(block.y + LANE + ROW / 2, block.y + block.box_height - 6)
            for one, words, _ in block.tools:
                row, target = y + ROW / 2, _id("tool", name, one)
                yield Line("tool", _id("agent", name), target, f"M{x:g} {begin:g} H{trunk:g} V{row:g} H{trunk + 14:g}")
                tool = self.spec.tools.get(one)
                if isinstance(tool, AgentTool) and tool.agent in self.blocks:
                    goal = self.blocks[tool.agent]
                    points = [(x + 28 + TOOL_WIDTH, row), *self._into(goal, goal.middle + 7)]
                    yield Line("asks", target, _id("agent", tool.agent), _route(points))
                y += _row_height(words) + ROW_GAP

    def _handoffs(self) -> Iterable[Line]:
        """Every pair once: where it goes both ways, as one line with two heads."""
        drawn: set[frozenset[str]] = set()
        arcs: dict[tuple[int, int], int] = {}
        for name, agent in self.spec.agents.items():
            for target in dict.fromkeys(agent.handoffs):
                pair = frozenset((name, target))
                if pair in drawn:
                    continue
                one, other = self.blocks[name], self.blocks[target]
                both = not other.missing and name in self.spec.agents[target].handoffs and name != target
                if both:
                    drawn.add(pair)
                    if other.layer < one.layer:
                        one, other = other, one
                kind: Literal["handoff", "missing"] = "missing" if other.missing or name == target else "handoff"
                source, goal = _id("agent", one.name), _id("missing" if other.missing else "agent", other.name)
                yield Line(kind, source, goal, self._path(one, other, arcs), both)

    def _path(self, one: _Block, other: _Block, arcs: dict[tuple[int, int], int]) -> str:
        if one is other:
            x, y = one.x, one.middle
            return f"M{x:g} {y - 8:g} C{x - 26:g} {y - 14:g} {x - 26:g} {y + 14:g} {x:g} {y + 8:g}"
        if one.band != other.band:
            begin, end = (one.y, other.y + other.box_height) if other.y < one.y else (one.y + one.box_height, other.y)
            x, edge, middle = one.x + AGENT_WIDTH / 2, other.x + AGENT_WIDTH / 2, (begin + end) / 2
            return f"M{x:g} {begin:g} C{x:g} {middle:g} {edge:g} {middle:g} {edge:g} {end:g}"
        if one.layer < other.layer:
            return _route([*self._out(one, one.leaves), *self._into(other, other.middle)])
        if one.layer > other.layer:
            end = other.y + 16 if other.tools else other.middle + 7
            return _route([*self._into(one, one.middle + 9)[::-1], *self._out(other, end)[::-1]])
        if one.column != other.column:
            left, right = sorted((one, other), key=lambda block: block.column)
            points = [(left.x + AGENT_WIDTH, left.middle - 5), (right.x, right.middle + 5)]
            return _route(points if left is one else points[::-1])
        place = (one.band, one.layer)
        arcs[place] = arcs.get(place, 0) + 1
        out, down = 16 + 7 * (arcs[place] % 5), 6 if one.y < other.y else -6
        x, begin, end = one.x, one.middle + down, other.middle - down
        return f"M{x:g} {begin:g} C{x - out:g} {begin:g} {x - out:g} {end:g} {x:g} {end:g}"

    def _out(self, block: _Block, y: float) -> list[tuple[float, float]]:
        """The way from a box to the right edge of its layer; past further columns between their rows."""
        edge = self.right[block.band, block.layer, block.column]
        last = max(
            right for (band, layer, _), right in self.right.items() if (band, layer) == (block.band, block.layer)
        )
        begin = (block.x + AGENT_WIDTH, y)
        if edge == last:
            return [begin, (edge, y)]
        return [begin, (edge + 3, y), (edge + 17, block.above), (last, block.above)]

    def _into(self, block: _Block, y: float) -> list[tuple[float, float]]:
        """The way from the left edge of a layer to a box; past earlier columns between their rows."""
        if not block.column:
            return [(block.x, y)]
        return [(self.left[block.band, block.layer] - 8, block.above), (block.x - 20, block.above), (block.x, y)]

    def _idle(self, top: float, width: float) -> tuple[list[Box], float, float]:
        """The tools that no agent uses, in rows under everything else."""
        used = {one for agent in self.spec.agents.values() for one in agent.tools}
        idle = [name for name in self.spec.tools if name not in used]
        if not idle:
            return [], top, width
        self.notes.append(Note("No agent uses these tools:", MARGIN, top + 10))
        top += 22
        across = max(1, int((max(width, 640) - MARGIN) // (TOOL_WIDTH + 12)))
        boxes = []
        for start in range(0, len(idle), across):
            row = [(name, *_tool_words(self.spec.tools[name])) for name in idle[start : start + across]]
            for place, (name, words, effect) in enumerate(row):
                boxes.append(self._tool("", name, words, effect, MARGIN + place * (TOOL_WIDTH + 12), top))
                width = max(width, boxes[-1].area.x + TOOL_WIDTH)
            top += max(_row_height(words) for _, words, _ in row) + ROW_GAP
        return boxes, top + APART, width


def _layers(blocks: list[_Block]) -> list[list[_Block]]:
    if not blocks:
        return []
    return [[b for b in blocks if b.layer == layer] for layer in sorted({b.layer for b in blocks})]


def _rows(layer: list[_Block]) -> list[list[_Block]]:
    """A layer in rows: one block in each, or two or three where it is long."""
    across = 1 if len(layer) <= TALL else 2 if len(layer) <= 2 * TALL + 2 else 3
    for place, block in enumerate(layer):
        block.column = place % across
    return [layer[start : start + across] for start in range(0, len(layer), across)]


def _tall(row: list[_Block]) -> float:
    return max(block.height for block in row)


def _order(layers: list[list[_Block]], links: Mapping[str, Collection[str]]) -> None:
    """Fewer crossings: each block goes to the mean place of what it is linked to in the column before, then after."""
    for turn in range(6):
        for place in range(1, len(layers)) if turn % 2 == 0 else range(len(layers) - 2, -1, -1):
            before = layers[place - 1 if turn % 2 == 0 else place + 1]
            at = {block.name: spot / max(1, len(before) - 1) for spot, block in enumerate(before)}

            def mean(
                block: _Block, at: dict[str, float] = at, layer: list[_Block] = layers[place]
            ) -> tuple[float, int]:
                found = [at[name] for name in links[block.name] if name in at]
                return (sum(found) / len(found) if found else 0.5, layer.index(block))

            layers[place] = sorted(layers[place], key=mean)


def _asked(spec: FlowSpec, name: str) -> list[str]:
    """The agents that this agent asks as tools."""
    tools = (spec.tools.get(one) for one in spec.agents[name].tools)
    return [tool.agent for tool in tools if isinstance(tool, AgentTool)]


def _where(spec: FlowSpec, name: str) -> str:
    """Where guardrails stand around an agent."""
    found = [WHERE[one.on] for one in spec.guardrails if one.agents == "all" or name in one.agents]
    return f"guarded: {', '.join(dict.fromkeys(found))}" if found else ""


def _tool_words(tool: ToolSpec | None) -> tuple[tuple[str, ...], str]:
    """The words under a tool's name, and its effect."""
    if tool is None:
        return (), "not declared"
    words = [f"asks the agent {tool.agent}"] if isinstance(tool, AgentTool) else []
    if tool.approve == "always":
        words.append("a person approves each call")
    elif tool.approve:
        words += [f"a person approves {_rule(argument, rule)}" for argument, rule in tool.approve.items()]
    return tuple(_short(one, 36) for one in words), tool.effect


def _rule(argument: str, rule: ArgumentRule) -> str:
    parts = [f"above {rule.above:g}"] if rule.above is not None else []
    parts += [f"below {rule.below:g}"] if rule.below is not None else []
    parts += [f"in {', '.join(map(str, rule.any_of))}"] if rule.any_of is not None else []
    return f"{argument} {' or '.join(parts)}".strip()


def _fold_words(spec: FlowSpec, tools: tuple[str, ...]) -> str:
    effects = [spec.tools[one].effect if one in spec.tools else "not declared" for one in tools]
    loud = [f"{effects.count(word)} {word}" for word in ("high-stakes", "not declared") if word in effects]
    return ", ".join([f"{len(tools)} tool{'' if len(tools) == 1 else 's'}", *loud])


def _row_height(words: tuple[str, ...]) -> float:
    return ROW + 13 * len(words)


def _route(points: list[tuple[float, float]]) -> str:
    """A way through points: straight where it stays level, else a curve that begins and ends level."""
    path = f"M{points[0][0]:g} {points[0][1]:g}"
    for (x, y), (to, down) in itertools.pairwise(points):
        middle = (x + to) / 2
        path += f" H{to:g}" if y == down else f" C{middle:g} {y:g} {middle:g} {down:g} {to:g} {down:g}"
    return path


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _id(kind: str, *names: str) -> str:
    return ":".join((kind, *names))


def _text(label: str) -> str:
    return json.dumps(label)
