-- $1, $2: name and id of the last component before the page; $3: lifecycle; $4: tag
WITH matching AS MATERIALIZED (
  SELECT id, sort_name
  FROM entity
  WHERE graph_type = 'Component' AND lifecycle = $3 AND tags @> ARRAY[$4::text]
),
following AS (SELECT * FROM matching WHERE (sort_name, id) > ($1, $2) ORDER BY sort_name, id LIMIT 51),
page AS (SELECT * FROM following ORDER BY sort_name, id LIMIT 50)
SELECT
  (
    SELECT coalesce(json_agg(node), '[]')
    FROM (
      SELECT
        c.name, c.title, c.lifecycle, c.type, c.tags,
        CASE WHEN o.id IS NOT NULL THEN json_build_object('name', o.name) END AS owner
      FROM page
      JOIN entity c ON c.id = page.id
      LEFT JOIN entity o ON o.id = c.owner_id AND o.graph_type IN ('Group', 'User')
      ORDER BY page.sort_name, page.id
    ) node
  ),
  (SELECT count(*) > 50 FROM following),
  last.sort_name,
  last.id,
  (SELECT count(*) FROM matching)
FROM (SELECT) one
LEFT JOIN (SELECT sort_name, id FROM page ORDER BY sort_name DESC, id DESC LIMIT 1) last ON true
