-- failed -- nodes with executions that failed by SYSTEM errors since then, and how many of all that ended there. What the
-- cluster lost says nothing of the node. One executor that dies takes all tasks along that it was given and had not begun
-- (they have no directory): within five seconds they count as one. A node where executors cannot start at all goes on
-- failing. What fails with a network mount may be its server's fault: it counts on the only node where it does, while
-- others complete something. Failures are few, so they are counted first, in the index on status and time.
WITH mounts AS (
    SELECT min(e.node_id) AS node_id FROM job_exe e JOIN error ON error.id = e.error_id
    WHERE e.status = 'FAILED' AND e.last_modified > :since AND error.name = ANY (CAST(:mounts AS text[]))
    HAVING count(DISTINCT e.node_id) = 1
), failed AS (
    SELECT e.node_id,
           count(*) FILTER (WHERE NOT (error.name = 'task-launch' AND e.directory IS NULL))
           + count(DISTINCT floor(extract(epoch FROM coalesce(e.task_ended, e.last_modified)) / 5))
             FILTER (WHERE error.name = 'task-launch' AND e.directory IS NULL) AS failed
    FROM job_exe e JOIN error ON error.id = e.error_id JOIN node n ON n.id = e.node_id
    WHERE e.status = 'FAILED' AND e.last_modified > :since AND error.category = 'SYSTEM'
      AND error.name <> ALL (CAST(:lost AS text[])) AND NOT n.is_paused AND n.is_active
      AND e.last_modified > coalesce(CAST(n.health ->> 'recovered' AS timestamptz), '-infinity')
      AND (error.name <> ALL (CAST(:mounts AS text[])) OR e.node_id = (SELECT mounts.node_id FROM mounts) AND EXISTS (
          SELECT FROM job_exe other
          WHERE other.status = 'COMPLETED' AND other.last_modified > :since AND other.node_id <> e.node_id
      ))
    GROUP BY e.node_id
)
SELECT failed.node_id, failed.failed,
       failed.failed + (SELECT count(*) FROM job_exe e
                        WHERE e.status = 'COMPLETED' AND e.last_modified > :since AND e.node_id = failed.node_id) AS ended
FROM failed WHERE failed.failed >= :minimum ORDER BY failed.node_id

-- probes -- what became of the executions that probe nodes
SELECT e.id, e.status, coalesce(error.category = 'SYSTEM', false) AS is_system,
       coalesce(error.name = ANY (CAST(:lost AS text[])), false) AS is_lost
FROM job_exe e LEFT JOIN error ON error.id = e.error_id
WHERE e.id = ANY (CAST(:ids AS bigint[]))

-- begin_probe -- only if nobody probes the node already, and nobody lifted or took over its pause meanwhile
UPDATE node SET health = health || jsonb_build_object('probe_id', CAST(:job_exe_id AS bigint))
WHERE id = :node_id AND is_paused_errors AND health ->> 'probe_id' IS NULL
  AND EXISTS (SELECT FROM job_exe WHERE job_exe.id = :job_exe_id AND job_exe.status = 'QUEUED')
RETURNING id

-- use -- what executors measured, for the nodes of their agents
UPDATE node n SET usage = CAST(u.usage AS jsonb)
FROM unnest(CAST(:agent_ids AS text[]), CAST(:usages AS text[])) AS u (agent_id, usage)
WHERE n.agent_id = u.agent_id
