-- A Scale that has run for a week and kept its daily figures for a year. %(jobs)s jobs, one execution each; half as many
-- files, a twentieth as many ingests. Foreign keys hold by construction, so that checking them is left out.
SET session_replication_role = replica;

INSERT INTO workspace (name, title, base_url, json_config)
SELECT 'workspace-' || n, 'Workspace ' || n, CASE WHEN n = 1 THEN 'http://files.example/products' END,
       '{"version": "1.0", "broker": {"type": "host", "host_path": "/data"}}'
FROM generate_series(1, 2) n;

INSERT INTO node (hostname, port, agent_id, is_online, resources)
SELECT 'node' || n || '.cluster', 5051, 'agent-' || n, true,
       '{"total": {"cpus": 16.0, "mem": 65536.0, "disk": 500000.0}, "used": {"cpus": 4.5, "mem": 20000.0, "disk": 1000.0}}'
FROM generate_series(1, 100) n;

INSERT INTO job_type (name, version, title, description, category, author_name, icon_code, docker_image, interface, error_mapping)
SELECT 'algorithm-' || n, '1.' || n %% 3, 'Algorithm ' || n, repeat('Finds what there is to find. ', 5), 'category-' || n %% 4,
       'The Author', 'f0ac', 'registry/algorithm:' || n,
       '{"version": "1.0", "command": "/run.sh", "command_arguments": "${in} ${job_output_dir}", "shared_resources": [],'
       ' "input_data": [{"name": "in", "type": "file", "required": true, "media_types": ["image/tiff"]}],'
       ' "output_data": [{"name": "out", "type": "file", "required": true, "media_type": "image/png"}]}',
       '{"version": "1.0", "exit_codes": {"1": "unknown"}}'
FROM generate_series(1, 20) n;
INSERT INTO job_type_revision (job_type_id, revision_num, interface)
SELECT id, 1, interface FROM job_type WHERE name LIKE 'algorithm-%%';

INSERT INTO strike (name, title, configuration)
SELECT 'strike-' || n, 'Strike ' || n,
       '{"version": "1.0", "mount": "host:/drop", "transfer_suffix": "_tmp", "files_to_ingest": []}'
FROM generate_series(1, 5) n;

INSERT INTO trigger_rule (type, name, configuration) SELECT 'INGEST', 'rule-' || n, '{"version": "1.0"}' FROM generate_series(1, 20) n;
INSERT INTO trigger_event (type, rule_id, description, occurred)
SELECT 'INGEST', (SELECT min(id) FROM trigger_rule WHERE name = 'rule-1') + n %% 20, '{"version": "1.0", "file_id": 1, "file_name": "a"}',
       now() - interval '7 days' * (1 - n::float / %(jobs)s)
FROM generate_series(1, %(jobs)s) n;

CREATE TEMP TABLE made AS
SELECT n, (SELECT min(id) FROM job_type WHERE name LIKE 'algorithm-%%') + (n * 7 + n / 13) %% 20 AS job_type_id,
       (SELECT min(id) FROM job_type_revision WHERE job_type_id = (SELECT min(id) FROM job_type WHERE name LIKE 'algorithm-%%')) + (n * 7 + n / 13) %% 20 AS job_type_rev_id,
       (SELECT min(id) - 1 FROM trigger_event) + n AS event_id,
       now() - interval '7 days' * (1 - n::float / %(jobs)s) AS at,
       CASE WHEN n > %(jobs)s - 1000 THEN 'QUEUED' WHEN n > %(jobs)s - 1400 THEN 'RUNNING'
            WHEN n %% 17 = 0 THEN 'FAILED' WHEN n %% 101 = 0 THEN 'CANCELED' ELSE 'COMPLETED' END AS status,
       (SELECT array_agg(id ORDER BY id) FROM error) AS errors
FROM generate_series(1, %(jobs)s) n;

INSERT INTO job (id, job_type_id, job_type_rev_id, event_id, error_id, status, data, results, priority, timeout, max_tries, num_exes,
                 cpus_required, mem_required, disk_in_required, disk_out_required,
                 queued, started, ended, last_status_change, created, last_modified)
