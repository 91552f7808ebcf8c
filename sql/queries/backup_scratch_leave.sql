-- Only our own may be ended by us; for an autovacuum, which is the server's, `drop database` asks by itself.
select pg_terminate_backend(pid, 5000)
from pg_stat_activity
where datname = %(database)s and usename = current_user;
