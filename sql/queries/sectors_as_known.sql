-- The sector of each ticker's owner, as it was believed at the night's known_at; open ends are null.
select
    s.symbol,
    t.sector,
    nullif(t.valid_from, '-infinity')::timestamp as valid_from,
    nullif(t.valid_to, 'infinity')::timestamp as valid_to
from market.tickers t
join market.symbols s using (symbol_id)
where t.sector is not null
    and t.known_at <= %(known_at)s
    and coalesce(t.superseded_at > %(known_at)s, true);
