"""The statement of an exchange, in the parts of which each exchange needs some.

Everything in one statement sees one snapshot, and no row is touched twice.  What was changed since
the snapshot is looked at again under the lock, by the database: so the conditions on the row that
is locked are the fence.

What is said in a roundabout way is said to the planner, which must find each row by its key
whatever it believes of the tables: a row is looked up in a query of its own with a limit, and found
again by its place; ``coalesce(lease, 0)`` keeps it from the index of held jobs, and ``place + 0 =
place`` lets it expect few rows.  A row that has moved since the snapshot is not found again, and so
it is busy.
"""

from __future__ import annotations

from litestar_queues_sql.rows import HELD

BEGINNING = """
    clock AS MATERIALIZED (SELECT $now + :offset_ms::bigint AS now_ms $relaxed),
    holder AS MATERIALIZED (
        SELECT num, worker, term_ms, expires_ms,
            (SELECT max(seq) FROM $answer AS answer WHERE answer.lease = num) AS last_seq
        FROM $lease WHERE id = :lease AND dead = 0 FOR SHARE
    ),
    turn AS MATERIALIZED (
        SELECT num, worker, now_ms, last_seq FROM holder CROSS JOIN clock
        WHERE last_seq IS NULL OR last_seq < :seq::bigint + :again::int
    )
"""
RELAXED = ", set_config('synchronous_commit', 'off', true)"

HELD_BY_US = """
    CROSS JOIN LATERAL (
        SELECT ctid AS spot, cancelling FROM $job AS job
        WHERE job.id = asked.id AND job.status = 2 AND coalesce(job.lease, 0) = turn.num
            AND job.delivery = asked.delivery
        LIMIT 1 FOR UPDATE SKIP LOCKED
    ) AS held
    WHERE asked.place + 0 = asked.place
"""

COMPLETED = """
    asked AS MATERIALIZED (
        SELECT id, delivery, value, place, 4 AS code
        FROM unnest(:ids::text[], :deliveries::int[], :values::bytea[])
            WITH ORDINALITY AS one (id, delivery, value, place)
    ),
    free AS MATERIALIZED (
        SELECT place, spot, value, 4 AS status FROM turn CROSS JOIN asked $held
    )
"""
"""Jobs that are completed and have nothing else to say: nearly all."""

SETTLED = """
    asked AS MATERIALIZED (
        SELECT * FROM unnest(
            :ids::text[], :deliveries::int[], :values::bytea[], :codes::int[], :delays::bigint[],
            :attempts::int[], :snoozes::int[], :put_backs::int[], :clears::bool[],
            :heads::bytea[], :tails::bytea[]
        ) WITH ORDINALITY AS one (
            id, delivery, value, code, delay_ms, attempts, snoozes, put_backs, clears, head, tail,
            place
        )
    ),
    free AS MATERIALIZED (
        SELECT place, spot, value, delay_ms, attempts, snoozes, put_backs, clears, head, tail,
            CASE
                WHEN code >= 4 THEN code
                WHEN cancelling = 1 THEN 6
                WHEN delay_ms > 0 THEN 1
                ELSE 0
            END AS status
        FROM turn CROSS JOIN asked $held
    ),
    back AS (
        UPDATE $job AS job SET
            status = free.status, lease = NULL, token = NULL, ref = NULL, errors = $errors,
            lane = CASE
                WHEN clears AND right(job.lane, 1) = '~' THEN left(job.lane, -1) ELSE job.lane
            END,
            due_ms = coalesce(now_ms + free.delay_ms, job.due_ms),
            attempt = attempt + free.attempts, snoozes = job.snoozes + free.snoozes,
            put_backs = job.put_backs + free.put_backs
        FROM free CROSS JOIN turn WHERE job.ctid = free.spot AND free.status < 2
        RETURNING free.place, job.lane, job.due_ms
    )
"""
"""``code`` is the status unless the job waits; ``delay_ms`` is null for one that keeps its place.
``head`` and ``tail`` are an attempt record, but for its worker and its two instants."""

