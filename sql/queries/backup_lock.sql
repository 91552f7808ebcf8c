-- Held until the session ends: one verification at a time.
select pg_advisory_lock(hashtext('backup.verify'));
