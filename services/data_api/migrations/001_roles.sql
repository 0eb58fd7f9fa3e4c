-- Who may do what: the owner of the schemas, and the service, which has a login and next to no rights.
-- Run as the master user of the database. Running it again changes nothing.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'data_api_owner') THEN
        CREATE ROLE data_api_owner NOLOGIN;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'data_api') THEN
        CREATE ROLE data_api LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOINHERIT CONNECTION LIMIT 100;
    END IF;
    -- In RDS a member of rds_iam signs in with tokens of IAM and with nothing else.
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'rds_iam') THEN
        GRANT rds_iam TO data_api;
    END IF;
    IF EXISTS (SELECT FROM pg_available_extensions WHERE name = 'pgaudit')
       AND current_setting('shared_preload_libraries') LIKE '%pgaudit%' THEN
        CREATE EXTENSION IF NOT EXISTS pgaudit;
    END IF;
END $$;

GRANT data_api_owner TO CURRENT_USER;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
CREATE SCHEMA IF NOT EXISTS audit AUTHORIZATION data_api_owner;
CREATE SCHEMA IF NOT EXISTS budget AUTHORIZATION data_api_owner;
GRANT USAGE ON SCHEMA audit, budget TO data_api;
