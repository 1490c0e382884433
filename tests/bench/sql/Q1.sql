-- $1: ref
SELECT row_to_json(found)
FROM (
  SELECT
    e.graph_type AS "__typename", e.kind, e.name, e.title, e.description, e.lifecycle, e.type, e.tags,
    CASE WHEN o.id IS NOT NULL THEN json_build_object('name', o.name, 'title', o.title) END AS owner,
    CASE WHEN s.id IS NOT NULL THEN json_build_object('name', s.name, 'title', s.title) END AS system,
    json_build_object('nodes', (
      SELECT coalesce(json_agg(node), '[]')
      FROM (
        SELECT
          r.type,
          CASE WHEN t.id IS NOT NULL
            THEN json_build_object('kind', t.kind, 'name', t.name, 'title', t.title)
          END AS target
        FROM (
          SELECT DISTINCT r.type, target_ref.ref, r.target_id
          FROM relation r
          JOIN ref target_ref ON target_ref.id = r.target_id
          WHERE r.source_id = e.id
          ORDER BY r.type, target_ref.ref
          LIMIT 5
        ) r
        LEFT JOIN entity t ON t.id = r.target_id
        ORDER BY r.type, r.ref
      ) node
    )) AS relations
  FROM entity e
  LEFT JOIN entity o ON o.id = e.owner_id AND o.graph_type IN ('Group', 'User')
  LEFT JOIN entity s ON s.id = e.system_id AND s.graph_type = 'System'
  WHERE e.ref = $1
) found
