-- Who waits for a table lets nobody past: better to give up soon and try again later.
set local lock_timeout = '10s';
