-- forget_job_types -- A day is rewritten as a whole: what was computed of it before goes first.
DELETE FROM metrics_job_type WHERE occurred = :day

-- forget_ingests --
DELETE FROM metrics_ingest WHERE occurred = :day

-- forget_errors --
DELETE FROM metrics_error WHERE occurred = :day

-- job_types -- Jobs count when they ended on the day; times are those of executions that completed on the day. Either may
-- be without the other: a job that was requeued since has a completed execution and no end. Whole seconds; an execution
-- that did not pass through a task has no time for it; no time is below 0, whatever the clocks of two machines say.
WITH ended AS (
    SELECT j.job_type_id,
        count(*) FILTER (WHERE j.status = 'COMPLETED') AS completed_count,
        count(*) FILTER (WHERE j.status = 'FAILED') AS failed_count,
        count(*) FILTER (WHERE j.status = 'CANCELED') AS canceled_count,
        count(*) AS total_count,
        count(*) FILTER (WHERE j.status = 'FAILED' AND r.category = 'SYSTEM') AS error_system_count,
        count(*) FILTER (WHERE j.status = 'FAILED' AND r.category = 'DATA') AS error_data_count,
        count(*) FILTER (WHERE j.status = 'FAILED' AND r.category = 'ALGORITHM') AS error_algorithm_count
    FROM job j LEFT JOIN error r ON r.id = j.error_id
    WHERE j.ended >= :started AND j.ended < :ended AND j.status IN ('COMPLETED', 'FAILED', 'CANCELED')
    GROUP BY j.job_type_id
), lasted AS (
    SELECT j.job_type_id,
        CASE WHEN e.started < e.queued THEN 0
            ELSE trunc(date_part('epoch', e.started - e.queued))::bigint END AS queue_time,
        CASE WHEN e.pre_completed < e.pre_started THEN 0
            ELSE trunc(date_part('epoch', e.pre_completed - e.pre_started))::bigint END AS pre_time,
        CASE WHEN e.job_completed < e.job_started THEN 0
            ELSE trunc(date_part('epoch', e.job_completed - e.job_started))::bigint END AS job_time,
        CASE WHEN e.post_completed < e.post_started THEN 0
            ELSE trunc(date_part('epoch', e.post_completed - e.post_started))::bigint END AS post_time,
        CASE WHEN e.ended < e.started THEN 0
            ELSE trunc(date_part('epoch', e.ended - e.started))::bigint END AS run_time
    FROM job_exe e JOIN job j ON j.id = e.job_id
    WHERE e.ended >= :started AND e.ended < :ended AND e.status = 'COMPLETED'
), staged AS (
    SELECT *, GREATEST(run_time - COALESCE(pre_time, 0) - COALESCE(job_time, 0) - COALESCE(post_time, 0), 0) AS stage_time
    FROM lasted
), timed AS (
    SELECT job_type_id,
        sum(queue_time)::bigint AS queue_time_sum, min(queue_time) AS queue_time_min,
            max(queue_time) AS queue_time_max, trunc(avg(queue_time))::bigint AS queue_time_avg,
        sum(pre_time)::bigint AS pre_time_sum, min(pre_time) AS pre_time_min,
            max(pre_time) AS pre_time_max, trunc(avg(pre_time))::bigint AS pre_time_avg,
        sum(job_time)::bigint AS job_time_sum, min(job_time) AS job_time_min,
            max(job_time) AS job_time_max, trunc(avg(job_time))::bigint AS job_time_avg,
        sum(post_time)::bigint AS post_time_sum, min(post_time) AS post_time_min,
            max(post_time) AS post_time_max, trunc(avg(post_time))::bigint AS post_time_avg,
        sum(run_time)::bigint AS run_time_sum, min(run_time) AS run_time_min,
            max(run_time) AS run_time_max, trunc(avg(run_time))::bigint AS run_time_avg,
        sum(stage_time)::bigint AS stage_time_sum, min(stage_time) AS stage_time_min,
            max(stage_time) AS stage_time_max, trunc(avg(stage_time))::bigint AS stage_time_avg
    FROM staged GROUP BY job_type_id
)
INSERT INTO metrics_job_type (
    occurred, job_type_id, completed_count, failed_count, canceled_count, total_count,
    error_system_count, error_data_count, error_algorithm_count,
    queue_time_sum, queue_time_min, queue_time_max, queue_time_avg, pre_time_sum, pre_time_min, pre_time_max,
    pre_time_avg, job_time_sum, job_time_min, job_time_max, job_time_avg, post_time_sum, post_time_min, post_time_max,
    post_time_avg, run_time_sum, run_time_min, run_time_max, run_time_avg, stage_time_sum, stage_time_min,
    stage_time_max, stage_time_avg
)
SELECT :day, job_type_id, COALESCE(completed_count, 0), COALESCE(failed_count, 0), COALESCE(canceled_count, 0),
    COALESCE(total_count, 0), COALESCE(error_system_count, 0), COALESCE(error_data_count, 0),
    COALESCE(error_algorithm_count, 0),
    queue_time_sum, queue_time_min, queue_time_max, queue_time_avg, pre_time_sum, pre_time_min, pre_time_max,
    pre_time_avg, job_time_sum, job_time_min, job_time_max, job_time_avg, post_time_sum, post_time_min, post_time_max,
    post_time_avg, run_time_sum, run_time_min, run_time_max, run_time_avg, stage_time_sum, stage_time_min,
    stage_time_max, stage_time_avg