OVERRIDING SYSTEM VALUE
SELECT n, job_type_id, job_type_rev_id, event_id, CASE WHEN status = 'FAILED' THEN errors[1 + n %% cardinality(errors)] END, status,
       jsonb_build_object('version', '1.0', 'input_data', jsonb_build_array(jsonb_build_object('name', 'in', 'file_id', 1 + n %% (%(jobs)s / 4))),
                          'output_data', jsonb_build_array(jsonb_build_object('name', 'out', 'workspace_id', 1))),
       CASE WHEN status = 'COMPLETED' THEN '{"version": "1.0", "output_data": [{"name": "out", "file_id": 1}]}'::jsonb ELSE '{}' END,
       100, 1800, 3, 1, 1.0, 512.0, 10.0, 64.0,
       at - interval '60 s', CASE WHEN status <> 'QUEUED' THEN at - interval '50 s' END,
       CASE WHEN status IN ('COMPLETED', 'FAILED', 'CANCELED') THEN at END, at, at - interval '60 s', at
FROM made ORDER BY n;
SELECT setval(pg_get_serial_sequence('job', 'id'), %(jobs)s);

INSERT INTO job_exe (id, job_id, status, error_id, command_arguments, timeout, node_id, task_id, agent_id, directory,
                     cpus_scheduled, mem_scheduled, disk_in_scheduled, disk_out_scheduled, disk_total_scheduled,
                     pre_started, pre_completed, pre_exit_code, job_started, job_completed, job_exit_code,
                     post_started, post_completed, post_exit_code, results, results_manifest, queued, started, ended, created, last_modified)
OVERRIDING SYSTEM VALUE
SELECT n, n, status, CASE WHEN status = 'FAILED' THEN errors[1 + n %% cardinality(errors)] END, '/in/file /out', 1800,
       CASE WHEN status <> 'QUEUED' THEN 1 + n %% 100 END, 'task-' || n, 'agent-' || 1 + n %% 100, '/var/lib/mesos/slaves/x/frameworks/y/executors/z/runs/' || n,
       1.0, 512.0, 10.0, 64.0, 74.0, at - interval '49 s', at - interval '45 s', 0, at - interval '44 s',
       at - interval '5 s', CASE WHEN status = 'FAILED' THEN 1 ELSE 0 END, at - interval '4 s', at, 0,
       '{"version": "1.0", "output_data": [{"name": "out", "file_id": 1}]}',
       '{"version": "1.1", "output_data": [{"name": "out", "file": {"path": "/out/x.png", "geo_metadata": {}}}], "parse_results": []}',
       at - interval '60 s', CASE WHEN status <> 'QUEUED' THEN at - interval '50 s' END,
       CASE WHEN status IN ('COMPLETED', 'FAILED', 'CANCELED') THEN at END, at - interval '60 s', at
FROM made ORDER BY n;
SELECT setval(pg_get_serial_sequence('job_exe', 'id'), %(jobs)s);

INSERT INTO queue (job_exe_id, job_id, job_type_id, priority, cpus_required, mem_required, disk_in_required, disk_out_required,
                   disk_total_required, queued)
SELECT n, n, job_type_id, 100, 1.0, 512.0, 10.0, 64.0, 74.0, at FROM made WHERE status = 'QUEUED';

INSERT INTO scale_file (id, file_type, file_name, media_type, file_size, data_type, file_path, workspace_id, uuid, data_started, data_ended,
                        geometry, center_point, meta_data, is_parsed, parsed, job_exe_id, job_id, job_type_id,
                        has_been_published, is_published, published, created, last_modified)
