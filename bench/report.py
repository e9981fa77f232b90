"""The figures as a table for people, and what in them must never be."""

from typing import Any

TARGETS = {
    "delivered_per_s": 500.0,
    "cpu_s_per_1000": 2.0,
    "p50_at_20": 10.0,
    "p99_at_20": 40.0,
    "catch_up_ms": 100.0,
    "mib_per_1000": 45.0,
    "sealing_ratio": 1.05,
}
"""On two cores, encryption and audit on (brief of the benchmark, docs/benchmarks.md)."""


def table(found: dict[str, Any]) -> str:
    """Everything, in lines of at most 120 characters."""
    lines = [*_about(found["about"]), ""]
    if "A" in found:
        lines += _loads("A  open loop", [(f"{step['rate']:g}/s", step) for step in found["A"]])
    if "B" in found:
        lines += _loads("B  closed loop", [(f"{found['B']['senders']} senders", found["B"])])
    if "C" in found:
        told = found["C"]
        lines += [
            f"C  {told['events']} missed events, {told['times']} times ({told['incomplete']} incomplete):",
            f"     hello to synced    {_spread(told['hello_to_synced_ms'])}",
            f"     connect to synced  {_spread(told['connect_to_synced_ms'])}",
            "",
        ]
    if "D" in found:
        told = found["D"]
        lines += [
            f"D  {told['sockets']} idle sockets: {told['mib_per_1000']} MiB per 1,000"
            f" ({told['rss_before_mib']} -> {told['rss_after_rest_mib']} MiB), connected in {told['connected_in_s']} s,"
            f" {told['idle_cpu_s_per_s']} CPU s/s",
            "",
        ]
    if "E" in found:
        lines += _consent(found["E"])
    if "F" in found:
        lines += _sealing(found["F"])
    if "rows" in found:
        lines.append("rows: " + ", ".join(f"{name} {count}" for name, count in found["rows"].items()))
    return "\n".join(lines + _targets(found))


def _about(about: dict[str, Any]) -> list[str]:
    machine, settings = about["machine"], about["postgresql"]
    return [
        f"Samsnakk {about['revision']}, {about['at']}: {about['server_processes']} server process(es) of"
        f" `{about['serve']}`, Python {about['python']}",
        f"{machine['cores']} cores ({machine['model']}), load before {machine['load_before']:.1f}",
        f"PostgreSQL {settings['server_version']} (fsync {settings['fsync']}, synchronous_commit"
        f" {settings['synchronous_commit']}, shared_buffers {settings['shared_buffers']}), Redis {about['redis']}; "
        f"{about['rooms']} rooms of {about['members']}, 200-byte messages",
        f"encryption {_on(about['encryption'])}, audit {_on(about['audit'])}, sealing {_on(about['sealing'])},"
        f" compression {_on(about['compression'])}",
    ]


def _on(value: bool) -> str:
    return "on" if value else "off"


def _loads(title: str, steps: list[tuple[str, dict[str, Any]]]) -> list[str]:
    head = (
        f"{title:<16}{'sent':>7}{'all/s':>8}  {'acknowledged p50/p95/p99 ms':>28}  {'to all p50/p95/p99 ms':>26}"
        f"{'lost':>6}{'dup':>5}{'err':>5}{'CPU s/1000':>12}"
    )
    lines = [head]
    for name, step in steps:
        faults = step["faults"]
        duplicated = faults.get("duplicated", 0)
        lines.append(
            f"  {name:<14}{step['sent']:>7}{step['delivered_per_s']:>8}  {_spread(step['acknowledged_ms']):>28}  "
            f"{_spread(step['to_all_ms']):>26}{step['lost']:>6}{duplicated:>5}{sum(faults.values()) - duplicated:>5}"
            f"{step['cpu_s_per_1000'] or 0:>12}"
        )
        cpu = step["cpu_s"]
        lines.append(
            f"  {'':<14}CPU s: "
            + ", ".join(f"{part} {seconds}" for part, seconds in cpu.items())
            + f"; generator {step['generator_cpu_s']} (late by p99 {step['generator_lag_ms'].get('p99')} ms),"
            f" others on the machine {step['others_s']}"
        )
    return [*lines, ""]


