"""What must agree in flows: names that are used exist, and every caller comes to an end, also one who
presses nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Final

from ivr_engine.domain.dialling import NotDialled
from ivr_engine.errors import ConfigError
from ivr_engine.site.explain import enough, nearest
from ivr_engine.site.flows import CALL_FACTS, Dip, Flow, Menu, Node, Transfer
from ivr_engine.site.lines import Number
from ivr_engine.site.models import Site
from ivr_engine.site.schedules import mistakes
from ivr_engine.site.tree import Node as Tree
from ivr_engine.site.tree import shown
from ivr_engine.site.values import unknown_placeholders

Path = tuple[str, ...]


def ways_in(site: Site) -> Iterator[tuple[Path, Number]]:
    """Every number and access point, with its path."""
    yield from ((("numbers", name), number) for name, number in site.numbers.items())
    if site.access_points is not None:
        points = site.access_points.points.items()
        yield from ((("access_points", "points", name), point) for name, point in points)


def numbers(site: Site, tree: Tree) -> Iterator[ConfigError]:
    """Each number and access point leads to one thing that exists."""
    for path, settings in ways_in(site):
        shown = f"number '{path[-1]}'" if path[0] == "numbers" else f"access point '{path[-1]}'"
        leads = {"queue": (settings.queue, site.queues), "flow": (settings.flow, site.flows)}
        named = {kind: (name, known) for kind, (name, known) in leads.items() if name is not None}
        if len(named) != 1:
            file, line = tree.at(path)
            what = "leads nowhere" if not named else "leads to a queue and to a flow"
            remedy = "add 'queue: …' or 'flow: …' below it" if not named else "keep one of the two"
            yield ConfigError(file, line, f"{shown} {what}", remedy)
            continue
        for kind, (name, known) in named.items():
            if name not in known:
                file, line = tree.at((*path, kind))
                what = f"{shown} leads to the unknown {kind} '{name}'"
                yield ConfigError(file, line, what, nearest(name, known))


def schedules(site: Site, tree: Tree) -> Iterator[ConfigError]:
    """Opening hours that are no hours, and names of schedules that queues and nodes use."""
    for name, settings in site.schedules.items():
        for path, what, remedy in mistakes(settings):
            file, line = tree.at(("schedules", name, *path))
            yield ConfigError(file, line, f"schedule '{name}': {what}", remedy)
    for path, schedule in _schedules_used(site):
        if schedule not in site.schedules:
            file, line = tree.at(path)
            what = f"'{'.'.join(path)}': unknown schedule '{schedule}'"
            yield ConfigError(file, line, what, nearest(schedule, site.schedules))


def _schedules_used(site: Site) -> Iterator[tuple[Path, str]]:
    for name, queue in site.queues.items():
        if queue.schedule is not None:
            yield ("queues", name, "schedule"), queue.schedule
    for name, flow in site.flows.items():
        for node, settings in flow.nodes.items():
            if settings.hours is not None:
                yield ("flows", name, "nodes", node, "hours", "schedule"), settings.hours.schedule


def flows(site: Site, tree: Tree) -> Iterator[ConfigError]:
    """Everything wrong with the flows."""
    for name, flow in site.flows.items():
        wrong = [*enough(_kinds(name, flow, tree))]
        wrong += [] if wrong else [*enough(_names(site, name, flow, tree)), *enough(_keys(name, flow, tree))]
        yield from wrong
        if not wrong:
            yield from _endings(name, flow, tree)


def unreachable(flow: Flow) -> list[str]:
    """Nodes that no caller comes to."""
    reached = _reached(flow, flow.start)
    return [name for name in flow.nodes if name not in reached]


def queues_reached(flow: Flow) -> set[str]:
    """The queues that callers can come into."""
    reached = (flow.nodes[name].queue for name in _reached(flow, flow.start))
    return {queue.name for queue in reached if queue is not None}


def _kinds(name: str, flow: Flow, tree: Tree) -> Iterator[ConfigError]:
    for node, settings in flow.nodes.items():
        there = list(settings.all())
        if len(there) != 1:
            file, line = tree.at(("flows", name, "nodes", node))
            what = f"node '{node}' does nothing" if not there else f"node '{node}' does {' and '.join(there)}"
            kinds = ", ".join(Node.model_fields)
            yield ConfigError(file, line, what, f"give it exactly one of: {kinds}")


def _names(site: Site, name: str, flow: Flow, tree: Tree) -> Iterator[ConfigError]:
    for path, target in _targets(flow):
        if target not in flow.nodes:
            where = ".".join(path[1:]) if path[0] == "nodes" else path[0]
            what = f"'{where}' of flow '{name}' leads to the unknown node '{target}'"
            yield _error(tree, name, path, what, nearest(target, flow.nodes))
    for node, settings in flow.nodes.items():
        at = ("nodes", node)
        if settings.queue is not None and settings.queue.name not in site.queues:
            what = f"node '{node}' leads into the unknown queue '{settings.queue.name}'"
            remedy = nearest(settings.queue.name, site.queues)
            yield _error(tree, name, (*at, "queue", "name"), what, remedy)
        if settings.queue is not None and settings.queue.callback and site.transfers is None:
            what = f"node '{node}' has callers called back, but the site has no trunk"
            remedy = "add 'transfers:' with 'trunk' and 'allow' to one of the files"
            yield _error(tree, name, (*at, "queue", "callback"), what, remedy)
        if settings.dip is not None:
            yield from _parameters(tree, name, flow, node, settings.dip)
        if settings.transfer is not None:
            yield from _transfer(site, tree, name, node, settings.transfer)
        for where, language in _languages(settings):
            if language not in site.languages:
                what = f"node '{node}': language '{language}' is not one of the site's"
                remedy = f"{nearest(language, site.languages)} Else add it to 'languages'"
                yield _error(tree, name, (*at, *where), what, remedy)


def _parameters(tree: Tree, name: str, flow: Flow, node: str, dip: Dip) -> Iterator[ConfigError]:
    """What is filled in has to be known: a fact of the call, or a variable that some node sets."""
    known = CALL_FACTS | {
        variable
        for each in flow.nodes.values()
        for variable in (*(each.set.variables if each.set else ()), *(each.dip.set if each.dip else ()))
    }
    for parameter, text in dip.parameters.items():
        for placeholder in unknown_placeholders(text, known):
            what = f"node '{node}': nothing is known as {shown('{' + placeholder + '}')}"
            path = ("nodes", node, "dip", "parameters", parameter)
            yield _error(tree, name, path, what, nearest(placeholder, known))


def _transfer(site: Site, tree: Tree, flow: str, node: str, transfer: Transfer) -> Iterator[ConfigError]:
    path = ("nodes", node, "transfer")
    if site.transfers is None:
        what = f"node '{node}' transfers to a number outside, but the site has no trunk"
        yield _error(tree, flow, path, what, "add 'transfers:' with 'trunk' and 'allow' to one of the files")
    elif not transfer.number.startswith("{"):
        reason = site.why_not_dialled(transfer.number)
        if reason is not None:
            what = f"node '{node}': {shown(transfer.number)} {_REASONS[reason]}"
            allow = reason is NotDialled.NOT_ALLOWED
            remedy = "add its beginning to 'transfers.allow'" if allow else "name another number"
            yield _error(tree, flow, (*path, "number"), what, remedy)


_REASONS: Final = {
    NotDialled.NO_NUMBER: "is not a number that exists",
    NotDialled.EMERGENCY: "is an emergency number, which is never dialled",
    NotDialled.PREMIUM: "is a premium number, which is never dialled",
    NotDialled.NOT_ALLOWED: "is not allowed to be dialled",
}


def _languages(node: Node) -> Iterator[tuple[Path, str]]:
    if node.language is not None:
        yield from ((("language", "keys", key), language) for key, language in node.language.keys.items())
    if node.set is not None and node.set.language is not None:
        yield ("set", "language"), node.set.language


def _targets(flow: Flow) -> Iterator[tuple[Path, str]]:
    yield ("start",), flow.start
    for key, target in flow.everywhere.items():
        yield ("everywhere", key), target
    for node in flow.nodes:
        for path, way in flow.ways(node):
            if len(path) > 1:
                yield ("nodes", *path), way.target


def _keys(name: str, flow: Flow, tree: Tree) -> Iterator[ConfigError]:
    """A key that is given two meanings in one menu (twice in ``keys`` is an error of the file itself)."""
    for node, settings in flow.nodes.items():
        menu = settings.menu
        if menu is None:
            continue
        for setting, key in _given(menu):
            others = [
                where for where, other in (*_given(menu), *(("keys", k) for k in menu.keys)) if other == key
            ]
            if len(others) > 1 and others.index(setting) == 0:
                what = f"node '{node}': the key {shown(key)} is used twice: as {' and as '.join(others)}"
                yield _error(tree, name, ("nodes", node, "menu", setting), what, "give each its own key")


def _given(menu: Menu) -> list[tuple[str, str]]:
    """The keys for moving about that the admin wrote: the one that is there without gives way."""
    both = (("back", menu.back), ("repeat", menu.repeat))
    return [(name, key) for name, key in both if key is not None and name in menu.model_fields_set]


def _endings(name: str, flow: Flow, tree: Tree) -> Iterator[ConfigError]:
    """Dead ends, and circles in which a caller who presses nothing goes round for ever."""
    leading = _leading_to_an_end(flow)
    for node in (node for node in flow.nodes if node not in leading):
        what = f"node '{node}' is a dead end: no way leads from it into a queue or to a goodbye"
        yield _error(tree, name, ("nodes", node), what, "add a way to a node with 'queue' or 'hang_up'")
    for circle in _circles(flow):
        what = f"a caller who presses nothing goes round for ever: {' → '.join([*circle, circle[0]])}"
        yield _error(tree, name, ("nodes", circle[0]), what, "let one of them lead on to another node")


def _leading_to_an_end(flow: Flow) -> set[str]:
    before: dict[str, set[str]] = {node: set() for node in flow.nodes}
    further: list[str] = []
    for node, settings in flow.nodes.items():
        targets = {way.target for _, way in flow.ways(node)}
        if not targets or settings.queue is not None:
            further.append(node)
        for target in targets:
            before[target].add(node)
    leading = set(further)
    while further:
        new = before[further.pop()] - leading
        leading |= new
        further += new
    return leading


def _circles(flow: Flow) -> Iterator[list[str]]:
    """Ways that lead back to where they began without a key; those that have no node in common."""
    after = {node: [way.target for _, way in flow.ways(node) if not way.key] for node in flow.nodes}
    before: dict[str, list[str]] = {node: [] for node in flow.nodes}
    for node, targets in after.items():
        for target in targets:
            before[target].append(node)
    left = dict.fromkeys(flow.nodes)
    ways_on = {node: len(targets) for node, targets in after.items()}

    def without(gone: list[str]) -> None:
        """Without these, and without all from which no way is left then."""
        while gone:
            node = gone.pop()
            if node in left:
                del left[node]
                for one in before[node]:
                    ways_on[one] -= 1
                    if ways_on[one] == 0:
                        gone.append(one)

    without([node for node, count in ways_on.items() if count == 0])
    while left:
        trail: dict[str, None] = {}
        node = next(iter(left))
        while node not in trail:
            trail[node] = None
            node = next(target for target in after[node] if target in left)
        way = list(trail)
        circle = way[way.index(node) :]
        yield circle
        without(circle.copy())


def _reached(flow: Flow, start: str) -> Collection[str]:
    reached, further = {start}, [start]
    while further:
        new = {way.target for _, way in flow.ways(further.pop())} - reached
        reached |= new
        further += sorted(new)
    return reached


def _error(tree: Tree, flow: str, path: Path, what: str, remedy: str) -> ConfigError:
    file, line = tree.at(("flows", flow, *path))
    return ConfigError(file, line, what, remedy)
