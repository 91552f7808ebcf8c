-- Who belonged to the universe, from `valid_from` until before `valid_to`, as it is believed now.
create or replace view serving.universe as
select symbol, valid_from, valid_to, known_at
from market.universe_members
where superseded_at is null;
