-- claim -- the next page in the queue's order, past :after, of what could fit the largest free node. Rows that another
-- scheduler or a cancel holds are passed over. Keyset paging: rows that fit nowhere never hold up those behind them.
SELECT job_exe_id, job_id, job_type_id, priority, queued, node_required_id, cpus_required, mem_required, disk_total_required,
       gpus_required
FROM queue
WHERE cpus_required <= :max_cpus + 0.001 AND mem_required <= :max_mem + 0.001 AND disk_total_required <= :max_disk + 0.001
  AND gpus_required <= :max_gpus + 0.001 AND (not_before IS NULL OR not_before <= now())
  AND job_type_id <> ALL (CAST(:blocked_types AS bigint[]))
  AND (node_required_id IS NOT NULL OR NOT EXISTS (
      SELECT 1 FROM unnest(CAST(:hopeless_types AS bigint[]), CAST(:hopeless_cpus AS float8[]),
                           CAST(:hopeless_mem AS float8[]), CAST(:hopeless_disk AS float8[]),
                           CAST(:hopeless_gpus AS float8[])) AS h (kind, cpus, mem, disk, gpus)
      WHERE h.kind = job_type_id AND h.cpus <= cpus_required AND h.mem <= mem_required AND h.disk <= disk_total_required
        AND h.gpus <= gpus_required))
  AND (priority, queued, job_exe_id) > (:after_priority, CAST(:after_queued AS timestamptz), :after_id)
ORDER BY priority, queued, job_exe_id
LIMIT :window
FOR UPDATE SKIP LOCKED

-- reserving -- entries that nodes are kept free for, if they still wait
SELECT job_exe_id, job_id, job_type_id, priority, queued, node_required_id, cpus_required, mem_required, disk_total_required,
       gpus_required
FROM queue
WHERE job_exe_id = ANY (CAST(:ids AS bigint[]))
ORDER BY priority, queued, job_exe_id
FOR UPDATE SKIP LOCKED

-- head -- the first row at or behind a place in the queue's order. Whoever remembers it and looks from there on next time
-- walks once over the entries that PostgreSQL keeps of deleted rows while an old snapshot is open, not in every round.
SELECT priority, queued, job_exe_id FROM queue
WHERE (priority, queued, job_exe_id) >= (:from_priority, CAST(:from_queued AS timestamptz), :from_id)
ORDER BY priority, queued, job_exe_id
LIMIT 1

-- overdue -- what waits too long because no node has room now: only the head of the queue is looked at, so that a
-- backlog of any length costs the same
SELECT job_exe_id, job_id, job_type_id, priority, queued, node_required_id, cpus_required, mem_required, disk_total_required,
       gpus_required
FROM (
    SELECT * FROM queue
    WHERE job_type_id <> ALL (CAST(:blocked_types AS bigint[]))
      AND (priority, queued, job_exe_id) >= (:from_priority, CAST(:from_queued AS timestamptz), :from_id)
    ORDER BY priority, queued, job_exe_id
    LIMIT 2000
) AS head
WHERE queued <= :before AND (not_before IS NULL OR not_before <= now())
  AND (cpus_required > :max_cpus + 0.001 OR mem_required > :max_mem + 0.001 OR disk_total_required > :max_disk + 0.001
       OR gpus_required > :max_gpus + 0.001)
ORDER BY priority, queued, job_exe_id
LIMIT 50

-- samples -- one waiting execution of each job type, found by skipping through the index on job_type_id: one that may start now, if there is one among the first hundred
WITH RECURSIVE kinds AS (
    SELECT min(job_type_id) AS job_type_id FROM queue
    UNION ALL
    SELECT (SELECT min(job_type_id) FROM queue WHERE job_type_id > kinds.job_type_id)
    FROM kinds WHERE kinds.job_type_id IS NOT NULL
)
SELECT sample.* FROM kinds
CROSS JOIN LATERAL (
    SELECT job_exe_id, job_id, job_type_id, priority, queued, node_required_id,
           cpus_required, mem_required, disk_total_required, gpus_required, not_before
    FROM (SELECT * FROM queue WHERE queue.job_type_id = kinds.job_type_id LIMIT 100) AS few
    ORDER BY not_before NULLS FIRST LIMIT 1
) AS sample
WHERE kinds.job_type_id IS NOT NULL

