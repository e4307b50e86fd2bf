"""What must agree about agents and lines: names that are used exist, and every caller can be served."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from ivr_engine.domain.routing import Need, fits
from ivr_engine.errors import ConfigError
from ivr_engine.site.explain import nearest
from ivr_engine.site.flow_references import ways_in
from ivr_engine.site.models import Site
from ivr_engine.site.tree import Node

Path = tuple[str | int, ...]


def staff(site: Site, tree: Node) -> Iterator[ConfigError]:
    """Agents in teams and queues that there are, with skills that there are."""
    for name, agent in site.agents.items():
        for queue in sorted(agent.queues - site.queues.keys()):
            file, line = tree.item(("agents", name, "queues"), queue)
            what = f"agent '{name}' serves the unknown queue '{queue}'"
            yield ConfigError(file, line, what, nearest(queue, site.queues))
        if agent.team is not None and agent.team not in site.teams:
            what = f"agent '{name}' is in the unknown team '{agent.team}'"
            yield _error(tree, ("agents", name, "team"), what, nearest(agent.team, site.teams))
    for path, skill in _skills_used(site):
        if skill not in site.skills:
            what = f"'{_shown(path)}': unknown skill '{skill}'"
            remedy = f"{nearest(skill, site.skills)} Else add it to 'skills'"
            yield _error(tree, (*path, skill), what, remedy)


def lines(site: Site, tree: Node) -> Iterator[ConfigError]:
    """Ways out of lines, overflow and wrap-up of every queue."""
    for name, queue in site.queues.items():
        at = ("queues", name)
        for number, step in enumerate(queue.overflow):
            for other in sorted(step.queues - site.queues.keys()):
                what = f"queue '{name}' overflows to the unknown queue '{other}'"
                path = (*at, "overflow", number, "queues")
                yield _error(tree, path, what, nearest(other, site.queues))
        if queue.wrap_up_reason == "required" and not (queue.wrap_up and site.wrap_up_reasons):
            lacks = (
                "'wrap_up' gives no time for it" if not queue.wrap_up else "there are no 'wrap_up_reasons'"
            )
            what = f"queue '{name}' requires a wrap-up reason, but {lacks}"
            remedy = "add it, or leave 'wrap_up_reason' out"
            yield _error(tree, (*at, "wrap_up_reason"), what, remedy)
    for name, setting, way in site.ways_out():
        path = ("queues", name, *setting)
        leads = {
            kind: value for kind in ("queue", "flow", "say") if (value := getattr(way, kind)) is not None
        }
        if len(leads) > 1:
            what = f"'{_shown(path)}' has {' and '.join(leads)}"
            yield _error(tree, path, what, "keep one of them")
        known: Mapping[str, Collection[str]] = {"queue": site.queues, "flow": site.flows}
        for kind, there in known.items():
            if kind in leads and leads[kind] not in there:
                what = f"'{_shown(path)}' leads to the unknown {kind} '{leads[kind]}'"
                yield _error(tree, (*path, kind), what, nearest(leads[kind], there))


def doubtful(site: Site, tree: Node) -> Iterator[ConfigError]:
    """What is probably not meant. Of a site without errors."""
    yield from _unserved(site, tree)
    yield from _circles(site, tree)
    for name, queue in site.queues.items():
        limit = queue.maximum_wait.after if queue.maximum_wait else float("inf")
        late = [step.after for step in queue.overflow if step.after >= limit]
        if late:
            what = f"queue '{name}' overflows after {late[0]:g} s, when callers have left it already"
            remedy = "make 'maximum_wait.after' longer, or the step's 'after' shorter"
            yield _error(tree, ("queues", name, "maximum_wait"), what, remedy)
        if queue.last_agent and queue.last_agent.wait >= limit:
            what = f"queue '{name}' waits for the last agent until callers have left it"
            yield _error(tree, ("queues", name, "last_agent"), what, "make its 'wait' shorter")


def _unserved(site: Site, tree: Node) -> Iterator[ConfigError]:
    """Requirements that no agent meets, however long somebody waits."""
    for name, queue in site.queues.items():
        if queue.skills and not _takers(site, name, queue.skills):
            what = f"nobody can take the calls of queue '{name}': no agent has {_in_words(queue.skills)}"
            remedy = "give an agent the skills, or lower the levels in a step of 'overflow'"
            yield _error(tree, ("queues", name, "skills"), what, remedy)
    for path, queue, skills in _required_on_the_way(site):
        wanted = {skill: level for skill, level in skills.items() if level}
        queues = [queue] if queue else list(site.queues)
        if wanted and not any(_takers(site, each, wanted) for each in queues):
            what = f"'{_shown(path)}': no agent has {_in_words(wanted)}"
            yield _error(tree, path, what, "give an agent the skills, or lower the levels")


def _takers(site: Site, queue: str, skills: Mapping[str, int]) -> list[str]:
    """Who can take a caller who needs these skills in the end, after every step of the overflow."""
    if queue not in site.queues:
        return []
    queues, lowest = {queue}, dict(skills)
    for step in site.queues[queue].overflow:
        queues |= step.queues
        lowest = {name: min(level, step.skills.get(name, level)) for name, level in lowest.items()}
    need = Need(
        queue=queue,
        queues=frozenset(queues),
        skills=tuple((name, level) for name, level in lowest.items() if level),
    )
    return [name for name, profile in site.profiles().items() if fits(profile, need, name)]


def _circles(site: Site, tree: Node) -> Iterator[ConfigError]:
    """Queues that pass callers round for ever when nobody answers."""
    leads = {name: way.queue for name, setting, way in site.ways_out() if setting == ("maximum_wait",)}
    told: set[str] = set()
    for start in leads:
        path, queue = [start], leads[start]
        while queue is not None and queue not in path:
            path.append(queue)
            queue = leads.get(queue)
        if queue == start and start not in told:
            told |= set(path)
            what = f"callers nobody answers go round for ever: {' → '.join([*path, start])}"
            yield _error(tree, ("queues", start, "maximum_wait"), what, "let one of them lead elsewhere")


def _skills_used(site: Site) -> Iterator[tuple[Path, str]]:
    for name, agent in site.agents.items():
        yield from _each(("agents", name, "skills"), agent.skills)
    for name, queue in site.queues.items():
        yield from _each(("queues", name, "skills"), queue.skills)
        for number, step in enumerate(queue.overflow):
            yield from _each(("queues", name, "overflow", number, "skills"), step.skills)
    for path, _, skills in _required_on_the_way(site):
        yield from _each(path, skills)


def _required_on_the_way(site: Site) -> Iterator[tuple[Path, str | None, Mapping[str, int]]]:
    """What numbers, access points and nodes require, with its path, and the queue where that is certain."""
    for path, number in ways_in(site):
        yield (*path, "skills"), number.queue, number.skills
    for flow, settings in site.flows.items():
        for node, doing in settings.nodes.items():
            at = ("flows", flow, "nodes", node)
            if doing.set is not None:
                yield (*at, "set", "skills"), None, doing.set.skills
            if doing.queue is not None:
                yield (*at, "queue", "skills"), doing.queue.name, doing.queue.skills


def _each(path: Path, skills: Iterable[str]) -> Iterator[tuple[Path, str]]:
    yield from ((path, skill) for skill in skills)


def _in_words(skills: Mapping[str, int]) -> str:
    return " and ".join(f"'{skill}' at {level}" for skill, level in skills.items())


def _shown(path: Path) -> str:
    return ".".join(map(str, path))


def _error(tree: Node, path: Path, what: str, remedy: str) -> ConfigError:
    file, line = tree.at(path)
    return ConfigError(file, line, what, remedy)
