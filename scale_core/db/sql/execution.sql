-- end_executions -- The final state of executions, whatever their number. What an outcome does not tell (a phase that it
-- did not reach, results of what failed) stays as it is.
UPDATE job_exe e
SET status = u.status, ended = u.ended, error_id = u.error_id, message = u.message,
    command_arguments = COALESCE(u.command_arguments, e.command_arguments), used = u.used,
    pre_started = COALESCE(u.pre_started, e.pre_started), pre_completed = COALESCE(u.pre_completed, e.pre_completed),
    pre_exit_code = COALESCE(u.pre_exit_code, e.pre_exit_code),
    job_started = COALESCE(u.job_started, e.job_started), job_completed = COALESCE(u.job_completed, e.job_completed),
    job_exit_code = COALESCE(u.job_exit_code, e.job_exit_code),
    post_started = COALESCE(u.post_started, e.post_started),
    post_completed = COALESCE(u.post_completed, e.post_completed),
    post_exit_code = COALESCE(u.post_exit_code, e.post_exit_code),
    results = COALESCE(u.results, e.results), results_manifest = COALESCE(u.results_manifest, e.results_manifest),
    task_ended = COALESCE(e.task_ended, u.task_ended), directory = COALESCE(u.directory, e.directory),
    agent_id = COALESCE(u.agent_id, e.agent_id), outcome = NULL, last_modified = clock_timestamp()
FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS u (
    id bigint, status text, ended timestamptz, error_id bigint, message text, command_arguments text, used jsonb,
    pre_started timestamptz, pre_completed timestamptz, pre_exit_code int,
    job_started timestamptz, job_completed timestamptz, job_exit_code int,
    post_started timestamptz, post_completed timestamptz, post_exit_code int,
    results jsonb, results_manifest jsonb, task_ended timestamptz, directory text, agent_id text)
WHERE e.id = u.id

-- complete_jobs -- the jobs of completed executions; they are locked, and their status was checked
UPDATE job j
SET status = 'COMPLETED', ended = u.ended, last_status_change = :now, last_modified = clock_timestamp(),
    results = u.results, error_id = NULL, reason = NULL
FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS u (id bigint, ended timestamptz, results jsonb)
WHERE j.id = u.id

-- end_overdue -- far over their timeout: as if killed by it. Whoever is writing down their true end goes first.
UPDATE job_exe
SET task_ended = :now, last_modified = clock_timestamp(),
    outcome = jsonb_build_object('mesos', jsonb_build_object('state', 'TASK_KILLED', 'source', 'SOURCE_SCHEDULER',
                                 'reason', '', 'message', '', 'has_started', true, 'timed_out', true))
WHERE id IN (SELECT id FROM job_exe
             WHERE status = 'RUNNING' AND task_ended IS NULL AND timeout > 0
               AND started + make_interval(secs => timeout) < :before
             ORDER BY id FOR NO KEY UPDATE SKIP LOCKED)
RETURNING id
