-- $1, $2: name and id of the last entity before the page; $3: the fingerprint of the list's cursors
WITH following AS (
  SELECT id, sort_name, graph_type, ref, title, tags, lifecycle, type, owner_id, system_id
  FROM entity
  WHERE (sort_name, id) > ($1, $2)
  ORDER BY sort_name, id
  LIMIT 51
),
page AS (SELECT * FROM following ORDER BY sort_name, id LIMIT 50)
SELECT
  (
    SELECT coalesce(json_agg(edge), '[]')
    FROM (
      SELECT
        translate(
          encode(
            convert_to('["' || $3::text || '",' || to_json(e.sort_name)::text || ',' || e.id || ']', 'UTF8'),
            'base64'
          ),
          E'+/=\n', '-_'
        ) AS cursor,
        CASE e.graph_type
          WHEN 'Component' THEN json_build_object(
            '__typename', e.graph_type, 'ref', e.ref, 'title', e.title, 'tags', e.tags,
            'owner', CASE WHEN o.id IS NOT NULL THEN json_build_object('name', o.name) END,
            'lifecycle', e.lifecycle,
            'system', CASE WHEN s.id IS NOT NULL THEN json_build_object('name', s.name) END
          )
          WHEN 'API' THEN json_build_object(
            '__typename', e.graph_type, 'ref', e.ref, 'title', e.title, 'tags', e.tags,
            'owner', CASE WHEN o.id IS NOT NULL THEN json_build_object('name', o.name) END,
            'type', e.type
          )
          ELSE json_build_object(
            '__typename', e.graph_type, 'ref', e.ref, 'title', e.title, 'tags', e.tags,
            'owner', CASE WHEN o.id IS NOT NULL THEN json_build_object('name', o.name) END
          )
        END AS node
      FROM page e
      LEFT JOIN entity o ON o.id = e.owner_id AND o.graph_type IN ('Group', 'User')
      LEFT JOIN entity s ON s.id = e.system_id AND s.graph_type = 'System'
      ORDER BY e.sort_name, e.id
    ) edge
  ),
  (SELECT count(*) > 50 FROM following),
  last.sort_name,
  last.id
FROM (SELECT) one
LEFT JOIN (SELECT sort_name, id FROM page ORDER BY sort_name DESC, id DESC LIMIT 1) last ON true
