-- The transaction that holds the snapshot waits for pg_dump.
set local idle_in_transaction_session_timeout = 0;
