-- The ledger of privacy: what each principal has spent of each dataset, in thousandths of epsilon.
SET ROLE data_api_owner;

-- The principal '*' is the dataset as a whole: what all have spent together.
CREATE TABLE IF NOT EXISTS budget.account (
    dataset text NOT NULL,
    principal text NOT NULL,
    spent_milli bigint NOT NULL CHECK (spent_milli >= 0),
    PRIMARY KEY (dataset, principal)
);

CREATE TABLE IF NOT EXISTS budget.charge (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    request_id text NOT NULL,
    dataset text NOT NULL,
    principal text NOT NULL,
    milli bigint NOT NULL CHECK (milli > 0)
);

-- Charges both accounts or neither, and says whether it did and what the caller may still spend.
-- The rows are locked in one order, the caller's first, so that two charges wait instead of overspending.
CREATE OR REPLACE FUNCTION budget.spend(
    which_dataset text, who text, cost bigint, caller_limit bigint, dataset_limit bigint, request text
) RETURNS TABLE (charged boolean, remaining bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    by_caller bigint;
    by_all bigint;
BEGIN
    IF cost <= 0 OR who = '*' THEN
        RAISE EXCEPTION 'a charge is positive, and somebody''s';
    END IF;
    INSERT INTO budget.account VALUES (which_dataset, who, 0), (which_dataset, '*', 0) ON CONFLICT DO NOTHING;
    SELECT spent_milli INTO STRICT by_caller FROM budget.account
        WHERE dataset = which_dataset AND principal = who FOR UPDATE;
    SELECT spent_milli INTO STRICT by_all FROM budget.account
        WHERE dataset = which_dataset AND principal = '*' FOR UPDATE;
    remaining := greatest(0, least(caller_limit - by_caller, dataset_limit - by_all));
    charged := cost <= remaining;
    IF charged THEN
        UPDATE budget.account SET spent_milli = spent_milli + cost
            WHERE dataset = which_dataset AND principal IN (who, '*');
        INSERT INTO budget.charge (request_id, dataset, principal, milli)
            VALUES (request, which_dataset, who, cost);
        remaining := remaining - cost;
    END IF;
    RETURN NEXT;
END $$;

CREATE OR REPLACE FUNCTION budget.remaining(
    which_dataset text, who text, caller_limit bigint, dataset_limit bigint
) RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT greatest(0, least(
        caller_limit - coalesce((SELECT spent_milli FROM budget.account
            WHERE dataset = which_dataset AND principal = who), 0),
        dataset_limit - coalesce((SELECT spent_milli FROM budget.account
            WHERE dataset = which_dataset AND principal = '*'), 0)))
$$;

REVOKE ALL ON FUNCTION budget.spend(text, text, bigint, bigint, bigint, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION budget.remaining(text, text, bigint, bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION budget.spend(text, text, bigint, bigint, bigint, text) TO data_api;
GRANT EXECUTE ON FUNCTION budget.remaining(text, text, bigint, bigint) TO data_api;
RESET ROLE;