ERRORS = """
    CASE
        WHEN head IS NULL THEN job.errors
        ELSE '['::bytea || CASE
            WHEN job.errors IS NULL THEN ''::bytea
            WHEN json_array_length(convert_from(job.errors, 'UTF8')::json) < $kept
                THEN substring(job.errors FROM 2 FOR length(job.errors) - 2) || ','::bytea
            ELSE (
                SELECT convert_to(string_agg(old.value::text, ',' ORDER BY old.place), 'UTF8')
                FROM json_array_elements(convert_from(job.errors, 'UTF8')::json)
                    WITH ORDINALITY AS old (value, place)
                WHERE old.place
                    > json_array_length(convert_from(job.errors, 'UTF8')::json) - $kept + 1
            ) || ','::bytea
        END || head || convert_to(
            '"worker":' || to_json(worker)::text
            || ',"started_ms":' || coalesce(nullif(job.started_ms, 0), now_ms)::text
            || ',"finished_ms":' || now_ms::text, 'UTF8'
        ) || tail || ']'::bytea
    END
"""
"""The attempt records once another is among them; the last few are kept."""

HIDDEN = """
    CASE WHEN value IS NOT NULL AND position('"keep_result":false'::bytea IN job.spec) = 0
        THEN value END
"""

ENDED = """
    gone AS (
        DELETE FROM $job AS job USING free CROSS JOIN turn
        WHERE job.ctid = free.spot AND free.status >= 4
        RETURNING free.place, job.*, free.status AS code, now_ms, worker, $attempts AS attempts,
            $result AS result, $errors AS records, turn.num AS holder
    ),
    kept AS (
        INSERT INTO $history (
            id, status, finished_ms, errors, result, worker, attempt, rescues, lane, due_ms,
            expires_ms, delivery, started_ms, snoozes, put_backs, enqueued_ms, job_key, key_frees,
            job_group, token, ref, spec, meta, payload, progress
        )
        SELECT
            id, code, now_ms, records, result, worker, attempts, rescues, lane, due_ms,
            expires_ms, delivery, started_ms, snoozes, put_backs, enqueued_ms, job_key, key_frees,
            job_group, token, ref, spec, meta, payload, progress
        FROM gone
    ),
    met AS (
        DELETE FROM $cancel_request AS request USING gone
        WHERE gone.cancelling = 1 AND request.lease = gone.holder AND request.job = gone.id
    ),
    missed AS MATERIALIZED (
        SELECT asked.id, asked.delivery, asked.place, EXISTS (
            SELECT 1 FROM $job AS job
            WHERE job.id = asked.id AND job.status = 2 AND coalesce(job.lease, 0) = turn.num
                AND job.delivery = asked.delivery
        ) AS busy
        FROM turn CROSS JOIN asked WHERE asked.place NOT IN (SELECT place FROM gone $or_back)
    ),
    lists AS MATERIALIZED (
        SELECT json_build_array(
            coalesce((
                SELECT json_agg(json_build_array(id, delivery) ORDER BY place)
                FROM missed WHERE NOT busy
            ), '[]'),
            coalesce((
                SELECT json_agg(json_build_array(asked.id, asked.delivery) ORDER BY place)
                FROM gone JOIN asked USING (place) WHERE gone.code = 6 AND asked.code < 4
            ), '[]'),
            coalesce((
                SELECT json_agg(json_build_array(id, delivery) ORDER BY place)
                FROM missed WHERE busy
            ), '[]')
        ) AS told
    )
"""
NOTHING_SETTLED = """
    lists AS MATERIALIZED (SELECT '[[],[],[]]'::json AS told)
"""