FROM ended FULL JOIN timed USING (job_type_id)

-- ingests -- Files whose ingest ended on the day. Only what was moved has an end of its own; of what was deferred, or
-- failed, the last change is the end. Sizes and times are those of the ingested files.
WITH done AS (
    SELECT strike_id, status,
        CASE WHEN status = 'INGESTED' THEN file_size END AS file_size,
        CASE WHEN status <> 'INGESTED' THEN NULL WHEN transfer_ended < transfer_started THEN 0
            ELSE trunc(date_part('epoch', transfer_ended - transfer_started))::bigint END AS transfer_time,
        CASE WHEN status <> 'INGESTED' THEN NULL WHEN ingest_ended < ingest_started THEN 0
            ELSE trunc(date_part('epoch', ingest_ended - ingest_started))::bigint END AS ingest_time
    FROM ingest
    WHERE status IN ('DEFERRED', 'INGESTED', 'ERRORED', 'DUPLICATE') AND (
        (ingest_ended >= :started AND ingest_ended < :ended)
        OR (ingest_ended IS NULL AND last_modified >= :started AND last_modified < :ended)
    )
)
INSERT INTO metrics_ingest (
    occurred, strike_id, deferred_count, ingested_count, errored_count, duplicate_count, total_count,
    file_size_sum, file_size_min, file_size_max, file_size_avg, transfer_time_sum, transfer_time_min,
    transfer_time_max, transfer_time_avg, ingest_time_sum, ingest_time_min, ingest_time_max, ingest_time_avg
)
SELECT :day, strike_id,
    count(*) FILTER (WHERE status = 'DEFERRED'), count(*) FILTER (WHERE status = 'INGESTED'),
    count(*) FILTER (WHERE status = 'ERRORED'), count(*) FILTER (WHERE status = 'DUPLICATE'), count(*),
    sum(file_size)::bigint, min(file_size), max(file_size), trunc(avg(file_size))::bigint,
    sum(transfer_time)::bigint, min(transfer_time), max(transfer_time), trunc(avg(transfer_time))::bigint,
    sum(ingest_time)::bigint, min(ingest_time), max(ingest_time), trunc(avg(ingest_time))::bigint
FROM done GROUP BY strike_id

-- errors -- Executions that failed on the day, so each try counts; errors of administrators count like our own.
INSERT INTO metrics_error (occurred, error_id, total_count)
SELECT :day, error_id, count(*) FROM job_exe
WHERE ended >= :started AND ended < :ended AND status = 'FAILED' AND error_id IS NOT NULL
GROUP BY error_id

-- load -- How many jobs of each type wait and run now; one row of zeros without a type when there are none.
WITH counted AS (
    SELECT job_type_id, count(*) FILTER (WHERE status = 'PENDING') AS pending,
        count(*) FILTER (WHERE status = 'QUEUED') AS queued, count(*) FILTER (WHERE status = 'RUNNING') AS running
    FROM job WHERE status IN ('PENDING', 'QUEUED', 'RUNNING') GROUP BY job_type_id
)
INSERT INTO job_load (job_type_id, measured, pending_count, queued_count, running_count, total_count)
SELECT job_type_id, :measured, pending, queued, running, pending + queued + running FROM counted
UNION ALL SELECT NULL, :measured, 0, 0, 0, 0 WHERE NOT EXISTS (SELECT FROM counted)