-- held_scheduler -- its one row, which whoever takes the lead has to change
SELECT is_paused, framework_id, epoch FROM scheduler WHERE id = 1 FOR SHARE

-- limits -- the switches of job types that have any, with their jobs at work where a limit counts them
SELECT id, is_paused, max_scheduled,
       CASE WHEN max_scheduled > 0
            THEN (SELECT count(*) FROM job WHERE job.job_type_id = job_type.id AND job.status = 'RUNNING')
            ELSE 0 END AS running
FROM job_type
WHERE is_paused OR max_scheduled > 0

-- start -- QUEUED to RUNNING for a whole batch. Never before it was queued, whatever the clocks of two machines say. Executions that a cancel holds are skipped, never waited for: the
-- queue rows are locked already, and everybody else locks executions first.
WITH launch AS (
    SELECT * FROM unnest(CAST(:job_exe_ids AS bigint[]), CAST(:node_ids AS bigint[]), CAST(:agent_ids AS text[]),
                         CAST(:task_ids AS text[])) AS l (job_exe_id, node_id, agent_id, task_id)
), startable AS MATERIALIZED (
    SELECT e.id
    FROM job_exe e JOIN job j ON j.id = e.job_id
    WHERE e.id = ANY (CAST(:job_exe_ids AS bigint[])) AND e.status = 'QUEUED' AND j.status = 'QUEUED'
    ORDER BY e.id
    FOR UPDATE OF e SKIP LOCKED
)
UPDATE job_exe e
SET status = 'RUNNING', started = greatest(:now, e.queued), last_modified = clock_timestamp(), node_id = launch.node_id,
    agent_id = launch.agent_id, task_id = launch.task_id, cpus_scheduled = q.cpus_required,
    mem_scheduled = q.mem_required, disk_in_scheduled = q.disk_in_required, disk_out_scheduled = q.disk_out_required,
    disk_total_scheduled = q.disk_total_required, gpus_scheduled = q.gpus_required
FROM startable
JOIN launch ON launch.job_exe_id = startable.id
JOIN queue q ON q.job_exe_id = startable.id
WHERE e.id = startable.id
RETURNING e.id, e.job_id

-- start_jobs --
UPDATE job SET status = 'RUNNING', started = greatest(:now, queued), last_status_change = :now, last_modified = clock_timestamp()
WHERE status = 'QUEUED'
  AND id IN (SELECT id FROM job WHERE id = ANY (CAST(:job_ids AS bigint[])) ORDER BY id FOR UPDATE)

-- dequeue -- rows of executions that moved on without their row: they started now, or were canceled meanwhile. A join
-- with so long an array is planned as a nested loop over all of it; one look into the index for each row is not.
DELETE FROM queue
WHERE job_exe_id = ANY (CAST(:job_exe_ids AS bigint[]))
  AND (SELECT e.status FROM job_exe e WHERE e.id = queue.job_exe_id) <> 'QUEUED'

-- input_files -- with the time of the earliest source that each file is or descends from
SELECT f.id, f.workspace_id, f.file_path, f.file_name, f.file_size, f.checksum,
       CASE WHEN f.file_type = 'SOURCE' THEN f.data_started
            ELSE (SELECT min(a.data_started)
                  FROM file_ancestry_link l JOIN scale_file a ON a.id = l.ancestor_id
                  WHERE l.descendant_id = f.id AND a.file_type = 'SOURCE') END AS source_started
FROM scale_file f
WHERE f.id = ANY (CAST(:ids AS bigint[]))

-- begin_ingests -- the files lie where their Strike saw them, which the job's data say: it may watch another mount now
UPDATE ingest i
SET status = 'INGESTING', ingest_started = :now, last_modified = clock_timestamp()
FROM job j, strike s
WHERE i.job_id = ANY (CAST(:job_ids AS bigint[])) AND i.status IN ('QUEUED', 'ERRORED', 'INGESTING')
  AND j.id = i.job_id AND s.id = i.strike_id
