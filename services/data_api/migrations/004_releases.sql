-- Models that were trained privately: each is charged once, however often its training is started again.
SET ROLE data_api_owner;

ALTER TABLE budget.account
    ADD COLUMN IF NOT EXISTS spent_pico_delta bigint NOT NULL DEFAULT 0 CHECK (spent_pico_delta >= 0);

CREATE TABLE IF NOT EXISTS budget.release (
    dataset text NOT NULL,
    release text NOT NULL,
    principal text NOT NULL,
    milli bigint NOT NULL CHECK (milli > 0),
    pico_delta bigint NOT NULL CHECK (pico_delta > 0),
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (dataset, release)
);

-- Charges a release like any other query, and its delta, or nothing at all. Says 'charged', 'already' (it was charged
-- before, for the same), 'different' (for something else) or 'exhausted', and what the caller may still spend.
-- The rows are locked in the order of budget.spend, so that the same release twice at once waits and is charged once.
CREATE OR REPLACE FUNCTION budget.spend_release(
    which_dataset text, who text, which_release text, cost bigint, delta bigint,
    caller_limit bigint, dataset_limit bigint, delta_limit bigint, request text
) RETURNS TABLE (outcome text, remaining bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    known budget.release;
    delta_by_all bigint;
    was_charged boolean;
BEGIN
    IF delta <= 0 OR who = '*' THEN
        RAISE EXCEPTION 'a charge is positive, and somebody''s';
    END IF;
    INSERT INTO budget.account VALUES (which_dataset, who, 0), (which_dataset, '*', 0) ON CONFLICT DO NOTHING;
    PERFORM FROM budget.account WHERE dataset = which_dataset AND principal = who FOR UPDATE;
    SELECT spent_pico_delta INTO STRICT delta_by_all FROM budget.account
        WHERE dataset = which_dataset AND principal = '*' FOR UPDATE;
    SELECT * INTO known FROM budget.release r WHERE r.dataset = which_dataset AND r.release = which_release;
    IF FOUND THEN
        outcome := CASE WHEN (known.principal, known.milli, known.pico_delta) = (who, cost, delta)
                        THEN 'already' ELSE 'different' END;
        remaining := budget.remaining(which_dataset, who, caller_limit, dataset_limit);
        RETURN NEXT;
        RETURN;
    END IF;
    IF delta_by_all + delta > delta_limit THEN
        outcome := 'exhausted';
        remaining := budget.remaining(which_dataset, who, caller_limit, dataset_limit);
        RETURN NEXT;
        RETURN;
    END IF;
    SELECT s.charged, s.remaining INTO STRICT was_charged, remaining
        FROM budget.spend(which_dataset, who, cost, caller_limit, dataset_limit, request) s;
    outcome := CASE WHEN was_charged THEN 'charged' ELSE 'exhausted' END;
    IF was_charged THEN
        UPDATE budget.account SET spent_pico_delta = spent_pico_delta + delta
            WHERE dataset = which_dataset AND principal IN (who, '*');
        INSERT INTO budget.release (dataset, release, principal, milli, pico_delta)
            VALUES (which_dataset, which_release, who, cost, delta);
    END IF;
    RETURN NEXT;
END $$;

REVOKE ALL ON FUNCTION budget.spend_release(text, text, text, bigint, bigint, bigint, bigint, bigint, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION budget.spend_release(text, text, text, bigint, bigint, bigint, bigint, bigint, text) TO data_api;
RESET ROLE;
