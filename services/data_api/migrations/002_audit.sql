-- The audit chain: appended to through one function, changed by nobody.
SET ROLE data_api_owner;

CREATE TABLE IF NOT EXISTS audit.event (
    sequence bigint PRIMARY KEY,
    body text NOT NULL,
    seal text NOT NULL,
    link text NOT NULL
);

-- One row; its lock puts the events of all replicas in one order.
CREATE TABLE IF NOT EXISTS audit.head (
    single boolean PRIMARY KEY DEFAULT true CHECK (single),
    sequence bigint NOT NULL,
    link text NOT NULL
);
INSERT INTO audit.head (sequence, link) VALUES (0, repeat('0', 64)) ON CONFLICT DO NOTHING;

CREATE OR REPLACE FUNCTION audit.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit is only appended to';
END $$;

CREATE OR REPLACE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit.event
    FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse();

-- Returns the sequence number and link of each event, in the order they were given.
CREATE OR REPLACE FUNCTION audit.append(bodies text[], seals text[])
RETURNS TABLE (at bigint, hash text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    last_sequence bigint;
    last_link text;
BEGIN
    IF cardinality(bodies) <> cardinality(seals) THEN
        RAISE EXCEPTION 'as many seals as bodies';
    END IF;
    SELECT h.sequence, h.link INTO STRICT last_sequence, last_link FROM audit.head h FOR UPDATE;
    FOR i IN 1 .. cardinality(bodies) LOOP
        last_sequence := last_sequence + 1;
        last_link := encode(sha256(convert_to(last_link || bodies[i] || seals[i], 'UTF8')), 'hex');
        INSERT INTO audit.event VALUES (last_sequence, bodies[i], seals[i], last_link);
        at := last_sequence;
        hash := last_link;
        RETURN NEXT;
    END LOOP;
    UPDATE audit.head SET sequence = last_sequence, link = last_link;
END $$;

REVOKE ALL ON FUNCTION audit.append(text[], text[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION audit.append(text[], text[]) TO data_api;
RESET ROLE;

-- An auditor reads the chain; the service itself need not.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'data_api_auditor') THEN
        CREATE ROLE data_api_auditor NOLOGIN;
    END IF;
END $$;
GRANT USAGE ON SCHEMA audit TO data_api_auditor;
GRANT SELECT ON audit.event, audit.head TO data_api_auditor;
