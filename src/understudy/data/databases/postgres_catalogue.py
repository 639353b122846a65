"""The questions to PostgreSQL's own catalogue. Each answer is one JSON object a row.

`$schema` stands for the schema's name as a literal. A partition is read through its whole table.
"""

TABLES = """
SELECT json_build_object(
  'name', c.relname,
  'comment', obj_description(c.oid, 'pg_class')
)::text
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = $schema AND c.relkind IN ('r', 'p') AND NOT c.relispartition
ORDER BY c.oid
"""

COLUMNS = """
SELECT json_build_object(
  'table', c.relname,
  'name', a.attname,
  'sql', format_type(a.atttypid, a.atttypmod),
  'type', t.typname,
  'modifier', a.atttypmod,
  'domain_checks', (SELECT json_agg(pg_get_expr(k.conbin, 0) ORDER BY k.oid) FROM pg_constraint k
                    WHERE t.typtype = 'd' AND k.contypid = t.oid AND k.convalidated),
  'not_null', a.attnotnull,
  'default', CASE
     WHEN a.attidentity <> '' THEN 'identity'
     WHEN a.attgenerated = '' THEN (SELECT pg_get_expr(d.adbin, d.adrelid) FROM pg_attrdef d
                                    WHERE d.adrelid = c.oid AND d.adnum = a.attnum)
   END,
  'comment', col_description(c.oid, a.attnum),
  'levels', (SELECT json_agg(e.enumlabel ORDER BY e.enumsortorder)
             FROM pg_enum e WHERE e.enumtypid = a.atttypid),
  'keyed', EXISTS (SELECT 1 FROM pg_constraint k
                   WHERE k.conrelid = c.oid AND k.contype IN ('p', 'f')
                     AND a.attnum = ANY (k.conkey)),
  'base', (SELECT json_build_object('type', b.typname, 'modifier', t.typtypmod,
                                    'sql', format_type(t.typbasetype, t.typtypmod),
                                    'not_null', t.typnotnull)
           FROM pg_type b WHERE t.typtype = 'd' AND b.oid = t.typbasetype)
)::text
FROM pg_attribute a
JOIN pg_class c ON c.oid = a.attrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_type t ON t.oid = a.atttypid
WHERE n.nspname = $schema AND c.relkind IN ('r', 'p') AND NOT c.relispartition
  AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY c.oid, a.attnum
"""

CONSTRAINTS = """
SELECT json_build_object(
  'table', c.relname,
  'kind', k.contype,
  'check', pg_get_expr(k.conbin, k.conrelid),
  'columns', (SELECT json_agg(a.attname ORDER BY u.place)
              FROM unnest(k.conkey) WITH ORDINALITY u(number, place)
              JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.number),
  'parent', p.relname,
  'on_delete', k.confdeltype,
  'references', (SELECT json_agg(a.attname ORDER BY u.place)
                 FROM unnest(k.confkey) WITH ORDINALITY u(number, place)
                 JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.number)
)::text
FROM pg_constraint k
JOIN pg_class c ON c.oid = k.conrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_class p ON p.oid = k.confrelid
WHERE n.nspname = $schema AND k.contype IN ('p', 'u', 'f', 'c') AND k.convalidated
  AND NOT c.relispartition
  AND (k.contype <> 'f' OR (p.relnamespace = c.relnamespace AND NOT p.relispartition))
ORDER BY c.oid, k.oid
"""

SCHEMAS = """
SELECT json_build_object('name', nspname)::text FROM pg_namespace
WHERE nspname NOT LIKE 'pg\\_%' AND nspname <> 'information_schema' ORDER BY nspname
"""
