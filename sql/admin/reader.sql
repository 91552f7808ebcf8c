-- Habits of a reader's sessions. They are no wall (a session may change them): the grants are.
alter role {role} set default_transaction_read_only = on;
alter role {role} set statement_timeout = '15s';
alter role {role} set idle_in_transaction_session_timeout = '60s';
alter role {role} set search_path = serving;
