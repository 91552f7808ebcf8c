insert into market.actions (symbol, ex_date, kind, value, known_at, ingest_id)
select i.symbol, i.ex_date, i.kind, i.value, %(known_at)s, %(ingest_id)s
from incoming_actions i
where not exists (
    select 1
    from market.actions a
    where a.symbol = i.symbol and a.ex_date = i.ex_date and a.kind = i.kind and a.superseded_at is null
)
and not (
    %(yields)s
    and exists (
        select 1
        from market.ingest_runs r
        where r.kind = 'night'
            and r.status = 'accepted'
            and i.ex_date between r.window_start and r.window_end
            and (r.symbols is null or i.symbol = any(r.symbols))
    )
);
