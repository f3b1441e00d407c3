-- publish -- The products of a completed execution become visible.
UPDATE scale_file SET has_been_published = true, is_published = true, published = :when, last_modified = clock_timestamp()
WHERE job_exe_id = :job_exe_id AND NOT is_deleted;

-- twins -- Other executions of the same job type on the same inputs whose products are in force, and whether each is newer.
-- They share the uuid of a product, which is made of the job type, the names of the inputs and the file's own. The inputs
-- are the same if the values are equal, and every file that the other one read was read here too, or is superseded or
-- deleted: a source that was replaced by another of its name, the product of an execution that was itself superseded.
-- A product tells the files that its execution read. OFFSET keeps the look for a uuid to itself: joined, it may be a look at
-- all files for each product where the planner takes the table to be empty, as after a rollback of much and a VACUUM. And the
-- smallest id (+ 0) is not looked for from the oldest file on, which is far from the products of an execution that just ended.
WITH here AS (
    SELECT exe.id, job.data, ARRAY(
        SELECT link.ancestor_id FROM file_ancestry_link link
        WHERE link.ancestor_job_id IS NULL
            AND link.descendant_id = (SELECT min(file.id + 0) FROM scale_file file WHERE file.job_exe_id = exe.id)
    ) AS inputs
    FROM job_exe exe JOIN job ON job.id = exe.job_id WHERE exe.id = :job_exe_id
), there AS (
    SELECT twin.job_exe_id AS id, twin.job_id, min(twin.id) AS product_id
    FROM scale_file mine
    CROSS JOIN LATERAL (
        SELECT id, job_id, job_exe_id, job_type_id FROM scale_file
        WHERE uuid = mine.uuid AND has_been_published AND NOT is_superseded AND NOT is_deleted
        OFFSET 0
    ) twin
    WHERE mine.job_exe_id = :job_exe_id AND twin.job_type_id = mine.job_type_id AND twin.job_exe_id <> mine.job_exe_id
    GROUP BY twin.job_exe_id, twin.job_id
)
SELECT there.id, there.id > here.id AS is_newer
FROM there
JOIN job ON job.id = there.job_id
CROSS JOIN here
WHERE jsonb_path_query_array(job.data, '$.input_data[*] ? (exists (@.value))')
    @> jsonb_path_query_array(here.data, '$.input_data[*] ? (exists (@.value))')
AND jsonb_path_query_array(here.data, '$.input_data[*] ? (exists (@.value))')
    @> jsonb_path_query_array(job.data, '$.input_data[*] ? (exists (@.value))')
AND NOT EXISTS (
    SELECT FROM file_ancestry_link link
    JOIN scale_file parent ON parent.id = link.ancestor_id
    WHERE link.descendant_id = there.product_id AND link.ancestor_job_id IS NULL
        AND NOT link.ancestor_id = ANY(here.inputs) AND NOT parent.is_deleted AND NOT parent.is_superseded
);

-- supersede -- The products of these executions are replaced by those of a newer one.
UPDATE scale_file SET
    is_superseded = true, superseded = :when,
    unpublished = CASE WHEN is_published THEN CAST(:when AS timestamptz) ELSE unpublished END, is_published = false,
    last_modified = clock_timestamp()
WHERE job_exe_id = ANY(:job_exe_ids) AND NOT is_superseded AND NOT is_deleted;
