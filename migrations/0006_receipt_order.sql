-- Finding receipts by any two filters, in any order.
--
-- One index holds what receipts are filtered by, as terms: hashes of a kind and
-- a value. It finds those that have several terms at once without reading any
-- other. Days and costs are terms too, in fine and in coarse steps, so that the
-- newest or costliest of many are found without the rest.

-- +goose Up
-- The terms of the files' paths and of the directories above them, as package
-- store makes them.
ALTER TABLE receipts ADD COLUMN path_keys integer[] NOT NULL DEFAULT '{}';

-- What the new index finds as well.
DROP INDEX receipts_text, receipts_model, receipts_provider, receipts_user_name, receipt_files_path;
ALTER TABLE receipt_files ALTER COLUMN path SET STATISTICS -1;

ALTER TABLE receipts DISABLE TRIGGER USER;
UPDATE receipts r SET path_keys = k.keys
FROM (SELECT org_id, receipt_id, CASE WHEN count(*) > 1000 THEN '{0}' ELSE array_agg(key ORDER BY key) END AS keys
      FROM (SELECT DISTINCT f.org_id, f.receipt_id, ('x' || left(md5(p.path), 8))::bit(32)::integer
                   # ('x' || left(md5(f.org_id::text), 8))::bit(32)::integer AS key
            FROM receipt_files f,
                 LATERAL (SELECT f.path
                          UNION ALL
                          SELECT array_to_string(parts[:n], '/') || '/'
                          FROM string_to_array(f.path, '/') parts, generate_series(1, cardinality(parts) - 1) n) p (path)) keys
      GROUP BY org_id, receipt_id) k
WHERE r.org_id = k.org_id AND r.id = k.receipt_id;
ALTER TABLE receipts ENABLE TRIGGER USER;

-- Of two organisations none has a term of the other.
CREATE FUNCTION receipt_term(org uuid, kind text, value text) RETURNS integer
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN hashtext(kind || value) # uuid_hash(org);

CREATE FUNCTION receipt_term_list(org uuid, kind text, list text[]) RETURNS integer[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN ARRAY(SELECT receipt_term(org, kind, value) FROM unnest(list) value);

-- What receipt_term makes of everything that receipts are filtered by. Costs are
-- counted in steps of which 32 are an octave, as package store counts them.
-- In PL/pgSQL, so that queries carry a call and not all of it.
-- +goose StatementBegin
CREATE FUNCTION receipt_terms(org uuid, repo uuid, user_email text, user_name text, provider text, model text, source text,
                              current boolean, day date, cost numeric, path_keys integer[]) RETURNS integer[]
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    o integer := uuid_hash(org);
    step integer := CASE WHEN cost > 0.000001 THEN floor(32 * ln(least(cost, 1000000)::float8) / ln(2::float8))
                         WHEN cost IS NOT NULL THEN -640 END;
BEGIN
    RETURN ARRAY[
        hashtext('org') # o,
        hashtext('repo' || repo) # o,
        hashtext('user' || lower(user_email)) # o,
        hashtext('name' || lower(user_name)) # o,
        hashtext('provider' || provider) # o,
        hashtext('model' || model) # o,
        hashtext('source' || source) # o,
        hashtext('current' || current) # o,
        hashtext('day' || (day - date '2000-01-01')) # o,
        hashtext('month' || extract(year FROM day) * 12 + extract(month FROM day)) # o,
        hashtext('cost' || coalesce(step::text, '')) # o,
        hashtext('octave' || coalesce((step >> 5)::text, '')) # o
    ] || path_keys;
END $$;
-- +goose StatementEnd

CREATE INDEX receipts_terms ON receipts USING gin (prompt_summary gin_trgm_ops,
    receipt_terms(org_id, repo_id, user_email, user_name, provider, model, source, current, day, cost_usd, path_keys));

-- How many receipts cost more than an amount is read from here; of texts no plan
-- depends on the statistics any more.
ALTER TABLE receipts ALTER COLUMN cost_usd SET STATISTICS 500, ALTER COLUMN prompt_summary SET STATISTICS 10;
