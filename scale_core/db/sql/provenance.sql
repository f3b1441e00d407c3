-- descendants -- A page of what was made from a file, nearest first, with the links of each: its parents among what was
-- found. Only direct links are followed (the table has the indirect ones too), and at most :depth of them one after the
-- other, so that even a circle has an end.
WITH RECURSIVE walk (file_id, depth) AS (
    SELECT CAST(:file_id AS bigint), 0
    UNION
    SELECT link.descendant_id, walk.depth + 1
    FROM walk
    JOIN file_ancestry_link link ON link.ancestor_id = walk.file_id AND link.ancestor_job_id IS NULL
    WHERE walk.depth < :depth AND link.descendant_id IS NOT NULL
), found AS (
    SELECT file_id, min(depth) AS depth FROM walk GROUP BY file_id
), page AS (
    SELECT file_id, depth FROM found WHERE depth > 0 ORDER BY depth, file_id OFFSET :offset LIMIT :limit
), link AS (
    SELECT link.descendant_id AS file_id, link.ancestor_id AS other_id, link.job_id, link.job_exe_id, link.recipe_id,
        row_number() OVER (PARTITION BY link.descendant_id ORDER BY other.depth, link.ancestor_id, link.id) AS place,
        count(*) OVER (PARTITION BY link.descendant_id) AS num_links
    FROM page
    JOIN file_ancestry_link link ON link.descendant_id = page.file_id AND link.ancestor_job_id IS NULL
    JOIN found other ON other.file_id = link.ancestor_id
)
SELECT page.file_id, page.depth, (SELECT count(*) FROM found WHERE depth > 0) AS total,
    link.num_links, link.other_id, link.job_id, link.job_exe_id, link.recipe_id, job.job_type_id, job.status
FROM page
JOIN link ON link.file_id = page.file_id AND link.place <= :max_links
JOIN job ON job.id = link.job_id
ORDER BY page.depth, page.file_id, link.place;

-- ancestors -- A page of what a file was made from: the same in the other direction. The links are found from what was
-- made, too: a file has few parents, but may have a million children that have nothing to do with the one in question.
WITH RECURSIVE walk (file_id, depth) AS (
    SELECT CAST(:file_id AS bigint), 0
    UNION
    SELECT link.ancestor_id, walk.depth + 1
    FROM walk
    JOIN file_ancestry_link link ON link.descendant_id = walk.file_id AND link.ancestor_job_id IS NULL
    WHERE walk.depth < :depth
), found AS (
    SELECT file_id, min(depth) AS depth FROM walk GROUP BY file_id
), page AS (
    SELECT file_id, depth FROM found WHERE depth > 0 ORDER BY depth, file_id OFFSET :offset LIMIT :limit
), link AS (
    SELECT link.ancestor_id AS file_id, link.descendant_id AS other_id, link.job_id, link.job_exe_id, link.recipe_id,
        row_number() OVER (PARTITION BY link.ancestor_id ORDER BY other.depth, link.descendant_id, link.id) AS place,
        count(*) OVER (PARTITION BY link.ancestor_id) AS num_links
    FROM found other
    JOIN file_ancestry_link link ON link.descendant_id = other.file_id AND link.ancestor_job_id IS NULL
    JOIN page ON page.file_id = link.ancestor_id
)
SELECT page.file_id, page.depth, (SELECT count(*) FROM found WHERE depth > 0) AS total,
    link.num_links, link.other_id, link.job_id, link.job_exe_id, link.recipe_id, job.job_type_id, job.status
FROM page
JOIN link ON link.file_id = page.file_id AND link.place <= :max_links
JOIN job ON job.id = link.job_id
ORDER BY page.depth, page.file_id, link.place;
