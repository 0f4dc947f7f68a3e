-- What decisions were judged by is some hundred kilobytes for a push of a
-- hundred commits, and PostgreSQL's own compression of it would take longer than
-- all other statements of the decision. lz4 takes a fifth. A server that was
-- built without it keeps its own; new rows alone are concerned.

-- +goose Up
-- +goose StatementBegin
DO $$
BEGIN
    ALTER TABLE decision_inputs ALTER COLUMN push SET COMPRESSION lz4, ALTER COLUMN input SET COMPRESSION lz4;
EXCEPTION WHEN feature_not_supported OR invalid_parameter_value THEN
    RAISE NOTICE 'this server has no lz4: decisions are compressed by pglz';
END
$$;
-- +goose StatementEnd
