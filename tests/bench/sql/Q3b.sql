-- $1: ref; $2: lifecycle
SELECT row_to_json(found)
FROM (
  SELECT
    s.name, s.description,
    CASE WHEN o.id IS NOT NULL THEN json_build_object('title', o.title) END AS owner,
    json_build_object(
      'totalCount',
      (
        SELECT count(*)
        FROM entity c
        WHERE c.system_id = s.id AND c.graph_type = 'Component' AND c.lifecycle IS DISTINCT FROM $2
      ),
      'nodes',
      (
        SELECT coalesce(json_agg(node), '[]')
        FROM (
          SELECT
            c.name, c.tags,
            json_build_object('nodes', (
              SELECT coalesce(json_agg(node), '[]')
              FROM (
                SELECT
                  t.name, t.type,
                  CASE WHEN o.id IS NOT NULL THEN json_build_object('name', o.name) END AS owner
                FROM (
                  SELECT t.id, t.sort_name, t.name, t.type, t.owner_id
                  FROM relation r
                  JOIN entity t ON t.id = r.target_id
                  WHERE r.source_id = c.id AND r.type = 'providesApi' AND t.graph_type = 'API'
                  ORDER BY t.sort_name, t.id
                  LIMIT 2
                ) t
                LEFT JOIN entity o ON o.id = t.owner_id AND o.graph_type IN ('Group', 'User')
                ORDER BY t.sort_name, t.id
              ) node
            )) AS "providedApis"
          FROM entity c
          WHERE c.system_id = s.id AND c.graph_type = 'Component' AND c.lifecycle IS DISTINCT FROM $2
          ORDER BY c.sort_name, c.id
          LIMIT 15
        ) node
      )
    ) AS components
  FROM entity s
  LEFT JOIN entity o ON o.id = s.owner_id AND o.graph_type IN ('Group', 'User')
  WHERE s.ref = $1 AND s.graph_type = 'System'
) found
