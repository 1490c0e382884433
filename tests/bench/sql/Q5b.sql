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
                c.name,
                json_build_object('nodes', (
                  SELECT coalesce(json_agg(
                    CASE WHEN first.graph_type = 'Component' THEN json_build_object(
                      'name', first.name,
                      'dependencies', json_build_object('nodes', (
                        SELECT coalesce(json_agg(
                          CASE WHEN second.graph_type = 'Component' THEN json_build_object(
                            'name', second.name,
                            'dependencies', json_build_object('nodes', (
                              SELECT coalesce(json_agg(
                                CASE WHEN third.graph_type = 'Component' THEN json_build_object(
                                  'name', third.name,
                                  'system', CASE WHEN s.id IS NOT NULL THEN json_build_object(
                                    'name', s.name,
                                    'domain', CASE WHEN d.id IS NOT NULL THEN json_build_object('name', d.name) END
                                  ) END
                                ) ELSE json_build_object('name', third.name) END
                                ORDER BY third.sort_name, third.id
                              ), '[]')
                              FROM (
                                SELECT t.id, t.sort_name, t.name, t.graph_type, t.system_id
                                FROM relation r
                                JOIN entity t ON t.id = r.target_id
                                WHERE r.source_id = second.id AND r.type = 'dependsOn'
                                ORDER BY t.sort_name, t.id
                                LIMIT 2
                              ) third
                              LEFT JOIN entity s ON s.id = third.system_id AND s.graph_type = 'System'
                              LEFT JOIN entity d ON d.id = s.domain_id AND d.graph_type = 'Domain'
                            ))
                          ) ELSE json_build_object('name', second.name) END
                        ), '[]')
                        FROM (
                          SELECT t.id, t.name, t.graph_type
                          FROM relation r
                          JOIN entity t ON t.id = r.target_id
                          WHERE r.source_id = first.id AND r.type = 'dependsOn'
                          ORDER BY t.sort_name, t.id
                          LIMIT 2
                        ) second
                      ))
                    ) ELSE json_build_object('name', first.name) END
                  ), '[]')
                  FROM (
                    SELECT t.id, t.name, t.graph_type
                    FROM relation r
                    JOIN entity t ON t.id = r.target_id
                    WHERE r.source_id = c.id AND r.type = 'dependsOn'
                    ORDER BY t.sort_name, t.id
                    LIMIT 3
                  ) first
                )) AS dependencies
              FROM entity c
              WHERE c.system_id = s.id AND c.graph_type = 'Component'
              ORDER BY c.sort_name, c.id
              LIMIT 10
            ) node
          )) AS components
        FROM entity s
        WHERE s.domain_id = d.id AND s.graph_type = 'System'
        ORDER BY s.sort_name, s.id
        LIMIT 10
      ) node
    )) AS systems
  FROM entity d
  WHERE d.ref = $1 AND d.graph_type = 'Domain'
) found
