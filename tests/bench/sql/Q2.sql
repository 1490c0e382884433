-- $1, $2: name and id of the last component before the page
WITH following AS (
  SELECT id, sort_name, name, title, lifecycle, tags, owner_id, system_id
  FROM entity
  WHERE graph_type = 'Component' AND (sort_name, id) > ($1, $2)
  ORDER BY sort_name, id
  LIMIT 101
),
page AS (SELECT * FROM following ORDER BY sort_name, id LIMIT 100)
SELECT
  (
    SELECT coalesce(json_agg(node), '[]')
    FROM (
      SELECT
        c.name, c.title, c.lifecycle, c.tags,
        CASE WHEN o.id IS NOT NULL THEN json_build_object('name', o.name) END AS owner,
        CASE WHEN s.id IS NOT NULL THEN json_build_object('name', s.name) END AS system
      FROM page c
      LEFT JOIN entity o ON o.id = c.owner_id AND o.graph_type IN ('Group', 'User')
      LEFT JOIN entity s ON s.id = c.system_id AND s.graph_type = 'System'
      ORDER BY c.sort_name, c.id
    ) node
  ),
  (SELECT count(*) > 100 FROM following),
  last.sort_name,
  last.id
FROM (SELECT) one
LEFT JOIN (SELECT sort_name, id FROM page ORDER BY sort_name DESC, id DESC LIMIT 1) last ON true
