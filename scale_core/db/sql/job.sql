-- enqueue -- Put jobs on the queue: status, execution and queue row in one statement, whatever their number.
-- A row without data keeps the job's. Jobs that may not become QUEUED (compare-and-set) are left out of the result.
-- System jobs that need no CPU of a node (Strikes, the clock's) get no queue row: workers run them, no node does.
WITH wanted AS (
    SELECT * FROM jsonb_to_recordset(CAST(:rows AS jsonb))
        AS r(job_id bigint, data jsonb, disk_in double precision, disk_out double precision, not_before timestamptz)
), moved AS (
    UPDATE job SET
        status = 'QUEUED', data = COALESCE(wanted.data, job.data),
        disk_in_required = COALESCE(wanted.disk_in, job.disk_in_required),
        disk_out_required = COALESCE(wanted.disk_out, job.disk_out_required),
        priority = COALESCE(CAST(:priority AS integer), job.priority),
        queued = :now, started = NULL, ended = NULL, error_id = NULL, num_exes = num_exes + 1,
        last_status_change = :now, last_modified = clock_timestamp()
    FROM wanted WHERE job.id = wanted.job_id AND job.status = ANY(:origins)
    RETURNING job.id, job.job_type_id, job.timeout, job.priority, job.cpus_required, job.mem_required, job.gpus_required,
        COALESCE(job.disk_in_required, 0) AS disk_in, COALESCE(job.disk_out_required, 0) AS disk_out,
        wanted.not_before
), started AS (
    INSERT INTO job_exe (job_id, status, timeout, queued, created, last_modified)
    SELECT id, 'QUEUED', timeout, :now, :now, :now FROM moved ORDER BY id
    RETURNING id, job_id
), waiting AS (
INSERT INTO queue (
    job_exe_id, job_id, job_type_id, priority, cpus_required, mem_required,
    disk_in_required, disk_out_required, disk_total_required, gpus_required, queued, not_before
)
SELECT started.id, moved.id, moved.job_type_id, moved.priority, moved.cpus_required, moved.mem_required,
    moved.disk_in, moved.disk_out, moved.disk_in + moved.disk_out, moved.gpus_required, :now, moved.not_before
FROM started
JOIN moved ON moved.id = started.job_id
JOIN job_type ON job_type.id = moved.job_type_id AND NOT (job_type.is_system AND job_type.cpus_required = 0)
)
SELECT started.job_id, moved.priority FROM started JOIN moved ON moved.id = started.job_id;

-- inherited_links -- Ancestors of the inputs of an execution, to be linked with each of its products.
SELECT DISTINCT ON (link.ancestor_id)
    link.ancestor_id, link.job_id AS ancestor_job_id, link.job_exe_id AS ancestor_job_exe_id
FROM file_ancestry_link link
WHERE link.descendant_id = ANY(:parents) AND NOT link.ancestor_id = ANY(:parents)
ORDER BY link.ancestor_id, link.id;