OF_LANE = """
    SELECT * FROM (
        SELECT ctid AS spot, lane FROM $job AS job
        WHERE status = 0 AND job.lane = one.lane
            AND (job_rank, due_ms, id) > (one.after_rank, one.after_ms, one.after_id)
            AND (expires_ms IS NULL OR expires_ms > now_ms)
        ORDER BY job_rank, due_ms, id LIMIT $room FOR UPDATE SKIP LOCKED
    ) AS locked LIMIT $most
"""
"""The second limit is a number that the planner can read: else it makes a new plan each time."""
SUSPECTS = """
    suspect AS MATERIALIZED (
        SELECT pick.spot, pick.lane FROM turn
        CROSS JOIN unnest(:suspects::text[]) WITH ORDINALITY AS lanes (lane, place)
        CROSS JOIN LATERAL (
            SELECT lanes.lane, -2147483648 AS after_rank, 0::bigint AS after_ms, '' AS after_id
        ) AS one
        CROSS JOIN LATERAL ($of_lane) AS pick LIMIT 1
    )
"""
PICKED = """
    picked AS MATERIALIZED (
        SELECT spot, row_number() OVER () AS place FROM (
            $suspect
            (
                SELECT pick.spot FROM turn CROSS JOIN unnest(
                    :lanes::text[], :caps::int[],
                    :after_ranks::int[], :after_mss::bigint[], :after_ids::text[]
                ) AS one (lane, cap, after_rank, after_ms, after_id)
                CROSS JOIN LATERAL ($of_lane) AS pick
            )
            $others
            LIMIT :limit
        ) AS ready
    ),
    taken AS (
        UPDATE $job AS job SET
            status = 2, lease = turn.num, started_ms = now_ms, delivery = delivery + 1
        FROM picked CROSS JOIN turn
        WHERE job.ctid = picked.spot AND job.status = 0 AND picked.place + 0 = picked.place
        RETURNING picked.place, job.*
    )
"""
"""Each lane is looked into only when those before it have not given enough."""

OTHERS = """
    UNION ALL (
        SELECT pick.spot FROM turn CROSS JOIN unnest(
            :others::text[],
            :other_ranks::int[], :other_mss::bigint[], :other_ids::text[]
        ) AS one (lane, after_rank, after_ms, after_id)
        CROSS JOIN LATERAL ($of_lane) AS pick LIMIT $room
    )
"""

FREED = """
    freed AS (
        DELETE FROM $unique_key AS held USING ($free_keys) AS leaving CROSS JOIN LATERAL (
            SELECT ctid AS spot FROM $unique_key AS taken
            WHERE taken.name = leaving.job_key AND taken.job = leaving.id LIMIT 1
        ) AS found
        WHERE held.ctid = found.spot
    )
"""
FREE_BY_END = """
    SELECT job_key, id FROM gone WHERE job_key IS NOT NULL AND key_frees IN (-1, -2)
"""
FREE_BY_START = "SELECT job_key, id FROM taken WHERE job_key IS NOT NULL AND key_frees = -1"

ENDING = """
    remembered AS (
        INSERT INTO $answer (lease, seq, lists)
        SELECT num, :seq, told::text FROM turn CROSS JOIN lists WHERE $busy $skip
    ),
    forgotten AS (
        DELETE FROM $answer AS answer USING turn
        WHERE answer.lease = turn.num AND answer.seq = turn.last_seq AND answer.seq < :seq AND $busy
    ),
    extended AS (
        UPDATE $lease AS lease SET expires_ms = clock.now_ms + holder.term_ms
        FROM holder CROSS JOIN clock
        WHERE lease.num = holder.num AND (holder.last_seq IS NULL OR holder.last_seq <= :seq)
            AND clock.now_ms - (holder.expires_ms - holder.term_ms)
            >= CASE WHEN $busy THEN :extend_ms::bigint ELSE holder.term_ms / 3 END
    )
"""
"""The last answer is found by its number: those before it are gone, but as long as anybody's
transaction is open the index leads to them."""

HEADER = """
    SELECT NULL::bigint, holder.last_seq::bigint, NULL::int, json_build_array(
        told, $lanes, (
            SELECT json_agg(request.job) FROM $cancel_request AS request
            CROSS JOIN LATERAL (
                SELECT 1 FROM $job AS job WHERE job.id = request.job AND job.cancelling = 1
                    AND coalesce(job.lease, 0) = holder.num LIMIT 1
            ) AS held
            WHERE request.lease = holder.num $still_held
        )
    )::text, holder.worker, holder.num, NULL::bytea, NULL::bytea, NULL::bytea, NULL::text,
        least((SELECT min(due_ms) FROM $job WHERE status = 1), $due), now_ms,
        NULL::int, NULL::int, NULL::int, NULL::int, NULL::bigint, NULL::bytea
    FROM holder CROSS JOIN clock CROSS JOIN lists
"""

ROWS = f"""
    UNION ALL SELECT place, started_ms, delivery, {HELD} FROM taken
"""  # noqa: S608
"""The header has no place; ``id`` is what it tells, ``job_key`` the worker, ``key_frees`` the
number of the lease, ``started_ms`` its last exchange, ``due_ms`` the next due instant, and
``expires_ms`` the clock."""
