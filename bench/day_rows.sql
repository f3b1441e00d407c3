-- %(executions)s executions that ended yesterday, as many that ended the day before, their jobs, and a year of figures
SET session_replication_role = replica;
INSERT INTO trigger_event (type, description, occurred) VALUES ('USER', '{"version": "1.0"}', now());
INSERT INTO job_type (name, version, interface, error_mapping)
SELECT 'algorithm-' || n, '1.0', '{"version": "1.0", "command": "run", "command_arguments": ""}', '{}'
FROM generate_series(1, 20) n;
INSERT INTO job_type_revision (job_type_id, revision_num, interface)
SELECT id, 1, interface FROM job_type WHERE name LIKE 'algorithm-%%';

CREATE TEMP TABLE made AS
SELECT n, t.ids[1 + n %% 20] AS job_type_id, r.ids[1 + n %% 20] AS job_type_rev_id, n %% 25 = 0 AS failed,
       date_trunc('day', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' - interval '2 days'
           + interval '2 days' * (n - 0.5) / (2 * %(executions)s) AS at
FROM generate_series(1, 2 * %(executions)s) n,
     (SELECT array_agg(id ORDER BY id) AS ids FROM job_type WHERE name LIKE 'algorithm-%%') t,
     (SELECT array_agg(r.id ORDER BY r.id) AS ids FROM job_type_revision r JOIN job_type j ON j.id = r.job_type_id
      WHERE j.name LIKE 'algorithm-%%') r;

INSERT INTO job (id, job_type_id, job_type_rev_id, event_id, error_id, status, data, priority, timeout, max_tries, num_exes,
                 cpus_required, mem_required, queued, started, ended, last_status_change, created, last_modified)
OVERRIDING SYSTEM VALUE
SELECT n, job_type_id, job_type_rev_id, (SELECT max(id) FROM trigger_event),
       CASE WHEN failed THEN 1 + n %% 20 END, CASE WHEN failed THEN 'FAILED' ELSE 'COMPLETED' END,
       '{"version": "1.0", "input_data": [{"name": "in", "file_id": 1}], "output_data": [{"name": "out", "workspace_id": 1}]}',
       100, 1800, 3, 1, 1, 64, at - interval '1 minute', at - interval '30 seconds', at, at, at - interval '1 minute', at
FROM made;
INSERT INTO job_exe (id, job_id, status, error_id, command_arguments, timeout, queued, started, pre_started, pre_completed,
                     job_started, job_completed, post_started, post_completed, task_ended, ended, outcome, created, last_modified)
OVERRIDING SYSTEM VALUE
SELECT n, n, CASE WHEN failed THEN 'FAILED' ELSE 'COMPLETED' END, CASE WHEN failed THEN 1 + n %% 20 END,
       '/scale/inputs/in /scale/outputs', 1800, at - interval '1 minute', at - interval '1 second' * (10 + n %% 40),
       at - interval '9 seconds', at - interval '8 seconds', at - interval '1 second' * (1 + n %% 7), at, at, at, at, at,
       '{"succeeded": true, "files": [], "used": {"cpu_s": 1.5, "mem_peak": 20.5, "disk_out": 3.0}}', at, at
FROM made;

INSERT INTO metrics_job_type (
    job_type_id, occurred, completed_count, failed_count, canceled_count, total_count, error_system_count, error_data_count,
    error_algorithm_count, queue_time_sum, queue_time_min, queue_time_max, queue_time_avg, pre_time_sum, pre_time_min,
    pre_time_max, pre_time_avg, job_time_sum, job_time_min, job_time_max, job_time_avg, post_time_sum, post_time_min,
    post_time_max, post_time_avg, run_time_sum, run_time_min, run_time_max, run_time_avg, stage_time_sum, stage_time_min,
    stage_time_max, stage_time_avg)
SELECT id, current_date - day, 900 + day, day, 1, 901 + 2 * day, day / 2, day / 3, day / 4, 9000, 1, 60, 10, 1000, 1, 10, 2,
       36000, 5, 400, 40, 1000, 1, 10, 2, 45000, 10, 500, 50, 2000, 1, 10, 2
FROM job_type, generate_series(1, 365) day WHERE name LIKE 'algorithm-%%';
DROP TABLE made;
RESET session_replication_role;
