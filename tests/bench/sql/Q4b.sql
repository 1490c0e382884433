-- $1, $2: name and id of the last API before the page; $3: type
WITH following AS (
  SELECT id, sort_name, ref, name, type, owner_id, system_id
  FROM entity
  WHERE graph_type = 'API' AND type = $3 AND (sort_name, id) > ($1, $2)
  ORDER BY sort_name, id
  LIMIT 26
),
page AS (SELECT * FROM following ORDER BY sort_name, id LIMIT 25)
SELECT
  (
    SELECT coalesce(json_agg(node), '[]')
    FROM (
      SELECT
        a.ref, a.name, a.type,
        CASE WHEN o.id IS NOT NULL THEN json_build_object('name', o.name) END AS owner,
        CASE WHEN s.id IS NOT NULL THEN json_build_object(
          'name', s.name,
          'domain', CASE WHEN d.id IS NOT NULL THEN json_build_object('name', d.name) END
        ) END AS system
      FROM page a
      LEFT JOIN entity o ON o.id = a.owner_id AND o.graph_type IN ('Group', 'User')
      LEFT JOIN entity s ON s.id = a.system_id AND s.graph_type = 'System'
      LEFT JOIN entity d ON d.id = s.domain_id AND d.graph_type = 'Domain'
      ORDER BY a.sort_name, a.id
    ) node
  ),
  (SELECT count(*) > 25 FROM following),
  last.sort_name,
  last.id,
  (SELECT count(*) FROM entity WHERE graph_type = 'API' AND type = $3)
FROM (SELECT) one
LEFT JOIN (SELECT sort_name, id FROM page ORDER BY sort_name DESC, id DESC LIMIT 1) last ON true
