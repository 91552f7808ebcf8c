-- Who belonged to the universe, as it was believed at the night's known_at; open ends are null.
select
    m.symbol,
    nullif(m.valid_from, '-infinity')::timestamp as valid_from,
    nullif(m.valid_to, 'infinity')::timestamp as valid_to
from market.universe_members m
where m.known_at <= %(known_at)s
    and coalesce(m.superseded_at > %(known_at)s, true);
