"""5,000 durable events a second for a minute, on PostgreSQL: each is sealed and published within a second (p99).

The load is put by one connection in sets, with leaves made in SQL, so that it is the sequencer that is measured and not
the writing. When something was committed, PostgreSQL itself has noted.
"""

import time

import psutil
import psycopg
import pytest

from server.audit import worker
from tests.faults.sequencing import house

pytestmark = pytest.mark.prove
RATE, SECONDS, EVERY_S = 5_000, 60.0, 0.1
LAG_S = 1.0
COLUMNS = (
    "id, at, type, role, sign_in, purpose, basis, outcome, reason, record_ids, request_id, actor_id, unit_id, "
    "controller_id, engagement_id, subject_id, room_id, object_id, leaf"
)
PRODUCE = f"""
INSERT INTO audit_auditevent ({COLUMNS})
SELECT id, moment, 'x.done', 'psykolog', 'password', 'TREAT', 'consent', 'success', '', '[]', 'load', one, two, three,
  four, five, six, seven,
  '{{"actor":{{"controller":"' || three || '","engagement":"' || four || '","id":"' || one
  || '","role":"psykolog","sign_in":"password","unit":"' || two || '"}},"basis":"consent","detail":null,"id":"' || id
  || '","object":"' || seven || '","outcome":"success","purpose":"TREAT","reason":"","records":[],"request":"load"'
  || ',"room":"' || six || '","sealed":null,"subject":"' || five || '","time":"'
  || to_char(moment AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') || '","type":"x.done","use":"COC","v":1}}'
FROM (
  SELECT moment, gen_random_uuid() AS one, gen_random_uuid() AS two, gen_random_uuid() AS three,
    gen_random_uuid() AS four, gen_random_uuid() AS five, gen_random_uuid() AS six, gen_random_uuid() AS seven,
    (substr(ms, 1, 8) || '-' || substr(ms, 9) || '-7' || substr(gen_random_uuid()::text, 16))::uuid AS id
  FROM (
    SELECT moment, lpad(to_hex((extract(epoch FROM moment) * 1000)::bigint), 12, '0') AS ms
    FROM (SELECT clock_timestamp() AS moment FROM generate_series(1, %s)) AS times
  ) AS stamped
) AS made
"""
LAGS = """
WITH checkpoints AS (
  SELECT position, made_at, pg_xact_commit_timestamp(xmin) AS published_at FROM audit_checkpoint WHERE note <> ''
), lags AS (
  SELECT extract(epoch FROM c.made_at - e.at)::float8 AS made,
    extract(epoch FROM c.published_at - e.at)::float8 AS shown,
    extract(epoch FROM c.published_at - pg_xact_commit_timestamp(e.xmin))::float8 AS since_commit
  FROM audit_auditevent e LEFT JOIN audit_leaf l ON l.event_id = e.id LEFT JOIN LATERAL
    (SELECT made_at, published_at FROM checkpoints WHERE position > l.position ORDER BY position LIMIT 1) c ON true
  WHERE e.request_id = 'load'
)
SELECT count(*), count(shown),
  percentile_disc(array[0.5, 0.99, 1]) WITHIN GROUP (ORDER BY made),
  percentile_disc(array[0.5, 0.99, 1]) WITHIN GROUP (ORDER BY shown),
  percentile_disc(array[0.5, 0.99, 1]) WITHIN GROUP (ORDER BY since_commit)
FROM lags
"""


def produce(database: str) -> tuple[int, float]:
    """Events and seconds. What is late is caught up with, so that the rate holds."""
    done, begun = 0, time.monotonic()
    with psycopg.connect(database, autocommit=True) as connection:
        while (since := time.monotonic() - begun) < SECONDS:
            due = min(int(RATE * since), int(RATE * SECONDS)) - done
            if due > 0:
                connection.execute(PRODUCE, [due])
                done += due
            time.sleep(max(0.0, EVERY_S - (time.monotonic() - begun - since)))
    return done, time.monotonic() - begun


def cpu_s(pids: list[int]) -> float:
    """Of processes that live on; PostgreSQL's that end are missing."""
    times = [psutil.Process(pid).cpu_times() for pid in pids if psutil.pid_exists(pid)]
    return sum(one.user + one.system + one.children_user + one.children_system for one in times)


def test_everything_is_sealed_within_a_second() -> None:
    with house("postgresql") as here:
        assert here.postgres is not None
        sequencer = here.seal(every_s=worker.EVERY_S)
        own, all_of_it = cpu_s([sequencer.pid]), cpu_s(here.postgres.pids())
        count, seconds = produce(here.database)
        time.sleep(2 * worker.EVERY_S)
        own, all_of_it = cpu_s([sequencer.pid]) - own, cpu_s(here.postgres.pids()) - all_of_it
        here.settle()
        sequencer.kill()
        with psycopg.connect(here.database) as connection:
            row = connection.execute(LAGS).fetchone()
        assert row is not None
        events, sealed, *lags = row
        print(f"\n  {count} events in {seconds:.1f} s: {count / seconds:.0f}/s; load {psutil.getloadavg()[0]:.1f}")
        for name, (middle, most, worst) in zip(
            ("to the seal", "to the publishing", "from its commit"), lags, strict=True
        ):
            print(f"  from the act {name}: p50 {middle * 1000:.0f}, p99 {most * 1000:.0f}, max {worst * 1000:.0f} ms")
        print(
            f"  CPU s of the sequencer {own:.1f} ({own / count * 1e6:.0f} us an event), of PostgreSQL {all_of_it:.1f}"
        )
        assert events == sealed == count
        assert count / seconds > 0.98 * RATE, "the load was not put"
        assert lags[1][1] <= LAG_S
        status, told = here.verify(here.export())
        assert status == 0, told