def _consent(told: dict[str, Any]) -> list[str]:
    seal, load, page, closed, decided = (told[name] for name in ("verify", "load", "page", "closed", "decide_s"))
    return [
        f"E  CPU of verifying a version: {seal['us']:g} us, {seal['first_us']:g} the first time in a process;"
        f" {page['seal_share']:.1%} of a page of history",
        f"   permits.load: {load['sealed_us']:g} us, {load['unsealed_us']:g} without looking at seals"
        f" (x {load['sealed_to_unsealed']:g}); a page of history: {page['sealed_us']:g}, {page['unsealed_us']:g}"
        f" (x {page['sealed_to_unsealed']:g})",
        "   CPU s per 1,000 decisions about so many records: "
        + ", ".join(f"{count}: {seconds:g}" for count, seconds in decided.items()),
        f"   {closed['rooms']} withdrawals to room.closed at {closed['sockets']} sockets, p50/p95/p99 ms:"
        f" {_spread(closed['ms'])} from {closed['from']}, {_spread(closed['from_request_ms'])} from the request;"
        f" {closed['silent']} silent",
        "",
    ]


def _sealing(told: dict[str, Any]) -> list[str]:
    lines = [f"F  {len(told['runs']['sealed'])} runs with sealing and without, in turn, at {told['rate']:g}/s:"]
    for name, title in (("cpu_s_per_1000", "all parts"), ("server_cpu_s_per_1000", "server")):
        middle = told[name]
        each = "; ".join(f"{kind} {' '.join(f'{run[name]:g}' for run in runs)}" for kind, runs in told["runs"].items())
        lines.append(
            f"   CPU s per 1,000, {title}: {middle['sealed']:g} sealed, {middle['unsealed']:g} unsealed"
            f" (x {middle['ratio']:g}); {each}"
        )
    return [*lines, ""]


def _spread(figures: dict[str, float]) -> str:
    return " / ".join(f"{figures[rank]:g}" for rank in ("p50", "p95", "p99")) if figures else "-"


def _targets(found: dict[str, Any]) -> list[str]:
    """Each target with what was found, for the measurements that were made."""
    lines = []
    for step in found.get("A", ()):
        if step["rate"] == 20:
            lines.append(_target("p50 to all at 20/s, ms", step["to_all_ms"].get("p50"), TARGETS["p50_at_20"]))
            lines.append(_target("p99 to all at 20/s, ms", step["to_all_ms"].get("p99"), TARGETS["p99_at_20"]))
        if step["rate"] == 500:
            # A whole schedule that ends late has fewer per second; 2 % is the tail of the last messages.
            lines.append(_target("delivered to all per s at 500/s", step["delivered_per_s"], 490.0, more=True))
        if step["rate"] >= 300:
            name = f"CPU s per 1,000 at {step['rate']:g}/s"
            lines.append(_target(name, step["cpu_s_per_1000"], TARGETS["cpu_s_per_1000"]))
    if "C" in found:
        lines.append(_target("catch-up p50, ms", found["C"]["hello_to_synced_ms"].get("p50"), TARGETS["catch_up_ms"]))
    if "D" in found:
        lines.append(_target("MiB per 1,000 idle sockets", found["D"]["mib_per_1000"], TARGETS["mib_per_1000"]))
    if "F" in found:
        ratio = found["F"]["cpu_s_per_1000"]["ratio"]
        lines.append(_target("CPU with sealing to CPU without", ratio, TARGETS["sealing_ratio"]))
    return ["", *lines] if lines else []


def _target(name: str, value: float | None, target: float, *, more: bool = False) -> str:
    if value is None:
        return f"  {'MISSED':<8}{name}: nothing measured"
    reached = value >= target if more else value <= target
    return f"  {'reached' if reached else 'MISSED':<8}{name}: {value:g} (target {'≥' if more else '≤'} {target:g})"


def faults(found: dict[str, Any]) -> list[str]:
    """What must never be, whatever the machine: lost, doubled or unordered messages, rows that do not match."""
    wrong = []
    turns = [run for runs in found.get("F", {}).get("runs", {}).values() for run in runs]
    for step in (*found.get("A", ()), *([found["B"]] if "B" in found else []), *turns):
        name = f"{step.get('rate', 'B')}"
        wrong += [f"{name}: {count} {kind}" for kind, count in step["faults"].items()]
        if step["lost"]:
            wrong.append(f"{name}: {step['lost']} lost")
        if step["acknowledged"] != step["sent"]:
            wrong.append(f"{name}: {step['sent'] - step['acknowledged']} not acknowledged")
    if found.get("C", {}).get("incomplete"):
        wrong.append(f"C: {found['C']['incomplete']} catch-ups incomplete")
    if found.get("E", {}).get("closed", {}).get("silent"):
        wrong.append(f"E: {found['E']['closed']['silent']} sockets were never told")
    told = found.get("rows", {})
    wrong += [
        f"rows: {name} {count}" for name, count in told.items() if name not in ("acknowledged", "stored") and count
    ]
    if told and told["stored"] < told["acknowledged"]:
        wrong.append(f"rows: {told['stored']} stored of {told['acknowledged']} acknowledged")
    return wrong
