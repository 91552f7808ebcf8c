-- Both words on every symbol that a challenger served, the champion's and the challenger's; columns of the history.
create or replace view serving.canary as
select p.*
from lifecycle.published_predictions p
where exists (
    select
    from lifecycle.predictions c
    where c.publication_id = p.publication_id
        and c.entity = p.symbol
        and c.target = p.horizon
        and c.role = 'challenger'
);
