-- $1: ref
SELECT row_to_json(found)
FROM (
  SELECT
    d.name,
    json_build_object('nodes', (
      SELECT coalesce(json_agg(node), '[]')
      FROM (
        SELECT
          s.name,
          json_build_object('nodes', (
            SELECT coalesce(json_agg(node), '[]')
            FROM (
              SELECT
                c.name, c.lifecycle,
                json_build_object('nodes', (
                  SELECT coalesce(json_agg(node), '[]')
                  FROM (
                    SELECT
                      t.name, t.kind,
                      CASE WHEN o.id IS NOT NULL THEN json_build_object('name', o.name) END AS owner
                    FROM (
                      SELECT t.id, t.sort_name, t.name, t.kind, t.owner_id
                      FROM relation r
                      JOIN entity t ON t.id = r.target_id
                      WHERE r.source_id = c.id AND r.type = 'dependsOn'
                      ORDER BY t.sort_name, t.id
                      LIMIT 5
                    ) t
                    LEFT JOIN entity o ON o.id = t.owner_id AND o.graph_type IN ('Group', 'User')
                    ORDER BY t.sort_name, t.id
                  ) node
                )) AS dependencies
              FROM entity c
              WHERE c.system_id = s.id AND c.graph_type = 'Component'
              ORDER BY c.sort_name, c.id
              LIMIT 20
            ) node
          )) AS components
        FROM entity s
        WHERE s.domain_id = d.id AND s.graph_type = 'System'
        ORDER BY s.sort_name, s.id
        LIMIT 20
      ) node
    )) AS systems
  FROM entity d
  WHERE d.ref = $1 AND d.graph_type = 'Domain'
) found
