-- $1: ref
SELECT row_to_json(found)
FROM (
  SELECT
    g.name, g.title,
    json_build_object('nodes', (
      SELECT coalesce(json_agg(node), '[]')
      FROM (
        SELECT
          c.name, c.title, c.lifecycle, c.type,
          json_build_object('name', g.name) AS owner,
          CASE WHEN s.id IS NOT NULL THEN json_build_object('name', s.name) END AS system,
          json_build_object('nodes', (
            SELECT coalesce(json_agg(node), '[]')
            FROM (
              SELECT t.name, t.kind
              FROM relation r
              JOIN entity t ON t.id = r.target_id
              WHERE r.source_id = c.id AND r.type = 'dependsOn'
              ORDER BY t.sort_name, t.id
              LIMIT 5
            ) node
          )) AS dependencies
        FROM (
          SELECT *
          FROM entity
          WHERE owner_id = g.id AND graph_type = 'Component'
          ORDER BY sort_name, id
          LIMIT 50
        ) c
        LEFT JOIN entity s ON s.id = c.system_id AND s.graph_type = 'System'
        ORDER BY c.sort_name, c.id
      ) node
    )) AS "ownedEntities"
  FROM entity g
  WHERE g.ref = $1 AND g.graph_type = 'Group'
) found
