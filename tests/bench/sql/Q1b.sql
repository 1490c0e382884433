-- $1: ref
SELECT row_to_json(found)
FROM (
  SELECT
    e.ref, e.namespace, e.lifecycle,
    CASE WHEN o.id IS NOT NULL THEN json_build_object('__typename', o.graph_type, 'name', o.name) END AS owner,
    CASE WHEN s.id IS NOT NULL THEN json_build_object(
      'name', s.name,
      'domain', CASE WHEN d.id IS NOT NULL THEN json_build_object('name', d.name, 'title', d.title) END
    ) END AS system,
    json_build_object('nodes', (
      SELECT coalesce(json_agg(node), '[]')
      FROM (
        SELECT t.graph_type AS "__typename", t.name, t.title
        FROM relation r
        JOIN entity t ON t.id = r.target_id
        WHERE r.source_id = e.id AND r.type = 'dependsOn'
        ORDER BY t.sort_name, t.id
        LIMIT 10
      ) node
    )) AS dependencies,
    json_build_object('nodes', (
      SELECT coalesce(json_agg(node), '[]')
      FROM (
        SELECT t.name, t.type
        FROM relation r
        JOIN entity t ON t.id = r.target_id
        WHERE r.source_id = e.id AND r.type = 'providesApi' AND t.graph_type = 'API'
        ORDER BY t.sort_name, t.id
        LIMIT 3
      ) node
    )) AS "providedApis"
  FROM entity e
  LEFT JOIN entity o ON o.id = e.owner_id AND o.graph_type IN ('Group', 'User')
  LEFT JOIN entity s ON s.id = e.system_id AND s.graph_type = 'System'
  LEFT JOIN entity d ON d.id = s.domain_id AND d.graph_type = 'Domain'
  WHERE e.ref = $1 AND e.graph_type = 'Component'
) found
