select pg_export_snapshot() as snapshot, current_setting('server_version_num')::integer / 10000 as major;
