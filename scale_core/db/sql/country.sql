-- assign -- The countries whose borders these files' footprints touch: the borders in force when their data were taken.
INSERT INTO scale_file_country (scale_file_id, country_data_id)
SELECT DISTINCT file.id, country.id
FROM scale_file file
JOIN country_border border ON ST_Intersects(border.part, file.geometry)
JOIN country_data country ON country.id = border.country_data_id AND NOT country.is_deleted
CROSS JOIN LATERAL (SELECT COALESCE(file.data_started, file.data_ended, file.created) AS taken) AS data
WHERE file.id = ANY(:ids) AND file.geometry IS NOT NULL AND country.effective <= data.taken
    AND NOT EXISTS (
        SELECT FROM country_data newer
        WHERE newer.name = country.name AND NOT newer.is_deleted
            AND newer.effective > country.effective AND newer.effective <= data.taken
    )
ON CONFLICT DO NOTHING;

-- subdivide -- The pieces of these countries' borders. A piece has at most 128 vertices, so that a look at it is cheap.
INSERT INTO country_border (country_data_id, part)
SELECT id, ST_Subdivide(border, 128) FROM country_data WHERE id = ANY(:ids);
