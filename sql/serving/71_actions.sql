-- Splits and dividends as they are believed now.
create or replace view serving.actions as
select symbol, ex_date, kind, value, known_at
from market.actions
where superseded_at is null;
