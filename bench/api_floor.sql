-- The same rows by hand: what each list costs when nothing but PostgreSQL and its driver is between. %% is a per cent sign.

-- jobs --
SELECT j.id, j.status, j.reason, j.priority, j.num_exes, j.timeout, j.max_tries, j.cpus_required, j.mem_required, j.disk_in_required,
       j.disk_out_required, j.created, j.queued, j.started, j.ended, j.last_status_change, j.last_modified,
       t.id, t.name, t.version, t.title, t.description, t.category, t.author_name, t.author_url, t.is_system, t.is_long_running,
       t.is_active, t.is_operational, t.is_paused, t.icon_code, r.id, r.job_type_id, r.revision_num,
       v.id, v.type, v.rule_id, v.occurred, e.id, e.name, e.title, e.description, e.category, e.is_builtin, e.created, e.last_modified
FROM job j JOIN job_type t ON t.id = j.job_type_id JOIN job_type_revision r ON r.id = j.job_type_rev_id
     JOIN trigger_event v ON v.id = j.event_id LEFT JOIN error e ON e.id = j.error_id
ORDER BY j.last_modified, j.id LIMIT 100

-- executions --
SELECT x.id, x.status, x.command_arguments, x.timeout, x.pre_started, x.pre_completed, x.pre_exit_code, x.job_started, x.job_completed,
       x.job_exit_code, x.post_started, x.post_completed, x.post_exit_code, x.created, x.queued, x.started, x.ended, x.last_modified,
       x.message, n.id, n.hostname, n.port, n.agent_id, j.id, j.job_type_rev_id, j.event_id, j.status, j.priority, j.num_exes,
       t.id, t.name, t.version, t.title, t.description, t.category, t.author_name, t.author_url, t.is_system, t.is_long_running,
       t.is_active, t.is_operational, t.is_paused, t.icon_code,
       e.id, e.name, e.title, e.description, e.category, e.is_builtin, e.created, e.last_modified,
       f.id, f.name, f.title, f.description, f.category, f.is_builtin, f.created, f.last_modified
FROM job_exe x JOIN job j ON j.id = x.job_id JOIN job_type t ON t.id = j.job_type_id LEFT JOIN node n ON n.id = x.node_id
     LEFT JOIN error e ON e.id = x.error_id LEFT JOIN error f ON f.id = j.error_id
ORDER BY x.last_modified, x.id LIMIT 100

-- products --
SELECT f.id, w.id, w.name, w.base_url, f.file_path, f.file_name, f.media_type, f.file_size, f.data_type, f.is_deleted, f.uuid, f.created,
       f.deleted, f.data_started, f.data_ended, ST_AsText(f.geometry), ST_AsText(f.center_point), f.meta_data::text,
       ARRAY(SELECT c.iso3 FROM scale_file_country l JOIN country_data c ON c.id = l.country_data_id
             WHERE l.scale_file_id = f.id ORDER BY c.iso3),
       f.last_modified, f.is_operational, f.is_published, f.published, f.unpublished, f.job_id, f.job_exe_id,
       t.id, t.name, t.version, t.title, t.description, t.category, t.author_name, t.author_url, t.is_system, t.is_long_running,
       t.is_active, t.is_operational, t.is_paused, t.icon_code
FROM scale_file f JOIN workspace w ON w.id = f.workspace_id LEFT JOIN job_type t ON t.id = f.job_type_id
WHERE f.has_been_published AND f.file_type = 'PRODUCT' ORDER BY f.last_modified, f.id LIMIT 100

-- sources --
SELECT f.id, w.id, w.name, w.base_url, f.file_path, f.file_name, f.media_type, f.file_size, f.data_type, f.is_deleted, f.uuid, f.created,
       f.deleted, f.data_started, f.data_ended, ST_AsText(f.geometry), ST_AsText(f.center_point), f.meta_data::text,
       ARRAY(SELECT c.iso3 FROM scale_file_country l JOIN country_data c ON c.id = l.country_data_id
             WHERE l.scale_file_id = f.id ORDER BY c.iso3),
       f.last_modified, f.is_parsed, f.parsed
FROM scale_file f JOIN workspace w ON w.id = f.workspace_id
WHERE f.file_type = 'SOURCE' ORDER BY f.last_modified, f.id LIMIT 100

