-- Run once by the Postgres image on an empty volume: the roles and databases that docker-compose.yaml needs.
-- Passwords come from the container's environment; one that is missing stops the start.
\getenv airflow_password AFTERBELL_STACK_AIRFLOW_DB_PASSWORD
\getenv mlflow_password AFTERBELL_STACK_MLFLOW_DB_PASSWORD
\getenv warehouse_password AFTERBELL_STACK_WAREHOUSE_PASSWORD
\getenv reader_password AFTERBELL_STACK_READER_PASSWORD

create role airflow login password :'airflow_password';
create role mlflow login password :'mlflow_password';
-- A backup is proved by restoring it into a database made for that.
create role afterbell login createdb password :'warehouse_password';
create role afterbell_reader login password :'reader_password';

-- Habits of a reader's sessions. They are no wall (a session may change them): the grants are.
alter role afterbell_reader set default_transaction_read_only = on;
alter role afterbell_reader set statement_timeout = '15s';
alter role afterbell_reader set idle_in_transaction_session_timeout = '60s';
alter role afterbell_reader set search_path = serving;

create database airflow owner airflow;
create database mlflow owner mlflow;
create database afterbell owner afterbell;

revoke all on database postgres, template1, airflow, mlflow, afterbell from public;

\connect afterbell
\ir ../admin/close_functions.sql
grant connect on database afterbell to afterbell_reader;