OVERRIDING SYSTEM VALUE
SELECT n, CASE WHEN n <= %(jobs)s / 4 THEN 'SOURCE' ELSE 'PRODUCT' END, 'file-' || n || '.tif', 'image/tiff', 1000 + n,
       ARRAY['level-1', 'sensor-' || n %% 3], 'jobs/algorithm/1.0/2026/01/01/job_exe_' || n || '/file-' || n || '.tif', 1 + n %% 2,
       md5(n::text), at - interval '1 day', at - interval '23 hours',
       ST_SetSRID(ST_MakeEnvelope(n %% 170, n %% 80, n %% 170 + 1.25, n %% 80 + 1.5), 4326), ST_SetSRID(ST_MakePoint(n %% 170 + 0.625, n %% 80 + 0.75), 4326),
       '{"sensor": "abc", "cloud": 12.5, "orbit": 4711}', n <= %(jobs)s / 4, CASE WHEN n <= %(jobs)s / 4 THEN at END,
       CASE WHEN n > %(jobs)s / 4 THEN n END, CASE WHEN n > %(jobs)s / 4 THEN n END,
       CASE WHEN n > %(jobs)s / 4 THEN job_type_id END, n > %(jobs)s / 4, n > %(jobs)s / 4,
       CASE WHEN n > %(jobs)s / 4 THEN at END, at, at
FROM made WHERE n <= %(jobs)s / 2 ORDER BY n;
SELECT setval(pg_get_serial_sequence('scale_file', 'id'), %(jobs)s / 2);

INSERT INTO country_data (name, iso3, border, effective)
SELECT 'country-' || n, upper(substr(md5(n::text), 1, 3)), ST_SetSRID(ST_MakeEnvelope(n, n, n + 1, n + 1), 4326), '2020-01-01Z'
FROM generate_series(1, 10) n;
INSERT INTO scale_file_country (scale_file_id, country_data_id)
SELECT n, (SELECT min(id) FROM country_data) + n %% 10 FROM generate_series(1, %(jobs)s / 2, 2) n;

INSERT INTO ingest (file_name, strike_id, job_id, status, transfer_path, bytes_transferred, transfer_started, transfer_ended, media_type,
                    file_size, data_type, file_path, workspace_id, ingest_path, ingest_started, ingest_ended, source_file_id, created, last_modified)
SELECT 'file-' || n || '.tif', (SELECT min(id) FROM strike) + n %% 5, n, CASE WHEN n %% 50 = 0 THEN 'DUPLICATE' ELSE 'INGESTED' END,
       '/drop/file-' || n, 1000, at, at + interval '10 s', 'image/tiff', 1000, ARRAY['level-1'], 'a/file-' || n, 1, 'ingesting/file-' || n,
       at + interval '11 s', at + interval '12 s', CASE WHEN n %% 50 <> 0 THEN 5 * n END, at, at
FROM (SELECT n, now() - interval '7 days' * (1 - n::float / (%(jobs)s / 20)) AS at FROM generate_series(1, %(jobs)s / 20) n) dropped;

INSERT INTO metrics_job_type (job_type_id, occurred, completed_count, failed_count, total_count, error_system_count, queue_time_sum,
                              queue_time_min, queue_time_max, queue_time_avg, job_time_sum, job_time_min, job_time_max, job_time_avg,
                              run_time_sum, run_time_min, run_time_max, run_time_avg)
SELECT id, current_date - day, 900 + day, day, 900 + 2 * day, day, 9000, 1, 60, 10, 36000, 5, 400, 40, 45000, 10, 500, 50
FROM job_type, generate_series(1, 365) day WHERE name LIKE 'algorithm-%%';
INSERT INTO metrics_ingest (strike_id, occurred, ingested_count, total_count, file_size_sum, file_size_min, file_size_max, file_size_avg)
SELECT id, current_date - day, 200 + day, 200 + day, 200000, 1, 5000, 1000 FROM strike, generate_series(1, 365) day;
INSERT INTO metrics_error (error_id, occurred, total_count) SELECT id, current_date - day, day FROM error, generate_series(1, 365) day;
INSERT INTO job_load (job_type_id, measured, pending_count, queued_count, running_count, total_count)
SELECT id, date_trunc('hour', now()) - interval '1 hour' * hour, 1, hour %% 50, 20, 21 + hour %% 50
FROM job_type, generate_series(0, 24 * 30) hour WHERE name LIKE 'algorithm-%%';

DROP TABLE made;
RESET session_replication_role;
