-- locate -- rows that the agents may be: by agent id first, else by the name of their host
SELECT id, hostname, port, agent_id, is_online FROM node
WHERE agent_id = ANY (CAST(:agent_ids AS text[])) OR hostname = ANY (CAST(:hostnames AS text[]))
ORDER BY id
FOR NO KEY UPDATE

-- insert -- another process may register the same agent at the same time; the next look finds its row
INSERT INTO node (hostname, port, agent_id, attributes, is_online, last_offer)
SELECT hostname, port, agent_id, CAST(attributes AS jsonb), true, last_offer
FROM unnest(CAST(:hostnames AS text[]), CAST(:ports AS int[]), CAST(:agent_ids AS text[]), CAST(:attributes AS text[]),
            CAST(:last_offers AS timestamptz[])) AS u (hostname, port, agent_id, attributes, last_offer)
ON CONFLICT DO NOTHING

-- update -- the user's own edits of name, pause and activity stay
UPDATE node n
SET port = u.port, agent_id = u.agent_id, attributes = CAST(u.attributes AS jsonb), is_online = true,
    last_offer = coalesce(u.last_offer, n.last_offer), last_modified = clock_timestamp()
FROM unnest(CAST(:ids AS bigint[]), CAST(:ports AS int[]), CAST(:agent_ids AS text[]), CAST(:attributes AS text[]),
            CAST(:last_offers AS timestamptz[])) AS u (id, port, agent_id, attributes, last_offer)
WHERE n.id = u.id

-- totals -- written only where they changed
UPDATE node n
SET resources = CAST(said.resources AS jsonb), is_online = true, last_modified = clock_timestamp()
FROM unnest(CAST(:agent_ids AS text[]), CAST(:resources AS text[])) AS said (agent_id, resources)
WHERE n.agent_id = said.agent_id AND NOT (n.is_online AND n.resources = CAST(said.resources AS jsonb))

-- unlisted -- an agent that made an offer while the master's list was on its way is online
UPDATE node SET is_online = false, last_modified = clock_timestamp()
WHERE agent_id = ANY (CAST(:agent_ids AS text[])) AND is_online AND NOT coalesce(last_offer > :recent, false)

-- versions -- of a node that errors paused, time alone may change what it takes
SELECT id, CASE WHEN is_paused_errors THEN '' ELSE CAST(xmin AS text) END AS version
FROM node WHERE is_online ORDER BY id
