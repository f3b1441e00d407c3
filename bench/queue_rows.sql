-- %(jobs)s no-op jobs that wait in the queue, as queuing them by REST would leave them
INSERT INTO trigger_event (type, description, occurred) VALUES ('USER', '{"version": "1.0"}', now());

CREATE TEMP TABLE made ON COMMIT DROP AS
SELECT n, (SELECT max(id) FROM trigger_event) AS event_id, t.id AS job_type_id, r.id AS job_type_rev_id, t.priority,
       t.cpus_required, t.mem_required, clock_timestamp() AS at,
       (SELECT COALESCE(max(id), 0) FROM job) + n AS job_id, (SELECT COALESCE(max(id), 0) FROM job_exe) + n AS job_exe_id
FROM generate_series(1, %(jobs)s) n, job_type t JOIN job_type_revision r ON r.job_type_id = t.id
WHERE t.id = %(job_type_id)s;

INSERT INTO job (id, job_type_id, job_type_rev_id, event_id, status, data, priority, timeout, max_tries, num_exes, cpus_required,
                 mem_required, disk_in_required, disk_out_required, queued, last_status_change, created, last_modified)
OVERRIDING SYSTEM VALUE
SELECT job_id, job_type_id, job_type_rev_id, event_id, 'QUEUED', '{"version": "1.0", "input_data": [], "output_data": []}',
       priority, 1800, 3, 1, cpus_required, mem_required, 0, 0, at, at, at, at
FROM made ORDER BY n;
SELECT setval(pg_get_serial_sequence('job', 'id'), (SELECT max(id) FROM job));

INSERT INTO job_exe (id, job_id, status, timeout, queued, created, last_modified)
OVERRIDING SYSTEM VALUE
SELECT job_exe_id, job_id, 'QUEUED', 1800, at, at, at FROM made ORDER BY n;
SELECT setval(pg_get_serial_sequence('job_exe', 'id'), (SELECT max(id) FROM job_exe));

INSERT INTO queue (job_exe_id, job_id, job_type_id, priority, cpus_required, mem_required, disk_in_required,
                   disk_out_required, disk_total_required, queued)
SELECT job_exe_id, job_id, job_type_id, priority, cpus_required, mem_required, 0, 0, 0, at FROM made ORDER BY n;
