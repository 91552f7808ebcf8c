-- What the house's own upkeep did: partitions, retention, backups and whether they could be restored.
create or replace view serving.maintenance as
select maintenance_id, task, succeeded, result, started_at, finished_at
from lifecycle.maintenance;
