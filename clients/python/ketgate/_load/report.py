"""A run's figures, as a table for people and as JSON for programs."""

import math
import platform
from dataclasses import asdict
from typing import Any

from ketgate._load.run import Report
from ketgate._load.tally import FIRST_EVENT, NOT_SENT, PERCENTILES, Latencies
from ketgate._version import VERSION

SCHEMA = "ketgate-load/1"

LATE_MS_MAX = 5.0
"""The client's own lateness (99th percentile) beyond which it says so."""
CPU_SHARE_MAX = 0.9


def percentile(latencies: Latencies, which: float) -> float | None:
    """In milliseconds; None where there were too few calls to tell it from the greatest value."""
    enough = 1 if which >= 100.0 else 1.0 / (1.0 - which / 100.0)
    return latencies.percentile_ms(which) if latencies.count >= enough * (1 - 1e-9) else None


def warnings(report: Report) -> list[str]:
    """What a careful reader should know before believing the figures."""
    tally, found = report.tally, []
    failed = sum(tally.failures.values())
    total = failed + answered(report)
    if report.interrupted:
        found.append(
            f"Interrupted after {report.measured_s:.1f} s of {report.settings.duration_s:g} s."
        )
    if not total:
        found.append("No call was measured.")
    if failed:
        found.append(f"{failed} of {total} calls failed; they are in no percentile.")
    if tally.failures[NOT_SENT]:
        who = "server" if tally.held else "client"
        found.append(
            f"Calls that were due could not be sent in time: the {who} is slower than the rate."
        )
    late_ms = tally.late.percentile_ms(99.0)
    if report.settings.rate and tally.late.count and late_ms > LATE_MS_MAX:
        found.append(
            f"The client itself was late: 1 % of calls were sent more than {late_ms:.1f} ms after "
            "they were due, and their latencies include it. Use more --processes or a lower --rate."
        )
    if report.client_cpu_share_max > CPU_SHARE_MAX:
        found.append(
            f"A client process used {100 * report.client_cpu_share_max:.0f} % of a processor: the "
            "figures show its limit as much as the server's. Use more --processes."
        )
    if tally.held:
        found.append(
            f"{tally.held} calls waited as --in-flight calls were unanswered; their latencies tell."
        )
    return found


def answered(report: Report) -> int:
    """Calls with a right answer."""
    # A stream has a second histogram, of its first event; it is one call all the same.
    return sum(
        latencies.count
        for name, latencies in report.tally.latencies.items()
        if not name.endswith(FIRST_EVENT)
    )


def to_json(report: Report, version: str) -> dict[str, Any]:
    """Everything that was measured. Histograms: HdrHistogram's base64 form, in nanoseconds."""
    tally, server = report.tally, report.server
    return {
        "schema": SCHEMA,
        "client_version": VERSION,
        "server_version": version,
        "address": report.address,
        "machine": {"platform": platform.platform(), "python": platform.python_version()},
        "settings": asdict(report.settings),
        "interrupted": report.interrupted,
        "measured_s": report.measured_s,
        "calls": {
            "sent": tally.sent,
            "answered": answered(report),
            "failed": sum(tally.failures.values()),
            "held_by_client": tally.held,
        },
        "throughput_per_s": _ratio(tally.answered_in_time, report.measured_s),
        "latency_ms": {
            name: _figures(latencies) for name, latencies in sorted(tally.latencies.items())
        },
        "failures": [
            {
                "code": code,
                "reason": reason,
                "count": count,
                "example": tally.examples[code, reason],
            }
            for (code, reason), count in tally.failures.most_common()
        ],
        "client": {"late_ms": _figures(tally.late), "cpu_share_max": report.client_cpu_share_max},
        "server": None
        if server is None
        else {
            **asdict(server),
            "cpu_share": _ratio(server.cpu_s, report.measured_s),
            "cpu_us_per_call": _ratio(1e6 * server.cpu_s, tally.answered_in_time),
        },
        "warnings": warnings(report),
    }


def _figures(latencies: Latencies) -> dict[str, Any]:
    named = {f"p{which:g}": percentile(latencies, which) for which in PERCENTILES[:-1]}
    mean_ms = latencies.mean_ms()
    return {
        "count": latencies.count,
        "mean": None if math.isnan(mean_ms) else mean_ms,
        **named,
        "max": percentile(latencies, 100.0),
        "histogram": latencies.encode(),
    }


def _ratio(value: float, by: float) -> float | None:
    return value / by if by else None


def to_table(report: Report, version: str) -> str:
    """The table that `ketgate load` prints."""
    settings, tally = report.settings, report.tally
    asked = f"{settings.closed} closed loops"
    if settings.rate:
        asked = f"{settings.rate:g}/s asked, {settings.arrivals}"
    lines = [
        f"{settings.scenario}: {asked}, {report.measured_s:.1f} s measured, seed {settings.seed}",
        f"server {version} at {report.address}",
        "",
        f"  sent {tally.sent}   answered {answered(report)}   "
        f"failed {sum(tally.failures.values())}   "
        f"throughput {_number(_ratio(tally.answered_in_time, report.measured_s))}/s",
        "",
        *_latency_table(report),
    ]
    if tally.failures:
        lines += ["", "  failures"]
        for (code, reason), count in tally.failures.most_common():
            lines.append(f"  {count:>9}  {code} {reason}: {tally.examples[code, reason]}")
    lines += ["", *_server_line(report), _client_line(report)]
    lines += [f"  warning: {warning}" for warning in warnings(report)]
    return "\n".join(lines)


def _server_line(report: Report) -> list[str]:
    server = report.server
    if server is None:
        return []
    cpu_share = _ratio(server.cpu_s, report.measured_s) or 0.0
    per_call_us = _ratio(1e6 * server.cpu_s, report.tally.answered_in_time)
    grown = server.resident_bytes_max - server.resident_bytes_before
    return [
        f"  server process {server.pid}: {100 * cpu_share:.0f} % of a processor, "
        f"{_number(per_call_us)} us a call; "
        f"memory {server.resident_bytes_max / 2**20:.0f} MiB at most ({grown / 2**20:+.1f} MiB)"
    ]


def _client_line(report: Report) -> str:
    share = 100 * report.client_cpu_share_max
    line = f"  client: {share:.0f} % of a processor (the busiest of {report.settings.processes})"
    if report.settings.rate and report.tally.late.count:
        line += f"; calls sent late by {report.tally.late.percentile_ms(99.0):.2f} ms (p99)"
    return line


def _latency_table(report: Report) -> list[str]:
    start = "from when they were due" if report.settings.rate else "from when they were sent"
    width = max((len(name) for name in report.tally.latencies), default=0)
    titles = [*(f"p{which:g}" for which in PERCENTILES[:-1]), "max"]
    lines = [
        f"  {'latency, ms,':<{width}}  {'calls':>9}" + "".join(f"{title:>10}" for title in titles)
    ]
    for name, latencies in sorted(report.tally.latencies.items()):
        cells = "".join(f"{_number(percentile(latencies, which)):>10}" for which in PERCENTILES)
        lines.append(f"  {name:<{width}}  {latencies.count:>9}{cells}")
    return [*lines, f"  ({start} to the whole answer)"]


def _number(value: float | None) -> str:
    """Three significant digits, without an exponent; a dash for nothing."""
    if value is None or math.isnan(value):
        return "-"
    if value == 0:
        return "0"
    digits = max(2 - math.floor(math.log10(abs(value))), 0)
    return f"{value:.{digits}f}"