RETURNING i.id, i.job_id, i.trace_id, i.file_name, i.file_path, i.workspace_id, i.duplicates,
          coalesce(jsonb_path_query_first(j.data, '$.input_data[*] ? (@.name == "Mount").value') #>> '{}',
                   s.configuration ->> 'mount') AS mount

-- lock_tasks -- the executions of these tasks, in the order in which everybody locks them
SELECT id, job_id, task_id, status, started, task_ended IS NOT NULL AS has_ended, pre_started IS NOT NULL AS has_started,
       timeout > 0 AND started + make_interval(secs => timeout) <= :now AS timed_out,
       EXISTS (SELECT 1 FROM recipe_job r WHERE r.job_id = job_exe.job_id) AS in_recipe
FROM job_exe
WHERE task_id = ANY (CAST(:task_ids AS text[]))
ORDER BY id
FOR NO KEY UPDATE

-- run_tasks --
UPDATE job_exe e
SET directory = coalesce(u.directory, e.directory), pre_started = coalesce(e.pre_started, :now),
    last_modified = clock_timestamp()
FROM unnest(CAST(:ids AS bigint[]), CAST(:directories AS text[])) AS u (id, directory)
WHERE e.id = u.id AND e.status = 'RUNNING' AND e.task_ended IS NULL

-- end_tasks -- a canceled execution keeps its status; its end is noted so that nobody kills it again
UPDATE job_exe e
SET task_ended = :now, last_modified = clock_timestamp(), outcome = CAST(u.outcome AS jsonb),
    outcome_file = u.outcome_file, directory = coalesce(u.directory, e.directory),
    agent_id = coalesce(u.agent_id, e.agent_id)
FROM unnest(CAST(:ids AS bigint[]), CAST(:outcomes AS text[]), CAST(:outcome_files AS text[]),
            CAST(:directories AS text[]), CAST(:agent_ids AS text[]))
     AS u (id, outcome, outcome_file, directory, agent_id)
WHERE e.id = u.id AND e.status IN ('RUNNING', 'CANCELED') AND e.task_ended IS NULL
RETURNING e.id, e.status

-- keep_logs --
INSERT INTO job_exe_log (job_exe_id, stdout, stderr)
SELECT * FROM unnest(CAST(:ids AS bigint[]), CAST(:stdouts AS bytea[]), CAST(:stderrs AS bytea[]))
ON CONFLICT (job_exe_id) DO NOTHING

-- running_tasks -- tasks of which Mesos should know, for reconciliation. One that started in the future is old: a clock
-- was set back meanwhile.
SELECT task_id, agent_id FROM job_exe
WHERE status = 'RUNNING' AND task_ended IS NULL AND task_id IS NOT NULL
  AND (started <= :before OR started > CAST(:before AS timestamptz) + interval '5 minutes')
ORDER BY id

-- tasks_on -- what runs on these agents, as far as is known
SELECT task_id, agent_id FROM job_exe
WHERE status = 'RUNNING' AND task_ended IS NULL AND task_id IS NOT NULL AND agent_id = ANY (CAST(:agent_ids AS text[]))
ORDER BY id

-- lose_tasks --
UPDATE job_exe
SET task_ended = :now, last_modified = clock_timestamp(),
    outcome = jsonb_build_object('mesos', jsonb_build_object('state', 'TASK_LOST', 'source', 'SOURCE_SCHEDULER',
                                 'reason', CAST(:reason AS text), 'message', CAST(:message AS text)))
WHERE id IN (SELECT id FROM job_exe
             WHERE status = 'RUNNING' AND task_ended IS NULL AND task_id IS NOT NULL ORDER BY id FOR NO KEY UPDATE)
RETURNING id

-- tasks_to_kill -- canceled while they ran, or so long over their timeout that their executor must have failed to act
SELECT task_id FROM job_exe
WHERE status = 'CANCELED' AND task_ended IS NULL AND task_id IS NOT NULL AND last_modified > :canceled_after
UNION ALL
SELECT task_id FROM job_exe
WHERE status = 'RUNNING' AND task_ended IS NULL AND task_id IS NOT NULL AND timeout > 0
  AND started + make_interval(secs => timeout) < :overdue_before
