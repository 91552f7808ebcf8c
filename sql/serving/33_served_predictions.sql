-- The same as latest_predictions, where a canary is under way with the challenger's row on each symbol of its arm.
create or replace view serving.served_predictions as
select p.*
from lifecycle.latest_published p
where p.role = 'challenger' or not exists (
    select
    from lifecycle.latest_published c
    where c.domain = p.domain and c.symbol = p.symbol and c.horizon = p.horizon and c.role = 'challenger'
);