-- ingests --
SELECT i.id, i.file_name, i.status, i.reason, i.bytes_transferred, i.transfer_started, i.transfer_ended, i.media_type, i.file_size,
       i.data_type, i.ingest_started, i.ingest_ended, i.job_id, i.created, i.last_modified, s.id, s.name, s.title, s.description,
       s.job_id, s.created, s.last_modified, s.last_scan, s.last_error, f.id, w.id, w.name, w.base_url, f.file_path, f.file_name,
       f.media_type, f.file_size, f.data_type, f.is_deleted, f.uuid, f.created, f.deleted, f.data_started, f.data_ended,
       ST_AsText(f.geometry), ST_AsText(f.center_point), f.meta_data::text,
       ARRAY(SELECT c.iso3 FROM scale_file_country l JOIN country_data c ON c.id = l.country_data_id
             WHERE l.scale_file_id = f.id ORDER BY c.iso3),
       f.last_modified, f.is_parsed, f.parsed
FROM ingest i JOIN strike s ON s.id = i.strike_id LEFT JOIN scale_file f ON f.id = i.source_file_id
     LEFT JOIN workspace w ON w.id = f.workspace_id
ORDER BY i.last_modified, i.id LIMIT 100

-- job_type_status --
SELECT t.id, t.name, t.version, t.title, t.description, t.category, t.author_name, t.author_url, t.is_system, t.is_long_running,
       t.is_active, t.is_operational, t.is_paused, t.icon_code, c.status, c.category, c.count, c.latest
FROM job_type t LEFT JOIN (
    SELECT j.job_type_id, j.status, e.category, count(*), max(j.last_status_change) AS latest
    FROM job j LEFT JOIN error e ON e.id = j.error_id AND j.status = 'FAILED'
    WHERE j.status = 'RUNNING' OR j.last_status_change >= now() - interval '3 hours'
    GROUP BY j.job_type_id, j.status, e.category) c ON c.job_type_id = t.id
ORDER BY t.last_modified, t.id

-- node_status --
SELECT n.id, n.hostname, n.is_online, c.status, c.category, c.count, c.latest, r.running
FROM node n LEFT JOIN (
    SELECT x.node_id, x.status, e.category, count(*), max(x.last_modified) AS latest
    FROM job_exe x LEFT JOIN error e ON e.id = x.error_id AND x.status = 'FAILED'
    WHERE x.last_modified >= now() - interval '3 hours' GROUP BY x.node_id, x.status, e.category) c ON c.node_id = n.id
    LEFT JOIN (
    SELECT x.node_id, json_agg(row_to_json(x)) AS running FROM (
        SELECT x.node_id, x.id, x.status, x.command_arguments, x.timeout, x.pre_started, x.job_started, x.created, x.queued, x.started,
               x.last_modified, j.id AS job, j.status AS job_status, j.priority, t.name, t.version, t.title, t.description
        FROM job_exe x JOIN job j ON j.id = x.job_id JOIN job_type t ON t.id = j.job_type_id WHERE x.status = 'RUNNING') x
    GROUP BY x.node_id) r ON r.node_id = n.id
WHERE n.is_active ORDER BY n.hostname, n.id

-- queue_status --
SELECT t.id, t.name, t.version, t.title, t.description, t.category, t.is_paused, q.count, q.longest, q.priority
FROM job_type t JOIN (SELECT job_type_id, count(*), min(queued) AS longest, min(priority) AS priority FROM queue GROUP BY job_type_id) q
     ON q.job_type_id = t.id
ORDER BY t.is_paused, q.priority, q.longest

-- plot_data --
SELECT occurred, sum(completed_count), sum(failed_count), sum(total_count), max(run_time_max), min(run_time_min)
FROM metrics_job_type GROUP BY occurred ORDER BY occurred

-- load --
SELECT measured, sum(pending_count), sum(queued_count), sum(running_count), sum(total_count)
FROM job_load WHERE measured >= date_trunc('day', now()) - interval '7 days' GROUP BY measured ORDER BY measured LIMIT 100

-- ingest_status --
SELECT i.strike_id, date_trunc('hour', f.data_started), count(*), sum(i.file_size), max(i.ingest_ended)
FROM ingest i JOIN scale_file f ON f.id = i.source_file_id
WHERE i.status = 'INGESTED' AND f.file_type = 'SOURCE' AND f.data_started >= date_trunc('day', now()) - interval '7 days'
GROUP BY i.strike_id, date_trunc('hour', f.data_started) ORDER BY 1, 2
