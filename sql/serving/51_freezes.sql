-- Who froze a target and who let it go again. `is_current` marks what holds.
create or replace view serving.freezes as
select
    freeze_id,
    domain,
    target as horizon,
    is_frozen,
    decided_by,
    why,
    decided_at,
    freeze_id = max(freeze_id) over (partition by domain, target) as is_current
from lifecycle.freezes;
